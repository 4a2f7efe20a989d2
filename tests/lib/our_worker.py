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


def catalogue(file: str, to: str, parameters: dict[str, dict[str, Any]] | None = None) -> bool:
    """Write the catalogue that source_catalog makes of a mosaic of any origin; False if it makes none."""
    from stdatamodels.jwst import datamodels

    from calwebbd.stages import crds, pipelines
    from calwebbd.stages.catalogues import write_catalogue
    from calwebbd.stages.exposure import Catalogue, Mosaic
    from calwebbd.stages.fits import read_header
    from calwebbd.stages.parameters import Layer
    from calwebbd.stages.run import Run
    from calwebbd.stages.steps.source_catalog import source_catalog

    header = read_header(file)
    layers = (Layer("command line", parameters or {}),)
    run = Run(pipelines.load("image3"), header.copy(), crds.literal_context(None), layers)
    with datamodels.open(file) as model:
        arrays = {"sci": model.data, "err": model.err, "wht": model.wht}
        run.step(source_catalog, Mosaic(header, **arrays, wcs=model.meta.wcs, file=file))
    made = run.byproducts.get("cat")
    if isinstance(made, Catalogue):
        write_catalogue(made, Path(to), {})
    return made is not None


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
    serve({"run": run, "catalogue": catalogue, "warm": warm, "find_jumps": find_jumps})
