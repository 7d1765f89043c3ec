"""Nodes: several of them collect one round's contributions, are started again, and tell what is not so."""

import dataclasses

import numpy as np
import pytest
from secagg_rounds import vectors

from covey_privacy import wire
from covey_privacy.errors import MisuseError, PeerError
from covey_privacy.protocol_rules import Rule
from covey_privacy.secagg.collector import Collector
from covey_privacy.secagg.messages import Collected, PartialSum
from covey_simulations.scenarios.in_process_round import NOW

PHONES = 12


def contributions(played, given):
    return [
        phone.contribute(played.file, vector)
        for phone, vector in zip(played.contributors(), given, strict=True)
    ]


def nodes(played, shares):
    """Return collectors by number, each with its share of the messages."""
    made = {number: Collector(played.info, played.file, {}) for number in range(1, len(shares) + 1)}
    for collector, messages in zip(made.values(), shares, strict=True):
        for message in messages:
            assert collector.add(message)
    return made


def finish(played, made):
    """Play the round from the nodes' collections on; return the result."""
    for number, collector in made.items():
        played.aggregator.collect(number, collector.collected())
    signed = played.notary.include(played.file, played.aggregator.close())
    played.aggregator.included(signed, played.log.append(signed))
    played.check()
    played.finalize()
    for number, collector in made.items():
        if left_out := played.aggregator.left_out(number):
            played.aggregator.add_sum(number, collector.sum_without(left_out))
    request = played.aggregator.open_request()
    for decryptor in played.decryptors.values():
        played.aggregator.opened(decryptor.open(request, NOW))
    return played.aggregator.conclude()


@pytest.mark.parametrize("cuts", [(PHONES,), (5, PHONES), (1, 2, 9, PHONES), (0, 7, PHONES)])
def test_nodes_together_come_to_the_sum(players, kind, cuts):
    played, given = players(kind), vectors(PHONES, 40)
    messages = contributions(played, given)
    shares = [messages[low:high] for low, high in zip((0, *cuts), cuts, strict=False)]
    result = finish(played, nodes(played, shares))
    assert (result.vector == given.sum(axis=0)).all()
    assert result.members == PHONES


def test_a_message_that_two_nodes_bring_counts_once(players):
    played, given = players("standing"), vectors(PHONES, 40)
    messages = contributions(played, given)
    result = finish(played, nodes(played, [messages[:8], messages[5:]]))
    assert result.members == PHONES
    assert (result.vector == given.sum(axis=0)).all()


def test_a_node_that_was_started_again_goes_on(players, kind):
    played, given = players(kind), vectors(PHONES, 40)
    messages = contributions(played, given)
    kept: dict[bytes, bytes] = {}
    before = Collector(played.info, played.file, kept)
    for message in messages[:7]:
        before.add(message)
    again = Collector(played.info, played.file, kept)
    assert again.add(messages[3]) is False
    for message in messages[7:]:
        again.add(message)
    told = again.collected()
    last = Collector(played.info, played.file, kept)
    assert wire.encode(last.collected()) == wire.encode(told)
    assert (finish(played, {4: last}).vector == given.sum(axis=0)).all()


def test_a_kept_message_that_was_tampered_with_is_not_taken_up(players):
    played = players("standing")
    message = bytearray(contributions(played, vectors(PHONES, 40))[0])
    message[200] ^= 1
    with pytest.raises(PeerError):
        Collector(played.info, played.file, {b"k" * 32: bytes(message)})


def test_a_node_tells_one_sum(players):
    played = players("standing")
    messages = contributions(played, vectors(PHONES, 40))
    (collector,) = nodes(played, [messages]).values()
    keys = [entry.leaf.round_key for entry in collector.collected().entries]
    told = collector.sum_without(keys[:1])
    assert collector.sum_without(keys[:1]) == told
    with pytest.raises(MisuseError) as refused:
        collector.sum_without(keys[:2])
    assert refused.value.rule == Rule.STEP_ONCE
    with pytest.raises(MisuseError):
        collector.add(messages[0])


def test_what_a_node_collected_holds_no_vector_but_the_sum(players):
    """Four bytes an entry of some padded vector would be there."""
    played, given = players("both"), vectors(PHONES, 40)
    messages = contributions(played, given)
    (collector,) = nodes(played, [messages]).values()
    told = wire.encode(collector.collected())
    sizes = collector.sizes
    for message in messages:
        vector = sizes.layout.unpack(message)[1::2][4]
        assert len(vector) == sizes.vector
        assert all(vector[at : at + 16] not in told for at in range(0, len(vector) - 16, 4))


def altered(told, **changes):
    return dataclasses.replace(told, **changes)


def first_dealing(told, **changes):
    dealings = (dataclasses.replace(told.dealings[0], **changes), *told.dealings[1:])
    return dataclasses.replace(told, dealings=dealings)


def of_sum(told, **changes):
    return dataclasses.replace(told, sum=dataclasses.replace(told.sum, **changes))


@pytest.mark.parametrize(
    ("alter", "rule"),
    [
        (lambda told: altered(told, entries=told.entries[::-1]), Rule.CONTRIBUTION_SIZE),
        (lambda told: altered(told, entries=(told.entries[0], *told.entries[:-1])), Rule.CONTRIBUTION_SIZE),
        (lambda told: altered(told, entries=told.entries[1:]), Rule.CONTRIBUTION_SIZE),
        (lambda told: altered(told, dealings=told.dealings * 2), Rule.CONTRIBUTION_SIZE),
        (lambda told: first_dealing(told, boxes=told.dealings[0].boxes[:-1]), Rule.CONTRIBUTION_SIZE),
        (lambda told: first_dealing(told, proofs=b"\xff" * len(told.dealings[0].proofs)), Rule.MESSAGE_FORM),
        (lambda told: first_dealing(told, proofs=b""), Rule.CONTRIBUTION_SIZE),
        (lambda told: of_sum(told, members=told.sum.members - 1), Rule.LEAVES),
        (lambda told: of_sum(told, members=told.sum.members + 1), Rule.LEAVES),
        (lambda told: of_sum(told, units=told.sum.units[8:]), Rule.VECTOR_LENGTH),
        (lambda told: of_sum(told, units=b"\xff" * len(told.sum.units)), Rule.VECTOR_LENGTH),
    ],
)
def test_another_form_than_the_rounds_is_refused(players, alter, rule):
    played = players("standing")
    (collector,) = nodes(played, [contributions(played, vectors(PHONES, 40))]).values()
    told = collector.collected()
    with pytest.raises(PeerError) as refused:
        played.aggregator.collect(1, alter(told))
    assert refused.value.rule == rule
    played.aggregator.collect(1, told)


def test_a_node_that_tells_of_two_collections_is_refused(players):
    played = players("standing")
    messages = contributions(played, vectors(PHONES, 40))
    one, two = nodes(played, [messages[:6], messages[6:]]).values()
    played.aggregator.collect(1, one.collected())
    played.aggregator.collect(1, one.collected())
    changed = np.frombuffer(one.collected().sum.units, "<u8").copy()
    changed[0] += 1
    for other in (two.collected(), of_sum(one.collected(), units=changed.tobytes())):
        with pytest.raises(PeerError) as refused:
            played.aggregator.collect(1, other)
        assert refused.value.rule == Rule.ONE_CONTRIBUTION


def opening(players, *, twice=()):
    """Return players whose final set is signed, with two nodes; the messages `twice` came to both."""
    played, given = players("standing"), vectors(PHONES, 40)
    messages = contributions(played, given)
    made = nodes(played, [messages[:5], [*messages[5:], *(messages[place] for place in twice)]])
    for number, collector in made.items():
        played.aggregator.collect(number, collector.collected())
    signed = played.notary.include(played.file, played.aggregator.close())
    played.aggregator.included(signed, played.log.append(signed))
    played.check()
    played.finalize()
    return played, made, given


def open_all(played):
    for decryptor in played.decryptors.values():
        played.aggregator.opened(decryptor.open(played.aggregator.open_request(), NOW))


def test_nodes_that_are_gone_after_collecting_cost_nothing(players):
    """Each told its sum with what it collected."""
    played, _, given = opening(players)
    open_all(played)
    result = played.aggregator.conclude()
    assert result.members == PHONES
    assert (result.vector == given.sum(axis=0)).all()


def test_a_node_with_some_left_out_tells_its_sum_again(players):
    played, made, given = opening(players, twice=(0, 1))
    assert played.aggregator.left_out(1) == ()
    assert len(played.aggregator.left_out(2)) == 2
    open_all(played)
    with pytest.raises(MisuseError, match=r"\[2\] are missing"):
        played.aggregator.conclude()
    played.aggregator.add_sum(2, made[2].sum_without(played.aggregator.left_out(2)))
    result = played.aggregator.conclude()
    assert result.members == PHONES
    assert (result.vector == given.sum(axis=0)).all()


@pytest.mark.parametrize("node", [1, 2])
@pytest.mark.parametrize(
    ("change", "rule"),
    [
        (lambda told: dataclasses.replace(told, members=told.members + 1), Rule.LEAVES),
        (lambda told: dataclasses.replace(told, units=told.units[:-8]), Rule.VECTOR_LENGTH),
        (lambda told: dataclasses.replace(told, units=b"\xff" * len(told.units)), Rule.VECTOR_LENGTH),
    ],
)
def test_a_sum_over_others_or_of_another_size_is_refused(players, node, change, rule):
    """Node 2 has contributions left out, node 1 has none, and told its sum with what it collected."""
    played, made, _ = opening(players, twice=(0,))
    told = made[node].sum_without(played.aggregator.left_out(node))
    with pytest.raises(PeerError) as refused:
        played.aggregator.add_sum(node, wire.encode(change(wire.decode(PartialSum, told))))
    assert refused.value.rule == rule
    played.aggregator.add_sum(node, told)
    other = np.frombuffer(wire.decode(PartialSum, told).units, "<u8").copy()
    other[0] += 1
    members = wire.decode(PartialSum, told).members
    with pytest.raises(PeerError) as refused:
        played.aggregator.add_sum(node, wire.encode(PartialSum(members, other.tobytes())))
    assert refused.value.rule == Rule.LEAVES


def test_a_node_that_collected_nothing_has_no_sum_to_tell(players):
    played, _, _ = opening(players)
    with pytest.raises(PeerError):
        played.aggregator.add_sum(9, wire.encode(PartialSum(5, bytes(8 * 40))))


def test_collected_is_read_within_its_bounds(players):
    played = players("standing")
    (collector,) = nodes(played, [contributions(played, vectors(PHONES, 40))]).values()
    told = collector.collected()
    assert wire.decode(Collected, wire.encode(told)) == told
