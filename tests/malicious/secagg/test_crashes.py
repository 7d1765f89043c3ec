"""Crashes and restarts: a phone sends the same bytes or nothing, and nobody opens or signs a second set."""

from __future__ import annotations

import dataclasses
import sys

import numpy as np
import pytest
from secagg_rounds import contribute, seats, vectors

from covey_privacy import wire
from covey_privacy.checkpoint import Checkpoint
from covey_privacy.checkpoint import sign_checkpoint as sign_checkpoint
from covey_privacy.errors import MisuseError, ServerError
from covey_privacy.merkle import Tree, leaf_hash
from covey_privacy.protocol_rules import Rule
from covey_privacy.secagg.contributor import Contributor, Ready
from covey_privacy.secagg.decryptor import Decryptor
from covey_privacy.secagg.log_entries import entry_of
from covey_privacy.secagg.messages import FINAL, Logged, OpenRequest, SetHead
from covey_privacy.secagg.terms import Kind
from covey_privacy.signatures import SigningKey, open_signed, sign
from covey_privacy.witness import AddCheckpoint, Refused, Witness
from covey_simulations.scenarios.in_process_round import NOW, ORIGIN, WITNESS

VECTOR = np.arange(40)


class Crash(BaseException):
    """What a process that is killed raises here; no `except` of the code catches it."""


def _crash_at(number: int):
    """Return a tracer that raises at the `number`th line run in the modules of a dealing."""
    left = [number]

    def trace(frame, event, _):
        if "/secagg/" not in frame.f_code.co_filename:
            return None
        if event == "line":
            left[0] -= 1
            if left[0] < 0:
                raise Crash
        return trace

    return trace, left


def test_a_crash_at_any_line_of_dealing_leaves_no_half_message(players):
    """The state is that before, and a new process deals afresh: nothing of the first dealing was sent."""
    played = players("standing", length=3)
    vector, crashed, seen = VECTOR[:3], 0, set()
    for number in range(5000):
        contributor = Contributor(played.info, played.accepted, played.round_keys[0])
        before = contributor.dump()
        trace, left = _crash_at(number)
        old = sys.gettrace()
        sys.settrace(trace)
        try:
            contributor.contribute(played.file, vector)
        except Crash:
            sys.settrace(old)
            crashed += 1
            assert contributor.dump() == before
        finally:
            sys.settrace(old)
        if isinstance(contributor.state, Ready):
            if number % 50 == 0:
                again = Contributor(played.info, played.accepted, Contributor.load(before))
                seen.add(again.contribute(played.file, vector))
            continue
        assert left[0] >= 0
        break
    assert crashed > 100
    assert len(seen) == len({message[400:500] for message in seen})


def test_a_phone_that_made_its_message_sends_the_same_after_any_restart(players, kind):
    played = players(kind)
    contributor = next(iter(played.contributors()))
    message = contributor.contribute(played.file, VECTOR)
    for _ in range(2):
        contributor = Contributor(played.info, played.accepted, Contributor.load(contributor.dump()))
        assert contributor.state.message == message
        with pytest.raises(MisuseError):
            contributor.contribute(played.file, VECTOR)


def test_a_decryptor_killed_after_each_step_goes_on_with_what_it_kept(players, kind):
    played = players(kind)
    given = vectors(12, 40)
    contribute(played, given)
    for seat, decryptor in played.decryptors.items():
        played.decryptors[seat] = _restarted(played, decryptor)
    played.include()
    played.check()
    for seat, decryptor in played.decryptors.items():
        played.decryptors[seat] = _restarted(played, decryptor)
    played.finalize()
    assert (played.open().vector == given.sum(axis=0)).all()
    for decryptor in played.decryptors.values():
        dumped = decryptor.dump()
        assert b"Opened" in dumped
        assert len(dumped) < 1000


def _restarted(played, decryptor):
    return Decryptor(
        played.info, played.aggregator.committees, Decryptor.load(decryptor.dump()), played.log.view
    )


def test_an_opened_decryptor_holds_no_secret(players, kind):
    played = players(kind)
    contribute(played, vectors(12, 40))
    keys = {seat: each.state.keys for seat, each in played.decryptors.items()}
    played.finish()
    for seat, decryptor in played.decryptors.items():
        dumped = decryptor.dump()
        assert keys[seat].box not in dumped
        assert keys[seat].signing not in dumped


def test_keys_of_a_stranger_seat_nobody(players, kind):
    played = players(kind)
    decryptor = next(iter(played.decryptors.values()))
    keys = dataclasses.replace(decryptor.state.keys, box=b"9" * 32)
    with pytest.raises(ServerError) as refused:
        Decryptor(played.info, played.aggregator.committees, keys, played.log.view)
    assert refused.value.rule == Rule.COMMITTEE_MEMBERS


def test_a_dispute_after_opening_is_refused(players):
    played = players("drawn")
    contribute(played, vectors(12, 40))
    played.finish()
    with pytest.raises(MisuseError) as refused:
        played.decryptors[seats(played, Kind.DRAWN)[0]].dispute(b"", NOW)
    assert refused.value.rule == Rule.STEP_ORDER


def test_a_registry_restored_from_a_backup_gets_no_second_final_set_opened(players):
    """It forgot the first final set and signs another: no witness cosigns a log without the first."""
    played = players("standing")
    contribute(played, vectors(12, 40))
    played.include()
    played.check()
    members = played.aggregator.state.members
    played.finalize()
    state = played.aggregator.state
    witness_key = SigningKey(b"w" * 32)
    witness = Witness(WITNESS, witness_key, {ORIGIN: played.registry.public})
    first = _log(played, [b"before", entry_of(state.head)])
    cosigned = witness.add_checkpoint(AddCheckpoint(0, (), first), "", NOW)
    assert not isinstance(cosigned, Refused)
    smaller = members.without([3])
    head = open_signed(SetHead, FINAL, state.head, played.registry.public)
    second = sign(FINAL, dataclasses.replace(head, size=11, root=smaller.root), played.registry)
    forked = _log(played, [b"before", entry_of(second)])
    assert isinstance(witness.add_checkpoint(AddCheckpoint(2, (), forked), cosigned.seen, NOW), Refused)
    decryptor = next(iter(played.decryptors.values()))
    logged = Logged(forked, 1, Tree([leaf_hash(b"before"), leaf_hash(entry_of(second))]).inclusion(1))
    with pytest.raises(ServerError) as refused:
        decryptor.open(wire.encode(OpenRequest(second, logged, (3,))), NOW)
    assert refused.value.rule == Rule.WITNESSES


def _log(played, entries):
    tree = Tree([leaf_hash(entry) for entry in entries])
    return sign_checkpoint(Checkpoint(ORIGIN, len(tree), tree.root()), played.registry)
