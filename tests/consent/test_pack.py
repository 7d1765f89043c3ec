"""An evidence pack is checked by one file, without Covey or a network; nothing false in it passes."""

import ast
import dataclasses
import functools
import hashlib
import json
import os
import random
import struct
import subprocess
import sys
from pathlib import Path

import cbor2
import numpy as np
import pytest
from registry_players import sign_sets

from covey_consent.commands.pack import make, pack
from covey_consent.decisions.consent_event import Record, commit
from covey_consent.errors import RequestError
from covey_consent.pack import contents, verify
from covey_consent.pack.archive import CONTEXT
from covey_consent.pack.contents import KINDS, OpenedRecord
from covey_consent.settings import Settings
from covey_consent.transparency.promises import promise, promise_all
from covey_privacy import checkpoint, evidence, wire
from covey_privacy.checkpoint import Checkpoint
from covey_privacy.evidence import CommitteeEvidence, ComplaintCount
from covey_privacy.inclusion_promise import Promise
from covey_privacy.manifest import Manifest, Plan, Step, Windows, sign_manifest
from covey_privacy.merkle import EMPTY, Tree, leaf_hash
from covey_privacy.note import COSIGNATURE, ED25519, VerifierKey, parse
from covey_privacy.registry_messages import LEAF_EVIDENCE, LEAF_MANIFEST, LEAF_ROSTER, NoticeText
from covey_privacy.secagg.log_entries import LEAF_SECAGG, entry_of
from covey_privacy.secagg.messages import (
    DISPUTE,
    DRAW,
    FINAL,
    INCLUDED,
    ROSTER,
    Draw,
    Grant,
    RosterHead,
    SetHead,
)
from covey_privacy.secagg.shape import Band, Shape, standing_shape
from covey_privacy.secagg.terms import RoundTerms
from covey_privacy.signatures import Signed, SigningKey, sign, to_sign
from covey_privacy.witness import cosign

ORIGIN = "covey.test/log"
ALICE = "a11ce" * 6 + "00"
WITNESS_KEY = SigningKey(b"\7" * 32)
WITNESS = VerifierKey("witness.test/1", COSIGNATURE, WITNESS_KEY.public)
STRANGER = SigningKey(b"\3" * 32)
NO_NETWORK = "import socket; socket.socket = socket.create_connection = socket.getaddrinfo = None\n"


def record(number, subject=ALICE):
    return Record(
        ORIGIN, f"event-{number}", subject, "analytics", "granted", "subject", "对话框", "1.0.0", "zh",
        "7e" * 32, 1_800_000_000_000 + number, 0,
    )  # fmt: skip


def held(count, first=0):
    return [OpenedRecord(record(number), bytes([number]) * 32) for number in range(first, first + count)]


@dataclasses.dataclass
class World:
    """A registry's leavings: its settings, key, and the checkpoints that were seen on the way."""

    settings: Settings
    key: SigningKey
    operator: SigningKey
    records: list[OpenedRecord]
    seen: list[str]

    @functools.cached_property
    def log(self):
        return VerifierKey(ORIGIN, ED25519, self.key.public)

    def pack(self, since=0, subject=ALICE):
        return make(self.settings, since, subject, lambda *_: self.records)

    def forged(self, **changed):
        """Return the pack with other files, as a registry that lies would sign it."""
        packed = verify.unpack(self.pack())
        files = {name.replace(".", "_"): name for name in packed}
        packed |= {files.get(name, name): data for name, data in changed.items()}
        facts = json.loads(packed["manifest.json"])
        listed = {n: d for n, d in packed.items() if n not in ("manifest.json", "manifest.sig")}
        facts["files"] = {name: hashlib.sha256(data).hexdigest() for name, data in listed.items()}
        packed["manifest.json"] = json.dumps(facts).encode()
        packed["manifest.sig"] = self.key.sign(to_sign(CONTEXT, packed["manifest.json"]))
        return verify.repack(packed)

    def relogged(self, entries, **changed):
        """Return the pack of a log with these entries, under a checkpoint that the registry's key signed."""
        root = Tree([leaf_hash(entry) for entry in entries]).root()
        note = checkpoint.sign_checkpoint(Checkpoint(ORIGIN, len(entries), root), self.key)
        raw = b"".join(struct.pack(">H", len(entry)) + entry for entry in entries)
        return self.forged(checkpoint=note.encode(), entries=raw, **changed)


_MADE: list[World] = []


@pytest.fixture
def database_url(tmp_path):
    """What is packed is the same from either database, and is made once."""
    return f"sqlite:///{tmp_path}/registry.db"


@pytest.fixture
def world(opened, tmp_path):
    """What a registry left: made for the first test that asks, and a copy of it for each."""
    if not _MADE:
        _MADE.append(played(opened, tmp_path))
    return dataclasses.replace(_MADE[0])


def played(opened, tmp_path):
    """Play a finished round, an open one, fifty events that are logged and one that is promised."""
    with opened() as shop:
        registry = shop.http.app.state.registry
        call = shop.http.portal.call
        seen = [registry.log.head.note]
        for phone in (shop.phone() for _ in range(4)):
            shop.grant(phone, "analytics")
        terms = shop.manifest(shop.issuer("analytics"))
        digest = shop.announce(terms)
        sign_sets(shop, terms, digest, 27, 15)
        assert shop.conclude(terms, digest, "released").status_code == 200
        shop.announce(dataclasses.replace(terms, round_id="round-2"))
        logged = held(50)
        call(
            registry.store.write,
            promise_all,
            [commit(each.salt, each.record) for each in logged],
            registry.calendar,
        )
        call(registry.promises.publish)
        seen.append(registry.log.head.note)
        (waiting,) = held(1, first=50)
        word = promise(registry.key, ORIGIN, commit(waiting.salt, waiting.record), registry.calendar)
        head = registry.log.head
        line = cosign(head.note, WITNESS.name, WITNESS_KEY, 1_800_000_007)
        call(registry.log.cosign, head, WITNESS, max(parse(head.note + line).signatures(WITNESS)))
        settings = Settings(
            database_url=f"sqlite:///{tmp_path}/registry.db", key_file=tmp_path / "registry.key",
            origin=ORIGIN, operator=shop.operator.public.hex(),
        )  # fmt: skip
        records = [*logged, waiting._replace(promise=word)]
        return World(settings, registry.key, shop.operator, records, seen)


def check(data, key=None, seen=None, witnesses=()):
    return verify.check(data, key, seen, witnesses)


def refused(data, says, **given):
    with pytest.raises(verify.RefusedError, match=says):
        check(data, **given)


def alone(tmp_path, data, *arguments):
    """Run the verifier out of the pack as an auditor would: by itself, in a process without a network."""
    (tmp_path / "pack.zip").write_bytes(data)
    (tmp_path / "verify.py").write_bytes(Path(verify.__file__).read_bytes())
    command = [sys.executable, "-I", "verify.py", "pack.zip", *arguments]
    if subprocess.run(["unshare", "-rn", "true"], capture_output=True, check=False).returncode == 0:
        command = ["unshare", "-rn", *command]
    else:
        script = NO_NETWORK + (tmp_path / "verify.py").read_text("utf-8")
        command = [sys.executable, "-I", "-c", script, "pack.zip", *arguments]
    return subprocess.run(command, cwd=tmp_path, env={}, capture_output=True, text=True, check=False)


@pytest.mark.compliance("GDPR 5(2)", "a pack of all that was logged is checked offline, by one file")
def test_a_pack_is_checked_by_one_file_without_covey_and_without_a_network(world, tmp_path):
    (tmp_path / "kept").write_text(world.seen[0], "utf-8")
    given = ["--key", world.log.vkey, "--witness", WITNESS.vkey, "--seen", "kept"]
    done = alone(tmp_path, world.pack(), *given)
    assert done.returncode == 0, done.stdout + done.stderr
    for words in (
        "signed by covey.test/log under the key that you named",
        "entries 0 to 66 give the root",
        "witness.test/1 saw this checkpoint at 2027-01-15T08:00:07+00:00",
        "begins with the 6 entries of the checkpoint that you kept",
        "6 of notice, 1 of issuer keys, 2 of manifest, 1 of evidence",
        "each once: 0 of roster, 0 of draw, 1 of included, 0 of dispute, 1 of final",
        "1 rounds ended, 1 are open",
        "54 commitments",
        f"subject {ALICE}: 50 records are in the log",
        "promised there by 2027-01-15T09:06:00+00:00",
    ):
        assert words in done.stdout, done.stdout


def test_the_verifier_needs_the_standard_library_and_cryptography_alone(world):
    source = verify.unpack(world.pack())["verify.py"]
    assert source == Path(verify.__file__).read_bytes()
    named = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            named |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0
            named.add(node.module.partition(".")[0])
    assert named - set(sys.stdlib_module_names) == {"cryptography"}


def test_a_flipped_byte_is_refused_wherever_it_is(world, tmp_path, capsys):
    data = world.pack()
    places = {*range(0, len(data), 151), *range(60), *range(len(data) - 1200, len(data), 7), len(data) - 1}
    path = tmp_path / "flipped.zip"
    for place in sorted(places):
        path.write_bytes(data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :])
        assert verify.main([str(path)]) == 1, place
        assert capsys.readouterr().out.startswith("REFUSED: "), place
    for cut in (data[:-1], data + b"\0", b"\0" + data, b""):
        path.write_bytes(cut)
        assert verify.main([str(path)]) == 1
    flipped = alone(tmp_path, data[:-2000] + bytes([data[-2000] ^ 128]) + data[-1999:])
    assert (flipped.returncode, flipped.stdout[:7], flipped.stderr) == (1, "REFUSED", "")


def test_the_manifest_lists_every_file_and_no_other(world):
    files = verify.unpack(world.pack())
    refused(verify.repack({**files, "more": b"x"}), "not as listed: more")
    refused(verify.repack({name: data for name, data in files.items() if name != "README.txt"}), "README.txt")


def test_a_pack_of_another_log_is_refused_under_a_pinned_key(world):
    other = VerifierKey(ORIGIN, ED25519, STRANGER.public).vkey
    assert check(world.pack())
    refused(world.pack(), "not of the one that you named", key=other)


def test_without_a_key_from_elsewhere_nothing_is_shown(world, tmp_path):
    alone_ = alone(tmp_path, world.pack())
    assert alone_.returncode == verify.UNPINNED == 3
    last = alone_.stdout.splitlines()[-1]
    assert last.startswith("NOTHING IS SHOWN: this holds only under the key that the pack names")
    assert "All of this holds" not in alone_.stdout
    for key in (world.log.vkey, world.key.public.hex(), world.key.public.hex().upper()):
        done = alone(tmp_path, world.pack(), "--key", key)
        assert (done.returncode, done.stdout.count("All of this holds")) == (0, 1)
    assert alone(tmp_path, world.pack(), "--key", STRANGER.public.hex()).returncode == 1
    assert alone(tmp_path, world.pack(), "--key", "").returncode == 1


def test_a_witness_that_is_named_has_to_have_cosigned(world):
    stranger = VerifierKey("witness.test/1", COSIGNATURE, STRANGER.public)
    refused(world.pack(), "not cosigned", witnesses=[stranger.vkey])
    note = verify.unpack(world.pack())["checkpoint"].decode()
    bad = note.rpartition("— ")[0] + WITNESS.line(bytes(8) + STRANGER.sign(b"other"))
    refused(world.forged(checkpoint=bad.encode()), "not cosigned", witnesses=[WITNESS.vkey])


def entries_of(world):
    return verify.split(verify.unpack(world.pack())["entries"])


def swapped(items, one, other):
    items = list(items)
    items[one], items[other] = items[other], items[one]
    return items


def test_the_unforged_pack_is_good(world):
    assert check(world.forged()) == check(world.pack())
    assert check(world.relogged(entries_of(world)))[2:] == check(world.pack())[2:]


@pytest.mark.parametrize(
    "change", [lambda it: it[:-1], lambda it: swapped(it, 20, 21), lambda it: [*it, it[-1]]]
)
def test_entries_that_do_not_give_the_checkpoint_are_refused(world, change):
    entries = change(entries_of(world))
    raw = b"".join(struct.pack(">H", len(entry)) + entry for entry in entries)
    refused(world.forged(entries=raw), "do not give the checkpoint's root")


def test_a_checkpoint_that_another_key_signed_is_refused(world):
    note = checkpoint.sign_checkpoint(Checkpoint(ORIGIN, 1, bytes(32)), STRANGER)
    refused(world.forged(checkpoint=note.encode()), "not signed by the log's key")


@pytest.mark.parametrize("size", [0, 1])
def test_a_log_that_was_cut_or_forked_does_not_continue_what_was_seen(world, size):
    seen = world.seen[1]
    assert check(world.pack(), seen=seen)
    entries = entries_of(world)
    refused(world.relogged(entries[:20], documents_json=told(world, 20)), "cut or rewritten", seen=seen)
    refused(world.relogged(swapped(entries, 30, 31)), "cut or rewritten", seen=seen)


def told(world, size):
    documents = json.loads(verify.unpack(world.pack())["documents.json"])
    return json.dumps([one for one in documents if one["index"] < size]).encode()


def changed(world, kind, **fields):
    documents = json.loads(verify.unpack(world.pack())["documents.json"])
    one = next(one for one in documents if one["kind"] == kind)
    one["says"] |= fields
    return json.dumps(documents).encode()


def test_documents_are_told_as_they_were_logged(world):
    refused(world.forged(documents_json=changed(world, "evidence", epsilon=0.1)), "told otherwise")
    refused(world.forged(documents_json=changed(world, "notice", basis="law")), "told otherwise")
    refused(world.forged(documents_json=changed(world, "manifest", extra=1)), "with other fields")
    refused(
        world.forged(documents_json=renamed(world, "members", "threshold")), r"evidence at \d+ is told with"
    )
    refused(
        world.forged(documents_json=renamed(world, "privacy", "packing")), r"manifest at \d+ is told with"
    )
    refused(world.forged(documents_json=told(world, 9)), "or not at all")


def renamed(world, one, other):
    """Return the documents with two names of fields swapped in every record that has both."""

    def swap(value):
        if isinstance(value, list):
            return [swap(each) for each in value]
        if not isinstance(value, dict):
            return value
        names = {one: other, other: one} if {one, other} <= value.keys() else {}
        return {names.get(name, name): swap(each) for name, each in value.items()}

    return json.dumps(swap(json.loads(verify.unpack(world.pack())["documents.json"]))).encode()


def replaced(world, change):
    """Return the pack of a log whose entries, and what is told of them, were changed alike."""
    documents = {one["index"]: one for one in json.loads(verify.unpack(world.pack())["documents.json"])}
    logged = entries_of(world)
    order = change(list(range(len(logged))))
    moved = [{**documents[old], "index": new} for new, old in enumerate(order) if old in documents]
    entries = [logged[old] for old in order]
    return world.relogged(entries, documents_json=json.dumps(moved).encode())


@pytest.mark.parametrize(
    ("change", "says"),
    [  # 0 to 5 are notices; 6 the issuer keys, 7 the manifest, 8 and 9 the sets, 10 the evidence.
        (lambda order: swapped(order, 7, 8), "included at 7 rests on something"),
        (lambda order: swapped(order, 7, 10), "rests on something that was not logged before"),
        (lambda order: swapped(order, 6, 7), "manifest at 6 rests on something"),
        (lambda order: [each for each in order if each != 9], "contradicts its round's documents: final"),
        (lambda order: [each for each in order if each != 8], "contradicts its round's documents: included"),
        (lambda order: [each for each in order if each != 7], "rests on something"),
        (lambda order: swapped(order, 9, 10), "evidence at 9 came before final of its round"),
        (lambda order: [*order, 10], "the second one of its name"),
        (lambda order: [*order, 9], "the second one of its name"),
        (lambda order: [*order, 8], "the second one of its name"),
    ],
)
def test_every_round_was_announced_before_it_and_ended_once(world, change, says):
    refused(replaced(world, change), says)


@pytest.mark.parametrize(
    ("field", "value", "says"),
    [
        ("sigma", 99.0, "contradicts its round's documents: sigma"),
        ("included", bytes(32), "contradicts its round's documents: included"),
        ("final", bytes(32), "contradicts its round's documents: final"),
        ("cohort", 200, "contradicts its round's documents: cohort"),
        ("excluded", 20, "contradicts its round's documents: excluded"),
        ("committees", (), "contradicts its round's documents: committees"),
        ("committees", (CommitteeEvidence(1, 4, 1, 4),), "contradicts its round's documents: committees"),
        ("committees", (CommitteeEvidence(1, 4, 2, 1),), "has a sum that too few decryptors opened"),
        ("outcome", "burnt", "names a release exactly if there is one"),
        ("release", bytes(32), "names a release exactly if there is one"),
    ],
)
def test_evidence_that_contradicts_its_round_is_refused(world, field, value, says):
    """Whoever runs the registry logged what it should have refused."""
    entries = list(entries_of(world))
    place = next(index for index, entry in enumerate(entries) if entry[:1] == LEAF_EVIDENCE)
    leaf = wire.decode(evidence.Evidence, wire.decode(Signed, entries[place][1:]).body)
    wrong = sign(evidence.CONTEXT, dataclasses.replace(leaf, **{field: value}), world.operator)
    entries[place] = LEAF_EVIDENCE + wrong
    shown = value.hex() if isinstance(value, bytes) else value
    if field == "committees":
        shown = [dataclasses.asdict(each) for each in value]
    refused(world.relogged(entries, documents_json=changed(world, "evidence", **{field: shown})), says)


def step_entry(world, step, key=None, **fields):
    """A step's log entry with changed fields, signed by the registry or by another key."""
    head = next(
        wire.decode(SetHead, wire.decode(Signed, entry[1:]).body)
        for entry in entries_of(world)
        if entry[:1] == LEAF_SECAGG
    )
    return entry_of(sign(step, dataclasses.replace(head, **fields), key or world.key))


def with_entry(world, place, entry):
    entries = list(entries_of(world))
    entries[place] = entry
    return world.relogged(entries)


def test_what_the_registry_signed_in_rounds_is_held_against_its_key(world):
    assert check(with_entry(world, 8, step_entry(world, INCLUDED)))
    refused(with_entry(world, 8, step_entry(world, INCLUDED, STRANGER)), "entry 8 is no step of a round")
    refused(with_entry(world, 8, step_entry(world, "manifest")), "entry 8 is no step of a round")


def test_a_step_with_other_fields_is_refused(world):
    short = entry_of(sign(INCLUDED, RosterHead(bytes(32), 27, bytes(32)), world.key))
    refused(with_entry(world, 8, short), "the included at 8 has other fields")


def test_a_final_set_is_part_of_its_included_set(world):
    documents = json.loads(verify.unpack(world.pack())["documents.json"])
    says = next(one["says"] for one in documents if one["kind"] == "evidence")
    included, final = (bytes.fromhex(says[name]) for name in ("included", "final"))
    good = {"size": 15, "root": final, "before": included}
    assert check(with_entry(world, 9, step_entry(world, FINAL, **good)))
    for wrong in ({"before": bytes(32)}, {"size": 28}, {"context": bytes(32)}):
        entry = step_entry(world, FINAL, **{**good, **wrong})
        refused(with_entry(world, 9, entry), "final set is of another included set")
    refused(with_entry(world, 8, step_entry(world, INCLUDED, before=b"x" * 32)), "follows another set")


def test_a_round_of_both_committees_is_checked_to_its_end(witnessed, play, database_url, tmp_path):
    round_ = play(witnessed, "both")
    round_.add_up(np.zeros((6, 10), np.int64))
    assert witnessed.conclude(round_.manifest, round_.info.digest, "released").status_code == 200
    settings = Settings(
        database_url=database_url, key_file=tmp_path / "registry.key", origin=ORIGIN,
        operator=witnessed.operator.public.hex(),
    )  # fmt: skip
    # The test's issuer keys are in no log, so that the pack has to begin behind them.
    lines = check(make(settings, 1, None))
    assert any("1 of roster, 1 of draw, 1 of included, 0 of dispute, 1 of final" in line for line in lines)
    assert any(line.startswith("rounds: 1 rounds ended, 0 are open") for line in lines)


def test_a_release_is_held_against_the_evidence_that_names_it(world, tmp_path, capsys):
    (tmp_path / "pack.zip").write_bytes(world.pack())
    for name, data in (("q1", b"a signed release"), ("other", b"another release")):
        (tmp_path / name).write_bytes(data)
    asked = [str(tmp_path / "pack.zip"), "--key", world.log.vkey, "--release"]
    assert verify.main([*asked, str(tmp_path / "q1")]) == 0
    assert "q1 is what round round-1 gave" in capsys.readouterr().out
    assert verify.main([*asked, str(tmp_path / "other")]) == 1
    assert "no evidence in this pack names the release in" in capsys.readouterr().out


def test_what_the_operator_is_said_to_have_signed_is_held_against_its_key(world):
    world.settings = world.settings.model_copy(update={"operator": STRANGER.public.hex()})
    refused(world.pack(), "is not signed by the operator")


def people(world, change):
    files = verify.unpack(world.pack())
    name = f"subjects/{ALICE}.json"
    person = json.loads(files[name])
    change(person)
    return world.forged(**{name: json.dumps(person).encode()})


@pytest.mark.compliance("GDPR 7(1)", "a record that is not the one committed to in the log is refused")
@pytest.mark.parametrize(
    ("change", "says"),
    [
        (
            lambda person: person["records"][0]["record"].update(state="withdrawn"),
            "not what the log commits to",
        ),
        (lambda person: person["records"][0]["record"].update(more=1), "not what the log commits to"),
        (lambda person: person["records"][1].update(salt="00" * 32), "not what the log commits to"),
        (lambda person: person["records"][0]["record"].update(subject="b0b"), "another's"),
        (lambda person: person.update(subject="b0b"), "another's"),
        (lambda person: person["records"][50].update(promise=""), "not what the log commits to"),
        (lambda person: person["records"][50]["record"].update(at=1), "neither in the log nor promised"),
    ],
)
def test_a_persons_records_are_those_that_the_log_commits_to(world, change, says):
    assert check(people(world, lambda person: None))
    refused(people(world, change), says)


def test_a_later_part_of_the_log_gives_the_same_root(world):
    whole = check(world.pack(0, None))
    for since in (1, 6, 9, 10, 32, 64, 66):
        part = check(world.pack(since, None), seen=world.seen[1])
        assert f"entries {since} to 66 give the root" in part[1]
        assert part[0].replace("8 files", "") == whole[0].replace("8 files", "")
    assert "not shown: 2 documents rest on some from before" in "\n".join(check(world.pack(8, None)))
    refused(world.pack(7, None), "begins at entry 7", seen=world.seen[0])
    with pytest.raises(RequestError, match="cannot begin at 67"):
        world.pack(67, None)


def test_the_fields_are_those_of_the_messages():
    classes = dict(KINDS.values()) | {"promise": Promise}
    assert {kind: tuple(names.split()) for kind, names in verify.FIELDS.items()} == {
        kind: tuple(field.name for field in dataclasses.fields(cls)) for kind, cls in classes.items()
    }
    nested = {
        "texts": NoticeText, "plan": Plan, "steps": Step, "terms": RoundTerms, "standing": Shape,
        "bands": Band, "shape": Shape, "windows": Windows, "committees": CommitteeEvidence,
        "complaints": ComplaintCount,
    }  # fmt: skip
    assert {field: tuple(names.split()) for field, names in verify.NESTED.items()} == {
        field: tuple(each.name for each in dataclasses.fields(cls)) for field, cls in nested.items()
    }
    assert {leaf: kind for leaf, (kind, _) in KINDS.items()} == verify.KINDS
    steps = {ROSTER: RosterHead, DRAW: Draw, INCLUDED: SetHead, DISPUTE: Grant, FINAL: SetHead}
    assert {f"secagg/{step}": tuple(names.split()) for step, names in verify.STEPS.items()} == {
        context: tuple(field.name for field in dataclasses.fields(cls)) for context, cls in steps.items()
    }
    assert (verify.STEP, verify.EARLIER_ROSTER) == (LEAF_SECAGG, LEAF_ROSTER)
    assert EMPTY.hex() == verify.NOBODY


def test_a_pack_is_made_while_the_registry_serves(opened, tmp_path, database_url):
    with opened() as shop:
        shop.grant(shop.phone(), "train")
        settings = Settings(database_url=database_url, key_file=tmp_path / "registry.key", origin=ORIGIN)
        assert check(make(settings, 0, None))


def test_the_command_says_how_to_check_and_overwrites_nothing(world, tmp_path, capsys):
    out = tmp_path / "out.zip"
    before = os.umask(0o022)
    try:
        assert pack(out, settings=world.settings) == 0
        assert out.stat().st_mode & 0o777 == 0o600
        assert f"verify.py out.zip --key {world.log.vkey}" in capsys.readouterr().out
        assert check(out.read_bytes(), key=world.log.vkey)
        with pytest.raises(RequestError, match="not overwritten"):
            pack(out, settings=world.settings)
        with pytest.raises(RequestError, match="leave --since out"):
            pack(tmp_path / "other.zip", 5, ALICE, settings=world.settings)
    finally:
        os.umask(before)


@pytest.mark.parametrize("kinds", ["standing", "drawn", "both"])
def test_the_manifest_of_a_round_in_one_message_is_told_as_it_is_logged(kinds):
    """Organisations and other records are one byte string there."""
    organisations = (b"\1" * 32, b"\2" * 32, b"\3" * 32, b"\4" * 32) if kinds != "drawn" else ()
    bands = (Band(1, 2**32 - 1, Shape(108, 26, 16, 6)),) if kinds != "standing" else ()
    terms = RoundTerms(
        8, 0, 640.0, 2, 40, 0.05, 0.3, 100, organisations, standing_shape() if organisations else None, bands,
        bytes(32),
    )  # fmt: skip
    manifest = Manifest(
        "round-1", "q1", "analytics", ("analytics",), 20_000, "test", bytes(32), bytes(32), 8, 1.0, 64.0,
        10.0, 0.5, 1e-6, 30, 0.05, 2, 3, 1, terms=terms, windows=Windows(1, 2, 3, 4), slot=2,
    )  # fmt: skip
    signed = sign_manifest(manifest, STRANGER)
    told = json.loads(contents._to_json(contents._read_document(3, LEAF_MANIFEST + signed)))
    entries = [b"", b"", b"", LEAF_MANIFEST + signed]
    documents = verify.check_documents([told], entries, 0, STRANGER.public.hex())
    assert documents[3][1]["slot"] == 2
    told["says"]["terms"]["issued"] = 39
    with pytest.raises(verify.RefusedError, match="told otherwise"):
        verify.check_documents([told], entries, 0, STRANGER.public.hex())


ODD = (None, True, -1, 2**70, 1.5, "", "x+y", "\ud800", [], [0], {}, {"x": 0})
"""What stands where something else is expected."""


def paths(value, path=()):
    """Every place in a JSON value, by the keys that lead to it."""
    yield path
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, each in inner:
        yield from paths(each, (*path, key))


def with_value(value, path, odd):
    """The JSON value with another value at a place."""
    if not path:
        return odd
    key, *rest = path
    copied = dict(value) if isinstance(value, dict) else list(value)
    copied[key] = with_value(copied[key], rest, odd)
    return copied


def is_refused(data):
    """Say whether a pack is refused; no other error may come."""
    try:
        check(data)
    except verify.RefusedError:
        return True
    return False


@pytest.mark.parametrize("name", ["manifest.json", "documents.json", f"subjects/{ALICE}.json"])
def test_no_value_that_a_registry_writes_stops_the_verifier(world, name):
    files = verify.unpack(world.pack())
    facts, value, chance = json.loads(files["manifest.json"]), json.loads(files[name]), random.Random(7)
    refusals = 0
    for path in chance.choices([*paths(value)][1:], k=20):
        for odd in ODD:
            data = json.dumps(with_value(value, path, odd)).encode()
            digests = {**facts["files"], name: hashlib.sha256(data).hexdigest()}
            manifest = json.dumps({**facts, "files": digests}).encode()
            if name == "manifest.json":
                manifest = data
            signed = {"manifest.json": manifest, "manifest.sig": world.key.sign(to_sign(CONTEXT, manifest))}
            refusals += is_refused(verify.repack({**files, name: data, **signed}))
    assert refusals > 20 * (len(ODD) - 2)


@pytest.mark.parametrize("kind", ["manifest", "evidence"])
def test_no_value_that_an_operator_signs_stops_the_verifier(world, kind):
    """The sets and the evidence are those of the manifest that is logged, whatever stands in it."""
    data = world.pack(subject=None)
    world.pack = lambda: data
    entries, documents = entries_of(world), json.loads(verify.unpack(data)["documents.json"])
    told = {one["index"]: one["says"] for one in documents}
    heads = [wire.decode(SetHead, wire.decode(Signed, entry[1:]).body) for entry in entries[8:10]]

    def logged(index, context):
        body = cbor2.dumps(verify.to_plain(told[index]))
        signed = wire.encode(Signed(body, world.operator.sign(to_sign(context, body))))
        return hashlib.sha256(body).digest(), entries[index][:1] + signed

    changed_says, refusals = told[7 if kind == "manifest" else 10], []
    for field, good in [*changed_says.items()]:
        for odd in (good, None, -1, 2**63, 1.5, "", [], [0], [[0] * 12], [[0, [0], [0]]]):
            changed_says[field] = odd
            digest, manifest = logged(7, "manifest")
            if field != "manifest":
                told[10]["manifest"] = digest.hex()
            _, last = logged(10, "evidence")
            sets = [
                entry_of(sign(step, dataclasses.replace(head, manifest=digest), world.key))
                for step, head in zip((INCLUDED, FINAL), heads, strict=True)
            ]
            file = json.dumps([one for one in documents if one["index"] <= 10]).encode()
            log = [*entries[:7], manifest, *sets, last]
            refusals.append(is_refused(world.relogged(log, documents_json=file)))
        changed_says[field] = good
    assert refusals[0] is False
    assert sum(refusals) > len(refusals) / 3


@pytest.mark.parametrize(
    "entry", [b"S", b"S\x82", b"S" + b"\x81" * 5000, b"M\x60", b"E\x82\x40\x40", b"E\xff"]
)
def test_an_entry_that_is_no_message_is_refused(world, entry):
    assert is_refused(with_entry(world, 8, entry))


def test_a_fault_of_the_verifier_is_not_called_one_of_the_pack(world, tmp_path, monkeypatch, capsys):
    def broken(*_):
        raise TypeError("a fault")

    (tmp_path / "pack.zip").write_bytes(world.pack())
    monkeypatch.setattr(verify, "check_rounds", broken)
    with pytest.raises(TypeError, match="a fault"):
        verify.main([str(tmp_path / "pack.zip")])
    assert "REFUSED" not in capsys.readouterr().out


def test_a_pack_that_is_not_there_is_refused(tmp_path, capsys):
    assert verify.main([str(tmp_path / "none.zip")]) == 1
    assert "No such file" in capsys.readouterr().out
