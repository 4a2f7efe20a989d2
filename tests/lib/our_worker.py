"""Runs pipelines of calwebbd (see workers.py)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from workers import serve


def run(
    pipeline: str,
    file: str,
    output_dir: str,
    save_steps: bool = False,
    parameters: dict[str, dict[str, Any]] | None = None,
) -> list[str]:
    """Run a pipeline; returns the paths of its products.

    parameters : by step; they are set against what CRDS says
    """
    from calwebbd.stages.parameters import Layer
    from calwebbd.stages.process import process

    layers = (Layer("command line", parameters or {}),)
    outcomes = process(
        file, pipeline=pipeline, output_dir=Path(output_dir), save_steps=save_steps, layers=layers
    )
    return [str(product.path) for outcome in outcomes for product in outcome.products]


def warm() -> None:
    """Have all kernels compiled."""
    from calwebbd.stages import kernels

    kernels.warm()


def find_jumps(folder: str, nframes: int, group_time: float, showers: bool) -> None:
    """Take the arrays of a folder through the jump step; the flags go to ``ours.npy``."""
    import numpy as np

    from calwebbd.stages.exposure import Header, Ramp
    from calwebbd.stages.steps.jump import jump

    class Map:
        def __init__(self, name: str) -> None:
            self.name = name

        def floats(self) -> np.ndarray:
            return np.load(Path(folder, f"{self.name}.npy"))  # type: ignore[no-any-return]

    sci = np.load(Path(folder, "sci.npy"))
    groupdq, pixeldq = np.zeros(sci.shape, np.uint8), np.zeros(sci.shape[-2:], np.uint32)
    header = Header(NFRAMES=nframes, TGROUP=group_time)
    ramp = Ramp(header, sci, groupdq=groupdq, pixeldq=pixeldq)
    jump(ramp, {name: Map(name) for name in ("gain", "readnoise")}, find_showers=showers)
    np.save(Path(folder, "ours.npy"), ramp.groupdq)


if __name__ == "__main__":
    serve({"run": run, "warm": warm, "find_jumps": find_jumps})
