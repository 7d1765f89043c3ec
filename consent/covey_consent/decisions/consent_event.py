"""Acts: events before they are recorded."""

from __future__ import annotations

import hashlib
from typing import NamedTuple

EVERYTHING = "*"
"""The purpose of an event that restricts all processing."""

SUBJECT = "subject"
GUARDIAN = "guardian"
OFFICER = "officer"
SYSTEM = "system"


class Act(NamedTuple):
    """What is to be recorded; `signed` is what a device signed, if one did.

    `version` is the notice's major; `at` and `expires_at` are Unix milliseconds, 0 for never. `source` is the
    key of the registry that an import came from, as in `Record`.
    """

    subject: str
    purpose: str
    state: str
    actor: str
    method: str
    at: int
    notice: str = ""
    version: int = 0
    language: str = ""
    text: bytes = b""
    expires_at: int = 0
    signed: bytes = b""
    source: str = ""

    @property
    def digest(self) -> bytes | None:
        """What tells one signed act from another; what nobody signed has none: it is never the same."""
        return hashlib.sha256(self.signed).digest() if self.signed else None
