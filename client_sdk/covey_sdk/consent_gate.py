"""The gate: whether a purpose may be acted on, from what is known at one moment. It fails closed.

Pure: choices, notices, the terms agreed to, the time of the last contact with the registry and the clock's
time are arguments.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from covey_privacy.registry_messages import GRANTED, Choice, Notice
from covey_sdk.agreed_terms import AgreedTerms
from covey_sdk.errors import ConsentError
from covey_sdk.purposes import CONTRACT, CORE

MOST_AGE = timedelta(days=7)
TOLERANCE = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class ConsentGate:
    """What the person allows now.

    `choices`, `notices` and `agreed`, the terms that each grant was given on, are by purpose; `synced_at` is
    when the registry last confirmed them, None never.
    """

    choices: Mapping[str, Choice]
    notices: Mapping[str, Notice]
    agreed: Mapping[str, AgreedTerms]
    synced_at: datetime | None
    now: datetime

    def allows(self, purpose: str) -> bool:
        """Say whether `purpose` may be acted on."""
        return self._obstacle(purpose) is None

    def require(self, *purposes: str) -> None:
        """Raise ConsentError unless every one of `purposes` is allowed."""
        for purpose in purposes:
            obstacle = self._obstacle(purpose)
            if obstacle:
                raise ConsentError(f"purpose {purpose!r} is not allowed: {obstacle}")

    def _obstacle(self, purpose: str) -> str | None:
        """Return why `purpose` is not allowed, and what to do about it; None when it is."""
        if purpose == CORE:
            return None
        if self.synced_at is None:
            return "the registry never confirmed it; sync first"
        if not -TOLERANCE <= self.now - self.synced_at <= MOST_AGE:
            return f"the registry last confirmed it at {self.synced_at:%Y-%m-%d %H:%M}; sync again"
        notice, choice = self.notices.get(purpose), self.choices.get(purpose)
        if notice is None:
            return "it has no notice"
        if purpose in CONTRACT:
            return None
        if choice is None or choice.state != GRANTED:
            return "it is not granted; ask the person"
        if choice.notice_version != notice.version:
            return f"notice {choice.notice_version} was agreed to, {notice.version} is current; ask again"
        return self._changed(notice)

    def _changed(self, notice: Notice) -> str | None:
        """Return what the notice changed since it was agreed to, without a new version; None for nothing."""
        terms = self.agreed.get(notice.purpose)
        if terms is None:
            return "the terms that were agreed to are not on record; ask again"
        changes = terms.changes(notice)
        if changes:
            return f"its notice changed {', '.join(changes)} under the same version; ask again"
        return None
