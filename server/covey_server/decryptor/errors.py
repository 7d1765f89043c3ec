"""Errors of a decryptor's server, beside those of the protocol (`covey_privacy.errors`)."""

from __future__ import annotations

from covey_server.errors import CoordinatorError


class DecryptorError(CoordinatorError):
    """Root of the errors of this package; `status` is that of the HTTP answer."""

    status = 500


class StateError(DecryptorError):
    """The state folder or the key cannot be used: another process holds it, or it is a copy."""

    status = 503


class UnknownRoundError(DecryptorError):
    """No seat was given for the manifest that the request names."""

    status = 404


class AbsentError(DecryptorError):
    """A seat was given, but its box key is gone: this decryptor is absent from the round."""

    status = 410
