"""Dealers that lie: each is excluded and named, and at most one shared point is shown."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from secagg_rounds import contribute, crooked, vectors

from covey_privacy import wire
from covey_privacy.errors import PeerError, ServerError
from covey_privacy.protocol_rules import Rule
from covey_privacy.secagg.contribution import Sizes, leaf_of, statement
from covey_privacy.secagg.field import Q
from covey_privacy.secagg.messages import Complaints, Contribution, Dealing
from covey_privacy.secagg.terms import Kind
from covey_privacy.signatures import SigningKey

LIAR = 5


def one_share(shape, rest):
    rest[0, 0] = (rest[0, 0] + 1) % Q
    return rest


def every_share(shape, rest):
    return (rest + 1 + np.arange(rest.size).reshape(rest.shape) ** 2) % Q


def one_box(boxes):
    return (b"x" * len(boxes[0]), *boxes[1:])


def every_box(boxes):
    return tuple(b"x" * len(box) for box in boxes)


def one_word(proof):
    return bytes([proof[0] ^ 1]) + proof[1:]


def every_word(proof):
    return bytes(byte ^ 1 if place % 12 == 0 else byte for place, byte in enumerate(proof))


CHEATS = {
    "one share": {"shares": one_share},
    "every share": {"shares": every_share},
    "one box": {"boxes": one_box},
    "every box": {"boxes": every_box},
    "one word of the proof": {"proof": one_word},
    "the whole proof": {"proof": every_word},
}


def _play(played, cheat, only=None):
    """Let phone LIAR cheat; return the vectors, and the liar's place in the included set."""
    given = vectors(12, 40)
    for place, contributor in enumerate(played.contributors()):
        if place == LIAR:
            played.collector.add(crooked(played, place, given[place], only=only, **cheat))
        else:
            played.collector.add(contributor.contribute(played.file, given[place]))
    keys = sorted(key.ticket.round_key for key in played.round_keys)
    return given, keys.index(played.round_keys[LIAR].ticket.round_key)


@pytest.mark.parametrize("cheat", CHEATS.values(), ids=CHEATS)
def test_a_lying_dealer_costs_itself_alone(players, kind, cheat):
    played = players(kind)
    given, liar = _play(played, cheat)
    result = played.finish()
    assert result.excluded == (liar,)
    assert (result.vector == np.delete(given, LIAR, 0).sum(axis=0)).all()


@pytest.mark.parametrize("only", list(Kind))
@pytest.mark.parametrize("cheat", CHEATS.values(), ids=CHEATS)
def test_a_dealer_bad_towards_one_committee_is_out_of_the_one_final_set(players, cheat, only):
    played = players("both")
    given, liar = _play(played, cheat, only)
    result = played.finish()
    assert result.excluded == (liar,)
    assert (result.vector == np.delete(given, LIAR, 0).sum(axis=0)).all()


@pytest.mark.parametrize("cheat", CHEATS.values(), ids=CHEATS)
def test_at_most_one_shared_point_is_shown(players, cheat):
    """A proof wrong towards all decryptors has all of them complain: excluded by their number, nothing shown.

    Where fewer complain, the registry grants one dispute, and every other decryptor is refused.
    """
    played = players("drawn")
    _play(played, cheat)
    played.include()
    said = {}
    for (kind, number), decryptor in played.decryptors.items():
        said[number] = decryptor.check(played.aggregator.check_request(kind, number), 1_790_000_000)
        played.aggregator.complain(said[number])
    complained = [number for number, each in said.items() if wire.decode(Complaints, each).members]
    pairs = played.aggregator.to_dispute()
    shape = played.aggregator.committees.of_kind(Kind.DRAWN).shape
    assert len(pairs) == (1 if len(complained) < shape.privacy else 0)
    assert complained
    for member, number in pairs:
        played.notary.dispute(said[number], member)
        for other in set(complained) - {number}:
            with pytest.raises(ServerError) as refused:
                played.notary.dispute(said[other], member)
            assert refused.value.rule == Rule.SIGNED_ONCE


def test_an_honest_round_has_nobody_excluded_and_nothing_disputed(players, kind):
    played = players(kind)
    contribute(played, vectors(12, 40))
    played.include()
    played.check()
    assert played.aggregator.to_dispute() == []
    played.finalize()
    assert played.aggregator.state.before.excluded == ()


def _resigned(played, place, message, **changes):
    """Return the message with other fields, signed again by its own round key."""
    key = played.round_keys[place]
    changed = dataclasses.replace(message, **changes)
    sizes = Sizes.of_round(played.info.terms, played.aggregator.committees)
    leaf = leaf_of(changed, sizes)
    stated = statement(played.info.digest, played.aggregator.committees.context, leaf)
    return wire.encode(dataclasses.replace(changed, signature=SigningKey(key.secret).sign(stated)))


@pytest.mark.parametrize("part", ["vector", "boxes", "proof", "dealings"])
def test_a_message_of_another_size_is_not_taken(players, kind, part):
    played = players(kind)
    (data, *_) = contribute(players(kind, phones=1), vectors(1, 40))
    message = wire.decode(Contribution, data)
    first = message.dealings[0]
    dealings = {
        "boxes": (Dealing(first.boxes[:-1], first.proof + b"\0"), *message.dealings[1:]),
        "proof": (Dealing(first.boxes, first.proof[:-1]), *message.dealings[1:]),
        "dealings": (*message.dealings, first)[-2:],
    }
    changes = {"vector": message.vector[:-1]} if part == "vector" else {"dealings": dealings[part]}
    with pytest.raises(PeerError) as refused:
        played.collector.add(wire.encode(dataclasses.replace(message, **changes)))
    assert refused.value.rule == Rule.CONTRIBUTION_SIZE


def test_words_of_a_proof_that_are_no_elements_are_not_taken(players, kind):
    played = players(kind)
    message = crooked(played, 0, vectors(1, 40)[0], proof=lambda honest: b"\xff" * len(honest))
    with pytest.raises(PeerError) as refused:
        played.collector.add(message)
    assert refused.value.rule == Rule.MESSAGE_FORM


def test_a_copy_of_anothers_dealing_under_an_own_key_is_excluded(players, kind):
    """The copied boxes are bound to the other's round key: they do not open."""
    played = players(kind)
    given = vectors(12, 40)
    phones = list(played.contributors())
    made = [phone.contribute(played.file, vector) for phone, vector in zip(phones, given, strict=True)]
    copied, own = wire.decode(Contribution, made[0]), wire.decode(Contribution, made[LIAR])
    changes = {"vector": copied.vector, "dealings": copied.dealings, "salt": copied.salt}
    made[LIAR] = _resigned(played, LIAR, own, **changes)
    for message in made:
        played.collector.add(message)
    result = played.finish()
    assert len(result.excluded) == 1
    assert (result.vector == np.delete(given, LIAR, 0).sum(axis=0)).all()


def test_the_same_message_written_longer_is_not_taken(players, kind):
    """CBOR can write one array in several ways; a contribution has one size whatever it holds."""
    played = players(kind)
    message = next(iter(played.contributors())).contribute(played.file, np.zeros(40, np.int64))
    longer = b"\x98\x05" + message[1:]
    assert wire.decode(Contribution, longer) == wire.decode(Contribution, message)
    with pytest.raises(PeerError) as refused:
        played.collector.add(longer)
    assert refused.value.rule == Rule.CONTRIBUTION_SIZE
