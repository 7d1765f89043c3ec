"""Take the checks of the one-message protocol out, one at a time, and say which test turns red.

    python tests/mutations/one_message.py                    # all of them: about 20 minutes on two cores
    python tests/mutations/one_message.py "least set (check)"

Each line changes one place of a copy of `covey_privacy`; the tests run against the copy. Exits with 1 where a
change is noticed by no test, or its place is not found.
"""

# ruff: noqa: E501  # The texts are lines of the modules.

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
CORE = Path("covey_privacy/secagg")
OTHERS = ("client_sdk", "consent", "models", "server", "simulations", ".")
TESTS = (
    "tests/malicious/secagg",
    *(
        f"tests/privacy/secagg/test_{name}.py"
        for name in ("rounds", "collector", "pads", "leaves", "packed_shamir", "machines")
    ),
)


class Mutation(NamedTuple):
    """What is taken out of a module: the text there, and what stands in its place."""

    name: str
    module: str
    text: str
    instead: str


MUTATIONS = (
    Mutation(
        "organisation's signature",
        "committee.py",
        "        if not verify(\n            organisation,",
        "        if False and not verify(\n            organisation,",
    ),
    Mutation(
        "number of seats",
        "committee.py",
        "    if len(seats) != len(terms.organisations):",
        "    if False:",
    ),
    Mutation(
        "draw nonce (phone)",
        "committee.py",
        "    if hashlib.sha256(draw.nonce).digest() != info.terms.nonce_hash:",
        "    if False:",
    ),
    Mutation(
        "m distinct members",
        "committee.py",
        "    if not len(drawn.members) == len({each.round_key for each in drawn.members}) == shape.members:",
        "    if False:",
    ),
    Mutation(
        "distinct box keys",
        "committee.py",
        "    if len(set(box_keys)) < len(box_keys):",
        "    if False:",
    ),
    Mutation(
        "volunteer's ticket",
        "committee.py",
        "    volunteer.ticket.check(info.volunteer, verify)",
        "    pass",
    ),
    Mutation(
        "volunteer's signature",
        "committee.py",
        "    if not verify(volunteer.round_key, statement, volunteer.signature):",
        "    if False:",
    ),
    Mutation(
        "roster and draw belong together",
        "committee.py",
        "    if roster.manifest != info.digest or draw != draw_of(",
        "    if False and draw != draw_of(",
    ),
    Mutation(
        "no committee beyond the terms",
        "committee.py",
        "    if len(found) != bool(file.seats) + (file.drawn is not None):",
        "    if False:",
    ),
    Mutation(
        "draw order (auditor)",
        "committee.py",
        "    if head != roster_head(info.digest, roster) or members != drawn.members:",
        "    if False:",
    ),
    Mutation(
        "shape at the roster's size",
        "terms.py",
        "        require_shape(shape, volunteers, self.corrupt, self.lost)",
        "        pass",
    ),
    Mutation(
        "standing shape",
        "terms.py",
        "            require_standing(self.standing)",
        "            pass",
    ),
    Mutation(
        "one organisation a seat",
        "terms.py",
        "            if not len(self.organisations) == len(set(self.organisations)) == self.standing.members:",
        "            if False:",
    ),
    Mutation(
        "drop within the noise",
        "terms.py",
        "        if self.drop and not pads.LEAST_DROP <= self.drop <= drop:",
        "        if False:",
    ),
    Mutation(
        "errors within the noise",
        "pads.py",
        "    if ERROR_VARIANCE * most > bearable:",
        "    if False:",
    ),
    Mutation(
        "K in the least set",
        "terms.py",
        "        return self.honest + self.corrupt + 1",
        "        return self.honest + 1",
    ),
    Mutation(
        "size of a contribution",
        "contribution.py",
        "    if len(data) != sizes.whole:",
        "    if False:",
    ),
    Mutation(
        "sizes of its parts",
        "contribution.py",
        "    if found[::2] != sizes.framing",
        "    if False and found[::2] != sizes.framing",
    ),
    Mutation(
        "leaf and ticket name one key",
        "contribution.py",
        "    if entry.ticket.round_key != entry.leaf.round_key:",
        "    if False:",
    ),
    Mutation(
        "contribution's ticket",
        "contribution.py",
        "    entry.ticket.check(info.contribute, verify)",
        "    pass",
    ),
    Mutation(
        "contribution's signature",
        "contribution.py",
        "    if not verify(entry.leaf.round_key, statement(info.digest, context, entry.leaf), entry.signature):",
        "    if False:",
    ),
    Mutation(
        "sampling",
        "contribution.py",
        "    if number > terms.sample:",
        "    if False:",
    ),
    Mutation(
        "kinds that a phone accepts",
        "contributor.py",
        "        if info.terms.kinds not in self.kinds:",
        "        if False:",
    ),
    Mutation(
        "pinned organisations",
        "contributor.py",
        "        if not self.organisations.issuperset(info.terms.organisations):",
        "        if False:",
    ),
    Mutation(
        "least pool",
        "contributor.py",
        "        if self._info.terms.kinds == (Kind.DRAWN,) and committees.volunteers < self._accepted.least_pool:",
        "        if False:",
    ),
    Mutation(
        "range of the vector",
        "contributor.py",
        "    if largest > Q // 2:",
        "    if False:",
    ),
    Mutation(
        "fresh salt",
        "contributor.py",
        "exchange, salt, round_key = exchange_key(key.secret), random(32), key.ticket.round_key",
        "exchange, salt, round_key = exchange_key(key.secret), bytes(32), key.ticket.round_key",
    ),
    Mutation(
        "error of long vectors",
        "contributor.py",
        "        padded += pads.errors(random(32), terms.length)",
        "        pass",
    ),
    Mutation(
        "included head is logged",
        "decryptor.py",
        "        self._log.require_logged(message.head, message.logged, now, self._verify)\n        leaves",
        "        leaves",
    ),
    Mutation(
        "one set is checked",
        "decryptor.py",
        '            _require_same(asked, before.request, "checked")',
        "            pass",
    ),
    Mutation(
        "leaves lead to the root (check)",
        "decryptor.py",
        "        members.require_head(head)\n",
        "        pass\n",
    ),
    Mutation(
        "least set (check)",
        "decryptor.py",
        "        self._require_size(head)\n        if head.before",
        "        if head.before",
    ),
    Mutation(
        "included head follows nothing",
        "decryptor.py",
        "        if head.before != NO_ROOT:",
        "        if False:",
    ),
    Mutation(
        "head of this round",
        "decryptor.py",
        "        if (head.manifest, head.context) != (self._info.digest, self._context):",
        "        if False:",
    ),
    Mutation(
        "share fits the proof",
        "decryptor.py",
        "            good[block] &= are_good(shares[block], np.stack(asked), claims[block])",
        "            pass",
    ),
    Mutation(
        "dispute needs a complaint",
        "decryptor.py",
        "        if committee.kind != Kind.DRAWN or member not in before.answer.members:",
        "        if False:",
    ),
    Mutation(
        "dispute needs its grant",
        "decryptor.py",
        "        if grant != Grant(self._info.digest, self._context, leaf.hash, self.number):",
        "        if False:",
    ),
    Mutation(
        "dispute is over what was signed",
        "decryptor.py",
        "        check_dealt(message.dealt, leaf, committee, self.number, self._info, self._context, self._verify)",
        "        pass",
    ),
    Mutation(
        "nothing shown of an honest dealer",
        "decryptor.py",
        "        if opened is None:",
        "        if True:",
    ),
    Mutation(
        "final head is logged",
        "decryptor.py",
        "        self._log.require_logged(message.head, message.logged, now, self._verify)\n        if head.before",
        "        if head.before",
    ),
    Mutation(
        "final set is of the included",
        "decryptor.py",
        "        if head.before != before.answer.root:",
        "        if False:",
    ),
    Mutation(
        "excluded are distinct places",
        "decryptor.py",
        "        if list(message.excluded) != excluded or (excluded and excluded[-1] >= len(leaves)):",
        "        if False:",
    ),
    Mutation(
        "leaves lead to the root (open)",
        "decryptor.py",
        "        LeafSet(leaves).without(excluded).require_head(head)",
        "        pass",
    ),
    Mutation(
        "least set (open)",
        "decryptor.py",
        "        self._require_size(head)\n        missing",
        "        missing",
    ),
    Mutation(
        "a share of every member",
        "decryptor.py",
        "        if missing:",
        "        if False:",
    ),
    Mutation(
        "one set is opened",
        "decryptor.py",
        '            _require_same(asked, before.request, "opened")',
        "            pass",
    ),
    Mutation(
        "blinding sums stay",
        "decryptor.py",
        "        return shares[:, :-CHECKS], np.flatnonzero(~good).tolist()",
        "        return shares[:, :-CHECKS] + shares[:, -1:], np.flatnonzero(~good).tolist()",
    ),
    Mutation(
        "witnesses",
        "log_entries.py",
        "        self.witnesses.check(logged.note, now, verify)",
        "        pass",
    ),
    Mutation(
        "log inclusion",
        "log_entries.py",
        "        verify_inclusion(leaf_hash(entry), logged.index, checkpoint.size, logged.proof, checkpoint.root)",
        "        pass",
    ),
    Mutation(
        "dealer's signature (dispute)",
        "disputes.py",
        "        verify(leaf.round_key, statement(info.digest, context, leaf), dealt.signature)\n        and",
        "        True and",
    ),
    Mutation(
        "dealer's proofs (dispute)",
        "disputes.py",
        "        and hashlib.sha256(dealt.proofs).digest() == leaf.proof",
        "        and True",
    ),
    Mutation(
        "dealer's box (dispute)",
        "disputes.py",
        '        and ([hashlib.sha256(dealt.box).digest()] == box if boxed else dealt.box == b"")',
        "        and True",
    ),
    Mutation(
        "dealer's digests (dispute)",
        "disputes.py",
        "        and body_digest(digests) == leaf.body",
        "        and True",
    ),
    Mutation(
        "fault behind a shown point",
        "disputes.py",
        "    return is_at_fault(proof.dealt, leaf, committee, decryptor, info, context, key) is None",
        "    return True",
    ),
    Mutation(
        "leaves sorted, distinct",
        "leaves.py",
        "any(a >= b for a, b in zip(self._keys, self._keys[1:], strict=False))",
        "False",
    ),
    Mutation(
        "neighbours enclose",
        "leaves.py",
        "    if not encloses:",
        "    if False:",
    ),
    Mutation(
        "round key's encoding",
        "notary.py",
        "                require_round_key(entry.leaf.round_key)\n",
        "                pass\n",
    ),
    Mutation(
        "volunteer's box key's encoding",
        "notary.py",
        "        require_box_key(volunteer.box_key)",
        "        pass",
    ),
    Mutation(
        "volunteer's ticket spent",
        "notary.py",
        "        if self._records.spend([volunteer.round_key], claim):",
        "        if False:",
    ),
    Mutation(
        "draw nonce (registry)",
        "notary.py",
        "        if hashlib.sha256(nonce).digest() != self._info.terms.nonce_hash:",
        "        if False:",
    ),
    Mutation(
        "least set (registry)",
        "notary.py",
        "        if not least <= size <= most:",
        "        if False:",
    ),
    Mutation(
        "one size (registry)",
        "notary.py",
        "            if entry.size != size:",
        "            if False:",
    ),
    Mutation(
        "grant needs a complaint",
        "notary.py",
        "        if kind != Kind.DRAWN or member not in message.members:",
        "        if False:",
    ),
    Mutation(
        "exclusions are proved",
        "notary.py",
        "        if not proved.issuperset(message.excluded):",
        "        if False:",
    ),
    Mutation(
        "signed once",
        "notary.py",
        "        if kept != signed:",
        "        if False:",
    ),
    Mutation(
        "tickets spent",
        "notary.py",
        "        if already:\n            raise",
        "        if False:\n            raise",
    ),
    Mutation(
        "retraction's signature",
        "notary.py",
        "        if retraction.manifest != self._info.digest or not signed:",
        "        if False:",
    ),
    Mutation(
        "retraction before inclusion",
        "notary.py",
        "        if self._records.spend([key], claim):",
        "        if False:",
    ),
    Mutation(
        "context of the request",
        "notary.py",
        "        if message.context != committees.context:",
        "        if False:",
    ),
    Mutation(
        "committee's box keys (registry)",
        "notary.py",
        "                require_box_key(key)",
        "                pass",
    ),
    Mutation(
        "two messages of a key",
        "collector.py",
        "            if self._messages[key] != data:",
        "            if False:",
    ),
    Mutation(
        "proof's words are elements",
        "collector.py",
        "            require_elements(dealing.proof)",
        "            pass",
    ),
    Mutation(
        "form of what a node collected",
        "aggregator.py",
        "        if found != list(zip(counts, proofs, strict=True)) or sorted(set(keys)) != keys:",
        "        if False:",
    ),
    Mutation(
        "proofs of what a node collected",
        "aggregator.py",
        "            require_elements(each.proofs)",
        "            pass",
    ),
    Mutation(
        "one collection a node",
        "aggregator.py",
        "        if (earlier.entries, earlier.sum) != (part.entries, part.sum):",
        "        if False:",
    ),
    Mutation(
        "members of a node's sum",
        "aggregator.py",
        "        if message.members != members or first.get(node, message) != message:",
        "        if False:",
    ),
    Mutation(
        "members of a collected sum",
        "aggregator.py",
        "        if message.sum.members != len(keys):",
        "        if False:",
    ),
    Mutation(
        "all nodes' sums",
        "aggregator.py",
        "        if missing:",
        "        if False:",
    ),
    Mutation(
        "one sum a node",
        "collector.py",
        "            if out != before.left_out:",
        "            if False:",
    ),
    Mutation(
        "registry included this set",
        "aggregator.py",
        "        if head != expected:",
        "        if False:",
    ),
    Mutation(
        "registry's final is this set",
        "aggregator.py",
        "        if head != SetHead(self._info.digest, context, len(members), members.root, root):",
        "        if False:",
    ),
    Mutation(
        "dispute convicts (coordinator)",
        "aggregator.py",
        "        if message.member >= len(leaves) or not convicts(",
        "        if False and not convicts(",
    ),
    Mutation(
        "sum is signed",
        "aggregator.py",
        "        if message.head != document_digest(before.head) or not self._verify(",
        "        if False and not self._verify(",
    ),
    Mutation(
        "rounding bias taken off",
        "pads.py",
        "(members // 2 if drop else 0)",
        "0",
    ),
    Mutation(
        "complaints are signed",
        "exclusions.py",
        "    if complaints.root != root or not verify(",
        "    if False and not verify(",
    ),
    Mutation(
        "complaints are distinct",
        "exclusions.py",
        "    if list(members) != sorted(set(members)) or (members and members[-1] >= size):",
        "    if False:",
    ),
    Mutation(
        "lone complainer is absent",
        "exclusions.py",
        "            absent = _absent(by_decryptor, counts, len(leaves))",
        "            absent = set()",
    ),
    Mutation(
        "T complaints exclude",
        "exclusions.py",
        "if count >= needed}",
        "if count >= needed - 1}",
    ),
    Mutation(
        "wrong sums are bounded",
        "packed_shamir.py",
        "        if len(wrong) <= corrects:",
        "        if True:",
    ),
    Mutation(
        "R sums are needed",
        "packed_shamir.py",
        "    if len(points) < shape.threshold:",
        "    if False:",
    ),
    Mutation(
        "correction within e",
        "packed_shamir.py",
        "    corrects = min(shape.corrects, (len(points) - shape.threshold) // 2)",
        "    corrects = (len(points) - shape.threshold) // 2",
    ),
)


def main(names: list[str], mutations: Sequence[Mutation] = MUTATIONS, tests: Sequence[str] = TESTS) -> int:
    """Print a table of the mutations and of the first test that failed for each."""
    chosen = [each for each in mutations if not names or each.name in names]
    unnoticed = 0
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for mutation, red in zip(chosen, pool.map(partial(first_failure, tests=tests), chosen), strict=True):
            unnoticed += red is None
            sys.stdout.write(f"| {mutation.name} | `{mutation.module}` | {red or 'NOTICED BY NO TEST'} |\n")
            sys.stdout.flush()
    return 1 if unnoticed else 0


def first_failure(mutation: Mutation, tests: Sequence[str] = TESTS) -> str | None:
    """Return the first test that fails with the mutation, None where all pass."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "privacy"
        shutil.copytree(ROOT / "privacy", copy)
        module = copy / CORE / mutation.module
        source = module.read_text("utf-8")
        if source.count(mutation.text) != 1:
            return None
        module.write_text(source.replace(mutation.text, mutation.instead), "utf-8")
        paths = [str(copy), *[str(ROOT / each) for each in OTHERS]]
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(paths), "PYTHONDONTWRITEBYTECODE": "1"}
        command = [sys.executable, "-m", "pytest", "-q", "-x", *tests]
        ran = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    failed = re.findall(r"^(?:FAILED|ERROR) (\S+)", ran.stdout, re.MULTILINE)
    return failed[0].removeprefix("tests/") if failed else None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
