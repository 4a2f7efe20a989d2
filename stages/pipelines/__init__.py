"""The pipelines by name. They import their steps, and with them the compiled kernels."""

from calwebbd.stages.pipelines.detector1 import detector1
from calwebbd.stages.step import Pipeline

PIPELINES: dict[str, Pipeline] = {p.name: p for p in (detector1,)}
