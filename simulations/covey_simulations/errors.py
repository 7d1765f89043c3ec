"""Errors of simulations."""


class SimulationError(Exception):
    """Root of every error that `covey_simulations` raises."""


class SetupError(SimulationError, ValueError):
    """What was asked for cannot be simulated: too few devices, a folder that cannot be used."""


class WorkerError(SimulationError):
    """A worker process failed or is gone."""


class RunError(SimulationError):
    """A part of the simulated system refused or failed."""
