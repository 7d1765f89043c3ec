"""Where a round in one message gets the keys from that signed its tickets."""

from __future__ import annotations

from sqlalchemy.orm import Session

from covey_consent.epochs import LAST_EPOCH
from covey_consent.issuers import name_of
from covey_consent.models import IssuerSecret
from covey_privacy import wire
from covey_privacy.errors import PeerError
from covey_privacy.manifest import Manifest
from covey_privacy.tickets import IssuerKeys


def find_issuer_keys(session: Session, manifest: Manifest) -> IssuerKeys | None:
    """Return the keys by role and slot of the round's purpose set and epoch; None where there are none."""
    row = (
        session.get(IssuerSecret, (manifest.epoch, name_of(manifest.purposes)))
        if manifest.epoch <= LAST_EPOCH
        else None
    )
    try:
        return wire.decode(IssuerKeys, row.key) if row else None
    except PeerError:
        return None  # A key without roles, of rounds in five phases.
