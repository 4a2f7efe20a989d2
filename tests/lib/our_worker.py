"""Runs pipelines of calwebbd (see workers.py)."""

from __future__ import annotations

from pathlib import Path

from workers import serve


def run(pipeline: str, file: str, output_dir: str, save_steps: bool = False) -> list[str]:
    """Run a pipeline; returns the paths of its products."""
    from calwebbd.stages.process import process

    outcomes = process(file, pipeline=pipeline, output_dir=Path(output_dir), save_steps=save_steps)
    return [str(product.path) for outcome in outcomes for product in outcome.products]


def warm() -> None:
    """Have all kernels compiled."""
    from calwebbd.stages import kernels

    kernels.warm()


if __name__ == "__main__":
    serve({"run": run, "warm": warm})
