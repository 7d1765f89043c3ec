"""The registry's log as this phone saw it last: its signed note, and evidence where notes do not connect.

Evidence convicts the log or is open (`covey_privacy.split_view`). A convicted log is believed no more,
until the app pins another key. Open evidence is kept, and stops only the sync that met it: nobody who replays
an old answer may stop a phone for good.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Annotated

from covey_privacy import wire
from covey_privacy.errors import PeerError
from covey_privacy.note import LIMIT
from covey_privacy.split_view import EVIDENCE_LIMIT, LogVerdict, check_evidence
from covey_sdk import ledger
from covey_sdk.clock import milliseconds
from covey_sdk.errors import RegistryForkError
from covey_sdk.store import Store
from covey_sdk.stored_value import StoredValue

MOST_OPEN = 8
"""Pieces of open evidence that are kept, the first ones; a conviction takes their place."""

_Evidence = Annotated[bytes, wire.Size(1, EVIDENCE_LIMIT)]


@dataclass(frozen=True, slots=True)
class _State:
    note: Annotated[str, wire.Size(0, LIMIT)] = ""
    evidence: Annotated[tuple[_Evidence, ...], wire.Size(0, MOST_OPEN)] = ()


class LogState:
    """What a store holds of the log that signs with `key`."""

    def __init__(self, store: Store, key: bytes) -> None:
        self._store = store
        self._key = key
        self._state = StoredValue(store, "log", _State())

    @property
    def note(self) -> str:
        """The signed note of the head seen last, "" where none was kept."""
        return self._state.read().note

    @property
    def evidence(self) -> tuple[bytes, ...]:
        """Evidence against the log, oldest first, as `covey_privacy.split_view.check_evidence` takes it."""
        return self._state.read().evidence

    def require_unforked(self) -> None:
        """Raise RegistryForkError where the evidence convicts the log."""
        for evidence in self.evidence:
            if self._convicts(evidence):
                raise RegistryForkError(
                    "the registry's log forked: its key signed two heads that cannot both be true. It is "
                    "believed no more; show the evidence to the shop and its supervisor",
                    evidence,
                )

    def see(self, note: str) -> None:
        """Keep the note of the head that is now the last one seen."""
        with self._store.transaction():
            state = self._state.read()
            if note != state.note:
                self._state.write(replace(state, note=note))

    def accuse(self, evidence: bytes, now: datetime) -> None:
        """Keep evidence, and tell the owner of it."""
        convicts = self._convicts(evidence)
        with self._store.transaction():
            state = self._state.read()
            known = evidence in state.evidence
            if known or (not convicts and len(state.evidence) == MOST_OPEN):
                return
            kept = (evidence,) if convicts else (*state.evidence, evidence)
            self._state.write(replace(state, evidence=kept))
            ledger.write(self._store, ledger.fork(milliseconds(now), convicts))

    def _convicts(self, evidence: bytes) -> bool:
        try:
            return check_evidence(evidence, self._key) is LogVerdict.FORKED
        except PeerError:
            return False  # It is against a key that the app pinned before.
