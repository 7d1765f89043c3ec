"""Checks an evidence pack of a Covey consent registry, offline: python -I verify.py pack.zip --key KEY

It needs Python 3.11 and `cryptography` for Ed25519, nothing else: no network, no Covey. KEY is the key of the
registry's log, name+id+key or 64 hex digits, which you have from elsewhere than this pack; so should you have
this file. It prints what it found to hold and exits with 0, or says what does not hold and exits with 1.
Without KEY it exits with 3: whoever made the pack up also chose the key in it, so that nothing is shown. Any
other end, with a traceback, is a fault of this program and says nothing about the pack.
"""

import argparse
import base64
import functools
import hashlib
import hmac
import io
import json
import struct
import sys
import zipfile
from collections.abc import Callable, Mapping, Sequence, Set
from datetime import UTC, datetime
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

UNPINNED = 3
"""The exit status where no key was named. 2 is argparse's own."""
FORMAT = "covey evidence pack 1"
MANIFEST, SIGNATURE = "manifest.json", "manifest.sig"
FILES = {MANIFEST, SIGNATURE, "checkpoint", "before", "entries", "documents.json"}
KINDS = {b"N": "notice", b"I": "issuer keys", b"M": "manifest", b"E": "evidence", b"X": "epoch end"}
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
"""What a log entry says, field by field; those signed by the operator are a body and its signature."""
SHAPE = "members privacy packing corrects"
NESTED = {
    "texts": "language title text",
    "plan": "epsilon steps",
    "steps": "query length norm scale sigma bits",
    "terms": "length drop steps honest issued gamma lost most organisations standing bands nonce_hash sample",
    "standing": SHAPE,
    "bands": "least_volunteers most_volunteers shape",
    "shape": SHAPE,
    "windows": "volunteer contribute check open",
    "committees": "kind members threshold opened",
    "complaints": "decryptor members",
}
"""What the records in these fields of an entry say, field by field."""
SIGNED = ("manifest", "evidence")
REPEATED = "round_id query purposes profile model norm sigma epsilon delta honest least_issued"
"""What evidence repeats of its manifest."""
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

# What is read has these shapes: a type, a list of one shape, fields with a shape each, or one of several.
FACTS = {"format": str, "log": str, "operator": (None, str), "start": int, "files": dict}
TOLD = [{"index": int, "kind": str, "says": dict}]
PERSON = {"subject": str, "records": [{"record": dict, "salt": str, "promise": str}]}
COMMITTEE = {"members": int, "privacy": int, "packing": int}
BAND = {"least_volunteers": int, "most_volunteers": int, "shape": COMMITTEE}
COMPARED: dict[str, Any] = {
    **dict.fromkeys(("round_id", "issuer", "manifest", "outcome", "release", "leaf"), str),
    "size": int,
    "terms": (None, {"standing": (None, COMMITTEE), "bands": [BAND]}),
    "committees": [{"kind": int, "members": int, "threshold": int, "opened": int}],
}
"""The fields of log entries that are more than compared for being equal."""

Log = list[bytes]
Documents = dict[int, tuple[str, dict[str, Any]]]
"""By the place in the log: kind and what is said, with the digest of it."""
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
    many: dict[str, Any] = {"action": "append", "default": []}
    parser.add_argument("--witness", **many, help="a verifier key; it has to have cosigned")
    parser.add_argument("--release", **many, help="file of a signed release, which evidence has to name")
    asked = parser.parse_args(arguments)
    try:
        releases = {name: sha256(_read(name)).hex() for name in asked.release}
        seen = None if asked.seen is None else convert(_read(asked.seen), bytes.decode, asked.seen)
        lines = check(_read(asked.pack), asked.key, seen, asked.witness, releases)
    except (RefusedError, OSError) as error:
        print(f"REFUSED: {error}")
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

    Raises RefusedError.
    """
    files = unpack(data)
    facts = read_json(files[MANIFEST], FACTS, MANIFEST)
    log, start = facts["log"], facts["start"]
    lines = [check_files(files, facts, key)]
    note, entries = convert(files["checkpoint"], bytes.decode, "the checkpoint"), split(files["entries"])
    size, root = check_note(note, log)
    grown = grow(start, files["before"], entries)
    require(grown == (size, root), f"the {size} entries do not give the checkpoint's root")
    lines.append(f"log: entries {start} to {size} give the root that the checkpoint states")
    lines += [check_cosignature(note, witness) for witness in witnesses]
    if seen is not None:
        lines.append(check_seen(seen, log, start, files["before"], entries))
    told = read_json(files["documents.json"], TOLD, "documents.json")
    documents = check_documents(told, entries, start, facts["operator"])
    steps, signed = check_steps(entries, start, parse_key(log, 1)[1], documents)
    lines += [*check_rounds(documents, steps, start), *count_others(entries), signed]
    lines += check_releases(documents, releases or {})
    return [*lines, *check_people(files, log, entries)]


# The pack: every byte of it is either listed in the manifest, which the registry signed, or follows from it.


def unpack(data: bytes) -> dict[str, bytes]:
    """Return the files, out of the one container that holds these files."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as container:
            held = container.infolist()
            stored = all(each.compress_type == zipfile.ZIP_STORED for each in held)
            require(stored, "its files are compressed")
            files = {each.filename: container.read(each) for each in held}
    except (zipfile.BadZipFile, EOFError, OSError, RuntimeError, ValueError, struct.error) as error:
        # What `zipfile` raises for a container that is damaged, encrypted or of another kind.
        raise RefusedError(f"this cannot be read as an evidence pack: {error}") from None
    require(repack(files) == data, "the container is not the one that was packed")
    require(files.keys() >= FILES, f"it lacks {', '.join(sorted(FILES - files.keys()))}")
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
    names = sorted(digests.keys() | facts["files"].keys())
    differing = [name for name in names if digests.get(name) != facts["files"].get(name)]
    require(not differing, f"these files are not as listed: {', '.join(differing)}")
    pinned = "the key that you named" if key else "the key that it names itself; name yours with --key"
    return f"pack: {len(files)} files as the manifest lists them, signed by {name} under {pinned}"


# The log: RFC 9162 hashes under a signed checkpoint (C2SP tlog-checkpoint, tlog-cosignature).


def grow(start: int, before: bytes, entries: Log) -> tuple[int, bytes]:
    """Return size and root (RFC 9162, 2.1) of a log of `start` entries, to which these were added.

    `before` are the heads of the first entries' complete subtrees, greatest first.
    """
    heights = [height for height in reversed(range(start.bit_length())) if start >> height & 1]
    complete = start >= 0 and len(before) == 32 * len(heights)
    require(complete, "the heads of the entries before are not complete")
    parts = [(height, before[32 * n : 32 * n + 32]) for n, height in enumerate(heights)]
    for entry in entries:
        height, head = 0, sha256(b"\0" + entry)
        while parts and parts[-1][0] == height:
            height, head = height + 1, sha256(b"\1" + parts.pop()[1] + head)
        parts.append((height, head))
    root = parts.pop()[1] if parts else sha256(b"")
    for _, head in reversed(parts):
        root = sha256(b"\1" + head + root)
    return start + len(entries), root


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
    origin, size, root = [*text.split("\n"), "", ""][:3]
    require(origin == name, f"the checkpoint is of the log {origin!r}, not of {name!r}")
    return convert(size, int, "the checkpoint's size"), from_base64(root)


def check_cosignature(note: str, witness: str) -> str:
    """Hold a witness's cosignatures against the checkpoint."""
    name, public = parse_key(witness, 4)
    text = (note.rpartition("\n\n")[0] + "\n").encode()
    made = [(int.from_bytes(each[:8]), each[8:]) for each in signatures(note, witness)]
    good = all(is_signed(public, b"cosignature/v1\ntime %d\n" % at + text, each) for at, each in made)
    require(made and good, f"the checkpoint is not cosigned by {name}")
    at = format_time(1000 * max(made)[0])
    return f"witness: {name} saw this checkpoint at {at}, and none that contradicts it"


def check_seen(seen: str, key: str, start: int, before: bytes, entries: Log) -> str:
    """Hold the log against a checkpoint that was seen earlier: it has to begin with that log."""
    size, root = check_note(seen, key)
    require(start <= size, f"the pack begins at entry {start}; the checkpoint seen before has {size} entries")
    continues = grow(start, before, entries[: size - start]) == (size, root)
    begins = f"this log does not begin with the {size} entries seen before"
    require(continues, f"{begins}: it was cut or rewritten")
    return f"seen: the log begins with the {size} entries of the checkpoint that you kept"


# What the entries say.


def check_documents(told: list[Any], entries: Log, start: int, operator: str | None) -> Documents:
    """Return the documents that the pack tells, by their place in the log, each held against its entry."""
    documents: Documents = {}
    public = None if operator is None else convert(operator, bytes.fromhex, "the operator's key")
    for one in told:
        index, kind, says = one["index"], one["kind"], one["says"]
        what = f"the {kind} at {index}"
        entry = entries[index - start] if 0 <= index - start < len(entries) else b""
        require(KINDS.get(entry[:1]) == kind, f"entry {index} of the log is no {kind}")
        body = entry[1:]
        if kind in SIGNED:
            body, signature = open_signed(body, what)
            signed = f"covey/1/{kind}\0".encode() + body
            good = public is None or is_signed(public, signed, signature)
            require(good, f"{what} is not signed by the operator")
        require(has_fields(says, FIELDS[kind]), f"{what} is told with other fields")
        require(to_plain(says) == to_plain(decode(body)), f"{what} is told otherwise than it is logged")
        require_kinds(says, what)
        documents[index] = (kind, {**says, "digest": sha256(body).hex()})
    logged = {index for index, entry in enumerate(entries, start) if is_document(entry)}
    require(set(documents) == logged and len(told) == len(logged), "documents are told twice, or not at all")
    return documents


def is_document(entry: bytes) -> bool:
    """Say whether an entry is a document of this version."""
    kind = KINDS.get(entry[:1])
    if kind != "evidence":
        return kind is not None
    fields = decode(open_signed(entry[1:], "evidence in the log")[0])
    return not isinstance(fields, list) or len(fields) != EARLIER_EVIDENCE


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
        included, final = signed.get("included"), signed.get("final")
        require(included is None or included["before"] == NO_ROOT, "an included set follows another set")
        if included and final:
            fits = (final["before"], final["context"]) == (included["root"], included["context"])
            require(fits and final["size"] <= included["size"], "a final set is of another included set")
    told = ", ".join(f"{count} of {step}" for step, count in counts.items())
    return steps, f"signed by the registry in rounds, each once: {told}"


def read_step(data: bytes, registry: bytes, index: int) -> tuple[str, dict[str, Any]]:
    """Return which step an entry is, by the context under which the registry signed it, and what it says."""
    body, signature = open_signed(data, f"entry {index}")
    for step, names in STEPS.items():
        if is_signed(registry, f"covey/1/secagg/{step}\0".encode() + body, signature):
            values, fields = to_plain(decode(body)), names.split()
            good = isinstance(values, list) and len(values) == len(fields)
            require(good, f"the {step} at {index} has other fields")
            says = dict(zip(fields, values, strict=True))
            require_kinds(says, f"the {step} at {index}")
            return step, says
    raise RefusedError(f"entry {index} is no step of a round that the registry signed")


def check_rounds(documents: Documents, steps: Steps, start: int) -> list[str]:
    """Hold every round's evidence against the manifest, the issuer keys and the sets that came before it."""
    known: dict[str, set[str]] = {"manifest": set(), "issuer keys": set(), "evidence": set()}
    rests_on = {"manifest": ("issuer", "issuer keys"), "evidence": ("manifest", "manifest")}
    manifests = {says["digest"]: says for kind, says in documents.values() if kind == "manifest"}
    earlier = 0
    for index, (kind, says) in sorted(documents.items()):
        what = f"the {kind} at {index}"
        if kind in rests_on:
            field, on = rests_on[kind]
            before = says[field] in known[on]
            require(before or start, f"{what} rests on something that was not logged before it")
            earlier += not before
        if kind == "evidence":
            signed = steps.get(says["manifest"], {})
            late = [step for step, each in signed.items() if each["at"] > index]
            require(not late, f"{what} came before {', '.join(late)} of its round")
            if says["manifest"] in manifests:
                check_evidence(says, manifests[says["manifest"]], signed, what)
        if kind in known:
            name = says["manifest" if kind == "evidence" else "digest"]
            require(name not in known[kind], f"{what} is the second one of its name")
            known[kind].add(name)
    counts = [f"{sum(kind == each for kind, _ in documents.values())} of {each}" for each in KINDS.values()]
    running = {digest for digest, says in manifests.items() if says["terms"] is not None}
    rounds = f"{len(known['evidence'])} rounds ended, {len(running - known['evidence'])} are open"
    lines = [
        f"documents, as told and as logged: {', '.join(counts)}",
        f"rounds: {rounds}; each was announced before it began and ended once",
    ]
    if earlier:
        lines.append(f"not shown: {earlier} documents rest on some from before this pack begins")
    return lines


def count_others(entries: Log) -> list[str]:
    """Say how many entries of the log are not read."""
    kinds = [entry[:1] for entry in entries]
    evidence = sum(entry[:1] in KINDS and not is_document(entry) for entry in entries)
    old = kinds.count(EARLIER_ROSTER) + evidence
    others = sum(kind not in (*KINDS, b"C", STEP, EARLIER_ROSTER) for kind in kinds)
    lines = [f"not read: {old} entries about rounds of earlier versions"] if old else []
    return [*lines, f"not read: {others} entries of other kinds"] if others else lines


def check_evidence(
    says: Mapping[str, Any], manifest: Mapping[str, Any], signed: Mapping[str, Mapping[str, Any]], what: str
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
        "committees": committees_of(manifest["terms"], signed.get("roster")) if included else [],
    }
    stated = dict(says)
    stated["committees"] = [[each["kind"], each["members"], each["threshold"]] for each in says["committees"]]
    wrong = [name for name in REPEATED.split() if says[name] != manifest[name]]
    wrong += [name for name, value in logged.items() if stated[name] != value]
    require(not wrong, f"{what} contradicts its round's documents: {', '.join(wrong)}")
    require(outcome == "aborted" or final, f"{what} has no final set before it")
    require(
        (outcome == "released") == (says["release"] != NO_ROOT),
        f"{what} names a release exactly if there is one; this does not",
    )
    answers = [each["threshold"] <= each["opened"] <= each["members"] for each in says["committees"]]
    summed = outcome in ("released", "withheld")
    require(not summed or all(answers), f"{what} has a sum that too few decryptors opened")
    require(summed or not says["integrity_proved"], f"{what} proves a sum that there is not")


def committees_of(terms: Mapping[str, Any] | None, roster: Mapping[str, Any] | None) -> list[list[int]]:
    """Return kind, members and needed answers of a round's committees: 1 standing, 2 drawn from a roster."""
    size, bands = (roster["size"], terms["bands"]) if terms and roster else (0, ())
    fitting = [each["shape"] for each in bands if each["least_volunteers"] <= size <= each["most_volunteers"]]
    found = [(1, terms["standing"])] if terms and terms["standing"] else []
    found += [(2, shape) for shape in fitting[:1]]
    return [[kind, shape["members"], shape["privacy"] + shape["packing"]] for kind, shape in found]


def check_releases(documents: Documents, releases: Mapping[str, str]) -> list[str]:
    """Hold signed releases against the evidence that is to name them."""
    named = {says["release"]: says["round_id"] for kind, says in documents.values() if kind == "evidence"}
    lost = [file for file, digest in releases.items() if digest not in named]
    require(not lost, f"no evidence in this pack names the release in {', '.join(lost)}")
    return [f"release: {file} is what round {named[digest]} gave" for file, digest in releases.items()]


def check_people(files: Mapping[str, bytes], log: str, entries: Log) -> list[str]:
    """Hold each person's records against the log's commitments."""
    committed = {entry[1:] for entry in entries if entry[:1] == b"C"}
    lines = [f"consent events: {len(committed)} commitments, which say nothing of anyone"]
    for name in sorted(each for each in files if each.startswith("subjects/")):
        person = read_json(files[name], PERSON, name)
        subject = person["subject"]
        due = [check_record(one, subject, log, committed) for one in person["records"]]
        lines.append(f"subject {subject}: {due.count(None)} records are in the log as they were committed to")
        lines += [f"  and one is promised there by {at}" for at in due if at is not None]
    return lines


def check_record(one: Mapping[str, Any], subject: str, log: str, committed: Set[bytes]) -> str | None:
    """Return None where the record is in the log, else until when the registry promised to log it."""
    record, salt = one["record"], convert(one["salt"], bytes.fromhex, "a salt")
    name, public = parse_key(log, 1)
    what = f"the record of event {record.get('event')}"
    require((record.get("registry"), record.get("subject")) == (name, subject), "a record is another's")
    # RFC 8785, for a record's own form: a flat object of texts and whole numbers.
    canonical = json.dumps(record, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    commitment = hmac.digest(salt, convert(canonical, str.encode, what), hashlib.sha256)
    if commitment in committed:
        return None
    require(one["promise"], f"{what} is not what the log commits to")
    body, signature = open_signed(convert(one["promise"], bytes.fromhex, "a promise"), "a promise")
    promise = decode(body) if is_signed(public, b"covey/1/promise\0" + body, signature) else []
    good = promise[:2] == [name, commitment] and has_shape(promise[2:], [int]) and len(promise) == 4
    require(good, f"{what} is neither in the log nor promised")
    return format_time(promise[3])


# Keys, signatures, CBOR and JSON. What is malformed is refused here; nothing else is to raise an error.


def sha256(data: bytes) -> bytes:
    """Return the SHA-256 of the data."""
    return hashlib.sha256(data).digest()


def is_signed(public: bytes, message: bytes, signature: bytes) -> bool:
    """Say whether the Ed25519 signature is the key's over the message."""
    require(len(public) == 32, "a public key has another length than 32 bytes")
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, message)
    except InvalidSignature:
        return False
    return True


def open_signed(data: bytes, what: str) -> tuple[bytes, bytes]:
    """Return body and signature of a signed message."""
    parts = decode(data)
    require(has_shape(parts, [bytes]) and len(parts) == 2, f"{what} is no signed message")
    return parts[0], parts[1]


def parse_key(key: str, algorithm: int) -> tuple[str, bytes]:
    """Return name and public key of a verifier key (C2SP signed-note)."""
    require(key.count("+") >= 2, f"{key!r} is no verifier key: name+id+key")
    name, number, encoded = key.split("+", 2)
    material = from_base64(encoded)
    require(number == key_id(name, material), f"the id in the key of {name!r} is wrong")
    require(material[:1] == bytes([algorithm]), f"the key of {name!r} is of another kind")
    return name, material[1:]


def key_id(name: str, material: bytes) -> str:
    """Return the four bytes, in hex, by which signature lines name a key."""
    return sha256(convert(name, str.encode, "a key's name") + b"\n" + material)[:4].hex()


def signatures(note: str, key: str) -> list[bytes]:
    """Return the signatures below a note that claim to be the key's."""
    name, number, _ = key.split("+", 2)
    lines = [line.split(" ") for line in note.rpartition("\n\n")[2].splitlines()]
    blobs = [from_base64(line[2]) for line in lines if line[:2] == ["\u2014", name] and len(line) > 2]
    return [blob[4:] for blob in blobs if blob[:4].hex() == number]


def decode(data: bytes) -> Any:
    """Return the one CBOR item (RFC 8949) in the data, of the kinds that Covey's messages use."""
    value, end = _item(data, 0, 0)
    require(end == len(data), "stray bytes follow a message")
    return value


def _item(data: bytes, place: int, depth: int) -> tuple[Any, int]:
    require(place < len(data) and depth < 32, "a message is cut off, or nested too deeply")
    major, minor = divmod(data[place], 32)
    place += 1
    if major == 7 and minor in (20, 21, 22):
        return (False, True, None)[minor - 20], place
    width = {24: 1, 25: 2, 26: 4, 27: 8}.get(minor, 0)
    known = minor < 28 and (major < 5 or (major == 7 and width > 1))
    require(known, "a message is not CBOR as Covey writes it")
    head, place = data[place : place + width], place + width
    require(len(head) == width, "a message is cut off")
    if major == 7:
        return struct.unpack({2: ">e", 4: ">f", 8: ">d"}[width], head)[0], place
    number = int.from_bytes(head) if width else minor
    if major in (0, 1):
        return (number if major == 0 else -1 - number), place
    if major in (2, 3):
        text = data[place : place + number]
        require(len(text) == number, "a message is cut off")
        return (text if major == 2 else convert(text, bytes.decode, "a message")), place + number
    items = []
    for _ in range(number):
        item, place = _item(data, place, depth + 1)
        items.append(item)
    return items, place


def read_json(data: bytes, shape: Any, what: str) -> Any:
    """Return the JSON value in the data, which has the shape."""
    value = convert(data, json.loads, what)
    require(has_shape(value, shape), f"{what} has other fields than it needs")
    return value


def has_shape(value: Any, shape: Any) -> bool:
    """Say whether a value has a shape, as `FACTS` and others are; it may have more fields."""
    if isinstance(shape, tuple):
        return any(has_shape(value, each) for each in shape)
    if isinstance(shape, list):
        return isinstance(value, list) and all(has_shape(each, shape[0]) for each in value)
    if isinstance(shape, dict):
        fields = value if isinstance(value, dict) else {}
        return all(name in fields and has_shape(fields[name], each) for name, each in shape.items())
    return value is None if shape is None else isinstance(value, shape)


def has_fields(says: Mapping[str, Any], names: str) -> bool:
    """Say whether a told record, and each record in it, has these fields in this order.

    Values are compared with the log's by their places alone: another name would tell another thing.
    """
    inner = [
        (name, each)
        for name, value in says.items()
        for each in (value if isinstance(value, list) else [value])
        if isinstance(each, dict)
    ]
    return list(says) == names.split() and all(has_fields(each, NESTED.get(name, "")) for name, each in inner)


def require_kinds(says: Mapping[str, Any], what: str) -> None:
    """Refuse what a log entry says where a field that is worked with is of another kind."""
    shape = {name: COMPARED[name] for name in says if name in COMPARED}
    require(has_shape(says, shape), f"{what} has a field of another kind")


def to_plain(value: Any) -> Any:
    """Return a told or logged value in one form: lists of texts, numbers and hex."""
    if isinstance(value, dict):
        return [to_plain(each) for each in value.values()]
    if isinstance(value, list):
        return [to_plain(each) for each in value]
    return value.hex() if isinstance(value, bytes) else value


def format_time(at: int) -> str:
    """Return Unix milliseconds as a date and time, UTC."""
    require(0 <= at < 253_402_300_800_000, f"{at} is no time before the year 10000")
    return datetime.fromtimestamp(at / 1000, UTC).isoformat(timespec="seconds")


def convert(value: Any, to: Callable[[Any], Any], what: str) -> Any:
    """Return the value as a function of the standard library converts it, which says what is malformed."""
    try:
        return to(value)
    except (ValueError, RecursionError) as error:
        raise RefusedError(f"{what} cannot be read: {error}") from None


def from_base64(text: str) -> bytes:
    """Return the bytes that base64 stands for."""
    return bytes(convert(text, functools.partial(base64.b64decode, validate=True), "base64"))


def _read(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()


if __name__ == "__main__":
    sys.exit(main())
