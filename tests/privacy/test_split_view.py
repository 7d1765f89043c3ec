import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from covey_privacy import wire
from covey_privacy.checkpoint import Checkpoint, sign_checkpoint
from covey_privacy.errors import ForkError, PeerError, ServerError
from covey_privacy.merkle import EMPTY, Tree, leaf_hash
from covey_privacy.signatures import SigningKey
from covey_privacy.split_view import Fork, LogVerdict, check_evidence, evidence, follow, settle
from covey_privacy.tiles import encode_tile

KEY = SigningKey(b"\1" * 32)
ORIGIN = "covey.example/log"


def tree(size, changed=None):
    """A log of `size` entries; that at `changed` is another."""
    return Tree([leaf_hash(b"other" if i == changed else str(i).encode()) for i in range(size)])


def note(log, size=None, key=KEY, origin=ORIGIN):
    size = len(log) if size is None else size
    return sign_checkpoint(Checkpoint(origin, size, log.root(size)), key)


def accuse(seen, shown, proof):
    with pytest.raises(ForkError, match="not shown to continue") as caught:
        follow(seen, shown, proof, KEY.public)
    return caught.value.evidence


def read(log):
    return lambda tile: encode_tile(log, tile)


@given(st.integers(0, 60), st.integers(0, 60))
def test_a_log_that_grew_is_followed(old, more):
    log = tree(old + more)
    seen = note(log, old) if old else ""
    head = follow(seen, note(log), log.consistency(old), KEY.public)
    assert head == Checkpoint(ORIGIN, old + more, log.root())


@settings(deadline=None)
@given(st.integers(1, 60), st.integers(0, 60), st.data())
def test_a_rewritten_log_convicts_itself(old, more, data):
    rewritten = tree(old + more, changed=data.draw(st.integers(0, old - 1)))
    found = accuse(note(tree(old)), note(rewritten), rewritten.consistency(old))
    power = old & (old - 1) == 0 and more > 0
    # At a power of two the log's own proof leaves out the old head: it takes the tiles to convict.
    assert check_evidence(found, KEY.public) is (LogVerdict.OPEN if power else LogVerdict.FORKED)
    assert check_evidence(settle(found, KEY.public, read(rewritten)), KEY.public) is LogVerdict.FORKED


@settings(deadline=None)
@given(st.integers(1, 60), st.integers(1, 60), st.lists(st.binary(min_size=32, max_size=32), max_size=8))
def test_an_honest_log_cannot_be_framed(old, more, proof):
    log = tree(old + more)
    older, newer = note(log, old), note(log)
    for hashes in (tuple(proof), log.consistency(old), tree(old + more, changed=0).consistency(old)):
        for root in (log.root(old), EMPTY, log.root()):
            data = wire.encode(Fork(older, newer, root, hashes))
            assert check_evidence(data, KEY.public) is not LogVerdict.FORKED
    assert check_evidence(evidence(older, newer, proof), KEY.public) is not LogVerdict.FORKED
    settled = settle(evidence(older, newer, proof), KEY.public, read(log))
    assert check_evidence(settled, KEY.public) is LogVerdict.CONSISTENT


def test_an_honest_log_cannot_be_framed_by_hashes_of_other_lengths():
    log = tree(4)
    c, d, g = log.consistency(3)
    forged = Fork(note(log, 3), note(log), bytes(32), (c[:-1], c[-1:] + d, g))
    with pytest.raises(PeerError, match="out of bounds"):
        check_evidence(wire.encode(forged), KEY.public)
    found = evidence(forged.older, forged.newer, forged.proof)
    assert wire.decode(Fork, found).proof == ()
    assert check_evidence(found, KEY.public) is LogVerdict.OPEN


def test_two_heads_of_one_size_convict_whatever_the_proof():
    log, other = tree(8), tree(8, changed=3)
    for proof in ((), (EMPTY,), (b"short",), (EMPTY,) * 100):
        found = accuse(note(log), note(other), proof)
        assert check_evidence(found, KEY.public) is LogVerdict.FORKED


def test_a_proof_that_merely_fails_convicts_nobody():
    log = tree(11)
    found = accuse(note(log, 5), note(log), (EMPTY,) * 4)
    assert check_evidence(found, KEY.public) is LogVerdict.OPEN
    assert check_evidence(settle(found, KEY.public, read(log)), KEY.public) is LogVerdict.CONSISTENT


def test_a_log_that_was_rolled_back_is_refused_and_not_yet_convicted():
    log, other = tree(9), tree(9, changed=2)
    found = accuse(note(log), note(log, 5), ())
    assert check_evidence(found, KEY.public) is LogVerdict.OPEN
    assert check_evidence(settle(found, KEY.public, read(log)), KEY.public) is LogVerdict.CONSISTENT
    found = accuse(note(log), note(other, 5), ())
    assert check_evidence(settle(found, KEY.public, read(log)), KEY.public) is LogVerdict.FORKED


def test_an_empty_log_has_one_head():
    false = sign_checkpoint(Checkpoint(ORIGIN, 0, bytes(32)), KEY)
    assert check_evidence(accuse("", false, ()), KEY.public) is LogVerdict.FORKED
    assert check_evidence(accuse(false, note(tree(3)), ()), KEY.public) is LogVerdict.FORKED
    assert follow(note(Tree()), note(tree(3)), (), KEY.public).size == 3


def test_tiles_that_are_not_the_newer_logs_settle_nothing():
    log, other = tree(300), tree(300, changed=1)
    found = accuse(note(tree(5)), note(other), ())
    with pytest.raises(ServerError):
        settle(found, KEY.public, read(log))


def test_a_note_of_another_signer_or_log_is_no_evidence():
    log, other = tree(8), tree(8, changed=3)
    stranger = SigningKey(b"\2" * 32)
    for bad in (note(other, key=stranger), note(other, origin="other.example/log")):
        with pytest.raises(ServerError) as caught:
            follow(note(log), bad, (), KEY.public)
        assert not isinstance(caught.value, ForkError)
        with pytest.raises(PeerError):
            check_evidence(wire.encode(Fork(note(log), bad, EMPTY)), KEY.public)
    with pytest.raises(PeerError, match="none against this log"):
        check_evidence(accuse(note(log), note(other), ()), stranger.public)
    with pytest.raises(PeerError, match="smaller"):
        check_evidence(wire.encode(Fork(note(log), note(log, 3), EMPTY)), KEY.public)


def test_every_flipped_bit_of_evidence_is_refused_or_acquits():
    found = accuse(note(tree(3)), note(tree(4, changed=0)), tree(4, changed=0).consistency(3))
    assert check_evidence(found, KEY.public) is LogVerdict.FORKED
    for bit in range(8 * len(found)):
        changed = bytearray(found)
        changed[bit // 8] ^= 1 << bit % 8
        try:
            verdict = check_evidence(bytes(changed), KEY.public)
        except PeerError:
            continue
        assert verdict is LogVerdict.OPEN
