"""The states of a choice, and the transitions between them.

After the consent statuses of the Data Privacy Vocabulary 2.3: given, renewed, refused, withdrawn, expired.
Objection is absolute (GDPR Art. 21(3)): only the person's own later grant ends it.
"""

from __future__ import annotations

from collections.abc import Mapping

from covey_consent.errors import ConflictError
from covey_privacy.registry_messages import GRANTED, REFUSED, WITHDRAWN

NONE = "none"
EXPIRED = "expired"
RENEWED = "renewed"
OBJECTED = "objected"
RESTRICTED = "restricted"
LIFTED = "lifted"

_ANY = {GRANTED: GRANTED, REFUSED: REFUSED, WITHDRAWN: WITHDRAWN, OBJECTED: OBJECTED}

TRANSITIONS: Mapping[str, Mapping[str, str]] = {
    NONE: _ANY,
    GRANTED: {**_ANY, RENEWED: GRANTED, EXPIRED: EXPIRED},
    REFUSED: _ANY,
    WITHDRAWN: _ANY,
    EXPIRED: _ANY,
    OBJECTED: {GRANTED: GRANTED, REFUSED: OBJECTED, WITHDRAWN: OBJECTED, OBJECTED: OBJECTED},
}
"""State -> event -> state. A missing event is not allowed in that state."""

RESTRICTIONS: Mapping[str, Mapping[str, str]] = {
    NONE: {RESTRICTED: RESTRICTED},
    RESTRICTED: {RESTRICTED: RESTRICTED, LIFTED: NONE},
}
"""The same for the restriction of all processing (GDPR Art. 18), which leaves every choice as it is."""


def follow(state: str, event: str) -> str:
    """Return the state after the event. Raises ConflictError where the table has no row for it."""
    after = {**TRANSITIONS.get(state, {}), **RESTRICTIONS.get(state, {})}.get(event)
    if after is None:
        raise ConflictError(f"a choice that is {state} cannot be {event}; only what stands can")
    return after
