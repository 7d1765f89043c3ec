"""Acts: events before they are recorded."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass

EVERYTHING = "*"
"""The purpose of an event that restricts all processing."""

SUBJECT = "subject"
GUARDIAN = "guardian"
OFFICER = "officer"
SYSTEM = "system"


@dataclass(frozen=True, slots=True)
class Act:
    """What is to be recorded; `signed` is what a device signed, if one did.

    `version` is the notice's major; `at` and `expires_at` are Unix milliseconds, 0 for never.
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

    @property
    def digest(self) -> bytes:
        """What tells one act from another; what nobody signed is never the same act twice."""
        return hashlib.sha256(self.signed or secrets.token_bytes(32)).digest()
