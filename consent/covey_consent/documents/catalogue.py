"""The documents by name, as the command and the routes ask for them."""

from __future__ import annotations

from enum import StrEnum

from covey_consent.documents.document import Document
from covey_consent.documents.dossier import dossier
from covey_consent.documents.dpia import dpia
from covey_consent.documents.dsa import dsa
from covey_consent.documents.facts import Facts
from covey_consent.documents.pipl_audit import pipl_audit
from covey_consent.documents.ropa import ropa
from covey_consent.documents.toms import toms
from covey_consent.errors import RequestError


class Name(StrEnum):
    """The documents that can be made."""

    ROPA = "ropa"
    DPIA = "dpia"
    DOSSIER = "dossier"
    PIPL_AUDIT = "pipl-audit"
    DSA = "dsa"
    TOMS = "toms"


WHOLE = {Name.ROPA: ropa, Name.PIPL_AUDIT: pipl_audit, Name.DSA: dsa, Name.TOMS: toms}
"""The documents that are about the shop as a whole."""


def make_document(
    facts: Facts, name: Name, purpose: str | None = None, round_id: str | None = None
) -> Document:
    """Return the document. An assessment takes a purpose and a dossier a round; the others take neither.

    Raises RequestError where that is missing or too much, and whatever the document raises.
    """
    for what, value, needed in (
        ("purpose", purpose, name is Name.DPIA),
        ("round", round_id, name is Name.DOSSIER),
    ):
        if needed and value is None:
            raise RequestError(f"document {name} is about one {what}; say which")
        if not needed and value is not None:
            raise RequestError(f"document {name} is about no single {what}; leave it out")
    if purpose is not None:
        return dpia(facts, purpose)
    return dossier(facts, round_id) if round_id is not None else WHOLE[name](facts)
