"""Errors, split by who has to act; `api.problems` turns each into its HTTP answer by `status`."""

from __future__ import annotations


class ConsentRegistryError(Exception):
    """Root of every error that the registry raises."""

    status = 500


class DamageError(ConsentRegistryError):
    """The registry's own key, database or log is not what it left there: the operator has to act."""


class RequestError(ConsentRegistryError):
    """What was sent cannot be taken, whatever the registry's state: the sender has to change it."""

    status = 422


class UnauthenticatedError(ConsentRegistryError):
    """Nobody has said who is asking, or not in a way that can be believed."""

    status = 401


class DeniedError(ConsentRegistryError):
    """The sender is not who may ask this, or the person has not allowed it."""

    status = 403


class UnknownError(ConsentRegistryError):
    """What the request names does not exist here."""

    status = 404


class ConflictError(ConsentRegistryError):
    """The registry's state stands against it: out of date, too early, or done already and differently."""

    status = 409


class StaleError(ConsentRegistryError):
    """What the sender wants to change has changed since they read it: read it again, then decide."""

    status = 412


class UnconditionalError(ConsentRegistryError):
    """A change names no version of what it changes: send the ETag that was read as If-Match."""

    status = 428
