"""Errors, split by the party that has to act; `api.problems` turns each into its HTTP answer by `status`."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

_PROOFS = 'algs="Ed25519 ES256"'


class ConsentRegistryError(Exception):
    """Root of every error that the registry raises: an HTTP status, and what headers go with it."""

    status = 500
    headers: Mapping[str, str] = MappingProxyType({})


def require_folder(out: Path) -> None:
    """Raise RequestError unless a file at `out` has a folder to go to: before what goes there is made."""
    if not out.parent.is_dir() or not os.access(out.parent, os.W_OK | os.X_OK):
        raise RequestError(f"{out.parent} is no folder to write to; make it, or name another file than {out}")
    if out.is_dir():
        raise RequestError(f"{out} is a folder; a name for a file was expected")


def without_number(error: Exception) -> str:
    """Return what an error says; of one of the system's, its words without number and path."""
    return error.strerror if isinstance(error, OSError) and error.strerror else str(error)


class DamageError(ConsentRegistryError):
    """The registry's own key, database or log is not what it left there: the operator has to act."""


class RequestError(ConsentRegistryError):
    """What was sent cannot be taken, whatever the registry's state: the sender has to change it."""

    status = 422


class UnauthenticatedError(ConsentRegistryError):
    """Nobody has said who is asking, or not in a way that can be believed."""

    status = 401
    headers = MappingProxyType({"WWW-Authenticate": f"Bearer, DPoP {_PROOFS}"})


class TokenError(UnauthenticatedError):
    """The access token is forged, expired, or meant for another service: get a new one."""

    headers = MappingProxyType(
        {"WWW-Authenticate": f'Bearer error="invalid_token", DPoP error="invalid_token", {_PROOFS}'}
    )


class ProofError(UnauthenticatedError):
    """The DPoP proof does not show, for this very request, the key that the access token is bound to."""

    headers = MappingProxyType({"WWW-Authenticate": f'DPoP error="invalid_dpop_proof", {_PROOFS}'})


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


class LimitError(ConsentRegistryError):
    """More requests than one caller or address may make: wait as long as Retry-After says."""

    status = 429


class UnavailableError(ConsentRegistryError):
    """Something that the registry needs does not answer: nothing was changed; try again."""

    status = 503
    headers = MappingProxyType({"Retry-After": "5"})
