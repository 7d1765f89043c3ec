"""Frozen rounds: the code and a second implementation make the same bytes, and refuse what was altered."""

from __future__ import annotations

import ast
import contextlib
import copy
import dataclasses
import functools
import hashlib
import json
from pathlib import Path

import cbor2
import numpy as np
import pytest
import second_arithmetic as arithmetic
import second_one_message as second
from second_primitives import cut, hkdf, sha

from covey_privacy import tickets, wire
from covey_privacy.errors import PrivacyError
from covey_privacy.secagg import (
    aggregator,
    committee,
    dealing,
    disputes,
    equality_proof,
    leaves,
    log_entries,
    messages,
    notary,
    ntt,
    pads,
    terms,
)
from covey_privacy.secagg import decryptor as decryptor_module
from covey_privacy.secagg import field as field_module
from covey_simulations.vectors import arithmetic as vector_arithmetic
from covey_simulations.vectors import files, rounds

FOLDER = Path(__file__).parents[2] / "vectors" / "one-message"
ROUNDS = sorted(files.ROUNDS)
DISPUTED = "drawn-disputes"


@functools.cache
def load(name):
    return json.loads((FOLDER / f"{name}.json").read_text("utf-8"))


def sent(vector, name):
    """The messages of a name, by sender and recipient."""
    found = [each for each in vector["messages"] if each["name"] == name]
    return {(each["from"], each["to"]): bytes.fromhex(each["bytes"]) for each in found}


def one(vector, name):
    (message,) = sent(vector, name).values()
    return message


def disputes_of(vector):
    """Decryptor, grant, request and proof of each dispute, in order."""
    names = ("dispute grant", "dispute request", "dispute proof")
    grants, requests, proofs = ([m for m in vector["messages"] if m["name"] == name] for name in names)
    for grant, request, proof in zip(grants, requests, proofs, strict=True):
        yield request["to"], *(bytes.fromhex(each["bytes"]) for each in (grant, request, proof))


@pytest.fixture(params=ROUNDS)
def vector(request):
    return load(request.param)


# The code


def test_the_code_makes_the_frozen_bytes():
    assert files.main([str(FOLDER)]) == 0


# A second implementation


class SecondRound:
    """A vector's round, played by the second implementation."""

    def __init__(self, vector):
        given = vector["given"]
        self.vector, self.given, self.round = vector, given, second.Round(given)
        self.phones = [second.Phone(self.round, seed) for seed in given["phones"]]
        self.volunteers = [second.Volunteer(self.round, seed) for seed in given["volunteers"]]
        self.organisations = [second.Organisation(self.round, seed) for seed in given["organisations"]]
        self.now = given["log"]["now"]
        self.coordinator = second.Coordinator(self.round)

    def contribute(self):
        file, said = one(self.vector, "committee file"), {}
        for place, phone in enumerate(self.phones):
            if place not in self.given["retracted"]:
                faults = [fault for sender, *fault in self.given["faults"] if sender == place]
                said[place] = phone.contribute(file, self.given["vectors"][place], faults)
                self.coordinator.take_contribution(said[place])
        return said

    def seat(self):
        committees = {each.kind: each for each in self.round.committees}
        seated = [(second.STANDING, each) for each in self.organisations]
        if second.DRAWN in committees:
            drawn = committees[second.DRAWN].box_keys
            seated += [
                (second.DRAWN, each) for each in self.volunteers if second.public_of(each.box) in drawn
            ]
        decryptors = [second.Decryptor(self.round, kind, keys) for kind, keys in seated]
        names = {kind: name for name, kind in second.KINDS.items()}
        return {f"{names[each.committee.kind]} {each.number}": each for each in decryptors}


@functools.cache
def made(name, contributed):
    """The second implementation's round of a frozen vector, and its contributions where they are made."""
    round_ = SecondRound(load(name))
    return round_, round_.contribute() if contributed else {}


class Played(SecondRound):
    """A copy of a round that is made once, as are its contributions."""

    def __init__(self, name):
        self.name = name
        self._become(contributed=False)

    def contribute(self):
        return self._become(contributed=True)

    def _become(self, *, contributed):
        shared = load(self.name), load(self.name)["given"]
        round_, said = copy.deepcopy(made(self.name, contributed), {id(each): each for each in shared})
        vars(self).update(vars(round_))
        return said


@pytest.fixture
def played(vector):
    return Played(next(name for name in ROUNDS if load(name) is vector))


def test_it_makes_every_contribution(vector, played):
    said = played.contribute()
    for place, message in said.items():
        phone = f"phone {place}"
        assert message == sent(vector, "contribution")[phone, "coordinator"]
        assert played.phones[place].leaf.hex() == vector["derived"]["leaves"][phone]
        seeds = [second.words(seed).hex() for seed in played.phones[place].seeds]
        assert seeds == list(vector["derived"]["seeds"][phone].values())
    assert played.round.digest.hex() == vector["derived"]["digest"]
    assert played.round.context.hex() == vector["derived"]["context"]
    for place in vector["given"]["retracted"]:
        assert played.phones[place].retract() == one(vector, "retraction")


def test_it_makes_every_answer_of_a_decryptor_and_decodes_the_sum(vector, played):
    played.contribute()
    decryptors, coordinator = played.seat(), played.coordinator
    assert {*decryptors} == {to for _, to in sent(vector, "check request")}
    for name, decryptor in decryptors.items():
        request = sent(vector, "check request")["coordinator", name]
        complaints = decryptor.check(request, played.now)
        assert complaints == sent(vector, "complaints")[name, "coordinator"], name
        assert decryptor.check(request, played.now) == complaints
        coordinator.take_complaints(complaints)
        parts = coordinator.parts_for(decryptor.committee.kind, decryptor.number)
        assert parts == tuple(cbor2.loads(request)[2:]), name
    for name, _, request, frozen in disputes_of(vector):
        proof = decryptors[name].dispute(request, played.now)
        assert proof == frozen
        coordinator.take_proof(proof)
    final, excluded = one(vector, "final head"), vector["result"]["excluded"]
    wrong = [f"{kind} {number}" for kind, number in vector["given"]["wrong"]]
    for (name, _), frozen in sent(vector, "opening").items():
        opening = decryptors[name].open(one(vector, "open request"), played.now)
        assert (opening == frozen) is (name not in wrong)
        if name in wrong:
            opening = falsified(played.round, decryptors[name], opening)
            assert opening == frozen
        coordinator.take_opening(opening, final)
    vector_sum, liars = coordinator.decode(excluded)
    assert vector_sum == vector["result"]["vector"]
    assert [(second.KINDS[kind], number) for kind, number in vector["given"]["wrong"]] == liars
    names = [name for name in second.KINDS if any(each.startswith(name) for each in decryptors)]
    assert vector["result"]["corrected"] == {
        name: sum(liar == name for liar, _ in vector["given"]["wrong"]) for name in names
    }


def falsified(round_, decryptor, opening):
    kind, number, head, sums, _ = cbor2.loads(opening)
    elements = second.unwords(sums)
    wrong = second.words([(elements[0] + 1) % second.q, *elements[1:]])
    return second.signed_answer(round_, "secagg/open", decryptor.signing, kind, number, head, wrong)


def test_it_makes_what_the_registry_signs(vector, played):
    played.contribute()
    signing = second.ed25519.Ed25519PrivateKey.from_private_bytes(bytes.fromhex(vector["given"]["registry"]))
    digest, context = played.round.digest, played.round.context
    if played.volunteers:
        offers = [volunteer.message for volunteer in played.volunteers]
        assert offers == list(sent(vector, "volunteer").values())
        roster = sorted(map(second.record, offers))
        tree = second.root(roster)
        signed = second.head(signing, "secagg/roster", digest, len(roster), tree)
        assert signed == one(vector, "roster")
        members = played.round.committee(second.DRAWN).shape.members
        nonce = one(vector, "nonce")
        drawn = b"".join(second.draw(roster, signed, nonce, members))
        fields = (digest, sha(signed), nonce, sha(drawn))
        assert second.head(signing, "secagg/draw", *fields) == one(vector, "draw")
        assert cbor2.loads(one(vector, "committee file"))[1] == [signed, one(vector, "draw"), drawn]
    if played.organisations:
        seats = b"".join(organisation.seat for organisation in played.organisations)
        assert cbor2.loads(one(vector, "committee file"))[0] == seats
    leaves = [leaf for _, leaf, _, _ in played.coordinator.members]
    root = second.root(leaves)
    included = second.head(signing, "secagg/included", digest, context, len(leaves), root, bytes(32))
    assert included == one(vector, "included head")
    kept = [leaf for place, leaf in enumerate(leaves) if place not in vector["result"]["excluded"]]
    final = second.head(signing, "secagg/final", digest, context, len(kept), second.root(kept), root)
    assert final == one(vector, "final head")
    for place, phone in enumerate(played.phones):
        proof = vector["derived"]["proofs"][f"phone {place}"]
        assert second.membership(kept, phone.round_key).hex() == proof
    for name, grant, request, _ in disputes_of(vector):
        member, decryptor = cbor2.loads(request)[2], int(name.split()[1])
        fields = (digest, context, sha(b"\0", leaves[member]), decryptor)
        assert second.head(signing, "secagg/dispute", *fields) == grant


def altered_messages(vector, *names):
    """Altered messages of some names, each with what was recorded of it."""
    for each in vector["refused"]:
        if each["name"] in names:
            message = bytearray.fromhex(each.get("bytes") or vector["messages"][each["message"]]["bytes"])
            if "flipped" in each:
                message[each["flipped"]] ^= 1
            yield each, bytes(message)


def outcome_of(act, message, *arguments):
    """Whom the second implementation blames, or what it answers."""
    try:
        answer = act(message, *arguments)
    except second.Refusal as blame:
        return {"error": str(blame)}
    return {"error": None, "answer": answer and answer.hex()}


def recorded(each):
    return {field: each[field] for field in ("error", "answer") if field in each}


def test_it_refuses_what_a_phone_refuses(vector, played):
    phone, given = played.phones[0], vector["given"]["vectors"][0]
    tried = list(altered_messages(vector, "committee file"))
    for each, message in tried:
        assert outcome_of(phone.contribute, message, given) == recorded(each), each["alteration"]
    assert len(tried) >= 3


def test_it_refuses_what_a_decryptor_refuses(vector, played):
    played.contribute()
    requests = {
        "check": {to: [data] for (_, to), data in sent(vector, "check request").items()},
        "dispute": {
            to: [request for name, _, request, _ in disputes_of(vector) if name == to]
            for to, *_ in disputes_of(vector)
        },
        "open": {name: [one(vector, "open request")] for name in opening_names(vector)},
    }
    tried = 0
    for name, decryptor in played.seat().items():
        for step, by_name in requests.items():
            for each, message in altered_messages(vector, f"{step} request"):
                if each["to"] == name:
                    state = copy.copy(decryptor)
                    if "after" in each:
                        getattr(state, step)(by_name[name][0], played.now)
                    outcome = outcome_of(getattr(state, step), message, played.now)
                    assert outcome == recorded(each), (name, step, each["alteration"], each.get("flipped"))
                    tried += 1
            for request in by_name.get(name, ()):
                getattr(decryptor, step)(request, played.now)
    to_decryptors = [each for each in vector["refused"] if each["to"] in requests["check"]]
    assert tried == len(to_decryptors) > 6


def opening_names(vector):
    return {name for name, _ in sent(vector, "opening")}


def test_it_refuses_what_the_coordinator_refuses(vector, played):
    file = one(vector, "committee file")
    played.round.read_committees(file)
    coordinator = played.coordinator
    for (name, _), message in sent(vector, "contribution").items():
        if name == "phone 0":
            for each, altered in altered_messages(vector, "contribution"):
                trial = copy.deepcopy(coordinator.contributions)
                if "after" in each:
                    coordinator.take_contribution(message)
                assert outcome_of(coordinator.take_contribution, altered) == recorded(each), each
                coordinator.contributions = trial
        coordinator.take_contribution(message)
    head = one(vector, "final head")
    acts = {
        "complaints": (coordinator.take_complaints,),
        "dispute proof": (coordinator.take_proof,),
        "opening": (coordinator.take_opening, head),
    }
    for name, (act, *arguments) in acts.items():
        for each, altered in altered_messages(vector, name):
            assert outcome_of(act, altered, *arguments) == recorded(each), (name, each["alteration"])
        for each in vector["messages"]:
            if each["name"] == name:
                act(bytes.fromhex(each["bytes"]), *arguments)


def test_it_reads_every_stream_with_rejected_words():
    streams = load("streams")["streams"]
    for each in streams:
        elements = arithmetic.uniform(bytes.fromhex(each["key"]), each["count"])
        assert described(elements) == each["elements"], each["case"]
    assert {1, 2, 3, 4} <= {len(each["rejected"]) for each in streams}
    last = [each["rejected"][-1] - each["count"] for each in streams if each["rejected"]]
    assert {0, -1} <= {*last}
    for word, key in ((arithmetic.q, "q"), (arithmetic.q - 1, "q - 1")):
        words = arithmetic.unwords(arithmetic.stream(bytes.fromhex(load("streams")["keys"][key]), 4 * 2051))
        assert word in {each % 2**31 for each in words}


def described(elements):
    data = arithmetic.words(elements)
    return {"count": len(elements), "first": data[:32].hex(), "sha256": hashlib.sha256(data).hexdigest()}


def test_its_ring_is_the_codes():
    ring = load("arithmetic")["ring"]
    assert described(arithmetic.transform([0, 1] + [0] * 2046)) == ring["transform_of_x"]
    one, other = (arithmetic.uniform(bytes.fromhex(key), 2048) for key in ring["keys"])
    assert [described(one), described(other)] == ring["polynomials"]
    values = [arithmetic.transform(each) for each in (one, other)]
    assert [described(each) for each in values] == ring["transforms"]
    product = arithmetic.untransform([a * b % arithmetic.q for a, b in zip(*values, strict=True)])
    assert described(product) == ring["product"]
    assert described(schoolbook(one, other)) == ring["product"]
    factors = arithmetic.uniform(hkdf(bytes.fromhex(ring["digest"]), b"covey/2/ring"), 4096)
    assert described(factors) == ring["factors"]


def schoolbook(one, other):
    """The product modulo X^2048 + 1, with polynomials as numbers of 80 bits a coefficient."""
    whole = [sum(c << 80 * i for i, c in enumerate(each)) for each in (one, other)]
    product = (whole[0] * whole[1]).to_bytes(10 * 4096, "little")
    coefficients = [int.from_bytes(product[at : at + 10], "little") for at in range(0, len(product), 10)]
    return [(a - b) % arithmetic.q for a, b in zip(coefficients[:2048], coefficients[2048:], strict=True)]


def test_its_pads_errors_and_packing_are_the_codes():
    frozen = load("arithmetic")
    for each in frozen["pads"]:
        seed = arithmetic.uniform(bytes.fromhex(each["seed_key"]), 2048)
        assert described(arithmetic.pad(bytes.fromhex(each["digest"]), seed, each["length"])) == each["pad"]
    for each in frozen["errors"]:
        errors = arithmetic.errors(bytes.fromhex(each["key"]), each["length"])
        assert errors[:8] == each["first"]
        assert described([error % arithmetic.q for error in errors])["sha256"] == each["sha256"]
    for each in frozen["packing"]:
        packed = arithmetic.pack(each["entries"], each["drop"])
        assert packed.hex() == each["packed"]
        unpacked = arithmetic.unpack(packed, len(each["entries"]), each["drop"])
        sums = [arithmetic.total_of([unpacked] * count, each["drop"]) for count in (1, 2, 3)]
        assert sums == each["sums"]


def test_its_shares_are_the_codes():
    for each in load("arithmetic")["shares"]:
        shape = arithmetic.Shape(*each["shape"])
        points = range(1, shape.threshold + 1)
        wanted = [*range(-1, -shape.packing - 1, -1), *range(shape.threshold + 1, shape.members + 1)]
        matrix = [arithmetic.lagrange(points, x) for x in wanted]
        assert len(matrix) == each["rows"]
        assert described([entry for row in matrix for entry in row]) == each["matrix"]


def test_its_shape_rule_is_the_codes():
    frozen = load("arithmetic")
    for each in frozen["bounds"]:
        corrupt = arithmetic.corrupt_phones(each["gamma"], each["issued"])
        volunteers, lost, members = each["volunteers"], each["lost"], each["members"]
        assert corrupt == each["corrupt"]
        assert arithmetic.exceeded(volunteers, corrupt, members, 40) == each["corrupt_bound"]
        assert arithmetic.answering(volunteers, lost, members) == each["answer_bound"]
        if each["shape"] is None:
            assert arithmetic.least_shape(volunteers, corrupt, lost, 16, min(volunteers, 600)) is None
            continue
        shape = arithmetic.Shape(*each["shape"])
        assert arithmetic.least_shape(volunteers, corrupt, lost, 16, shape.members) == shape
        smaller = arithmetic.least_shape(volunteers, corrupt, lost, 16, shape.members - 1)
        assert smaller == shape
        assert arithmetic.is_sound(shape, volunteers, corrupt, lost)
        for *other, sound in each["beside"]:
            assert arithmetic.is_sound(arithmetic.Shape(*other), volunteers, corrupt, lost) is sound, other
    assert {sound for each in frozen["bounds"] for *_, sound in each["beside"]} == {True, False}
    for each in frozen["sampled"]:
        share = (each["limit"] + 1) / 2**64
        assert arithmetic.corrupt_phones(0.05, 20 * each["corrupt"], share) == each["admitted"]
    for members, privacy, packing, corrects, answers, corrected, proved in frozen["integrity"]:
        shape = arithmetic.Shape(members, privacy, packing, corrects)
        assert arithmetic.is_proved(shape, answers, corrected) is proved
    for each in frozen["bands"]:
        for least, most, *shape in each["bands"]:
            for volunteers in range(least, most + 1, 7):
                assert arithmetic.is_sound(
                    arithmetic.Shape(*shape), volunteers, each["corrupt"], each["lost"]
                ), volunteers


def test_the_shapes_of_the_specification():
    """docs/protocol.md, shape rule: m, T, R at gamma = 0.05."""
    found = {
        (each["issued"], each["volunteers"], each["lost"]): each["shape"] and each["shape"][:2]
        for each in load("arithmetic")["bounds"]
    }
    assert found[1000, 900, 0.3] == [108, 26]
    assert found[1000, 900, 0.5] == [210, 35]
    assert found[1000, 500, 0.3] == [158, 40]
    assert found[1000, 500, 0.5] == [309, 51]
    assert found[2469, 2222, 0.3] == [118, 29]
    assert found[2469, 2222, 0.5] == [241, 42]
    assert found[10_000, 9000, 0.3] == [123, 31]
    assert found[10_000, 9000, 0.5] == [261, 47]
    assert found[10_000, 5000, 0.3] == [210, 57]
    assert found[10_000, 5000, 0.5] is None


def test_its_sampling_number_is_the_codes():
    frozen = load("arithmetic")["sampling"]
    drawn = second.H(b"covey/2/sample", *(bytes.fromhex(frozen[field]) for field in ("context", "round_key")))
    assert int.from_bytes(drawn[:8], "big") == frozen["least_limit"]


def test_a_long_round_has_streams_with_rejected_words(monkeypatch):
    """So that the rounds cover them too, in shares or in the ring's factors."""
    rejected = {}

    def counted(key, count):
        elements = arithmetic.uniform(key, count)
        words = arithmetic.unwords(arithmetic.stream(key, 4 * count))
        rejected[key] = sum(word % 2**31 >= arithmetic.q for word in words)
        return elements

    monkeypatch.setattr(second, "uniform", counted)
    SecondRound(load("standing-long")).contribute()
    assert sum(rejected.values()) > 0


# The files


def test_the_second_implementation_imports_nothing_of_ours():
    for path in Path(second.__file__).parent.glob("second_*.py"):
        names = [
            alias.name if isinstance(node, ast.Import) else node.module
            for node in ast.walk(ast.parse(path.read_text("utf-8")))
            if isinstance(node, ast.Import | ast.ImportFrom)
            for alias in node.names
        ]
        assert not [name for name in names if name.startswith("covey")], path.name


RULES = {
    "message-form": ["proof with no element", "a word that is no element"],
    "key-encoding": ["box key on the twist", "box key of zeros"],
    "ticket-signature": [
        "ticket to contribute", "ticket to volunteer", "ticket of another member",
        "signature of another ticket",
    ],
    "committee-kind": ["drawn committee left out", "a committee that the terms do not name"],
    "low-order-key": ["a box key of zeros"],
    "committee-members": [
        "a seat left out", "seats left out", "a member left out", "a member twice", "of no decryptor",
        "two members with one box key", "box key of an organisation in the drawn committee",
    ],
    "committee-shape": ["a roster too small for the shape"],
    "organisation-signature": [
        "seats swapped", "a box key that was not signed", "a box key signed for another round",
        "a box key signed for another kind",
    ],
    "volunteer-signature": [
        "box key of another volunteer", "ticket of another volunteer", "box key of another member",
    ],
    "draw-nonce": ["other nonce"],
    "head-signature": [
        "roster not signed by the registry", "draw not signed by the registry", "roster of another round",
        "members swapped", "other committees", "other round", "signed as final",
        "signed as included", "follows another set", "sums that were not signed", "for another set",
    ],
    "contribution-signature": [
        "other salt", "ticket of another phone", "signed for other committees", "signature with S + L",
        "leaf of another", "ticket of another", "signature of another",
    ],
    "contribution-size": [
        "proof and boxes of other sizes", "dealings of the two committees swapped", "other size",
        "claims left out",
    ],
    "one-contribution": ["second message"],
    "leaves": [
        "order reversed", "other root", "leaves swapped", "about no member", "about one member twice",
        "a member left out twice", "one more left out", "no member left out",
    ],
    "least-set": ["one member"],
    "log-inclusion": ["not where the log has it", "proof left out"],
    "witnesses": ["no cosignature"],
    "step-once": ["second check", "second opening"],
    "missing-share": ["everyone included"],
    "exclusion": [
        "an honest member left out", "complaints that were not made", "complaints and proofs left out",
        "about another set",
    ],
    "vector-length": ["a word too few"],
    "dispute": [
        "another member", "granted to another decryptor", "granted for another leaf",
        "granted for other committees", "box that was not dealt", "proof that was not dealt",
        "digests swapped", "a digest left out", "other point", "response with L added",
        "challenge of zeros", "about an honest member",
    ],
}  # fmt: skip
"""By which rule an altered message is refused, written down here as well: a rewritten vector cannot freeze
another one."""
OTHER_RULES = {
    ("include request", "a member twice"): "leaves",
    ("include request", "other committees"): "committee-members",
    ("complaints", "of another decryptor"): "exclusion",
    ("opening", "of another decryptor"): "head-signature",
    ("dispute proof", "of another decryptor"): "dispute",
    ("dispute proof", "about no member"): "dispute",
    ("final head", "follows another set"): "leaves",
}
ANSWERED = {"claims swapped", "boxes swapped", "everyone included"}
"""A decryptor that is shown bad shares complains; one that has none opens the larger set that is signed."""


def test_every_altered_message_is_refused_for_its_rule(vector):
    rules = {alteration: rule for rule, alterations in RULES.items() for alteration in alterations}
    for each in vector["refused"]:
        name, alteration = each["name"], each["alteration"]
        if each["error"] is None:
            assert alteration in ANSWERED or (name, alteration) == ("check request", "one bit")
            assert each["answer"] != honest_answer(vector, each)
        else:
            assert each["error"] in ("PeerError", "ServerError")
            if alteration != "one bit":
                expected = OTHER_RULES.get((name, alteration)) or rules[alteration]
                assert each["rule"] == expected, (name, alteration)


def honest_answer(vector, each):
    """What a decryptor answered to the honest message."""
    reply = {"check request": "complaints", "open request": "opening"}[each["name"]]
    return sent(vector, reply)[each["to"], "coordinator"].hex()


@pytest.mark.parametrize("name", ROUNDS)
def test_another_byte_in_a_vector_is_found(tmp_path, monkeypatch, capsys, name):
    """In any message, log entry, value or altered message; the round is played once for all of them."""
    fresh = files.play_round(name, load(name))
    monkeypatch.setattr(files, "FILES", {name: lambda old: fresh})
    (tmp_path / f"{name}.json").write_text(json.dumps(load(name)), "utf-8")
    assert files.main([str(tmp_path)]) == 0
    count = 0
    for changed in with_one_byte_changed(load(name)):
        (tmp_path / f"{name}.json").write_text(json.dumps(changed), "utf-8")
        assert files.main([str(tmp_path)]) == 1
        count += 1
    assert count > 10
    assert f"{name}: the code makes other bytes" in capsys.readouterr().err


def with_one_byte_changed(vector):
    """Yield the vector with a digit changed in the first message of each name, and in other parts."""
    changed = copy.deepcopy(vector)
    firsts = {each["name"]: each for each in reversed(changed["messages"])}
    places = [(each, "bytes") for each in firsts.values()]
    places += [(changed["derived"], "context"), (changed["derived"]["leaves"], "phone 0")]
    places += [(changed["log"][-1], "note"), (changed["refused"][-1], "rule")]
    for holder, key in places:
        text = holder[key]
        holder[key] = text[:-2] + ("0" if text[-2] != "0" else "1") + text[-1]
        yield changed
        holder[key] = text
    changed["result"]["vector"][-1] += 1
    yield changed


@pytest.mark.parametrize("name", ["streams", "arithmetic"])
def test_another_digit_of_the_arithmetic_is_found(tmp_path, monkeypatch, name):
    monkeypatch.setattr(files, "FILES", {name: files.FILES[name]})
    text = (FOLDER / f"{name}.json").read_text("utf-8")
    digest = text.rindex('"sha256": "') + 12
    changed = text[:digest] + ("0" if text[digest] != "0" else "1") + text[digest + 1 :]
    (tmp_path / f"{name}.json").write_text(changed, "utf-8")
    assert files.main([str(tmp_path)]) == 1


# A core that was changed


def with_another_label(module, name):
    """Patch a function that hashes fields so that its first field differs by a letter."""
    honest = getattr(module, name)
    return module, name, lambda first, *rest: honest(first + b"x", *rest)


def every_share(shares, *_):
    return np.ones(len(shares), bool)


def nothing(*_, **__):
    return None


def keeps_every_word(key, count):
    words = np.frombuffer(field_module.keystream(key, 4 * count), "<u4") & np.uint32(0x7FFFFFFF)
    return words.astype(np.int64)


def without_the_number(shared, context, kind, round_key, salt, decryptor):
    return field_module.derive(shared, context + kind.label + round_key + salt)


def without_the_salt(shared, context, kind, round_key, salt, decryptor):
    return field_module.derive(shared, context + kind.label + round_key + decryptor.to_bytes(4))


def without_the_kind(shared, context, kind, round_key, salt, decryptor):
    return field_module.derive(shared, context + round_key + salt + decryptor.to_bytes(4))


def rounded_down(padded, drop):
    return pads_pack(padded - (1 << drop >> 1), drop)


pads_pack = pads.pack
CHANGES = {
    "streams keep every word": (["streams"], [(vector_arithmetic, "uniform_elements", keeps_every_word)]),
    "another nonce of the boxes": (["standing"], [(dealing, "_NONCE", b"1" + bytes(11))]),
    "keys without the decryptor's number": (
        ["standing"],
        [(module, "share_key", without_the_number) for module in (dealing, decryptor_module)],
    ),
    "keys without the salt": (
        ["standing"],
        [(module, "share_key", without_the_salt) for module in (dealing, decryptor_module)],
    ),
    "keys without the kind": (
        ["standing"],
        [(module, "share_key", without_the_kind) for module in (dealing, decryptor_module)],
    ),
    "another label of the challenge": (["standing"], [with_another_label(dealing, "digest_of_fields")]),
    "another label of the context": (["standing"], [with_another_label(committee, "digest_of_fields")]),
    "another label of disputes": (["drawn-disputes"], [with_another_label(disputes, "digest_of_fields")]),
    "another domain of the proof's nonce": (["drawn-disputes"], [(equality_proof, "_NONCE", b"other")]),
    "rounding down": (["standing-long"], [(pads, "pack", rounded_down)]),
    "errors of the other sign": (["standing-long"], [(pads, "errors", lambda *key: -pads_errors(*key))]),
    "another root of the ring": (["arithmetic"], [(ntt, "_roots", lambda: ntt_roots()[::-1])]),
    "a bound one higher": (["arithmetic"], [(vector_arithmetic, "corrupt_bound", lambda *n: tail(*n) + 1)]),
    "no floor of the set": (["standing"], [(decryptor_module.Decryptor, "_require_size", nothing)]),
    "no root over the leaves": (["standing"], [(leaves.LeafSet, "require_head", nothing)]),
    "no look into the log": (["standing"], [(log_entries.LogView, "require_logged", nothing)]),
    "no look at what was dealt": (["drawn-disputes"], [(decryptor_module, "check_dealt", nothing)]),
    "any words in a proof": (["standing"], [(aggregator, "require_elements", nothing)]),
    "any tickets": (["drawn"], [(tickets.Ticket, "check", nothing)]),
    "any shape": (["drawn"], [(terms, "require_shape", nothing)]),
    "every share is good": (
        ["drawn-disputes"],
        [(decryptor_module, "are_good", every_share)],
    ),
    "a second answer": (["standing"], [(decryptor_module, "_require_same", nothing)]),
}
pads_errors, ntt_roots, tail = pads.errors, ntt._roots, vector_arithmetic.corrupt_bound


@pytest.mark.slow
@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_core_is_found(monkeypatch, change):
    names, patches = CHANGES[change]
    monkeypatch.setattr(files, "FILES", {name: files.FILES[name] for name in names})
    for module, name, other in patches:
        monkeypatch.setattr(module, name, other)
    committee.check_committees.cache_clear()  # What it remembers was made by the other code.
    try:
        # Where the error is raised, a party refused an honest message or took an altered one.
        with contextlib.suppress(PrivacyError):
            assert files.main([str(FOLDER)]) == 1
    finally:
        committee.check_committees.cache_clear()


@pytest.mark.parametrize(
    ("name", "module", "function", "other"),
    [
        ("standing", dealing, "_NONCE", b"1" + bytes(11)),
        ("standing-long", pads, "errors", lambda *key: -pads_errors(*key)),
        ("drawn", committee, "draw_members", lambda roster, signed, nonce, count: roster[:count]),
    ],
)
def test_a_vector_of_a_changed_core_is_not_the_second_implementations(
    monkeypatch, name, module, function, other
):
    """Rewritten vectors of a changed core: our code agrees with itself, and the other one does not."""
    monkeypatch.setattr(module, function, other)
    monkeypatch.setattr(notary, "draw_members", committee.draw_members)
    changed = files.play_round(name, load(name))
    with pytest.raises((AssertionError, second.Refusal)):
        compare_messages(changed)


def compare_messages(vector):
    test_it_makes_every_contribution(vector, SecondRound(vector))
    test_it_makes_what_the_registry_signs(vector, SecondRound(vector))


def test_a_dispute_over_too_few_digests_convicts_nobody():
    """Anyone can send one digest alone: decryptor, coordinator and registry are to refuse it as a dispute."""
    vector = load(DISPUTED)
    info = rounds.VectorRound(vector["given"]).info
    committees = committee.check_committees(one(vector, "committee file"), info)
    shown = sent(vector, "dispute proof")["drawn 19", "coordinator"]
    proof = wire.decode(messages.DisputeProof, shown)
    short = dataclasses.replace(proof, dealt=dataclasses.replace(proof.dealt, digests=bytes(32)))
    leaf = messages.Leaf(*cut(bytes.fromhex(vector["derived"]["leaves"]["phone 3"]), 32))
    drawn = committees.of_kind(terms.Kind.DRAWN)
    assert disputes.convicts(proof, leaf, drawn, info, committees.context)
    assert not disputes.convicts(short, leaf, drawn, info, committees.context)
