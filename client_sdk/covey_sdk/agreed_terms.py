"""What the person agreed to in each notice: its basis, caps and delta, kept with the grant.

A grant holds for every text under one version of a notice. Whoever signs notices could raise a cap under the
same version; the phone therefore compares the notice in force with the one that the grant was given on, and
takes a material difference for a new version: the person has to be asked again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from covey_privacy import wire
from covey_privacy.registry_messages import Epsilon, Notice
from covey_sdk.store import Store
from covey_sdk.stored_value import StoredValue


@dataclass(frozen=True, slots=True)
class AgreedTerms:
    """The part of a notice that no other text of the same version may change to the person's disadvantage."""

    purpose: wire.Name
    basis: wire.Name
    epsilon: Epsilon
    epsilon_total: Epsilon
    delta: Annotated[float, wire.Range(1e-12, 1e-2)]

    @classmethod
    def of_notice(cls, notice: Notice) -> AgreedTerms:
        """Return the terms of a notice."""
        return cls(notice.purpose, notice.basis, notice.epsilon, notice.epsilon_total, notice.delta)

    def changes(self, notice: Notice) -> tuple[str, ...]:
        """Return what `notice` changes materially, in words for an error; nothing where caps only fall."""
        found = {
            "the legal basis": notice.basis != self.basis,
            "the cap of this purpose": not notice.epsilon <= self.epsilon,
            "the cap of all purposes": not notice.epsilon_total <= self.epsilon_total,
            "delta": not notice.delta <= self.delta,
        }
        return tuple(what for what, changed in found.items() if changed)


@dataclass(frozen=True, slots=True)
class _Agreed:
    terms: Annotated[tuple[AgreedTerms, ...], wire.Size(0, 64)] = ()


def read_agreed_terms(store: Store) -> dict[str, AgreedTerms]:
    """Return the terms that the last grant of each purpose was given on, by purpose."""
    return {terms.purpose: terms for terms in _stored(store).read().terms}


def keep_agreed_terms(store: Store, notice: Notice) -> None:
    """Write down that the person agrees to this notice's terms, in the caller's transaction."""
    agreed = read_agreed_terms(store) | {notice.purpose: AgreedTerms.of_notice(notice)}
    _stored(store).write(_Agreed(tuple(agreed.values())))


def _stored(store: Store) -> StoredValue[_Agreed]:
    return StoredValue(store, "agreed", _Agreed())
