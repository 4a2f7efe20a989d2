"""Calibration: steps, kernels, pipelines, associations, references and products."""
