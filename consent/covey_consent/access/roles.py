"""Roles of callers."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass, field
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
    """The caller of a request: a role, a name for the access log, and for a subject their pseudonym.

    `device` is the key of the device that speaks for them, where one does. `credential` tells the tokens of
    one role and name apart: the thumbprint of the key that the token is bound to, else the token's id.
    """

    role: Role
    name: str
    subject: str | None = None
    device: bytes | None = None
    credential: str = field(default="", compare=False)


LOGGED = frozenset({Role.OFFICER, Role.AUDITOR, Role.ADMIN})
"""Roles whose every request is logged: they may read other people's records, or decide who may."""


def same_person(one: str, other: str) -> bool:
    """Say whether two names are the same but for compatibility forms, case and blanks."""
    return _plain(one) == _plain(other)


def _plain(name: str) -> str:
    return "".join(unicodedata.normalize("NFKC", name).casefold().split())
