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


if __name__ == "__main__":
    serve({"run": run, "warm": warm})
