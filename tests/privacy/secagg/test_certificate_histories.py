"""Absence over random histories of a log: it is certified exactly where no set since holds a key."""

from __future__ import annotations

import dataclasses
import functools
import hashlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from covey_privacy import wire
from covey_privacy.certificate import Certificate, claim_key, open_certificate, verify_certificate
from covey_privacy.certificate_maker import certify_absence
from covey_privacy.errors import PrivacyError, ServerError
from covey_privacy.protocol_rules import Rule
from covey_privacy.registry_messages import LEAF_CONSENT
from covey_privacy.secagg.keys import verify
from covey_privacy.secagg.leaves import LeafSet
from covey_privacy.secagg.messages import FINAL, INCLUDED, Leaf, SetHead
from covey_privacy.signatures import SigningKey, sign
from covey_simulations.scenarios.in_process_round import WitnessedLog

REGISTRY, WITNESS = SigningKey(b"r" * 32), SigningKey(b"w" * 32)
CLAIMS = [claim_key(bytes([number]) * 32) for number in range(1, 7)]
"""The phone's round keys. Other members of sets have made-up ones."""
VERIFY = functools.lru_cache(2**12)(verify)

members = st.tuples(
    st.sets(st.integers(0, 5), max_size=2), st.sets(st.integers(0, 500), min_size=1, max_size=12)
)
"""A set: which of the phone's keys it holds, and which others."""
histories = st.lists(st.one_of(st.none(), members), max_size=8)
"""Log entries: somebody's decision, or a set."""


def leaf_set(own: set[int], others: set[int]) -> LeafSet:
    keys = [CLAIMS[number].round_key for number in own]
    keys += [hashlib.sha256(b"%d" % number).digest() for number in others]
    return LeafSet([Leaf(key, key, key, key) for key in sorted(keys)])


@settings(deadline=None)
@given(histories, st.integers(0, 8), st.sets(st.integers(0, 5), min_size=1), st.data())
def test_absence_is_certified_exactly_where_no_set_since_holds_a_key(history, moment, asked, data):
    log, published = WitnessedLog(REGISTRY, WITNESS), {}
    moment = min(moment, len(history))
    since = log.note()
    for place, entry in enumerate(history):
        if entry is None:
            log.append_entry(LEAF_CONSENT + place.to_bytes(32))
        else:
            shown = leaf_set(*entry)
            published[shown.root] = shown.leaves
            head = SetHead(bytes(31) + bytes([place // 2]), bytes(32), len(shown), shown.root, bytes(32))
            log.append(sign((INCLUDED, FINAL)[place % 2], head, REGISTRY))
        if place + 1 == moment:
            since = log.note()
    sets = [entry for entry in history[moment:] if entry is not None]
    make = functools.partial(
        certify_absence, [CLAIMS[number] for number in asked], since, log.note(), log.entries[moment:],
        log.tree.node, published, REGISTRY.public, log.view, verify=VERIFY,
    )  # fmt: skip
    if any(own & asked for own, _ in sets):
        with pytest.raises(ServerError) as refused:
            make()
        assert refused.value.rule == Rule.WITHDRAWN_KEY
        return
    certificate = make()
    found = verify_certificate(certificate, REGISTRY.public, log.view, VERIFY)
    assert (len(found.round_keys), found.sets) == (len(asked), len(sets))
    assert (found.since.size, found.until.size) == (moment, len(history))
    part = open_certificate(certificate).absence
    for name in ("entries", "absences"):
        values = getattr(part, name)
        if values:
            gone = data.draw(st.integers(0, len(values) - 1))
            without = dataclasses.replace(part, **{name: values[:gone] + values[gone + 1 :]})
            with pytest.raises(PrivacyError):
                verify_certificate(wire.encode(Certificate(None, without)), REGISTRY.public, log.view, VERIFY)
