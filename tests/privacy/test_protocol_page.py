"""The pages are true: a phone that follows them says what Covey's says. They show what the code has."""

import hashlib
import itertools
import json
from pathlib import Path

import cbor2
import numpy as np
import pytest
import second_phone
import second_primitives

from covey_privacy import cddl, diagrams, tickets
from covey_privacy.dp import Encoding
from covey_privacy.errors import MisuseError
from covey_privacy.five_phases import graph, messages, ring, roster

pytestmark = pytest.mark.slow  # The five-phase protocol is about to be replaced.

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "protocol.md"
STEPS = ("share", "mask", "agree", "open")


@pytest.fixture(params=["all-stay", "one-drops-out"])
def vector(request):
    return json.loads((ROOT / "tests" / "vectors" / f"{request.param}.json").read_text("utf-8"))


def joined(vector):
    """Second phones with their adverts, by place in the roster."""
    phones = [second_phone.Phone(vector["given"], seed) for seed in vector["given"]["devices"]]
    adverts = [phone.advertise().hex() for phone in phones]
    return adverts, dict(enumerate(sorted(phones, key=lambda phone: phone.name)))


def again(vector, phone):
    """The same device at its start."""
    other = second_phone.Phone(vector["given"], phone.drawn_from)
    other.advertise()
    return other


def test_a_second_phone_says_every_byte_of_a_frozen_round(vector):
    adverts, phones = joined(vector)
    assert adverts == vector["played"]["adverts"]
    for step in STEPS:
        for place, told, said in vector["played"][step]:
            assert getattr(phones[place], step)(bytes.fromhex(told)).hex() == said, (step, place)


def test_it_refuses_what_was_altered_at_the_same_step_for_the_same_blame(vector):
    _, phones = joined(vector)
    for altered in vector["refused"]:
        place = altered["device"]
        told = {step: dict(row[:2] for row in vector["played"][step])[place] for step in STEPS}
        told[altered["step"]] = altered["message"]
        refused = played(again(vector, phones[place]), told)
        assert refused == (altered["refused_at"], altered["error"])


def played(phone, told):
    """The step at which a phone refuses, and whom it blames."""
    for step in STEPS:
        try:
            getattr(phone, step)(bytes.fromhex(told[step]))
        except second_phone.Refusal as blame:
            return step, str(blame)
    return None, None


def test_its_sum_is_the_frozen_one(vector):
    """What the coordinator does, with nothing but what the phones said."""
    _, phones = joined(vector)
    for step in STEPS:
        for place, told, _ in vector["played"][step]:
            getattr(phones[place], step)(bytes.fromhex(told))
    opened = [cbor2.loads(bytes.fromhex(said)) for _, _, said in vector["played"]["open"]]
    masked = [cbor2.loads(bytes.fromhex(said)) for _, _, said in vector["played"]["mask"]]
    assert second_phone.total(phones, dict(masked), dict(opened)) == vector["played"]["sum"]


def test_it_refuses_a_survivor_that_did_not_share():
    vector = json.loads((ROOT / "tests" / "vectors" / "one-drops-out.json").read_text("utf-8"))
    _, phones = joined(vector)
    place = vector["played"]["open"][0][0]
    phone = phones[place]
    told = {step: dict(row[:2] for row in vector["played"][step])[place] for step in STEPS}
    phone.share(bytes.fromhex(told["share"]))
    device, parcels = cbor2.loads(bytes.fromhex(told["mask"]))
    size, survivors = cbor2.loads(bytes.fromhex(told["agree"]))
    everyone = bytes([2**size - 1])
    (gone,) = {*range(size)} - {place for place in range(size) if survivors[0] >> place & 1}
    shared = second_primitives.cut(parcels, second_phone.PARCEL)
    kept = [parcel for parcel in shared if int.from_bytes(parcel[:4], "big") != gone]
    phone.mask(second_phone.cbor(device, b"".join(kept)))
    with pytest.raises(second_phone.Refusal, match="ServerError"):
        phone.agree(second_phone.cbor(size, everyone))
    phone.agree(bytes.fromhex(told["agree"]))


@pytest.mark.parametrize(
    ("n", "gamma", "delta"), [(20, 0, 0), (50, 0, 0.1), (60, 0.02, 0.05), (300, 0.1, 0.1)]
)
def test_its_graph_is_the_codes(n, gamma, delta):
    degree, threshold = second_primitives.parameters(n, gamma, delta)
    assert (degree, threshold) == graph.parameters(n, gamma, delta)
    for index in range(0, n, 7):
        drawn = second_primitives.ring_neighbours(b"b" * 32, n, degree, index)
        assert tuple(drawn) == graph.neighbours(b"b" * 32, n, degree, index)


@pytest.mark.parametrize(("n", "gamma", "delta"), [(3, 0, 0), (24, 0.05, 0.4), (1000, 0.4, 0.4)])
def test_where_the_code_has_no_graph_it_has_none(n, gamma, delta):
    with pytest.raises(MisuseError):
        graph.parameters(n, gamma, delta)
    assert second_primitives.parameters(n, gamma, delta) is None


@pytest.mark.parametrize("bits", range(8, 33))
def test_its_planes_are_the_codes(bits):
    vector = np.random.Generator(np.random.PCG64(bits)).integers(0, 2**32, 13, dtype=np.uint32)
    assert second_primitives.pack(vector.tolist(), bits) == ring.pack(vector, bits)


@pytest.mark.parametrize("length", [1, 5, 1024, 1500])
@pytest.mark.parametrize("size", [0.0, 0.3, 40.0])
def test_its_encoder_is_the_codes(length, size):
    vector = np.random.Generator(np.random.PCG64(length)).standard_normal(length)
    vector *= size / np.linalg.norm(vector)
    encoding = Encoding(length, 2.0, 64.0, 20, b"s" * 32)

    def tape():
        drawn = itertools.count()
        return lambda count: hashlib.shake_256(b"%d" % next(drawn)).digest(count)

    mine = second_primitives.encode(vector.tolist(), 2.0, 64.0, b"s" * 32, tape())
    assert mine == encoding.encode(vector, tape()).tolist()


def test_the_page_shows_the_state_machines_of_the_code(tmp_path, capsys):
    assert diagrams.main([str(PAGE)]) == 0
    page = PAGE.read_text("utf-8")
    assert all(f"<!-- diagram: {name} -->" in page for name in diagrams.MACHINES)
    other = tmp_path / "other.md"
    other.write_text(page.replace("Shared --> Masked: mask", "Shared --> Opened: mask"), "utf-8")
    assert diagrams.main([str(other)]) == 1
    assert "other state machines" in capsys.readouterr().err
    assert diagrams.main([str(other), "--write"]) == 0
    assert other.read_text("utf-8") == page


def test_the_page_tells_every_context_of_a_signature():
    bare = {roster.ADVERT, roster.ROSTER, roster.ROUND_ROSTER, messages.SURVIVORS, tickets.ISSUED}
    told = bare | {context for context, _ in cddl.SIGNED.values()}
    page = (ROOT / "docs" / "primitives.md").read_text("utf-8")
    assert {context for context in told if f"| `{context}` |" not in page} == set()
