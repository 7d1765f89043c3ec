"""Roles: who may ask."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Role(StrEnum):
    """What a caller is to the registry. An auditor only reads, and what they read is logged."""

    SUBJECT = "subject"
    OFFICER = "officer"
    AUDITOR = "auditor"
    OPERATOR = "operator"
    SERVICE = "service"
    ADMIN = "admin"


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks: a role, a name for the access log, and, for a subject, whose records are theirs.

    `device` is the key of the device that speaks for them, where one does.
    """

    role: Role
    name: str
    subject: str | None = None
    device: bytes | None = None


LOGGED = frozenset({Role.OFFICER, Role.AUDITOR, Role.ADMIN})
"""Whoever may look at other people's records, or decide who may: each request of theirs is logged."""
