"""The profile: what the phone concludes about its owner, from the journal's events and the rules in use."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from covey_sdk import rule_bundle
from covey_sdk.consent_gate import ConsentGate
from covey_sdk.facts import UNKNOWN, Facts, facts
from covey_sdk.history import History
from covey_sdk.history_builder import HistoryBuilder
from covey_sdk.journal import Journal
from covey_sdk.purposes import ORDINARY, PERSONALIZE, SENSITIVE
from covey_sdk.releases import CUTS, Releases
from covey_sdk.rule_bundle import Rules
from covey_sdk.store import Store
from covey_sdk.stored_value import StoredValue
from covey_sdk.tag_choices import TagChoices
from covey_sdk.tags import Tag, compute_tags

_RULES = "rules"


class Profile:
    """The rules of a store, signed by the pinned `operator`, held against a journal's events."""

    def __init__(self, store: Store, operator: bytes, journal: Journal, releases: Releases) -> None:
        self._store = store
        self._operator = operator
        self._journal = journal
        self._releases = releases
        self.choices = TagChoices(store)
        self._built: tuple[Any, HistoryBuilder, int] | None = None
        """What the history depends on besides events, its builder, and the number of the last event added."""
        self._seen: History | None = None
        self._applied: tuple[Rules, bytes, Rules] | None = None
        self._rules = StoredValue(
            store, _RULES, rule_bundle.BASE, lambda data: rule_bundle.open_rules(data, operator)
        )

    @property
    def rules(self) -> Rules:
        """The rules in use."""
        return self._rules.read()

    def tags(self, gate: ConsentGate) -> tuple[Tag, ...]:
        """Return the tags that hold at the gate's time, of the purposes that it allows."""
        if not any(map(gate.allows, ORDINARY)):
            return ()
        return compute_tags(self.history(gate), self._in_use(), gate, self.choices.read())

    def facts(self, gate: ConsentGate) -> Facts:
        """Return what a query may count, all unknown where the gate does not allow it.

        The segment is unknown while its tag is blocked or corrected.
        """
        if not gate.allows(PERSONALIZE):
            return dict(UNKNOWN)
        known = facts(self.history(gate), self._in_use())
        return {**known, "segment": None} if self.choices.read().withholds("rfm.segment") else known

    def bought(self, gate: ConsentGate) -> Mapping[str, tuple[int, ...]]:
        """Return how many days ago each item was bought, nothing where the gate does not allow it."""
        return self.history(gate).bought if gate.allows(PERSONALIZE) else {}

    def adopt(self, signed: bytes) -> None:
        """Use a newer bundle from now on, in the caller's transaction. See `rules.adopt`."""
        rule_bundle.adopt(signed, self._operator, self.rules)
        self._store.put(_RULES, signed)

    def history(self, gate: ConsentGate) -> History:
        """Return the history seen from today, in the caller's snapshot or transaction.

        Events that were added since the last time are added to it. It is built anew when rules, zone or
        sensitive purposes changed, or when events were replaced or deleted.
        """
        sensitive = frozenset(filter(gate.allows, SENSITIVE))
        key = (gate.now.tzinfo, self.rules, sensitive, self._store.event_edition())
        if self._built is None or self._built[0] != key:
            builder, last = HistoryBuilder(self.rules, gate.now.tzinfo, self._journal.order_of, sensitive), 0
            self._seen = None
        else:
            _, builder, last = self._built
        for number, event in self._journal.events_after(last):
            builder.add(event)
            last, self._seen = number, None
        self._built = (key, builder, last)
        today = gate.now.date()
        if self._seen is None or self._seen.today != today:
            self._seen = builder.history(today)
        return self._seen

    def _in_use(self) -> Rules:
        """Return the rules with the population's cuts, once the shop has released them."""
        in_use, cuts = self.rules, self._releases.kept((CUTS,))[0]
        if self._applied is None or self._applied[0] is not in_use or self._applied[1] != cuts:
            self._applied = (in_use, cuts, self._releases.apply(in_use))
        return self._applied[2]
