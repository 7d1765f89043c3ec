"""Checking a run's proof as an outsider would: from the registry's public log and its pinned key alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx

from covey_consent.commands.pack import make
from covey_consent.pack import verify
from covey_consent.settings import Settings
from covey_privacy import wire
from covey_privacy.checkpoint import Checkpoint, open_note
from covey_privacy.errors import PrivacyError, ServerError
from covey_privacy.evidence import CONTEXT, Evidence, SignedSets, require_consistent
from covey_privacy.manifest import open_manifest
from covey_privacy.merkle import Tree, leaf_hash
from covey_privacy.note import ED25519, VerifierKey
from covey_privacy.protocol_rules import Rule
from covey_privacy.registry_messages import (
    LEAF_CONSENT,
    LEAF_EPOCH_END,
    LEAF_EVIDENCE,
    LEAF_ISSUER,
    LEAF_MANIFEST,
    LEAF_NOTICE,
    Entries,
)
from covey_privacy.secagg.log_entries import LEAF_SECAGG, open_head
from covey_privacy.secagg.messages import FINAL, INCLUDED, ROSTER, RosterHead, SetHead
from covey_privacy.signatures import digest_of, open_signed
from covey_simulations.report import compare_report
from covey_simulations.scenarios.shared_settings import ORIGIN, SharedSettings

KINDS = {
    LEAF_NOTICE: "notice",
    LEAF_ISSUER: "issuer keys",
    LEAF_MANIFEST: "manifest",
    LEAF_EVIDENCE: "evidence",
    LEAF_EPOCH_END: "end of an epoch",
    LEAF_CONSENT: "consent event",
    LEAF_SECAGG: "signed step of a round",
}
PAGE = 1024


CHECK = "check"
"""The folder beside the report that holds what `files` returns."""

COMMANDS = (
    f"cd {CHECK} && python3 -m venv venv && venv/bin/python -m pip install --quiet cryptography",
    'venv/bin/python -I verify.py pack.zip --key "$(cat log.key)" --seen checkpoint.txt',
    "venv/bin/python -I compare.py pack.zip ../report.json",
)
"""What a reader of the report runs beside it: Python 3.11, and nothing of Covey's."""


def check_files(world: SharedSettings, note: str) -> dict[str, bytes]:
    """Return what it takes to check a run's log without Covey: the pack, the log's key, the programs.

    `note` is the checkpoint that the report shows; the pack's log has to continue it.
    """
    settings = Settings(
        database_url=f"sqlite:///{world.folder / 'registry.db'}",
        key_file=world.folder / "registry.key",
        origin=ORIGIN,
        operator=world.operator_key,
    )
    return {
        "pack.zip": make(settings, 0, None),
        "log.key": f"{VerifierKey(ORIGIN, ED25519, world.trust.registry).vkey}\n".encode(),
        "checkpoint.txt": note.encode(),
        "verify.py": Path(verify.__file__).read_bytes(),
        "compare.py": Path(compare_report.__file__).read_bytes(),
    }


def check_log(world: SharedSettings, rounds: Sequence[Any]) -> dict[str, Any]:
    """Return the log's size, checkpoint and kinds of entries, once all of it adds up.

    Raises ServerError when the entries do not give the checkpoint's root, a round left no evidence, or its
    evidence contradicts the manifest or the sets that stand in the log.
    """
    with httpx.Client(base_url=world.registry_url) as client:
        note = client.get("/v1/log/checkpoint").raise_for_status().text
        head = open_note(note, world.trust.registry)
        entries = list(_entries(client, head))
    if Tree([leaf_hash(entry) for entry in entries]).root() != head.root:
        raise ServerError(
            f"the log's {head.size} entries do not give the root of its signed checkpoint",
            rule=Rule.LOG_CONSISTENCY,
        )
    for played in rounds:
        _check_evidence(entries[played["evidence_index"]], played, world, entries)
    kinds = [{"index": index, "kind": KINDS[entry[:1]]} for index, entry in enumerate(entries)]
    return {"size": head.size, "verified": True, "checkpoint": note, "entries": kinds}


def _entries(client: httpx.Client, head: Checkpoint) -> Iterator[bytes]:
    for start in range(0, head.size, PAGE):
        query = {"start": start, "end": min(start + PAGE, head.size)}
        answer = client.get("/v1/log/entries", params=query).raise_for_status()
        yield from wire.decode(Entries, answer.content).entries


def _check_evidence(entry: bytes, played: Any, world: SharedSettings, entries: Sequence[bytes]) -> None:
    if entry[:1] != LEAF_EVIDENCE:
        raise ServerError(
            f"entry {played['evidence_index']} of the log is no evidence", rule=Rule.DOCUMENT_CONTENT
        )
    operator = world.trust.operator
    evidence = open_signed(Evidence, CONTEXT, entry[1:], operator, signer="operator")
    if (evidence.round_id, evidence.epsilon) != (played["round_id"], played["epsilon"]):
        raise ServerError(
            f"the evidence of round {evidence.round_id} tells of another round", rule=Rule.DOCUMENT_CONTENT
        )
    for signed in (each[1:] for each in entries if each[:1] == LEAF_MANIFEST):
        if digest_of(signed) == evidence.manifest:
            sets = _signed_sets(entries, evidence.manifest, world.trust.registry)
            require_consistent(evidence, open_manifest(signed, operator), evidence.manifest, sets)
            return
    raise ServerError(
        f"the evidence of round {evidence.round_id} names a manifest that is not in the log",
        rule=Rule.LOG_INCLUSION,
    )


def _signed_sets(entries: Sequence[bytes], manifest: bytes, registry: bytes) -> SignedSets:
    """Return what the registry signed in the round of a manifest."""
    found: dict[str, Any] = {}
    statements = [entry[1:] for entry in entries if entry[:1] == LEAF_SECAGG]
    kinds: dict[str, type[Any]] = {ROSTER: RosterHead, INCLUDED: SetHead, FINAL: SetHead}
    for context, cls in kinds.items():
        for signed in statements:
            with suppress(PrivacyError):
                head = open_head(cls, context, signed, registry)
                if head.manifest == manifest:
                    found[context] = head
    volunteers = found[ROSTER].size if ROSTER in found else 0
    return SignedSets(found.get(INCLUDED), found.get(FINAL), volunteers)
