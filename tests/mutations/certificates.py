"""Take the checks of certificates out, one at a time, and say which test turns red.

    python tests/mutations/certificates.py            # all of them: about 4 minutes on two cores
    python tests/mutations/certificates.py "origin"

As `one_message.py` beside it.
"""

# ruff: noqa: E501  # The texts are lines of the modules.

from __future__ import annotations

import sys

from one_message import Mutation, main

TESTS = (
    "tests/privacy/secagg/test_leaves.py",
    "tests/privacy/test_joint_proof.py",
    "tests/privacy/secagg/test_certificate.py",
    "tests/privacy/secagg/test_certificate_histories.py",
)
_CERTIFICATE, _MAKER, _JOINT = "../certificate.py", "../certificate_maker.py", "../joint_proof.py"

MUTATIONS = (
    Mutation("claim's signature", _CERTIFICATE, "        if not verify(self.round_key, to_sign", "        if False and not verify(self.round_key, to_sign"),
    Mutation("claim (participation)", _CERTIFICATE, "    shown.claim.check(verify)\n", ""),
    Mutation("claim (absence)", _CERTIFICATE, "    for claim in shown.claims:\n        claim.check(verify)\n", ""),
    Mutation("exactly one part", _CERTIFICATE, "parts.count(None) != 1 or ", ""),
    Mutation("one form", _CERTIFICATE, " or wire.encode(certificate) != data", ""),
    Mutation("origin", _CERTIFICATE, "    if checkpoint.origin != view.origin:", "    if False:"),
    Mutation("checkpoint's signature", _CERTIFICATE, "    checkpoint = open_note(note, view.registry, verify)", "    checkpoint = open_note(note, view.registry, lambda *_: True)"),
    Mutation("witnesses", "../witness.py", "        if len(cosigned) < self.least:", "        if not cosigned:"),
    Mutation("no witness at all", _CERTIFICATE, "    witnessed = view.witnesses.reached(note, verify)", "    witnessed = 1_790_000_000"),
    Mutation("lines that nobody checks", _CERTIFICATE, "    if keep_known_lines(note, view) != note:", "    if False:"),
    Mutation("distinct places", _CERTIFICATE, "        len(leaves) < len(documents)\n        or ", "        "),
    Mutation("documents in the log", _CERTIFICATE, "        or root_from_leaves(leaves, checkpoint.size, shown.proof) != checkpoint.root", "        or not root_from_leaves(leaves, checkpoint.size, shown.proof)"),
    Mutation("operator's signature", _CERTIFICATE, "open_manifest(shown.manifest.signed, operator, verify)", "open_manifest(shown.manifest.signed, operator, lambda *_: True)"),
    Mutation("final set's signature", _CERTIFICATE, "    head = open_head(SetHead, FINAL, shown.head.signed, view.registry, verify)", "    head = open_head(SetHead, FINAL, shown.head.signed, view.registry, lambda *_: True)"),
    Mutation("head of this manifest", _CERTIFICATE, "    if head.manifest != digest:", "    if False:"),
    Mutation("leaf of the claimed key", _CERTIFICATE, "    if leaf.round_key != shown.claim.round_key:", "    if False:"),
    Mutation("leaf in the set", _CERTIFICATE, "    verify_presence(head, leaf, shown.presence)\n", ""),
    Mutation("evidence's signature", _CERTIFICATE, "open_signed(Evidence, evidence_document.CONTEXT, signed, operator, verify, \"operator\")", "open_signed(Evidence, evidence_document.CONTEXT, signed, operator, lambda *_: True, \"operator\")"),
    Mutation("evidence of this round", _CERTIFICATE, "    if evidence.manifest != manifest:", "    if False:"),
    Mutation("claims ascend", _CERTIFICATE, "    if any(a >= b for a, b in itertools.pairwise(keys)):", "    if False:"),
    Mutation("as many entries", _CERTIFICATE, "    if until.size - since.size != len(shown.entries):", "    if False:"),
    Mutation("entries in the log", _CERTIFICATE, "    if root_from_leaves(leaves, until.size, shown.before) != until.root:", "    if not root_from_leaves(leaves, until.size, shown.before):"),
    Mutation("earlier checkpoint", _CERTIFICATE, "    if head_of_subtrees(shown.before) != since.root:", "    if False:"),
    Mutation("unknown kinds", _CERTIFICATE, "        elif kind not in WITHOUT_SETS:", "        elif False:"),
    Mutation("unknown statements", _CERTIFICATE, "        if any(_is(each, body) for each in (RosterHead, Draw, Grant)):", "        if True:"),
    Mutation("sets' signatures", _CERTIFICATE, "        return open_head(SetHead, INCLUDED, document, registry, verify)", "        return wire.decode(SetHead, body)"),
    Mutation("included sets count", _CERTIFICATE, "        return open_head(SetHead, INCLUDED, document, registry, verify)", "        return None"),
    Mutation("a proof for every set", _CERTIFICATE, "    if len(distinct) != len(shown.absences):", "    if False:"),
    Mutation("absence from each set", _CERTIFICATE, "        verify_joint_absence(head, keys, absence)\n", "        pass\n"),
    Mutation("sets differ by root", _CERTIFICATE, "        first.setdefault((head.size, head.root), head)", "        first.setdefault((head.size, b\"\"), head)"),
    Mutation("neighbours in the set", "leaves.py", "    if root_from_leaves(hashes, head.size, absence.proof, Rule.LEAVES) != head.root:", "    if not root_from_leaves(hashes, head.size, absence.proof, Rule.LEAVES):"),
    Mutation("neighbours ascend", "leaves.py", "    if any(a >= b for a, b in itertools.pairwise(keys)):\n        raise ServerError(\"the neighbours", "    if False:\n        raise ServerError(\"the neighbours"),
    Mutation("key is no neighbour", "leaves.py", "        if key in keys[after : after + 1] or places", "        if places"),
    Mutation("neighbours adjacent", "leaves.py", "        if key in keys[after : after + 1] or places[after] + 1 != places[after + 1]:", "        if key in keys[after : after + 1]:"),
    Mutation("too few hashes", _JOINT, "        raise ServerError(f\"the proof says nothing of leaves {start} to {end}\", rule=rule)", "        return EMPTY"),
    Mutation("too many hashes", _JOINT, "    if any(True for _ in expected):", "    if False:"),
    Mutation("places in the tree", _JOINT, "    if not _are_places(places, size):\n        raise ServerError", "    if False:\n        raise ServerError"),
    Mutation("maker: key in a set", _MAKER, "    if present:", "    if False:"),
    Mutation("maker: leaves not given", _MAKER, "    if head.root not in published:", "    if False:"),
    Mutation("maker: leaves of the set", _MAKER, "    members.require_head(head)\n", ""),
    Mutation("maker: verifies participation", _MAKER, "    data = wire.encode(Certificate(participation, None))\n    verify_certificate(data, operator, view, verify)\n", "    data = wire.encode(Certificate(participation, None))\n"),
    Mutation("maker: verifies absence", _MAKER, "    data = wire.encode(Certificate(None, absence))\n    verify_certificate(data, operator, view, verify)\n", "    data = wire.encode(Certificate(None, absence))\n"),
)  # fmt: skip


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], MUTATIONS, TESTS))
