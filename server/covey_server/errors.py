"""Errors of the coordinator and its nodes."""

_FINAL = frozenset({404, 409, 422})


class CoordinatorError(Exception):
    """Root of every error that `covey_server` raises."""


class ConfigError(CoordinatorError, ValueError):
    """The operator's configuration cannot be used."""


class RegistryError(CoordinatorError):
    """The registry cannot be reached, or refused what the coordinator asked.

    `status` is the HTTP status of a refusal, 0 where no answer came.
    """

    def __init__(self, message: str, *, status: int = 0) -> None:
        super().__init__(message)
        self.status = status

    @property
    def is_final(self) -> bool:
        """Whether asking again would be refused again: the registry found fault with what was asked."""
        return self.status in _FINAL


class NodesError(CoordinatorError):
    """Nodes failed or fell silent, so that the phase has no answer."""


class RoundError(CoordinatorError):
    """A round's sum is not one that honest devices can come to; it is not released."""


class OrganisationError(CoordinatorError):
    """An organisation of a standing committee gives no seat, or answers what cannot be read."""
