"""The leaves of the sets that the registry signed, for anyone who has a set's root."""

import dataclasses
import hashlib

import numpy as np
import pytest
from secagg_rounds import contribute
from sqlalchemy import func, select

from covey_consent.api.http import FOR_EVER
from covey_consent.rounds.signed_sets import pack_places, unpack_places
from covey_consent.rounds.tables import PublishedSet
from covey_privacy import wire
from covey_privacy.secagg.decryptor import complaints_statement
from covey_privacy.secagg.leaves import LeafSet, verify_presence
from covey_privacy.secagg.log_entries import open_head
from covey_privacy.secagg.messages import (
    FINAL,
    Complaints,
    FinalRequest,
    IncludeRequest,
    SetHead,
    unpack_leaves,
)
from covey_privacy.secagg.notary_messages import SetLeaves
from covey_privacy.secagg.terms import Kind
from covey_privacy.signatures import SigningKey


def vectors(count=6, length=10):
    return np.random.default_rng(1).integers(-1000, 1001, (count, length))


@pytest.fixture
def round_(witnessed, play):
    """A round whose included set is signed and checked."""
    round_ = play(witnessed, "standing")
    round_.seat()
    contribute(round_, vectors())
    round_.include()
    return round_


def final(round_, *excluded):
    """Have a final set signed without the members at some places, an organisation complaining of each."""
    said = tuple(complaint(round_, number, place) for number, place in enumerate(excluded, 1))
    signed = round_.notary.final(wire.encode(FinalRequest(excluded, said, ())))
    return open_head(SetHead, FINAL, signed, round_.registry.public)


def complaint(round_, number, place):
    blank = Complaints(Kind.STANDING, number, round_.aggregator.state.members.root, (place,), bytes(64))
    key = SigningKey(round_.decryptors[Kind.STANDING, number].state.keys.signing)
    signature = key.sign(complaints_statement(round_.aggregator.committees.context, blank))
    return dataclasses.replace(blank, signature=signature)


def get(shop, root, **headers):
    return shop.http.get(f"/v1/sets/{root.hex()}", headers=headers)


def leaves_of(shop, root):
    answer = get(shop, root)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/cbor"
    return LeafSet(unpack_leaves(wire.decode(SetLeaves, answer.content).leaves))


def test_an_included_set_is_shown_as_it_was_signed(round_):
    members = round_.aggregator.state.members
    shown = leaves_of(round_.shop, members.root)
    assert shown.leaves == members.leaves
    shown.require_head(round_.shop.signed_sets("round-1").included)


def test_a_final_set_is_shown_without_those_left_out_and_the_included_one_whole(round_, problem):
    members = round_.aggregator.state.members
    wanted = members.without([1, 4])
    problem(get(round_.shop, wanted.root), 404)
    head = final(round_, 1, 4)
    shown = leaves_of(round_.shop, head.root)
    assert shown.leaves == wanted.leaves
    shown.require_head(head)
    assert leaves_of(round_.shop, members.root).leaves == members.leaves
    verify_presence(head, shown.leaves[0], shown.presence(shown.leaves[0].round_key))


def test_a_final_set_of_all_is_the_included_set(round_):
    root = round_.aggregator.state.members.root
    assert final(round_).root == root
    assert len(leaves_of(round_.shop, root)) == 6


def test_a_set_that_was_not_signed_is_not_shown(one_message, play, problem):
    round_ = play(one_message, "standing")
    round_.seat()
    contribute(round_, vectors())
    request = round_.include_request()
    round_.shop.clock.now = round_.manifest.windows.contribute
    problem(round_.notary.ask(request), 409)
    entries = wire.decode(IncludeRequest, request.request).entries
    assert "was signed" in problem(get(one_message, LeafSet([entry.leaf for entry in entries]).root), 404)


@pytest.mark.parametrize("root", [bytes(32), b"\xff" * 32, hashlib.sha256(b"").digest()])
def test_an_unknown_root_is_not_found(round_, problem, root):
    assert root.hex() in problem(get(round_.shop, root), 404)


@pytest.mark.parametrize("root", ["", "00", "x" * 64, "A" * 64, "0" * 63, "0" * 65, "0" * 64 + "/leaves"])
def test_what_is_no_root_is_refused(shop, root):
    assert shop.http.get(f"/v1/sets/{root}").status_code in (404, 422)


def test_an_answer_never_changes_and_says_so(round_):
    root = round_.aggregator.state.members.root
    before = get(round_.shop, root)
    assert before.headers["cache-control"] == FOR_EVER["Cache-Control"]
    tag = before.headers["etag"]
    final(round_, 2)
    after = get(round_.shop, root)
    assert (after.content, after.headers["etag"]) == (before.content, tag)
    unchanged = get(round_.shop, root, **{"if-none-match": tag})
    assert (unchanged.status_code, unchanged.content) == (304, b"")
    assert get(round_.shop, root, **{"if-none-match": '"other"'}).status_code == 200
    assert get(round_.shop, bytes(32), **{"if-none-match": f'"{bytes(32).hex()}"'}).status_code == 404
    assert "immutable" not in get(round_.shop, bytes(32)).headers["cache-control"]


def test_a_final_set_that_is_refused_or_asked_again_keeps_no_second_row(round_, problem):
    head = final(round_, 3)
    assert final(round_, 3) == head
    with pytest.raises(AssertionError, match="signed-once"):
        final(round_, 2)
    with round_.shop.http.app.state.registry.store.session() as session:
        assert session.scalar(select(func.count()).select_from(PublishedSet)) == 2
    assert len(leaves_of(round_.shop, head.root)) == 5


def test_places_are_packed_in_order_and_once_each():
    assert unpack_places(pack_places([9_999, 0, 7, 7])) == (0, 7, 9_999)
    assert pack_places([]) == b""
