"""Checks an evidence pack of a Covey consent registry, offline: python -I verify.py pack.zip --key KEY

It needs Python 3.11 and `cryptography` for Ed25519, nothing else: no network, no Covey. KEY is the key of the
registry's log, name+id+key or 64 hex digits, which you have from elsewhere than this pack; so should you have
this file. It prints what it found to hold and exits with 0, or says what does not hold and exits with 1.
Without KEY it exits with 3: whoever made the pack up also chose the key in it, so that nothing is shown.
"""

import argparse
import base64
import hashlib
import hmac
import io
import json
import struct
import sys
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

UNPINNED = 3
"""The exit status where no key was named. 2 is argparse's own."""
FORMAT = "covey evidence pack 1"
MANIFEST, SIGNATURE = "manifest.json", "manifest.sig"
KINDS = {
    b"N": "notice",
    b"I": "issuer keys",
    b"M": "manifest",
    b"E": "evidence",
    b"X": "epoch end",
}
FIELDS = {
    "notice": "purpose version minor patch basis epsilon epsilon_total delta texts",
    "issuer keys": "purposes epoch contribute volunteer",
    "manifest": "round_id query purpose purposes epoch profile issuer model length norm scale sigma epsilon "
    "delta bits gamma honest least_issued least_cell plan step previous "
    "terms windows slot",
    "evidence": "round_id query purposes profile manifest model included final cohort excluded denials "
    "committees complaints integrity_proved norm sigma epsilon epsilon_so_far delta honest least_issued "
    "outcome code_version shared_operator annex proofs release",
    "epoch end": "epoch at reason",
    "promise": "log commitment at publish_by",
}
REPEATED = "round_id query purposes profile model norm sigma epsilon delta honest least_issued"
"""What evidence repeats of its manifest."""
SIGNED = ("manifest", "evidence")
"""What a log entry says, field by field; those signed by the operator are a body and its signature."""
STEPS = {
    "roster": "manifest size root",
    "draw": "manifest roster nonce committee",
    "included": "manifest context size root before",
    "dispute": "manifest context leaf decryptor",
    "final": "manifest context size root before",
}
"""What the registry signs in a round, field by field; each is a log entry behind `STEP`."""
STEP = b"S"
NO_ROOT = bytes(32).hex()
NOBODY = hashlib.sha256(b"").hexdigest()
"""The root of a set that was not signed."""
EARLIER_ROSTER, EARLIER_EVIDENCE = b"R", 24
"""What earlier versions logged of rounds, and how many fields their evidence has. It is not read."""

Log = list[bytes]
Documents = dict[int, tuple[str, dict[str, Any]]]
Steps = dict[str, dict[str, dict[str, Any]]]
"""By the digest of a round's manifest and the step: what the registry signed."""


class RefusedError(Exception):
    """Something in the pack does not hold."""


def require(holds: object, otherwise: str) -> None:
    """Refuse the pack unless it holds."""
    if not holds:
        raise RefusedError(otherwise)


def main(arguments: Sequence[str] | None = None) -> int:
    """Check a pack, say what holds, and return the exit status."""
    parser = argparse.ArgumentParser(description="Check a Covey evidence pack, offline.")
    parser.add_argument("pack", help="the evidence pack")
    parser.add_argument(
        "--key", help="the registry's key: name+id+key, or 64 hex digits; without it exit is 3"
    )
    parser.add_argument("--seen", help="file of a checkpoint that you kept: this log has to continue it")
    parser.add_argument(
        "--witness", action="append", default=[], help="a verifier key; it has to have cosigned"
    )
    parser.add_argument(
        "--release",
        action="append",
        default=[],
        help="file of a signed release, which evidence has to name",
    )
    asked = parser.parse_args(arguments)
    try:
        with open(asked.pack, "rb") as pack:
            releases = {name: _digest(name) for name in asked.release}
            lines = check(pack.read(), asked.key, _text(asked.seen), asked.witness, releases)
    except RefusedError as error:
        print(f"REFUSED: {error}")
        return 1
    except Exception as error:  # noqa: BLE001  whatever cannot be read does not hold
        print(f"REFUSED: this cannot be read as an evidence pack: {type(error).__name__}: {error}")
        return 1
    print("\n".join(lines))
    if asked.key is None:
        print(
            "NOTHING IS SHOWN: this holds only under the key that the pack names. Name your own with --key."
        )
        return UNPINNED
    print("All of this holds. No pack shows that the registry packed everything it ever said to anyone.")
    return 0


def check(
    data: bytes,
    key: str | None,
    seen: str | None,
    witnesses: Sequence[str],
    releases: Mapping[str, str] | None = None,
) -> list[str]:
    """Return what holds, in words; `releases` are the hashes of signed releases, by the names of their files.

    Raises RefusedError, or another error where the pack is malformed.
    """
    files = unpack(data)
    facts = json.loads(files[MANIFEST])
    lines = [check_files(files, facts, key)]
    note, entries, start = files["checkpoint"].decode(), split(files["entries"]), facts["start"]
    size, root = check_note(note, facts["log"])
    tree = Tree(start, files["before"])
    for entry in entries:
        tree.add(sha256(b"\0" + entry))
    require((tree.size, tree.root()) == (size, root), f"the {size} entries do not give the checkpoint's root")
    lines.append(f"log: entries {start} to {size} give the root that the checkpoint states")
    lines += [check_cosignature(note, witness) for witness in witnesses]
    if seen is not None:
        lines.append(check_seen(seen, facts["log"], start, files["before"], entries))
    documents = check_documents(json.loads(files["documents.json"]), entries, start, facts["operator"])
    steps, told = check_steps(entries, start, parse_key(facts["log"], 1)[1], documents)
    lines += [*check_rounds(documents, steps, entries, start), told]
    lines += check_releases(documents, releases or {})
    return [*lines, *check_records(files, facts, entries, start)]


# The pack: every byte of it is either listed in the manifest, which the registry signed, or follows from it.


def unpack(data: bytes) -> dict[str, bytes]:
    """Return the files, out of the one container that holds these files."""
    with zipfile.ZipFile(io.BytesIO(data)) as container:
        held = container.infolist()
        require(all(each.compress_type == zipfile.ZIP_STORED for each in held), "its files are compressed")
        files = {each.filename: container.read(each) for each in held}
    require(repack(files) == data, "the container is not the one that was packed")
    return files


def repack(files: Mapping[str, bytes]) -> bytes:
    """Return the container of these files: always the same bytes."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as container:
        for name, content in files.items():
            info = zipfile.ZipInfo(name)
            info.create_system, info.external_attr = 3, 0o644 << 16
            container.writestr(info, content)
    return packed.getvalue()


def check_files(files: Mapping[str, bytes], facts: Mapping[str, Any], key: str | None) -> str:
    """Hold the files against the manifest, and the manifest against the registry's key."""
    require(facts["format"] == FORMAT, f"its format is {facts['format']!r}; this checks {FORMAT!r}")
    name, public = parse_key(facts["log"], 1)
    same = key is None or key == facts["log"] or key.lower() == public.hex()
    require(same, f"it is of the log {facts['log']!r}, not of the one that you named")
    signed = b"covey/1/pack\0" + files[MANIFEST]
    require(is_signed(public, signed, files[SIGNATURE]), "the registry did not sign the manifest")
    digests = {name: sha256(data).hex() for name, data in files.items() if name not in (MANIFEST, SIGNATURE)}
    require(
        digests == facts["files"], f"these files are not as listed: {_differing(digests, facts['files'])}"
    )
    pinned = "the key that you named" if key else "the key that it names itself; name yours with --key"
    return f"pack: {len(files)} files as the manifest lists them, signed by {name} under {pinned}"


# The log: RFC 9162 hashes under a signed checkpoint (C2SP tlog-checkpoint, tlog-cosignature).


class Tree:
    """A Merkle tree (RFC 9162, 2.1) as its complete subtrees, greatest first; it may begin in the middle."""

    def __init__(self, size: int, before: bytes) -> None:
        self.size = size
        heights = [height for height in reversed(range(size.bit_length())) if size >> height & 1]
        require(len(before) == 32 * len(heights), "the heads of the entries before are not complete")
        self._parts = [(height, before[32 * n : 32 * n + 32]) for n, height in enumerate(heights)]

    def add(self, leaf: bytes) -> None:
        """Add a leaf hash at the end."""
        height = 0
        while self._parts and self._parts[-1][0] == height:
            leaf = sha256(b"\1" + self._parts.pop()[1] + leaf)
            height += 1
        self._parts.append((height, leaf))
        self.size += 1

    def root(self) -> bytes:
        """Return the head of all leaves."""
        if not self._parts:
            return sha256(b"")
        root = self._parts[-1][1]
        for _, part in reversed(self._parts[:-1]):
            root = sha256(b"\1" + part + root)
        return root


def split(data: bytes) -> Log:
    """Return the entries, each behind its length in two bytes."""
    entries, place = [], 0
    while place < len(data):
        end = place + 2 + int.from_bytes(data[place : place + 2])
        entries.append(data[place + 2 : end])
        place = end
    require(place == len(data), "the last entry is cut off")
    return entries


def check_note(note: str, key: str) -> tuple[int, bytes]:
    """Return size and root of a checkpoint that the log's key signed."""
    name, public = parse_key(key, 1)
    text = note.rpartition("\n\n")[0] + "\n"
    made = signatures(note, key)
    good = made and all(is_signed(public, text.encode(), each) for each in made)
    require(good, "the checkpoint is not signed by the log's key")
    origin, size, root = text.split("\n")[:3]
    require(origin == name, f"the checkpoint is of the log {origin!r}, not of {name!r}")
    return int(size), base64.b64decode(root, validate=True)


def check_cosignature(note: str, witness: str) -> str:
    """Hold a witness's cosignatures against the checkpoint."""
    name, public = parse_key(witness, 4)
    text = (note.rpartition("\n\n")[0] + "\n").encode()
    made = [(int.from_bytes(each[:8]), each[8:]) for each in signatures(note, witness)]
    good = all(is_signed(public, b"cosignature/v1\ntime %d\n" % at + text, each) for at, each in made)
    require(made and good, f"the checkpoint is not cosigned by {name}")
    return (
        f"witness: {name} saw this checkpoint at {moment(1000 * max(made)[0])}, and none that contradicts it"
    )


def check_seen(seen: str, key: str, start: int, before: bytes, entries: Log) -> str:
    """Hold the log against a checkpoint that was seen earlier: it has to begin with that log."""
    size, root = check_note(seen, key)
    require(start <= size, f"the pack begins at entry {start}; the checkpoint seen before has {size} entries")
    tree = Tree(start, before)
    for entry in entries[: size - start]:
        tree.add(sha256(b"\0" + entry))
    continues = (tree.size, tree.root()) == (size, root)
    require(
        continues, f"this log does not begin with the {size} entries seen before: it was cut or rewritten"
    )
    return f"seen: the log begins with the {size} entries of the checkpoint that you kept"


# What the entries say.


def check_documents(told: list[Any], entries: Log, start: int, operator: str | None) -> Documents:
    """Return the documents that the pack tells, by their place in the log, each held against its entry."""
    documents: Documents = {}
    for one in told:
        index, kind, says = one["index"], one["kind"], one["says"]
        entry = entries[index - start] if 0 <= index - start < len(entries) else b""
        require(KINDS.get(entry[:1]) == kind, f"entry {index} of the log is no {kind}")
        body = signed_body(entry[1:], kind, operator, index) if kind in SIGNED else entry[1:]
        require(list(says) == FIELDS[kind].split(), f"the {kind} at {index} is told with other fields")
        require(
            plain(says) == plain(decode(body)), f"the {kind} at {index} is told otherwise than it is logged"
        )
        documents[index] = (kind, {**says, "digest": sha256(body).hex()})
    logged = {index for index, entry in enumerate(entries, start) if is_document(entry)}
    require(set(documents) == logged and len(told) == len(logged), "documents are told twice, or not at all")
    return documents


def is_document(entry: bytes) -> bool:
    """Say whether an entry is a document of this version."""
    kind = KINDS.get(entry[:1])
    if kind != "evidence":
        return kind is not None
    return len(decode(decode(entry[1:])[0])) != EARLIER_EVIDENCE


def signed_body(data: bytes, kind: str, operator: str | None, index: int) -> bytes:
    """Return the body of what the operator signed."""
    body, signature = decode(data)
    signed = f"covey/1/{kind}\0".encode() + body
    good = operator is None or is_signed(bytes.fromhex(operator), signed, signature)
    require(good, f"the {kind} at {index} is not signed by the operator")
    return bytes(body)


def check_steps(entries: Log, start: int, registry: bytes, documents: Documents) -> tuple[Steps, str]:
    """Return what the registry signed in each round, and a line about it.

    Every step follows the manifest that it names, and but for disputes each was signed once.
    """
    announced = {says["digest"]: at for at, (kind, says) in documents.items() if kind == "manifest"}
    steps: Steps = {}
    counts = dict.fromkeys(STEPS, 0)
    for index, entry in enumerate(entries, start):
        if entry[:1] != STEP:
            continue
        step, says = read_step(entry[1:], registry, index)
        before = announced.get(says["manifest"], -1 if start else index)
        require(before < index, f"the {step} at {index} rests on something that was not logged before it")
        name = step + says["leaf"] if step == "dispute" else step
        signed = steps.setdefault(says["manifest"], {})
        require(name not in signed, f"the {step} at {index} is the second one of its name")
        signed[name] = {**says, "at": index}
        counts[step] += 1
    for signed in steps.values():
        check_sets(signed)
    told = ", ".join(f"{count} of {step}" for step, count in counts.items())
    return steps, f"signed by the registry in rounds, each once: {told}"


def read_step(data: bytes, registry: bytes, index: int) -> tuple[str, dict[str, Any]]:
    """Return which step an entry is, by the context under which the registry signed it, and what it says."""
    body, signature = decode(data)
    for step, fields in STEPS.items():
        if is_signed(registry, f"covey/1/secagg/{step}\0".encode() + body, signature):
            said = plain(decode(body))
            require(len(said) == len(fields.split()), f"the {step} at {index} has other fields")
            return step, dict(zip(fields.split(), said, strict=True))
    raise RefusedError(f"entry {index} is no step of a round that the registry signed")


def check_sets(signed: Mapping[str, Mapping[str, Any]]) -> None:
    """Hold a final set against the included set that it is part of."""
    included, final = signed.get("included"), signed.get("final")
    require(included is None or included["before"] == NO_ROOT, "an included set follows another set")
    if included is not None and final is not None:
        fits = (final["before"], final["context"]) == (included["root"], included["context"])
        require(fits and final["size"] <= included["size"], "a final set is of another included set")


def check_rounds(documents: Documents, steps: Steps, entries: Log, start: int) -> list[str]:
    """Hold every round's evidence against the manifest, the issuer keys and the sets that came before it."""
    known: dict[str, set[str]] = {"manifest": set(), "issuer keys": set(), "evidence": set()}
    manifests = {says["digest"]: says for kind, says in documents.values() if kind == "manifest"}
    earlier = 0
    for index, (kind, says) in sorted(documents.items()):
        names = says.get("manifest", says.get("issuer"))
        if names is not None:
            before = names in known["issuer keys" if kind == "manifest" else "manifest"]
            require(
                before or start, f"the {kind} at {index} rests on something that was not logged before it"
            )
            earlier += not before
        if kind == "evidence":
            late = [step for step, signed in steps.get(str(names), {}).items() if signed["at"] > index]
            require(not late, f"the evidence at {index} came before {', '.join(late)} of its round")
        if kind == "evidence" and names in manifests:
            check_evidence(says, manifests[names], steps.get(str(names), {}), index)
        if kind in known:
            name = says["digest"] if kind in ("manifest", "issuer keys") else says["manifest"]
            require(name not in known[kind], f"the {kind} at {index} is the second one of its name")
            known[kind].add(name)
    counts = [f"{sum(kind == each for kind, _ in documents.values())} of {each}" for each in KINDS.values()]
    lines = [f"documents, as told and as logged: {', '.join(counts)}"]
    running = {digest for digest, says in manifests.items() if says["terms"] is not None}
    rounds = f"{len(known['evidence'])} rounds ended, {len(running - known['evidence'])} are open"
    lines.append(f"rounds: {rounds}; each was announced before it began and ended once")
    if earlier:
        lines.append(f"not shown: {earlier} documents rest on some from before this pack begins")
    old = [
        entry for entry in entries
        if entry[:1] == EARLIER_ROSTER or (entry[:1] in KINDS and not is_document(entry))
    ]  # fmt: skip
    if old:
        lines.append(f"not read: {len(old)} entries about rounds of earlier versions")
    others = sum(entry[:1] not in (*KINDS, b"C", STEP, EARLIER_ROSTER) for entry in entries)
    return [*lines, f"not read: {others} entries of other kinds"] if others else lines


def check_evidence(
    says: Mapping[str, Any], manifest: Mapping[str, Any], signed: Mapping[str, Mapping[str, Any]], index: int
) -> None:
    """Hold what evidence repeats against the manifest and the signed sets, and its outcome against both."""
    outcome = says["outcome"].partition(":")[0]
    taken = {name: signed.get(name) for name in ("included", "final")}
    if outcome == "aborted":  # The coordinator may have given up before it took a set.
        taken = {name: each for name, each in taken.items() if says[name] != NOBODY}
    included, final = taken.get("included"), taken.get("final")
    gone = included["size"] - final["size"] if included and final else 0
    logged: dict[str, Any] = {
        "included": included["root"] if included else NOBODY,
        "final": final["root"] if final else NOBODY,
        "cohort": included["size"] // 10 * 10 if included else 0,
        "excluded": gone // 10 * 10,
        "committees": shapes(manifest["terms"], signed.get("roster")) if included else [],
    }
    stated = dict(says)
    stated["committees"] = [[each["kind"], each["members"], each["threshold"]] for each in says["committees"]]
    wrong = [name for name in REPEATED.split() if says[name] != manifest[name]]
    wrong += [name for name, value in logged.items() if stated[name] != value]
    require(not wrong, f"the evidence at {index} contradicts its round's documents: {', '.join(wrong)}")
    require(outcome == "aborted" or final, f"the evidence at {index} has no final set before it")
    require(
        (outcome == "released") == (says["release"] != bytes(32).hex()),
        f"the evidence at {index} names a release exactly if there is one; this does not",
    )
    answers = [each["threshold"] <= each["opened"] <= each["members"] for each in says["committees"]]
    summed = outcome in ("released", "withheld")
    require(not summed or all(answers), f"the evidence at {index} has a sum that too few decryptors opened")
    require(summed or not says["integrity_proved"], f"the evidence at {index} proves a sum that there is not")


def shapes(terms: Mapping[str, Any] | None, roster: Mapping[str, Any] | None) -> list[list[int]]:
    """Return kind, members and needed answers of a round's committees: 1 standing, 2 drawn from a roster."""
    found = []
    if terms and terms["standing"]:
        found.append((1, terms["standing"]))
    size = roster["size"] if roster else 0
    bands = terms["bands"] if terms and roster else ()
    fitting = [each for each in bands if each["least_volunteers"] <= size <= each["most_volunteers"]]
    found += [(2, each["shape"]) for each in fitting[:1]]
    return [[kind, shape["members"], shape["privacy"] + shape["packing"]] for kind, shape in found]


def check_releases(documents: Documents, releases: Mapping[str, str]) -> list[str]:
    """Hold signed releases against the evidence that is to name them."""
    named = {says["release"]: says["round_id"] for kind, says in documents.values() if kind == "evidence"}
    lost = [file for file, digest in releases.items() if digest not in named]
    require(not lost, f"no evidence in this pack names the release in {', '.join(lost)}")
    return [f"release: {file} is what round {named[digest]} gave" for file, digest in releases.items()]


def check_records(
    files: Mapping[str, bytes], facts: Mapping[str, Any], entries: Log, start: int
) -> list[str]:
    """Hold each person's records against the log's commitments."""
    leaves = {entry[1:]: index for index, entry in enumerate(entries, start) if entry[:1] == b"C"}
    lines = [f"consent events: {len(leaves)} commitments, which say nothing of anyone"]
    for name in sorted(each for each in files if each.startswith("subjects/")):
        person = json.loads(files[name])
        places = [check_record(one, person["subject"], facts, leaves) for one in person["records"]]
        logged = sum(place is None for place in places)
        lines.append(
            f"subject {person['subject']}: {logged} records are in the log as they were committed to"
        )
        lines += [f"  and one is promised there by {place}" for place in places if place is not None]
    return lines


def check_record(
    one: Mapping[str, Any], subject: str, facts: Mapping[str, Any], leaves: Mapping[bytes, int]
) -> str | None:
    """Return None where the record is in the log, else until when the registry promised to log it."""
    record, salt = one["record"], bytes.fromhex(one["salt"])
    name, public = parse_key(facts["log"], 1)
    require((record["registry"], record["subject"]) == (name, subject), "a record is another's")
    # RFC 8785, for a record's own form: a flat object of texts and whole numbers.
    canonical = json.dumps(record, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    commitment = hmac.digest(salt, canonical, hashlib.sha256)
    if commitment in leaves:
        return None
    require(one["promise"], f"the record of event {record['event']} is not what the log commits to")
    body, signature = decode(bytes.fromhex(one["promise"]))
    log, promised, _, until = decode(body)
    good = (log, promised) == (name, commitment) and is_signed(public, b"covey/1/promise\0" + body, signature)
    require(good, f"the record of event {record['event']} is neither in the log nor promised")
    return moment(until)


# The ground: keys, signatures, CBOR.


def sha256(data: bytes) -> bytes:
    """Return the SHA-256 of the data."""
    return hashlib.sha256(data).digest()


def is_signed(public: bytes, message: bytes, signature: bytes) -> bool:
    """Say whether the Ed25519 signature is the key's over the message."""
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, message)
    except InvalidSignature:
        return False
    return True


def parse_key(key: str, algorithm: int) -> tuple[str, bytes]:
    """Return name and public key of a verifier key (C2SP signed-note)."""
    name, number, encoded = key.split("+", 2)
    material = base64.b64decode(encoded, validate=True)
    require(number == key_id(name, material), f"the id in the key of {name!r} is wrong")
    require(material[0] == algorithm, f"the key of {name!r} is of another kind")
    return name, material[1:]


def key_id(name: str, material: bytes) -> str:
    """Return the four bytes, in hex, by which signature lines name a key."""
    return sha256(name.encode() + b"\n" + material)[:4].hex()


def signatures(note: str, key: str) -> list[bytes]:
    """Return the signatures below a note that claim to be the key's."""
    name, number, _ = key.split("+", 2)
    lines = [line.split(" ") for line in note.rpartition("\n\n")[2].splitlines()]
    blobs = [base64.b64decode(line[2], validate=True) for line in lines if line[:2] == ["\u2014", name]]
    return [blob[4:] for blob in blobs if blob[:4].hex() == number]


def decode(data: bytes) -> Any:
    """Return the one CBOR item (RFC 8949) in the data, of the kinds that Covey's messages use."""
    value, end = _item(data, 0)
    require(end == len(data), "stray bytes follow a message")
    return value


def _item(data: bytes, place: int) -> tuple[Any, int]:
    major, minor = divmod(data[place], 32)
    place += 1
    if major == 7 and minor in (20, 21, 22):
        return (False, True, None)[minor - 20], place
    width = {24: 1, 25: 2, 26: 4, 27: 8}.get(minor, 0)
    require(minor < 28, "a message is not CBOR as Covey writes it")
    head, place = data[place : place + width], place + width
    if major == 7:
        return struct.unpack({2: ">e", 4: ">f", 8: ">d"}[width], head)[0], place
    number = int.from_bytes(head) if width else minor
    if major in (0, 1):
        return (number if major == 0 else -1 - number), place
    if major in (2, 3):
        text = data[place : place + number]
        require(len(text) == number, "a message is cut off")
        return (text if major == 2 else text.decode()), place + number
    require(major == 4, "a message is not CBOR as Covey writes it")
    items = []
    for _ in range(number):
        item, place = _item(data, place)
        items.append(item)
    return items, place


def plain(value: Any) -> Any:
    """Return a told or logged value in one form: lists of texts, numbers and hex."""
    if isinstance(value, dict):
        return [plain(each) for each in value.values()]
    if isinstance(value, list):
        return [plain(each) for each in value]
    return value.hex() if isinstance(value, bytes) else value


def moment(at: int) -> str:
    """Return Unix milliseconds as a date and time, UTC."""
    return datetime.fromtimestamp(at / 1000, UTC).isoformat(timespec="seconds")


def _differing(one: Mapping[str, Any], other: Mapping[str, Any]) -> str:
    names: Iterable[str] = {*one, *other}
    return ", ".join(sorted(name for name in names if one.get(name) != other.get(name)))


def _digest(path: str) -> str:
    with open(path, "rb") as file:
        return sha256(file.read()).hex()


def _text(path: str | None) -> str | None:
    if path is None:
        return None
    with open(path, encoding="utf-8") as file:
        return file.read()


if __name__ == "__main__":
    sys.exit(main())
