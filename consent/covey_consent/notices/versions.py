"""Versions: which number a changed notice bears, and so whether everyone is asked anew.

A new major asks anew, a minor or patch informs. The author declares which; what changes the bargain has to
be a major, and a change that nobody numbered is taken for one.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from covey_consent.errors import RequestError
from covey_privacy.registry_messages import Notice
from covey_privacy.semver import Semver


@dataclass(frozen=True, slots=True)
class Edition:
    """A notice, with the purpose's data, gates and retention at the time (`drafts.terms`)."""

    notice: Notice
    terms: str

    def says_the_same(self, other: Edition) -> bool:
        """Say whether only the number differs."""
        return self.terms == other.terms and self.notice == numbered(other.notice, self.notice.number)


def number(draft: Edition, latest: Edition | None) -> Semver:
    """Return the version of a draft that differs from the latest; its own is what its author declares.

    Raises RequestError where it is declared a minor or patch and changes what people agreed to.
    """
    declared = draft.notice.number
    if latest is None:
        return declared
    before = latest.notice.number
    if declared <= before:
        return before.next_major
    if declared.major == before.major and (changes := material(draft, latest)):
        raise RequestError(
            f"the notice for {draft.notice.purpose!r} is declared {declared} after {before}, and changes "
            f"{', '.join(changes)}: people have to be asked again; declare {before.next_major}"
        )
    return declared


def material(draft: Edition, latest: Edition) -> tuple[str, ...]:
    """Return what changed that no minor may change (GDPR Art. 7, PIPL Art. 14)."""
    new, old = draft.notice, latest.notice
    changes = {
        "the legal basis": new.basis != old.basis,
        "its cap, raised": new.epsilon > old.epsilon,
        "the cap of all purposes, raised": new.epsilon_total > old.epsilon_total,
        "delta, raised": new.delta > old.delta,
        "data, retention or what it is used for": draft.terms != latest.terms,
    }
    return tuple(what for what, changed in changes.items() if changed)


def numbered(notice: Notice, version: Semver) -> Notice:
    """Return the notice under this version."""
    return dataclasses.replace(notice, version=version.major, minor=version.minor, patch=version.patch)
