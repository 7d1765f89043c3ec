"""Certificates of a person's own part, over real rounds in one witnessed log."""

from __future__ import annotations

import dataclasses
import os

import pytest
from certificate_shop import OPERATOR, PHONES, Shop, evidence_of, manifest_of, slot
from secagg_rounds import VERIFY

from covey_privacy import wire
from covey_privacy.certificate import (
    AbsentSince,
    Certificate,
    LoggedDocument,
    Participated,
    claim_key,
    open_certificate,
    verify_certificate,
)
from covey_privacy.checkpoint import Checkpoint
from covey_privacy.checkpoint import sign_checkpoint as sign_checkpoint
from covey_privacy.errors import MisuseError, PeerError, PrivacyError, ServerError
from covey_privacy.evidence import CONTEXT as EVIDENCE
from covey_privacy.joint_proof import prove_leaves
from covey_privacy.merkle import Tree, leaf_hash
from covey_privacy.note import COSIGNATURE, VerifierKey
from covey_privacy.protocol_rules import Rule
from covey_privacy.registry_messages import LEAF_CONSENT, LEAF_EVIDENCE, LEAF_MANIFEST, LEAF_ROSTER
from covey_privacy.secagg.leaves import JointAbsence, LeafSet, Neighbour
from covey_privacy.secagg.log_entries import LEAF_SECAGG, LogView, entry_of
from covey_privacy.secagg.messages import FINAL, INCLUDED, Grant, SetHead
from covey_privacy.signatures import Signed, SigningKey, sign, to_sign
from covey_privacy.witness import WitnessPolicy, cosign
from covey_simulations.scenarios.in_process_round import NOW, ORIGIN, WITNESS, WitnessedLog

WITHDRAWN = PHONES - 1
"""The phone that withdraws: it holds its key of slot 2, unused, and sent under that of slot 1 long before."""
LATER = NOW + 90 * 86400


@pytest.fixture(scope="module")
def shop() -> Shop:
    """Round r1 with everyone; then one withdraws, others decide, and r2 and r3 go on without it."""
    made = Shop()
    made.play("r1", 1)
    made.decide()
    made.since = made.log.note(NOW)
    made.decide()
    made.play("r2", 2, range(WITHDRAWN))
    made.decide()
    made.play("r3", 3, range(1, WITHDRAWN))
    made.decide()
    return made


def verify(shop: Shop, data: bytes, operator: bytes = OPERATOR.public, view: LogView | None = None):
    return verify_certificate(data, operator, view or shop.log.view, VERIFY)


def altered(data: bytes, **changes) -> bytes:
    """Return a certificate with other fields in its one part."""
    found = open_certificate(data)
    if found.participation is not None:
        found = Certificate(dataclasses.replace(found.participation, **changes), None)
    else:
        found = Certificate(None, dataclasses.replace(found.absence, **changes))
    return wire.encode(found)


def refusal(shop: Shop, data: bytes, **given) -> tuple[type[PrivacyError], Rule]:
    with pytest.raises(PrivacyError) as refused:
        verify(shop, data, **given)
    return type(refused.value), refused.value.rule


def resigned(note: str, key: SigningKey, origin: str, witness: SigningKey) -> str:
    """Return a checkpoint over the same head of another log, with its witness's cosignature."""
    _, size, root = note.split("\n")[:3]
    from covey_privacy.note import unbase64

    made = sign_checkpoint(Checkpoint(origin, int(size), unbase64(root)), key)
    return made + cosign(made, WITNESS, witness, NOW)


# Participation.


@pytest.mark.parametrize(("phone", "round_id", "number"), [(0, "r1", 1), (WITHDRAWN, "r1", 1), (1, "r3", 3)])
def test_a_contribution_is_in_the_sum(shop, phone, round_id, number):
    found = verify(shop, shop.participation(phone, round_id, number))
    assert isinstance(found, Participated)
    assert found.round_key == slot(number)[0].round_keys(PHONES, os.urandom)[phone].ticket.round_key
    assert (found.manifest.round_id, found.manifest.query, found.manifest.epsilon) == (round_id, "q1", 0.5)
    assert found.contributions == {"r1": PHONES, "r3": PHONES - 2}[round_id]
    assert (found.checkpoint.size, found.witnessed, found.release) == (len(shop.log.entries), NOW, b"\1" * 32)


def test_a_contribution_is_in_the_sum_before_there_is_evidence(shop):
    assert verify(shop, shop.participation(0, "r1", 1, evidence=None)).release is None


def test_every_single_byte_of_a_participation_counts(shop):
    data = shop.participation(0, "r1", 1)
    for place in range(len(data)):
        changed = bytearray(data)
        changed[place] ^= 1 + place % 255
        with pytest.raises((PeerError, ServerError)):
            verify(shop, bytes(changed))


def test_cut_or_longer_files_are_refused(shop):
    data = shop.participation(0, "r1", 1)
    for wrong in (b"", data[:-1], data + b"\0", b"\xff" * 40):
        assert refusal(shop, wrong) == (PeerError, Rule.MESSAGE_FORM)


def test_a_certificate_is_one_thing_in_one_form(shop):
    one = open_certificate(shop.participation(0, "r1", 1)).participation
    absence = open_certificate(shop.absence(shop.claims(WITHDRAWN, 2), shop.since)).absence
    for wrong in (Certificate(None, None), Certificate(one, absence)):
        assert refusal(shop, wire.encode(wrong)) == (PeerError, Rule.MESSAGE_FORM)
    data = shop.participation(0, "r1", 1)
    assert data[:1] == b"\x82"
    assert refusal(shop, b"\x98\x02" + data[1:]) == (PeerError, Rule.MESSAGE_FORM)


def test_another_key_is_refused(shop):
    data = shop.participation(0, "r1", 1)
    other = shop.claim(1, 1)
    assert refusal(shop, altered(data, claim=other)) == (ServerError, Rule.LEAVES)
    claim = open_certificate(data).participation.claim
    stolen = dataclasses.replace(claim, signature=other.signature)
    assert refusal(shop, altered(data, claim=stolen)) == (PeerError, Rule.CLAIM)
    forged = SigningKey(b"f" * 32).sign(b"covey/1/certificate/claim\0" + claim.round_key)
    assert refusal(shop, altered(data, claim=dataclasses.replace(claim, signature=forged)))[1] == Rule.CLAIM


def test_a_leaf_of_another_set_or_another_place_is_refused(shop):
    data, of_r2 = (
        shop.participation(0, "r1", 1),
        open_certificate(shop.participation(0, "r2", 2)).participation,
    )
    assert refusal(shop, altered(data, claim=of_r2.claim, presence=of_r2.presence)) == (
        ServerError,
        Rule.LEAVES,
    )
    at = of_r2.presence.at
    moved = dataclasses.replace(of_r2.presence, at=dataclasses.replace(at, place=at.place + 1))
    assert refusal(shop, altered(shop.participation(0, "r2", 2), presence=moved)) == (
        ServerError,
        Rule.LEAVES,
    )


def joint(shop: Shop, *documents: LoggedDocument) -> tuple[bytes, ...]:
    return prove_leaves(shop.log.tree.node, sorted(each.index for each in documents), len(shop.log.tree))


def test_a_manifest_of_another_round_is_refused(shop):
    data = shop.participation(0, "r1", 1, evidence=None)
    other = shop.logged(LEAF_MANIFEST, manifest_of("r2", shop.rounds["r2"].info.terms))
    head = open_certificate(data).participation.head
    wrong = altered(data, manifest=other, proof=joint(shop, other, head))
    assert refusal(shop, wrong) == (ServerError, Rule.HEAD_SIGNATURE)


def test_the_included_set_is_not_the_sum(shop):
    data = shop.participation(0, "r1", 1, evidence=None)
    manifest = open_certificate(data).participation.manifest
    place = next(i for i, entry in enumerate(shop.log.entries) if entry[:1] == LEAF_SECAGG)
    included = LoggedDocument(place, shop.log.entries[place][1:])
    wrong = altered(data, head=included, proof=joint(shop, manifest, included))
    assert refusal(shop, wrong) == (ServerError, Rule.HEAD_SIGNATURE)


def test_a_head_that_is_not_logged_is_refused(shop):
    data = shop.participation(0, "r1", 1)
    part = open_certificate(data).participation
    members = LeafSet(shop.finals["r1"][1])
    head = SetHead(shop.rounds["r1"].info.digest, bytes(32), len(members), members.root, bytes(32))
    unlogged = dataclasses.replace(part.head, signed=sign(FINAL, head, shop.registry))
    assert refusal(shop, altered(data, head=unlogged)) == (ServerError, Rule.LOG_INCLUSION)
    # At the place of another document, whose hash the checkpoint covers.
    there = dataclasses.replace(unlogged, index=part.manifest.index)
    assert refusal(shop, altered(data, head=there)) == (ServerError, Rule.LOG_INCLUSION)


def test_a_manifest_or_evidence_that_is_not_logged_is_refused(shop):
    data = shop.participation(0, "r1", 1)
    part = open_certificate(data).participation
    cheaper = manifest_of("r1", dataclasses.replace(shop.rounds["r1"].info.terms, steps=1.0))
    other = dataclasses.replace(part.manifest, signed=cheaper)
    assert refusal(shop, altered(data, manifest=other)) == (ServerError, Rule.LOG_INCLUSION)
    later = dataclasses.replace(part.evidence, signed=evidence_of("r1", bytes(32)))
    assert refusal(shop, altered(data, evidence=later)) == (ServerError, Rule.LOG_INCLUSION)


def test_evidence_of_another_round_is_refused(shop):
    other = shop.logged(LEAF_EVIDENCE, evidence_of("r2", shop.rounds["r2"].info.digest))
    with pytest.raises(ServerError) as refused:
        shop.participation(0, "r1", 1, evidence=other)
    assert refused.value.rule == Rule.DOCUMENT_CONTENT


def test_two_documents_at_one_place_are_refused(shop):
    """Of two documents at one place the log holds one: the other could be anything that its signer signed."""
    part = open_certificate(shop.participation(0, "r2", 2)).participation
    everyone = LeafSet(shop.finals["r1"][1])
    digest = shop.rounds["r2"].info.digest
    unlogged = sign(FINAL, SetHead(digest, bytes(32), len(everyone), everyone.root, bytes(32)), shop.registry)
    claim = shop.claim(WITHDRAWN, 1)
    forged = dataclasses.replace(
        part, claim=claim, presence=everyone.presence(claim.round_key),
        head=LoggedDocument(part.evidence.index, unlogged), proof=joint(shop, part.manifest, part.evidence),
    )  # fmt: skip
    data = wire.encode(Certificate(forged, None))
    assert refusal(shop, data) == (ServerError, Rule.LOG_INCLUSION)


def test_logged_evidence_of_another_signer_is_refused(shop):
    part = open_certificate(shop.participation(0, "r1", 1)).participation
    body = wire.decode(Signed, part.evidence.signed).body
    stranger = wire.encode(Signed(body, SigningKey(b"x" * 32).sign(to_sign(EVIDENCE, body))))
    documents = [part.manifest.signed, part.head.signed, stranger]
    kinds = (LEAF_MANIFEST, LEAF_SECAGG, LEAF_EVIDENCE)
    log, view = log_of_its_own([k + d for k, d in zip(kinds, documents, strict=True)], shop.registry)
    manifest, head, evidence = (LoggedDocument(place, each) for place, each in enumerate(documents))
    wrong = dataclasses.replace(
        part, manifest=manifest, head=head, evidence=evidence, note=log.note(), proof=()
    )  # fmt: skip
    data = wire.encode(Certificate(wrong, None))
    assert refusal(shop, data, view=view) == (PeerError, Rule.DOCUMENT_SIGNATURE)


@pytest.mark.parametrize("with_evidence", [True, False])
def test_documents_of_another_operator_are_refused(shop, with_evidence):
    wrong = SigningKey(b"x" * 32).public
    data = shop.participation(0, "r1", 1, **({} if with_evidence else {"evidence": None}))
    assert refusal(shop, data, operator=wrong) == (PeerError, Rule.DOCUMENT_SIGNATURE)


def log_of_its_own(entries, key: SigningKey, **pinned) -> tuple[WitnessedLog, LogView]:
    """Return a log that somebody else keeps, and whom a verifier believes about it."""
    log = WitnessedLog(key, SigningKey(b"w" * 32))
    for entry in entries:
        log.append_entry(entry)
    return log, dataclasses.replace(log.view, **pinned)


def test_evidence_and_head_are_signed_by_whom_they_are_from(shop):
    """A log may hold what others signed: being logged is not enough."""
    stranger, info = SigningKey(b"s" * 32), shop.rounds["r1"].info
    manifest = manifest_of("r1", info.terms)
    members = LeafSet(shop.finals["r1"][1])
    head = sign(FINAL, SetHead(info.digest, bytes(32), len(members), members.root, bytes(32)), stranger)
    part = open_certificate(shop.participation(0, "r1", 1)).participation
    log, view = log_of_its_own([LEAF_MANIFEST + manifest, LEAF_SECAGG + head], shop.registry)
    documents = {"manifest": LoggedDocument(0, manifest), "head": LoggedDocument(1, head), "evidence": None}
    given = {"note": log.note(), "proof": prove_leaves(log.tree.node, [0, 1], 2)}
    wrong = wire.encode(Certificate(dataclasses.replace(part, **documents, **given), None))
    assert refusal(shop, wrong, view=view) == (ServerError, Rule.HEAD_SIGNATURE)


NOTES = [("participation", "note"), ("absence", "since"), ("absence", "until")]


@pytest.mark.parametrize(("kind", "field"), NOTES)
def test_a_checkpoint_counts_when_it_is_the_logs_own_and_witnessed(shop, kind, field):
    made = {
        "participation": lambda: shop.participation(0, "r1", 1),
        "absence": lambda: shop.absence(shop.claims(WITHDRAWN, 2), shop.since),
    }
    data = made[kind]()
    part = getattr(open_certificate(data), kind)
    text, log_line, witness_line = (
        getattr(part, field).rpartition("\n\n")[0],
        *getattr(part, field).split("\n")[-3:-1],
    )
    bare = f"{text}\n\n{log_line}\n"
    assert refusal(shop, altered(data, **{field: bare})) == (ServerError, Rule.WITNESSES)
    stranger = cosign(bare, WITNESS, SigningKey(b"x" * 32), NOW)
    assert refusal(shop, altered(data, **{field: bare + stranger})) == (ServerError, Rule.WITNESSES)
    unsigned = f"{text}\n\n{witness_line}\n"
    assert refusal(shop, altered(data, **{field: unsigned})) == (ServerError, Rule.CHECKPOINT_SIGNATURE)
    witness = SigningKey(shop.log._witness.secret)
    elsewhere = resigned(bare, shop.registry, "registry.example/other", witness)
    assert refusal(shop, altered(data, **{field: elsewhere})) == (ServerError, Rule.LOG_ORIGIN)
    other_key = resigned(bare, SigningKey(b"k" * 32), ORIGIN, witness)
    assert refusal(shop, altered(data, **{field: other_key})) == (ServerError, Rule.CHECKPOINT_SIGNATURE)
    noted = getattr(part, field) + stranger
    assert refusal(shop, altered(data, **{field: noted})) == (ServerError, Rule.NOTE_FORM)


def test_lines_that_nobody_checks_are_left_out_by_the_maker(shop):
    note = shop.log.note()
    stranger = cosign(note, "other.example", SigningKey(b"x" * 32), NOW)
    assert shop.participation(0, "r1", 1, note=note + stranger) == shop.participation(0, "r1", 1, note=note)


def test_as_many_witnesses_as_the_policy_asks_for(shop):
    second = SigningKey(b"2" * 32)
    two = (*shop.log.view.witnesses.witnesses, VerifierKey("second.example", COSIGNATURE, second.public))
    both = dataclasses.replace(shop.log.view, witnesses=WitnessPolicy(two, 2, 3600))
    one_of_two = dataclasses.replace(shop.log.view, witnesses=WitnessPolicy(two, 1, 3600))
    note = shop.log.note()
    cosigned = note + cosign(note, "second.example", second, LATER)
    alone = shop.participation(0, "r1", 1)
    assert refusal(shop, alone, view=both) == (ServerError, Rule.WITNESSES)
    data = shop.participation(0, "r1", 1, note=cosigned, view=both)
    # With two asked for, the later of both is when there were two; with one, the earlier.
    assert verify(shop, data, view=both).witnessed == LATER
    assert verify(shop, data, view=one_of_two).witnessed == NOW


def test_every_single_byte_counts_also_where_a_witness_could_be_missed(shop):
    second = SigningKey(b"2" * 32)
    two = (*shop.log.view.witnesses.witnesses, VerifierKey("second.example", COSIGNATURE, second.public))
    view = dataclasses.replace(shop.log.view, witnesses=WitnessPolicy(two, 1, 3600))
    note = shop.log.note()
    data = shop.participation(
        0, "r1", 1, note=note + cosign(note, "second.example", second, LATER), view=view
    )
    start = data.index(b"second.example")
    for place in range(start - 4, start + 130):
        changed = bytearray(data)
        changed[place] ^= 1
        with pytest.raises((PeerError, ServerError)):
            verify(shop, bytes(changed), view=view)


def test_who_is_not_in_the_set_cannot_be_certified(shop):
    with pytest.raises(MisuseError):
        shop.participation(WITHDRAWN, "r2", 2)


# Absence.


def test_a_withdrawn_phones_keys_are_in_no_later_set(shop):
    found = verify(shop, shop.absence(shop.claims(WITHDRAWN, 1, 2, 3), shop.since))
    assert isinstance(found, AbsentSince)
    assert (len(found.round_keys), found.rounds, found.sets) == (3, 2, 4)
    assert (found.since.size, found.until.size) == (size(shop.since), len(shop.log.entries))
    assert found.since_witnessed == NOW


def size(note: str) -> int:
    return int(note.split("\n")[1])


def test_absence_since_the_beginning_and_since_now(shop):
    first, now = WitnessedLog(shop.registry, shop.log._witness).note(), shop.log.note(LATER)
    new = [claim_key(bytes([number]) * 32) for number in (1, 2)]
    found = verify(shop, shop.absence(new, first))
    assert (found.since.size, found.rounds, found.sets) == (0, 3, 6)
    nothing = verify(shop, shop.absence(shop.claims(0, 1), now, until=now))
    assert (nothing.rounds, nothing.sets, nothing.since_witnessed) == (0, 0, LATER)


def test_every_single_byte_of_an_absence_counts(shop):
    data = shop.absence(shop.claims(WITHDRAWN, 2, 3), shop.since)
    for place in range(len(data)):
        changed = bytearray(data)
        changed[place] ^= 1 + place % 255
        with pytest.raises((PeerError, ServerError)):
            verify(shop, bytes(changed))


def test_a_key_in_a_set_cannot_be_certified_absent(shop):
    with pytest.raises(ServerError, match="'r3'") as refused:
        shop.absence([*shop.claims(WITHDRAWN, 2), shop.claim(1, 3)], shop.since)
    assert refused.value.rule == Rule.WITHDRAWN_KEY
    with pytest.raises(ServerError, match=shop.rounds["r3"].info.digest.hex()):
        shop.absence([shop.claim(1, 3)], shop.since, round_ids={})


@pytest.fixture(scope="module")
def broken_promise() -> tuple[Shop, str]:
    """The withdrawn phone's message had left; its coordinator has it included all the same."""
    made = Shop()
    made.begin("late", 1)
    made.contribute("late")
    since = made.log.note()
    made.decide()
    made.include("late")
    made.finish("late")
    made.play("next", 2, range(WITHDRAWN))
    return made, since


def test_a_withdrawn_phone_that_is_included_anyway_learns_in_which_round(broken_promise):
    shop, since = broken_promise
    with pytest.raises(ServerError, match="'late'") as refused:
        shop.absence(shop.claims(WITHDRAWN, 1, 2), since)
    assert refused.value.rule == Rule.WITHDRAWN_KEY
    assert verify(shop, shop.absence(shop.claims(WITHDRAWN, 2), since)).rounds == 2


def sets_without(shop: Shop, since: str, round_id: str):
    """Return the run's entries without a round's sets, with everything else as a liar would have it."""
    digest = shop.rounds[round_id].info.digest
    return [
        entry
        for entry in shop.log.entries[size(since) :]
        if not (entry[:1] == LEAF_SECAGG and digest in entry)
    ]


def test_a_set_with_the_key_cannot_be_dropped(broken_promise):
    """Not with the entry, not behind a hash, not by an entry of another kind, not with a log of one's own."""
    shop, since = broken_promise
    claims = shop.claims(WITHDRAWN, 1, 2)
    shorter = sets_without(shop, since, "late")
    with pytest.raises(ServerError) as refused:
        shop.absence(claims, since, entries=shorter)
    assert refused.value.rule == Rule.LOG_INCLUSION
    hidden = [
        entry if entry in shorter else LEAF_CONSENT + leaf_hash(entry)
        for entry in shop.log.entries[size(since) :]
    ]
    with pytest.raises(ServerError) as refused:
        shop.absence(claims, since, entries=hidden)
    assert refused.value.rule == Rule.LOG_INCLUSION
    renamed = [
        entry if entry in shorter else LEAF_CONSENT + entry[1:] for entry in shop.log.entries[size(since) :]
    ]
    with pytest.raises(ServerError) as refused:
        shop.absence(claims, since, entries=renamed)
    assert refused.value.rule == Rule.LOG_INCLUSION
    mine = Tree([leaf_hash(entry) for entry in [*shop.log.entries[: size(since)], *shorter]])
    text = Checkpoint(ORIGIN, len(mine), mine.root())
    until = sign_checkpoint(text, SigningKey(b"m" * 32))
    part = open_certificate(shop.absence(shop.claims(WITHDRAWN, 2), since)).absence
    forged = dataclasses.replace(
        part, until=until, entries=tuple(shorter), absences=part.absences[:0],
        before=prove_leaves(mine.node, range(size(since), len(mine)), len(mine)),
    )  # fmt: skip
    assert refusal(shop, wire.encode(Certificate(None, forged)))[1] == Rule.CHECKPOINT_SIGNATURE


def test_a_proof_is_asked_for_every_set(shop):
    data = shop.absence(shop.claims(WITHDRAWN, 2), shop.since)
    absences = open_certificate(data).absence.absences
    assert len(absences) == 2
    for wrong in (absences[:1], absences[1:], (*absences, absences[0]), ()):
        assert refusal(shop, altered(data, absences=wrong)) == (ServerError, Rule.EVERY_SET)
    assert refusal(shop, altered(data, absences=absences[::-1])) == (ServerError, Rule.LEAVES)
    assert refusal(shop, altered(data, absences=(absences[0],) * 2)) == (ServerError, Rule.LEAVES)


def test_a_gap_or_a_forged_or_moved_entry_is_refused(shop):
    data = shop.absence(shop.claims(WITHDRAWN, 2), shop.since)
    entries = open_certificate(data).absence.entries
    forged = LEAF_CONSENT + b"\1" * 32
    wrongs = [
        entries[1:],
        entries[:-1],
        (*entries[:3], *entries[4:]),
        (forged, *entries[1:]),
        (*entries, forged),
        (entries[1], entries[0], *entries[2:]),
    ]
    for wrong in wrongs:
        assert refusal(shop, altered(data, entries=wrong)) == (ServerError, Rule.LOG_INCLUSION)
    before = open_certificate(data).absence.before
    for shown in ((*before, leaf_hash(entries[-1])), (leaf_hash(entries[-1]), *before)):
        hidden = altered(data, entries=entries[:-1], before=shown)
        assert refusal(shop, hidden) == (ServerError, Rule.LOG_INCLUSION)
    for wrong in (before[1:], (*before, bytes(32)), before[::-1] if len(before) > 1 else (bytes(32),)):
        assert refusal(shop, altered(data, before=wrong)) == (ServerError, Rule.LOG_INCLUSION)


def test_a_run_that_begins_later_than_it_says_is_refused(shop):
    """The checkpoint at its beginning is of the same log, and its size is where the run begins."""
    data = shop.absence(shop.claims(WITHDRAWN, 2), shop.since)
    other, _ = log_of_its_own([LEAF_CONSENT + bytes(32)] * size(shop.since), shop.registry)
    bare = other.note().rpartition("— ")[0]
    fork = bare + cosign(bare, WITNESS, SigningKey(shop.log._witness.secret), NOW)
    assert refusal(shop, altered(data, since=fork)) == (ServerError, Rule.LOG_CONSISTENCY)
    later = shop.log.note()
    assert refusal(shop, altered(data, since=later)) == (ServerError, Rule.LOG_INCLUSION)
    # An earlier moment with the later run, and both ends exchanged.
    early = WitnessedLog(shop.registry, shop.log._witness).note()
    assert refusal(shop, altered(data, since=early)) == (ServerError, Rule.LOG_INCLUSION)
    assert refusal(shop, altered(data, since=later, until=shop.since)) == (ServerError, Rule.LOG_INCLUSION)


def test_neighbours_that_do_not_enclose_the_key_are_refused(shop):
    claims = shop.claims(WITHDRAWN, 2)
    key = claims[0].round_key
    data = shop.absence(claims, shop.since)
    part = open_certificate(data).absence
    members = LeafSet(shop.finals["r2"][1])
    tree = Tree([leaf.hash for leaf in members.leaves])
    for places in ([0], [0, 1], [0, 2], [0, 1, 2], [1, 2], [1, 2, 3], [0, 3], [3], [0, 1, 2, 3]):
        shown = tuple(Neighbour(place, members.leaves[place]) for place in places)
        absence = JointAbsence(shown, prove_leaves(tree.node, places, len(members)))
        wrong = altered(data, absences=(absence, part.absences[1]))
        after = sum(leaf.round_key < key for leaf in members.leaves)
        if {after - 1, after} - {-1, len(members)} <= set(places):
            assert verify(shop, wrong).rounds == 2
        else:
            assert refusal(shop, wrong) == (ServerError, Rule.LEAVES)


def test_claims_are_signed_sorted_and_distinct(shop):
    data = shop.absence(shop.claims(WITHDRAWN, 2, 3), shop.since)
    claims = open_certificate(data).absence.claims
    for wrong in (claims[::-1], (claims[0], claims[0])):
        assert refusal(shop, altered(data, claims=wrong)) == (PeerError, Rule.CLAIM)
    swapped = dataclasses.replace(claims[0], signature=claims[1].signature)
    assert refusal(shop, altered(data, claims=(swapped, claims[1]))) == (PeerError, Rule.CLAIM)


def test_another_phones_key_is_not_covered_by_the_proof(shop):
    """The claim of a key that is in a set, in place of one that is not."""
    data = shop.absence(shop.claims(WITHDRAWN, 3), shop.since)
    assert refusal(shop, altered(data, claims=(shop.claim(1, 3),))) == (ServerError, Rule.LEAVES)


def test_unpublished_or_wrong_leaves_stop_the_maker(shop):
    claims = shop.claims(WITHDRAWN, 2)
    with pytest.raises(MisuseError, match="'r2'") as refused:
        shop.absence(claims, shop.since, published={})
    assert refused.value.rule == Rule.EVERY_SET
    leaves = {root: leaves[1:] for root, leaves in shop.published.items()}
    with pytest.raises(ServerError) as wrong:
        shop.absence(claims, shop.since, published=leaves)
    assert wrong.value.rule == Rule.LEAVES
    # Nor is somebody told that a set has their key on the word of leaves that are not the set's.
    with_key = dict.fromkeys(shop.published, shop.finals["r1"][1])
    with pytest.raises(ServerError) as wrong:
        shop.absence(shop.claims(WITHDRAWN, 1), shop.since, published=with_key)
    assert wrong.value.rule == Rule.LEAVES


@pytest.mark.parametrize(
    ("make", "rule"),
    [
        (lambda key, head: LEAF_ROSTER + b"\x80", Rule.LOG_ENTRY),
        (lambda key, head: b"?" + bytes(32), Rule.LOG_ENTRY),
        (lambda key, head: LEAF_SECAGG + b"\x80", Rule.LOG_ENTRY),
        (lambda key, head: entry_of(sign("x", Grant(bytes(32), bytes(32), bytes(32), 1), key)), None),
        (lambda key, head: entry_of(sign(FINAL, Certificate(None, None), key)), Rule.LOG_ENTRY),
        (lambda key, head: entry_of(sign(FINAL, head, SigningKey(b"x" * 32))), Rule.HEAD_SIGNATURE),
        (lambda key, head: entry_of(sign("other", head, key)), Rule.HEAD_SIGNATURE),
        (lambda key, head: entry_of(sign(INCLUDED, head, key)), Rule.EVERY_SET),
        (lambda key, head: entry_of(sign(FINAL, head, key)), Rule.EVERY_SET),
    ],
    ids=["roster", "unknown", "garbage", "grant", "no statement", "stranger", "context", "included", "final"],
)  # fmt: skip
def test_a_set_hides_in_no_entry(shop, make, rule):
    """The log's owner logs what it likes: what may be a set and has no proof is not passed over."""
    members = LeafSet(shop.finals["r1"][1])
    head = SetHead(bytes(32), bytes(32), len(members), members.root, bytes(32))
    log, view = log_of_its_own([LEAF_CONSENT + bytes(32)], shop.registry)
    since = log.note()
    log.append_entry(make(shop.registry, head))
    part = open_certificate(shop.absence(shop.claims(WITHDRAWN, 2), shop.since)).absence
    wrong = dataclasses.replace(
        part, since=since, until=log.note(), entries=tuple(log.entries[1:]), absences=(),
        before=prove_leaves(log.tree.node, [1], 2),
    )  # fmt: skip
    data = wire.encode(Certificate(None, wrong))
    if rule is None:
        assert verify(shop, data, view=view).sets == 0
    else:
        assert refusal(shop, data, view=view) == (ServerError, rule)
