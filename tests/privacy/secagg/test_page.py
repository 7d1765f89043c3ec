"""docs/one-message.md, its grammar and its part of docs/threats.md are what the code does."""

from __future__ import annotations

import ast
import dataclasses
import functools
import hashlib
import itertools
import math
import re
from pathlib import Path

import cbor2
import numpy as np
import pytest
import second_contributor as second
from cddl_verifier import Validator
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PublicKey
from secagg_rounds import contribute, crooked, vectors

from covey_privacy import cddl, checkpoint, diagrams, merkle, tickets, wire
from covey_privacy.blind_rsa import PREFIX_LENGTH
from covey_privacy.errors import PeerError
from covey_privacy.fixed_records import layout
from covey_privacy.protocol_rules import Rule
from covey_privacy.secagg import dealing, lattice, messages, ntt, pads, shape, terms
from covey_privacy.secagg.committee import Committee, Committees
from covey_privacy.secagg.contribution import Sizes, require_sampled
from covey_privacy.secagg.contributor import Contributor
from covey_privacy.secagg.field import Q, centred, uniform_elements
from covey_privacy.secagg.keys import exchange_key, verify
from covey_privacy.secagg.packed_shamir import open_secrets
from covey_privacy.secagg.parameters import plan_committee
from covey_privacy.secagg.shape import RING_SIZE, Shape, choose_shape, standing_shape
from covey_privacy.secagg.terms import Kind
from covey_privacy.signatures import SigningKey, sign
from covey_simulations.scenarios.in_process_round import NOW

ROOT = Path(__file__).parents[3]
DOCS = ROOT / "docs"
PAGE = (DOCS / "one-message.md").read_text("utf-8")
WORDS = " ".join(PAGE.split())
"""The page without its line ends."""
THREATS = (DOCS / "threats.md").read_text("utf-8").partition("\n## Attacks on a round\n")[2]
SOURCES = {
    path: path.read_text("utf-8")
    for path in sorted((ROOT / "privacy/covey_privacy/secagg").glob("*.py"))
    if not path.name.startswith("vector")
}


def tables(text: str) -> list[tuple[list[str], list[list[str]]]]:
    """Every table: its header's cells, and those of its rows."""
    found = []
    for table in re.findall(r"(?:^\|.*\n)+", text, re.M):
        head, _, *rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in table.splitlines()]
        found.append((head, rows))
    return found


def section(heading: str) -> str:
    """What stands under a heading, up to the next one."""
    parts = re.split(rf"^#+ {re.escape(heading)}\n", PAGE, flags=re.M)
    assert len(parts) == 2, f"the page has {len(parts) - 1} sections {heading!r}"
    return re.split(r"^#+ ", parts[1], flags=re.M)[0]


def quoted(text: str) -> list[str]:
    return re.findall(r"`([^`]+)`", text)


def test_the_page_names_every_signatures_context_and_no_other():
    contexts = {
        value for name, value in vars(messages).items() if name.isupper() and str(value).startswith("secagg/")
    }
    told = next(rows for head, rows in tables(section("Signatures")) if head[0] == "context")
    assert {quoted(row[0])[0] for row in told} == contexts
    assert set(re.findall(r"`(secagg/[a-z-]+)`", PAGE)) == contexts


def test_the_page_names_every_domain_string_and_no_other():
    used: set[str] = set()
    for source in SOURCES.values():
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.Constant) and isinstance(node.value, bytes):
                used |= set(re.findall(r"covey/\d/[a-z/-]+", node.value.decode("latin-1")))
    assert len(used) == 7
    assert set(re.findall(r'"(covey/\d/[a-z/-]+)"', PAGE)) == used


NOT_OF_A_ROUND = {"argument"}
"""A wrong argument of a function is no step's failure."""


def test_the_page_names_every_rule_that_the_code_breaks_and_no_other():
    known = {str(rule) for rule in Rule}
    source = "\n".join(SOURCES.values())
    used = {str(Rule[name]) for name in re.findall(r"\bRule\.([A-Z_]+)", source)}
    listed: set[str] = set()
    for head, rows in tables(PAGE):
        if "rule" in head:
            listed |= {name for row in rows for name in quoted(row[head.index("rule")])}
    assert len(listed) > 30
    assert listed <= known
    assert used - NOT_OF_A_ROUND <= set(re.findall(r"`([a-z-]+)`", PAGE))


MESSAGES = [cls for cls in cddl.SECAGG if cls.__name__ != "Signed"]


@pytest.mark.parametrize("cls", MESSAGES, ids=lambda cls: cls.__name__)
def test_the_page_has_every_message_with_its_fields_in_order(cls):
    ((head, rows),) = tables(section(f"`{cls.__name__}`"))
    assert head == ["field", "is"]
    assert [quoted(row[0])[0] for row in rows] == [field.name for field in dataclasses.fields(cls)]


def test_the_page_has_no_other_message():
    assert set(re.findall(r"^#+ `(\w+)`$", PAGE, re.M)) == {cls.__name__ for cls in MESSAGES}


MACHINES = {
    "secagg.Contributor": "Phone",
    "secagg.Volunteer": "Volunteer and organisation",
    "secagg.Decryptor": "Decryptor",
    "secagg.Collector": "Node",
    "secagg.Aggregator": "Coordinator",
    "secagg.Notary": "Registry",
}


@pytest.mark.parametrize("name", diagrams.MACHINES)
def test_the_page_has_the_states_and_steps_of_every_machine(name):
    machine, text = diagrams.MACHINES[name], section(MACHINES[name])
    assert f"<!-- diagram: {name} -->" in text
    steps = {((before, step), after) for before, after, step in re.findall(r"(\w+) --> (\w+): (\w+)", text)}
    assert steps == {
        ((before.__name__, step), after.__name__) for (before, step), after in machine.TABLE.items()
    }
    ((_, rows),) = [(head, rows) for head, rows in tables(text) if head[0] == "state"]
    states = dict.fromkeys(state for (before, _), after in machine.TABLE.items() for state in (before, after))
    assert {quoted(row[0])[0]: quoted(row[1]) for row in rows} == {
        state.__name__: [field.name for field in dataclasses.fields(state)] for state in states
    }


def test_the_diagrams_are_drawn_from_the_tables(tmp_path):
    assert diagrams.main([str(DOCS / "one-message.md")]) == 0
    other = tmp_path / "one-message.md"
    other.write_text(PAGE.replace("Checked --> Opened: open", "Seated --> Opened: open"), "utf-8")
    assert diagrams.main([str(other)]) == 1
    assert diagrams.main([str(other), "--write"]) == 0
    assert other.read_text("utf-8") == PAGE


def test_numbers_of_field_ring_and_keys_are_the_codes():
    psi = int(ntt._roots()[0][int(f"{1:011b}"[::-1], 2)])
    for said in (
        f"*q* = {Q} = 2^31 - 2^17 + 1, a prime",
        f"X^{RING_SIZE} + 1",
        f"*S* = min(L, {RING_SIZE})",
        f"psi = 5^((q-1)/4096) = {psi}",
        f"variance {pads.ERROR_VARIANCE}.",
        f"or {pads.LEAST_DROP} to {pads.MOST_DROP}",
        f"C + {dealing.CHECKS} words `le32`",
        f"the tag of {dealing.TAG_SIZE} bytes at the end",
        f"4 (C + {dealing.CHECKS}) + {dealing.TAG_SIZE} bytes",
        f"{dealing.CLAIM_SIZE} bytes a member",
        f"the first {dealing.CHECKS} C elements",
        f"proof, {dealing.CLAIM_SIZE} R bytes",
        f"rho | at least {shape.LEAST_PACKING}",
        f"1 <= m <= min(V, {shape.MOST_DRAWN})",
        f"the most members of a set, 1 to {terms.MOST_MEMBERS}",
        f"the phone asks for, {terms.LEAST_POOL} in production",
        f"`0x{Kind.STANDING.label.hex()}` for the standing",
        f"`0x{Kind.DRAWN.label.hex()}` for the drawn one",
        "digest_of_fields(a, b, ...) = H( u32(length of a) ‖ a ‖ u32(length of b) ‖ b ‖ ... )",
        "2^64 - 1 admits every phone",
        f"No message is longer than {wire.MESSAGE_LIMIT // 2**20} MiB",
        f"it has {layout(messages.VolunteerOffer).size} bytes",
        f"{layout(tickets.Ticket).size} bytes as a record",
        f"A record of {layout(messages.Seat).size} bytes",
        f"A record of {layout(messages.Entry).size} bytes",
        f"{messages.LEAF_SIZE} bytes when packed",
        f"e = {standing_shape().corrects}",
    ):
        assert said in WORDS, said
    assert pow(psi, 4096, Q) == 1 != pow(psi, 2048, Q)
    assert terms.EVERYONE == 2**64 - 1
    assert pads._SHARE_OF_NOISE == 0.001
    assert terms.digest_of_fields(b"ab", b"") == hashlib.sha256(b"\0\0\0\2ab\0\0\0\0").digest()


PAGE_SHAPES = [
    (int(row[0].replace(",", "")), float(lost), [int(number) for number in cell.split("/")])
    for head, rows in tables(section("Shapes"))
    if head[0] == "N"
    for row in rows
    for lost, cell in zip(("0.3", "0.5"), row[1:], strict=True)
]


@pytest.mark.parametrize(("issued", "lost", "expected"), PAGE_SHAPES)
def test_shapes_of_the_page_are_the_rules(issued, lost, expected):
    found = choose_shape(issued * 9 // 10, shape.corrupt_phones(0.05, issued), lost)
    assert [found.members, found.privacy, found.threshold] == expected


def test_chances_and_bits_of_the_page_are_the_codes():
    less, more = plan_committee(1000, 900, 0.05, 0.3), plan_committee(1000, 900, 0.05, 0.5)
    assert "R + T = 68 answers" in WORDS
    assert less.shape.threshold + less.shape.privacy == 68
    assert "fewer than 86 answers" in WORDS
    assert more.shape.threshold + more.shape.privacy == 86
    assert "up to e = 6 wrong sums are still corrected from R + 2e = 54 answers on" in WORDS
    assert (less.shape.corrects, less.shape.needed_answers) == (6, 54)
    for chance in (
        less.chances.integrity_unproved,
        less.chances.answers_miss,
        more.chances.integrity_unproved,
    ):
        assert f"2^{chance:.1f}" in WORDS
    pad, row = lattice.estimate_pad(), lattice.estimate_attacks(1024, 2.0**29, 3.2)
    for bits in (pad.core_svp_bits, row.core_svp_bits, pad.standard_bits, row.standard_bits):
        assert re.search(rf"\b({math.floor(bits)}|{round(bits)})\b", section("Limits"))


def committees_of(*shapes: tuple[Kind, Shape]) -> Committees:
    each = [Committee(kind, it, (b"",) * it.members, (b"",) * it.members, b"") for kind, it in shapes]
    return Committees(tuple(each), bytes(32))


COSTS = dict(
    zip(
        (row[0] for row in tables(section("Costs"))[0][1]),
        (
            ((Kind.STANDING, standing_shape()),),
            ((Kind.DRAWN, Shape(108, 26, 16, 6)),),
            ((Kind.DRAWN, Shape(210, 35, 16, 12)),),
            ((Kind.STANDING, standing_shape()), (Kind.DRAWN, Shape(108, 26, 16, 6))),
        ),
        strict=True,
    )
)
TICKET = tickets.Ticket(bytes(32), bytes(PREFIX_LENGTH), bytes(256))


@pytest.mark.parametrize("name", COSTS)
def test_sizes_of_the_page_are_the_codes(name):
    row = next(row for row in tables(section("Costs"))[0][1] if row[0] == name)
    committees = committees_of(*COSTS[name])
    sizes = []
    for length, drop in ((1024, 0), (25_000, 7), (100_000, 7)):
        stated = terms.RoundTerms(length, drop, 1e9, 1, 0, 0.0, 0.0, 1, (), Shape(4, 1, 1, 1), (), bytes(32))
        sizes.append(Sizes.of_round(stated, committees))
    assert row[1] == " / ".join(f"{each.whole:,}" for each in sizes)
    assert row[2] == str(sum(number for number, _ in sizes[0].boxes))
    seats = tuple(
        messages.Seat(bytes(32), bytes(64))
        for committee in committees.each
        if committee.kind == Kind.STANDING
        for _ in committee.box_keys
    )
    drawn = None
    if Kind.DRAWN in {committee.kind for committee in committees.each}:
        key = SigningKey(bytes(32))
        member = messages.VolunteerOffer(TICKET, bytes(32), bytes(64))
        roster = sign(messages.ROSTER, messages.RosterHead(bytes(32), 900, bytes(32)), key)
        draw = sign(messages.DRAW, messages.Draw(bytes(32), bytes(32), bytes(32), bytes(32)), key)
        members = committees.of_kind(Kind.DRAWN).shape.members
        drawn = messages.DrawnCommittee(roster, draw, (member,) * members)
    assert row[3] == f"{len(wire.encode(messages.CommitteeFile(seats, drawn))):,}"
    if len(committees.each) == 1:
        (committee,) = committees.each
        check = [140 + dealing.box_size(committee.shape, length) for length in (1024, 2048)]
        assert row[4] == " / ".join(f"{each:,}" for each in check)


def tape(seed: bytes):
    drawn = itertools.count()
    return lambda count: hashlib.shake_256(seed + b"%d" % next(drawn)).digest(count)


ROUNDS = [("standing", 40, 0), ("standing", 2049, 7), ("drawn", 17, 0), ("both", 2048, 0), ("both", 4097, 0)]


def contribute_both(played, committees, given):
    """Let every phone contribute, and the first one once more by the page: both say the same."""
    for place, (key, vector) in enumerate(zip(played.round_keys, given, strict=True)):
        phone = Contributor(played.info, played.accepted, key, random=tape(b"%d" % place))
        made = phone.contribute(played.file, vector)
        played.collector.add(made)
        if place == 0:
            ticket, drop = list(dataclasses.astuple(key.ticket)), played.info.terms.drop
            by_page = second.contribute(
                key.secret, ticket, played.info.digest, committees, vector.tolist(), drop, tape(b"0")
            )
            assert by_page == made


@pytest.mark.parametrize(("kind", "length", "drop"), ROUNDS)
def test_the_second_implementation_says_every_byte_and_finds_the_sum(players, kind, length, drop):
    played = players(kind, phones=4, length=length, drop=drop, steps=1e6)
    shapes = [it and dataclasses.astuple(it) for it in (played.setting.standing, played.setting.drawn)]
    manifest, committees = played.info.digest, second.committees_of(played.file, *shapes)
    assert second.context_of(manifest, committees) == played.aggregator.committees.context
    given = vectors(4, length)
    contribute_both(played, committees, given)
    played.include()
    played.check()
    played.finalize()
    request = played.open_request()
    stored = [played.messages[leaf.round_key] for leaf in played.aggregator.state.before.members.leaves]
    sums: list[dict[int, list[int]]] = [{} for _ in committees]
    for (_, number), decryptor in sorted(played.decryptors.items()):
        keys = decryptor.state.keys
        place = [committee.kind[0] for committee in committees].index(keys.kind)
        committee = committees[place]
        said = decryptor.open(request, NOW)
        played.aggregator.opened(said)
        if number > committee.threshold + 1:
            continue
        sums[place][number] = second.numbers(wire.decode(messages.Opening, said).sums)
        if number >= committee.threshold:  # one whose share is a stream, and one with a box
            shares = [
                second.share_of_member(keys.box, number, committee, manifest, committees, message, length)
                for message in stored
            ]
            assert [sum(entry) % Q for entry in zip(*shares, strict=True)] == sums[place][number]
    packed = [wire.decode(messages.Contribution, message).vector for message in stored]
    total = second.total(manifest, committees, packed, sums, length, drop)
    assert total == played.aggregator.conclude().vector.tolist()
    if length <= RING_SIZE:
        assert total == given.sum(axis=0).tolist()


def test_streams_with_rejected_words_are_the_pages():
    keys = [number.to_bytes(32) for number in range(60)]
    dropped = 0
    for key in keys:
        drawn = uniform_elements(key, 2051).tolist()
        assert drawn == second.elements(key, 2051)
        first = [word & 0x7FFFFFFF for word in second.numbers(second.keystream(key, 4 * 2051))]
        dropped += drawn != first
    assert dropped > 3


def is_signed(key: bytes, context: bytes, body: bytes, signature: bytes) -> bool:
    return verify(key, b"covey/1/" + context + b"\0" + body, signature)


def test_signatures_draw_log_and_dispute_are_over_what_the_page_says(players):
    played = players("both")
    manifest, registry = played.info.digest, played.registry.public
    seats, (roster, draw, members) = cbor2.loads(played.file)
    for place, organisation in enumerate(played.organisations):
        seat = seats[96 * place : 96 * place + 96]
        assert is_signed(organisation.public, b"secagg/box-key", manifest + b"\1" + seat[:32], seat[32:])
    records = [b"".join([*ticket, *rest]) for ticket, *rest in map(cbor2.loads, played.offers)]
    for each in records:
        assert is_signed(each[:32], b"secagg/volunteer", manifest + each[320:352], each[352:])
    signed_roster, signed_draw = cbor2.loads(roster), cbor2.loads(draw)
    assert is_signed(registry, b"secagg/roster", *signed_roster)
    assert is_signed(registry, b"secagg/draw", *signed_draw)
    root = second.root_of([second.leaf_hash(record) for record in sorted(records)])
    assert cbor2.loads(signed_roster[0]) == [manifest, len(records), root]
    nonce, count = played._nonce, played.setting.drawn.members
    assert second.sha(nonce) == played.info.terms.nonce_hash
    assert b"".join(second.drawn_members(records, roster, nonce, count)) == members
    assert cbor2.loads(signed_draw[0]) == [manifest, second.sha(roster), nonce, second.sha(members)]

    shapes = [dataclasses.astuple(it) for it in (played.setting.standing, played.setting.drawn)]
    committees = second.committees_of(played.file, *shapes)
    context = second.context_of(manifest, committees)
    for place, phone in enumerate(played.contributors()):
        cheat = {"boxes": lambda boxes: (*boxes[:-1], b"x" * len(boxes[-1]))}
        vector = vectors(12, 40)[place]
        made = (
            crooked(played, place, vector, only=Kind.DRAWN, **cheat)
            if place == 3
            else phone.contribute(played.file, vector)
        )
        ticket, salt, packed, dealings, signature = cbor2.loads(made)
        leaf = b"".join(second.leaf_of(ticket, salt, packed, dealings, committees, 40))
        assert is_signed(ticket[0], b"secagg/contribution", manifest + context + leaf, signature)
        played.collector.add(made)
    retraction = next(iter(played.contributors())).retract()
    key = retraction.ticket.round_key
    assert is_signed(key, b"secagg/retraction", manifest + key, retraction.signature)
    number = second.sampling_number(context, key)
    sampled, left = (dataclasses.replace(played.info.terms, sample=number - less) for less in (0, 1))
    require_sampled(sampled, context, key)
    with pytest.raises(PeerError):
        require_sampled(left, context, key)

    played.include()
    state = played.aggregator.state
    assert is_signed(registry, b"secagg/included", *cbor2.loads(state.head))
    leaves = [leaf.pack() for leaf in state.members.leaves]
    root = second.root_of([second.leaf_hash(leaf) for leaf in leaves])
    assert cbor2.loads(cbor2.loads(state.head)[0]) == [manifest, context, 12, root, bytes(32)]
    note = checkpoint.open_note(state.logged.note, registry, verify)
    entry = second.leaf_hash(b"S" + state.head)
    merkle.verify_inclusion(entry, state.logged.index, note.size, state.logged.proof, note.root)
    said = {}
    for seat, decryptor in played.decryptors.items():
        said[seat] = decryptor.check(played.aggregator.check_request(*seat), NOW)
        played.aggregator.complain(said[seat])
        signer = played.aggregator.committees.of_kind(seat[0]).signers[seat[1] - 1]
        body = context + second.unsigned(said[seat])
        assert is_signed(signer, b"secagg/check", body, cbor2.loads(said[seat])[-1])
    ((member, number),) = played.aggregator.to_dispute()
    grant = played.notary.dispute(said[Kind.DRAWN, number], member)
    assert is_signed(registry, b"secagg/dispute", *cbor2.loads(grant))
    leaf_hash = second.leaf_hash(leaves[member])
    assert cbor2.loads(cbor2.loads(grant)[0]) == [manifest, context, leaf_hash, number]
    request = played.dispute_request(member, number, grant)
    proof = played.decryptors[Kind.DRAWN, number].dispute(request, NOW)
    box_key = committees[1].box_keys[number - 1]
    shown = cbor2.loads(proof)[3]
    assert second.shared_secret(context, b"\2", leaves[member], number, box_key, shown) == (
        exchange_key(played.round_keys[3].secret).exchange(X25519PublicKey.from_public_bytes(box_key))
    )
    assert second.shared_secret(context, b"\2", leaves[member - 1], number, box_key, shown) is None
    played.aggregator.disputed(proof)
    played.finalize()
    state = played.aggregator.state
    assert is_signed(registry, b"secagg/final", *cbor2.loads(state.head))
    for seat, decryptor in played.decryptors.items():
        opening = decryptor.open(played.open_request(), NOW)
        signer = played.aggregator.committees.of_kind(seat[0]).signers[seat[1] - 1]
        assert cbor2.loads(opening)[2] == second.sha(state.head)
        body = context + second.unsigned(opening)
        assert is_signed(signer, b"secagg/open", body, cbor2.loads(opening)[-1])


@functools.cache
def grammar() -> Validator:
    return Validator(DOCS / "one-message.cddl")


def test_every_message_of_a_round_conforms_to_the_grammar(players):
    played = players("both")
    given, said = vectors(12, 40), {"CommitteeFile": [played.file], "VolunteerOffer": played.offers[:3]}
    for place, phone in enumerate(played.contributors()):
        cheat = {"boxes": lambda boxes: (*boxes[:-1], b"x" * len(boxes[-1]))}
        made = (
            crooked(played, place, given[place], only=Kind.DRAWN, **cheat)
            if place == 3
            else phone.contribute(played.file, given[place])
        )
        played.collector.add(made)
        said["Contribution"] = [made]
    said["Retraction"] = [wire.encode(next(iter(played.contributors())).retract())]
    said["IncludeRequest"] = [played.close()]
    played.include()
    said["SignedSetHead"] = [played.aggregator.state.head]
    complaints = {}
    for seat, decryptor in played.decryptors.items():
        request = played.aggregator.check_request(*seat)
        complaints[seat] = decryptor.check(request, NOW)
        said.setdefault("CheckRequest", []).append(request)
        played.aggregator.complain(complaints[seat])
    said["Complaints"] = list(complaints.values())
    ((member, number),) = played.aggregator.to_dispute()
    grant = played.notary.dispute(complaints[Kind.DRAWN, number], member)
    request = played.dispute_request(member, number, grant)
    shown = played.decryptors[Kind.DRAWN, number].dispute(request, NOW)
    played.aggregator.disputed(shown)
    said |= {"SignedGrant": [grant], "DisputeRequest": [request], "DisputeProof": [shown]}
    said["FinalRequest"] = [played.aggregator.exclude()]
    signed = played.notary.final(said["FinalRequest"][0])
    played.aggregator.final(signed, played.log.append(signed))
    said["SignedSetHead"].append(signed)
    said["OpenRequest"] = [played.open_request()]
    said["Opening"] = [each.open(said["OpenRequest"][0], NOW) for each in played.decryptors.values()]
    said["RoundTerms"] = [wire.encode(played.info.terms)]
    members = played.aggregator.state.before.members
    said["Presence"] = [wire.encode(members.presence(members.leaves[0].round_key))]
    said["Absence"] = [wire.encode(members.absence(bytes(32)))]
    for rule, each in said.items():
        for data in each:
            assert grammar().validate(data, root_type=rule), rule
            plain = cbor2.loads(data)
            assert not grammar().validate(cbor2.dumps([*plain, 0]), root_type=rule), rule
            assert not grammar().validate(cbor2.dumps(plain[:-1]), root_type=rule), rule


def test_the_table_of_attacks_names_tests_and_rules_that_exist():
    head, rows = tables(THREATS)[0]
    assert head == ["attacker", "attack", "result", "rule", "test"]
    assert len(rows) > 40
    rules, places = {str(rule) for rule in Rule}, [ROOT / "tests/malicious/secagg", Path(__file__).parent]
    for row in rows:
        assert set(quoted(row[3])) <= rules, row
        assert (row[3] == "none") != bool(quoted(row[3])), row
        assert quoted(row[4]), row
    for named in re.findall(r"`(test_\w+\.py::\w+)`", THREATS):
        name, _, function = named.partition("::")
        (path,) = [folder / name for folder in places if (folder / name).exists()]
        assert f"\ndef {function}(" in path.read_text("utf-8"), named


def test_two_final_sets_give_one_members_vector(players):
    """A stated limit. Registry and coordinator together; every organisation is honest."""
    assert "**Two final sets.**" in PAGE
    played, given = players("standing"), vectors(12, 40)
    contribute(played, given)
    played.include()
    played.check()
    members, shape_ = played.aggregator.state.members, played.setting.standing
    seeds = []
    for excluded, asked in (((), (1, 2)), ((3,), (3, 4))):
        left = members.without(excluded)
        context = played.aggregator.committees.context
        head = messages.SetHead(played.info.digest, context, len(left), left.root, members.root)
        signed = sign(messages.FINAL, head, played.registry)
        request = wire.encode(messages.OpenRequest(signed, played.log.append(signed), excluded))
        sums = {}
        for number in asked:
            said = played.decryptors[Kind.STANDING, number].open(request, NOW)
            opened = wire.decode(messages.Opening, said).sums
            sums[number] = np.frombuffer(opened, "<u4").astype(np.int64)
        mixing = uniform_elements(bytes(32), shape_.chunks(40))
        seeds.append(open_secrets(shape_, sums, mixing)[0].T.reshape(-1)[:40])
    victim = members.leaves[3].round_key
    packed = pads.VectorSum(40, 0)
    packed.add(wire.decode(messages.Contribution, played.messages[victim]).vector)
    found = centred((packed.total() - (seeds[0] - seeds[1])) % Q)
    place = [key.ticket.round_key for key in played.round_keys].index(victim)
    assert (found == given[place]).all()


@pytest.mark.parametrize(("kind", "deceived"), [("standing", 2), ("drawn", None)])
def test_the_coordinator_can_provoke_complaints_about_an_honest_phone(players, kind, deceived):
    """A stated limit. Decryptors are honest; the coordinator sends some of them false claims."""
    assert "**A complaint does not prove whose fault it is.**" in PAGE
    played = players(kind)
    contribute(played, vectors(12, 40))
    played.include()
    deceived = deceived or played.setting.drawn.privacy
    for seat, decryptor in played.decryptors.items():
        request = wire.decode(messages.CheckRequest, played.aggregator.check_request(*seat))
        if seat[1] <= deceived:
            request = dataclasses.replace(request, claims=bytes(12) + request.claims[12:])
        played.aggregator.complain(decryptor.check(wire.encode(request), NOW))
    assert played.aggregator.to_dispute() == []
    played.finalize()
    assert played.aggregator.state.before.excluded == (0,)


def test_a_check_of_the_largest_set_by_an_organisation_fits_into_a_message():
    a_member = messages.LEAF_SIZE + dealing.CLAIM_SIZE + dealing.box_size(standing_shape(), RING_SIZE)
    assert a_member * terms.MOST_MEMBERS + 2**16 < messages.CHECK_LIMIT


def test_pages_point_at_each_other():
    for name in ("../README", "architecture", "protocol", "primitives", "threats"):
        assert "one-message.md" in (DOCS / f"{name}.md").read_text("utf-8"), name
    for name in re.findall(r"\]\(([\w./-]+?)(?:#[\w-]+)?\)", PAGE):
        assert (DOCS / name).exists(), name
