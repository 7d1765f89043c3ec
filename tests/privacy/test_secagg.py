import hashlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from covey_privacy import wire
from covey_privacy.errors import AbortError, MisuseError, PeerError, ServerError
from covey_privacy.five_phases import Blame, Participant, messages, ring
from covey_privacy.rules import Rule
from covey_privacy.signatures import verify

PHASES = ("advertise", "share", "mask", "agree", "open")


def vectors_of(count, length, seed=0):
    draw = np.random.Generator(np.random.PCG64(seed))
    return [draw.integers(0, 2**32, length, dtype=np.uint32) for _ in range(count)]


def plain_sum(vectors, bits=20):
    return ring.reduce(np.sum(vectors, axis=0, dtype=np.uint32), bits)


@st.composite
def patterns(draw):
    """A cohort, a vector length, and who falls silent in which phase: as many as the graph bears."""
    count = draw(st.integers(4, 12))
    length = draw(st.integers(1, 70))
    spare = count - 1 - (2 * count // 3 + 1)
    leavers = draw(st.lists(st.integers(0, count - 1), max_size=spare, unique=True))
    absent = {}
    for who in leavers:
        absent.setdefault(draw(st.sampled_from(PHASES[1:])), set()).add(who)
    return count, length, absent


@settings(max_examples=30, deadline=None)
@given(pattern=patterns(), bits=st.integers(8, 32), nodes=st.integers(1, 3))
def test_masked_sum_is_the_plain_sum(makers, pattern, bits, nodes):
    count, length, absent = pattern
    vectors = vectors_of(count, length, seed=count * length)
    terms = makers.terms_of(makers.manifest_of(length, bits=bits))
    total = makers.make(vectors, absent, terms, nodes=nodes).run()
    silent = set().union(*(absent.get(phase, set()) for phase in PHASES[:3]))
    expected = [vector for who, vector in enumerate(vectors) if who not in silent]
    assert np.array_equal(total.vector, plain_sum(expected, bits))
    assert total.survivors.count == len(expected)
    assert total.blamed == ()


def test_a_sparse_graph_of_sixty_sums_exactly_with_dropouts(play, makers):
    vectors = vectors_of(60, 33)
    terms = makers.terms_of(makers.manifest_of(33, gamma=0.02, dropout=0.05))
    round_ = play(vectors, {"share": {3}, "mask": {10}, "open": {20}}, terms)
    total = round_.run()
    assert np.array_equal(total.vector, plain_sum([v for who, v in enumerate(vectors) if who not in (3, 10)]))


def test_too_many_dropouts_abort_and_release_nothing(play):
    vectors = vectors_of(6, 4)
    with pytest.raises((AbortError, ServerError)):
        play(vectors, {"mask": {0, 1, 2}}).run()


def test_a_masked_vector_alone_is_uniform(play):
    """Byte counts of one device's masked zeros: chi-square at 255 degrees, far below the 1e-9 quantile."""
    length = 20_000
    round_ = play([np.zeros(length, np.uint32)] * 4)
    round_.run()
    masked = [m for m in round_.transcript if len(m) > length]
    for message in masked:
        body = wire.decode(messages.MaskedVector, message).vector
        counts = np.bincount(np.frombuffer(body, np.uint8), minlength=256)
        expected = len(body) / 256
        assert ((counts - expected) ** 2 / expected).sum() < 400
    assert len({hashlib.sha256(m).digest() for m in masked}) == 4


def test_every_message_of_a_kind_has_one_size(play):
    vectors = [np.zeros(10, np.uint32), np.full(10, 2**32 - 1, np.uint32), *vectors_of(4, 10)]
    round_ = play(vectors)
    round_.run()
    sizes = [len(m) for m in round_.transcript]
    assert {len(set(sizes[i : i + 6])) for i in range(0, 30, 6)} == {1}


def counted(seed):
    """Deterministic bytes, so that two runs say the same."""
    state = {"n": 0}

    def random(length):
        state["n"] += 1
        return hashlib.shake_256(f"{seed}/{state['n']}".encode()).digest(length)

    return random


def test_a_remembering_verifier_changes_no_byte(play, many_keys):
    remembered: set[tuple[bytes, bytes, bytes]] = set()

    def remembering(key, message, signature):
        known = (key, message, signature)
        if known not in remembered and verify(*known):
            remembered.add(known)
        return known in remembered

    vectors = vectors_of(6, 5)
    plain = play(vectors, random=counted(1))
    plain.run()
    quick = play(vectors, random=counted(1), verify=remembering)
    quick.run()
    assert plain.transcript == quick.transcript
    assert remembered


def test_a_participant_put_away_between_phases_goes_on(play, monkeypatch):
    vectors = vectors_of(5, 3)
    round_ = play(vectors)
    steps = {name: getattr(Participant, name) for name in ("share", "mask", "agree", "open")}

    def put_away(name):
        def step(self, *arguments):
            other = Participant.resume(round_.terms, self.dump())
            reply = steps[name](other, *arguments)
            self.state = other.state
            return reply

        return step

    for name in steps:
        monkeypatch.setattr(Participant, name, put_away(name))
    assert np.array_equal(round_.run().vector, plain_sum(vectors))


def test_steps_out_of_order_are_misuse(play, many_keys, makers):
    device = Participant(makers.terms_of(makers.manifest_of(3)), many_keys[0])
    with pytest.raises(MisuseError, match="follows Agreed"):
        device.open(b"")


def test_a_device_asked_twice_to_open_refuses(play):
    round_ = play(vectors_of(5, 3))
    round_.run()
    with pytest.raises(MisuseError, match="at Opened"):
        round_.people[0].open(wire.encode(messages.Agreements(())))


def lie(monkeypatch, name, change):
    """Let the step `name` of every participant see `change(self, message)` instead of what was sent."""
    honest = getattr(Participant, name)
    monkeypatch.setattr(
        Participant, name, lambda self, message, *more: honest(self, change(self, message), *more)
    )


def test_another_signature_on_the_roster_is_refused(play, monkeypatch):
    def forge(_, data):
        view = wire.decode(messages.RosterView, data)
        return wire.encode(messages.RosterView(view.size, view.root, bytes(64), *fields(view)[3:]))

    lie(monkeypatch, "share", forge)
    with pytest.raises(ServerError, match="not countersigned"):
        play(vectors_of(5, 3)).run()


def fields(message):
    return [getattr(message, name) for name in message.__dataclass_fields__]


def test_a_survivor_set_without_the_device_gets_no_answer(play, monkeypatch):
    def drop_me(self, data):
        told = wire.decode(messages.Survivors, data)
        return wire.encode(messages.Survivors.of(told.size, told.devices - {self.state.place.index}))

    lie(monkeypatch, "agree", drop_me)
    with pytest.raises(ServerError, match="not among the survivors"):
        play(vectors_of(5, 3)).run()


def test_a_survivor_set_below_the_noise_floor_gets_no_answer(play, makers, monkeypatch):
    terms = makers.terms_of(makers.manifest_of(3, honest=6))

    def fewer(self, data):
        told = wire.decode(messages.Survivors, data)
        others = sorted(told.devices - {self.state.place.index})
        return wire.encode(messages.Survivors.of(told.size, {self.state.place.index, *others[:5]}))

    lie(monkeypatch, "agree", fewer)
    with pytest.raises(ServerError, match="at least 7"):
        play(vectors_of(8, 3), terms=terms).run()


def test_two_survivor_sets_open_nothing(play, monkeypatch):
    """Half of the devices are shown a set without device 0: neither half finds t signatures."""

    def split_view(self, data):
        told = wire.decode(messages.Survivors, data)
        me = self.state.place.index
        return data if me % 2 == 0 else wire.encode(messages.Survivors.of(told.size, told.devices - {0}))

    lie(monkeypatch, "agree", split_view)
    with pytest.raises(PeerError, match="signed this survivor set"):
        play(vectors_of(12, 3)).run()


def test_a_roster_below_the_least_cohort_is_refused(play, makers):
    terms = makers.terms_of(makers.manifest_of(3, least_cohort=20))
    with pytest.raises(AbortError, match="at least 20"):
        play(vectors_of(8, 3), terms=terms).run()


def test_a_wrong_share_is_blamed_and_the_sum_is_right(play, monkeypatch):
    vectors = vectors_of(9, 3)
    honest = Participant.open

    def wrong(self, agreements):
        index = self.state.place.index
        reply = wire.decode(messages.Openings, honest(self, agreements))
        if index != 4:
            return wire.encode(reply)
        first, *rest = reply.openings
        return wire.encode(messages.Openings(4, (messages.Opening(first.owner, bytes(64)), *rest)))

    monkeypatch.setattr(Participant, "open", wrong)
    total = play(vectors).run()
    assert total.blamed == (Blame(4, Rule.SHARE),)
    assert np.array_equal(total.vector, plain_sum(vectors))
