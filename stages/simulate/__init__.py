"""Forward model: exposures in the true level-1b format, and the CRDS cache that calibrates them.

What a step undoes, it adds; the truth is saved beside.
"""

from calwebbd.stages.simulate.crds_cache import environment, simulate_cache
from calwebbd.stages.simulate.effects import Effects
from calwebbd.stages.simulate.observe import Simulation, simulate_exposures

__all__ = ["Effects", "Simulation", "environment", "simulate_cache", "simulate_exposures"]
