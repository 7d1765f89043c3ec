"""What must hold of a `RoundSite` at any time, and once all its rounds are over."""

from __future__ import annotations

import hashlib
import sqlite3
from collections import Counter
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import numpy as np
from round_site import OPERATOR, WINDOW_SECONDS, Phone, RoundSite

from covey_privacy import wire
from covey_privacy.evidence import ABORTED, BURNT, CONTEXT, NO_RELEASE, RELEASED, Evidence
from covey_privacy.manifest import Manifest
from covey_privacy.registry_messages import LEAF_EVIDENCE, LEAF_MANIFEST, Entries
from covey_privacy.release import open_release
from covey_privacy.secagg.field import Q, to_bytes
from covey_privacy.secagg.log_entries import LEAF_SECAGG
from covey_privacy.secagg.messages import (
    DRAW,
    FINAL,
    INCLUDED,
    ROSTER,
    Draw,
    RosterHead,
    SetHead,
    unpack_leaves,
)
from covey_privacy.secagg.notary_messages import SetLeaves
from covey_privacy.signatures import Signed, digest_of, open_signed, to_sign, verify
from covey_sdk import ledger
from covey_sdk.round_records import CONTRIBUTED, DUTY, JOINED, PREPARED, Joined
from covey_server.round_result import exact_results

HEADS = {ROSTER: RosterHead, DRAW: Draw, INCLUDED: SetHead, FINAL: SetHead}
"""What the registry signs in a round, once each, by the context of the signature."""


@dataclass(frozen=True)
class Rounds:
    """What is known of all rounds: states by round id in the order of opening, charges, results, evidence."""

    states: dict[str, str]
    charged: list[str]
    results: dict[str, dict[str, Any]]
    evidence: dict[str, Evidence]

    @property
    def outcomes(self) -> list[str]:
        return list(self.states.values())


def check_rounds(site: RoundSite) -> Rounds:
    """Hold everything that is written down, or was sent, against what is charged; return it."""
    rounds = read_rounds(site)
    for phone in site.phones:
        check_phone(phone)
    opened = {round_id for exchange, round_id in site.asked if exchange == "open"}
    opened |= {
        record.round_id
        for service in site.decryptors.values()
        for record in service.state.rounds(100)
        if record.opened is not None
    }
    assert opened <= set(rounds.charged), "a sum was opened without a charge"
    assert len(rounds.charged) == len(set(rounds.charged))
    for round_id, state in rounds.states.items():
        if state in (RELEASED, BURNT):
            assert round_id in rounds.charged
        if state == RELEASED:
            check_release(site, rounds, round_id)
    for round_id, evidence in rounds.evidence.items():
        assert evidence.ended == rounds.states[round_id]
        assert (evidence.release != NO_RELEASE) == (evidence.ended == RELEASED)
    return rounds


def check_phone(phone: Phone) -> None:
    """One message, one entry in the ledger and one charge for each round, in any order of crashes."""
    device = phone.device
    charged = [charge.round_id for charge in device.odometer.charges(device.clock.now())]
    sealed = [entry.round_id for entry in device.ledger() if entry.kind == ledger.CONTRIBUTION]
    assert charged == sealed
    assert len(charged) == len(set(charged))
    for round_id in charged:
        assert device.store.get_round(round_id, JOINED) is not None
    for round_id, messages in phone.messages.items():
        assert len(set(messages)) == 1, f"two messages left a phone in {round_id}"
        assert round_id in charged, "a message left the phone without a charge"


def check_release(site: RoundSite, rounds: Rounds, round_id: str) -> None:
    """The sum is that of the ledgers of exactly those whose leaves stand in the signed final set."""
    evidence, result = rounds.evidence.get(round_id), rounds.results[round_id]
    if evidence is None:
        return  # The log does not hold it yet; `check_settled` asks for it.
    members = final_members(site, evidence)
    assert len(members) == result["final"]
    vectors = [sealed_vector(phone, round_id) for phone in members]
    assert to_bytes(np.sum(vectors, axis=0) % Q).hex() == result["sum"]
    with site.store() as store:
        (signed,) = store.releases([result["query"]])
    if open_release(signed, OPERATOR.public).round_id == round_id:
        assert hashlib.sha256(signed).digest() == evidence.release


def final_members(site: RoundSite, evidence: Evidence) -> list[Phone]:
    """Return the phones whose own leaves stand in a round's final set, which has no others."""
    answer = site.http.get(f"/v1/sets/{evidence.final.hex()}").raise_for_status()
    leaves = unpack_leaves(wire.decode(SetLeaves, answer.content).leaves)
    members = []
    for phone in site.phones:
        data = phone.device.store.get_round(evidence.round_id, JOINED)
        if data is not None and wire.decode(Joined, data, 2**28).leaf in leaves:
            members.append(phone)
    assert len(members) == len(leaves)
    return members


def sealed_vector(phone: Phone, round_id: str) -> np.ndarray:
    """Return what a phone's ledger says it sealed in a round."""
    (entry,) = [e for e in phone.device.ledger() if e.kind == ledger.CONTRIBUTION and e.round_id == round_id]
    assert entry.vector is not None
    return np.frombuffer(entry.vector, "<u4").astype(np.int64)


def read_rounds(site: RoundSite) -> Rounds:
    """Read the coordinator's store and the log, and require that the log holds everything once."""
    path = site.folder / "coordinator.db"
    with site.store() as store:
        charged = [charge.round_id for charge in store.charges()]
        results = {result["round_id"]: result for result in exact_results(store, OPERATOR)}
    with closing(sqlite3.connect(path)) as db:
        states = dict(db.execute("SELECT id, state FROM rounds ORDER BY rowid").fetchall())
    return Rounds(states, charged, results, read_log(site))


def read_log(site: RoundSite) -> dict[str, Evidence]:
    """Return the evidence in the log by round; every head, manifest and evidence stands there once."""
    size = int(site.http.get("/v1/log/checkpoint").text.splitlines()[1])
    answer = site.http.get("/v1/log/entries", params={"start": 0, "end": size}).raise_for_status()
    entries = wire.decode(Entries, answer.content).entries
    manifests = [entry[1:] for entry in entries if entry[:1] == LEAF_MANIFEST]
    by_digest = {digest_of(signed): opened_manifest(signed) for signed in manifests}
    assert len(by_digest) == len(manifests) == len({each.round_id for each in by_digest.values()})
    heads = Counter(signed_head(site, entry[1:]) for entry in entries if entry[:1] == LEAF_SECAGG)
    assert max(heads.values(), default=1) == 1, f"the registry signed twice: {heads}"
    found = [
        open_signed(Evidence, CONTEXT, entry[1:], OPERATOR.public)
        for entry in entries
        if entry[:1] == LEAF_EVIDENCE
    ]
    assert len({each.round_id for each in found}) == len(found), "a round has two pieces of evidence"
    return {each.round_id: each for each in found}


def opened_manifest(signed: bytes) -> Manifest:
    return wire.decode(Manifest, wire.decode(Signed, signed).body)


def signed_head(site: RoundSite, signed: bytes) -> tuple[bytes, str]:
    """Return the digest of the manifest that a signed head is for, and what is signed of it."""
    envelope = wire.decode(Signed, signed)
    for context, kind in HEADS.items():
        if verify(site.registry_key.public, to_sign(context, envelope.body), envelope.signature):
            return wire.decode(kind, envelope.body).manifest, context
    raise AssertionError("the log holds a head of another kind")


def check_settled(site: RoundSite) -> Rounds:
    """Once all windows have closed nothing is under way, everything is in the log, and no secret is left."""
    site.clock.forward(5 * WINDOW_SECONDS)
    with site.runner():
        pass
    for phone in site.phones:
        phone.device.sync()
    for service in site.decryptors.values():
        service.expire()
        assert service.secrets_held() == 0
    rounds = check_rounds(site)
    with site.store() as store:
        assert not store.running()
        assert not store.unlogged_evidence()
    assert set(rounds.states.values()) <= {RELEASED, BURNT, ABORTED}
    assert set(rounds.states) == set(rounds.evidence)
    for round_id in rounds.states:
        for phone in site.phones:
            for name in (PREPARED, CONTRIBUTED, DUTY):
                assert phone.device.store.get_round(round_id, name) is None, f"{name} of {round_id} is left"
        for number in site.nodes:
            messages = site.folder / f"node-{number}" / round_id.encode().hex() / "messages.db"
            assert not messages.exists(), f"a node keeps the messages of {round_id}"
    return rounds
