"""Resample exposures onto one rectified frame."""

from calwebbd.stages.steps.resample.drizzle import Drizzled, drizzle
from calwebbd.stages.steps.resample.frame import Frame, FrameParams, output_frame

__all__ = ["Drizzled", "Frame", "FrameParams", "drizzle", "output_frame"]
