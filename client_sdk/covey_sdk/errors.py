"""Errors, split by whose fault it is."""

from __future__ import annotations

from covey_privacy.protocol_rules import Rule


class CoveyError(Exception):
    """Root of every error that `covey_sdk` raises."""


class EventError(CoveyError, ValueError):
    """The app's data is wrong; nothing was changed."""


class CatalogueError(CoveyError, ValueError):
    """A file of categories, or of their mapping, is wrong; nothing was written."""


class StoreError(CoveyError):
    """The store cannot be used: another key made it, or the file is damaged, busy or not writable."""


class ConsentError(CoveyError):
    """A purpose is not allowed: not granted, granted on an older notice, or not confirmed of late."""


class TicketError(ConsentError):
    """The ticket of the round's slot is not there: none was fetched in the epoch's window, or it was used."""


class CertificateError(CoveyError):
    """There is nothing to certify, or not yet: the text says what is missing. Nobody broke a rule."""


_FINAL = frozenset({403, 409, 422})


class RegistryError(CoveyError):
    """The registry cannot be reached, refuses, or sends what is not to be believed.

    `rule` is what was broken, None where the registry only could not be reached or said no; `status` is the
    HTTP status of a refusal, None without one.
    """

    def __init__(self, message: str, *, rule: Rule | None = None, status: int | None = None) -> None:
        super().__init__(message)
        self._rule = rule
        self.status = status

    @property
    def is_final(self) -> bool:
        """Whether the registry refused what it was sent, so that sending the same again is of no use."""
        return self.status in _FINAL

    @property
    def rule(self) -> Rule | None:
        """The rule that was broken."""
        return self._rule


class RegistryForkError(RegistryError):
    """The registry's log does not continue what this phone saw of it.

    `evidence` is what it signed, as bytes by which anyone can judge it (`covey_privacy.split_view`).
    """

    def __init__(self, message: str, evidence: bytes) -> None:
        super().__init__(message, rule=Rule.LOG_CONSISTENCY)
        self.evidence = evidence


class ClockError(CoveyError):
    """The clock has no time zone, or ran backwards."""
