"""The one error of the models."""


class ModelError(ValueError):
    """A fact or a parameter that a model cannot take: not a number, or not a name it knows."""
