"""A shop whose phones play several rounds over one witnessed log, and what each phone keeps and can read."""

from __future__ import annotations

import functools
import os
from collections.abc import Iterable, Sequence

import numpy as np
from secagg_rounds import STANDING, VERIFY

from covey_privacy.certificate import Claim, LoggedDocument, claim_key
from covey_privacy.certificate_maker import certify_absence, certify_participation
from covey_privacy.evidence import CONTEXT, Evidence
from covey_privacy.manifest import Manifest, Windows, sign_manifest
from covey_privacy.note import COSIGNATURE, VerifierKey
from covey_privacy.registry_messages import LEAF_CONSENT, LEAF_EVIDENCE, LEAF_MANIFEST
from covey_privacy.secagg.leaves import LeafSet
from covey_privacy.secagg.log_entries import LEAF_SECAGG
from covey_privacy.secagg.messages import Leaf
from covey_privacy.secagg.terms import RoundTerms
from covey_privacy.signatures import SigningKey, sign
from covey_privacy.site_document import SiteDocument, sign_site
from covey_privacy.tickets import Role
from covey_simulations.scenarios.in_process_round import ORIGIN, WITNESS, Issuer, Players, Setting, new_site

PHONES, LENGTH = 5, 8
OPERATOR = SigningKey(b"o" * 32)


@functools.cache
def slot(number: int) -> tuple[Issuer, Issuer]:
    """The issuers of one slot: phones have one ticket of each, and rounds of different slots other keys."""
    return Issuer(Role.CONTRIBUTE, number), Issuer(Role.VOLUNTEER, number)


class Shop:
    """Phone i has the round key number i of every slot."""

    def __init__(self) -> None:
        self.site = new_site()
        self.registry, self.log = self.site
        self.rounds: dict[str, Players] = {}
        self.published: dict[bytes, Sequence[Leaf]] = {}
        self.finals: dict[str, tuple[bytes, Sequence[Leaf]]] = {}

    def begin(self, round_id: str, number: int, phones: int = PHONES) -> Players:
        """Announce a round whose tickets are of slot `number`."""
        setting = Setting(phones=phones, length=LENGTH, standing=STANDING)
        announce = functools.partial(manifest_of, round_id)
        round_ = Players(setting, slot(number), verify=VERIFY, site=self.site, manifest=announce)
        self.rounds[round_id] = round_
        round_.seat()
        return round_

    def contribute(self, round_id: str, phones: Iterable[int] = range(PHONES)) -> None:
        """Let some phones contribute."""
        round_, those = self.rounds[round_id], set(phones)
        for number, contributor in enumerate(round_.contributors()):
            if number in those:
                vector = np.full(LENGTH, number)
                round_.collector.add(contributor.contribute(round_.file, vector))

    def include(self, round_id: str) -> None:
        """Have the set included, and publish its leaves."""
        self.rounds[round_id].include()
        self._publish(self.rounds[round_id].aggregator.state.members)

    def finish(self, round_id: str) -> None:
        """Open and log the final set, and publish its leaves and evidence."""
        round_ = self.rounds[round_id]
        round_.check()
        round_.finalize()
        before = round_.aggregator.state.before
        members = before.members.without(before.excluded)
        self.finals[round_id] = self.log.entries[-1][1:], members.leaves
        self._publish(members)
        round_.open()
        self.log.append_entry(LEAF_EVIDENCE + evidence_of(round_id, round_.info.digest))

    def play(self, round_id: str, number: int, phones: Iterable[int] = range(PHONES)) -> None:
        """Play a whole round."""
        self.begin(round_id, number)
        self.contribute(round_id, phones)
        self.include(round_id)
        self.finish(round_id)

    def decide(self) -> None:
        """Log somebody's decision."""
        self.log.append_entry(LEAF_CONSENT + bytes(32))

    def _publish(self, members: LeafSet) -> None:
        self.published[members.root] = members.leaves

    def logged(self, kind: bytes, signed: bytes) -> LoggedDocument:
        """Return a document with its place in the log."""
        return LoggedDocument(self.log.entries.index(kind + signed), signed)

    def claim(self, phone: int, number: int) -> Claim:
        """Return a phone's claim of its round key of one slot."""
        return claim_key(slot(number)[0].round_keys(PHONES, os.urandom)[phone].secret)

    def claims(self, phone: int, *numbers: int) -> list[Claim]:
        """Return a phone's claims of its round keys of some slots."""
        return [self.claim(phone, number) for number in numbers]

    def participation(self, phone: int, round_id: str, number: int, **changes) -> bytes:
        """Certify that a phone's contribution is in a round."""
        info = self.rounds[round_id].info
        head, leaves = self.finals[round_id]
        given = {
            "claim": self.claim(phone, number),
            "leaves": leaves,
            "manifest": self.logged(LEAF_MANIFEST, manifest_of(round_id, info.terms)),
            "head": self.logged(LEAF_SECAGG, head),
            "note": self.log.note(),
            "node": self.log.tree.node,
            "operator": OPERATOR.public,
            "view": self.log.view,
            "evidence": self.logged(LEAF_EVIDENCE, evidence_of(round_id, info.digest)),
        } | changes
        return certify_participation(**given)

    def absence(self, claims: Sequence[Claim], since: str, **changes) -> bytes:
        """Certify absence since a checkpoint, until now."""
        given = {
            "claims": claims,
            "since": since,
            "until": self.log.note(),
            "entries": self.log.entries[size_of(since) :],
            "node": self.log.tree.node,
            "published": self.published,
            "operator": OPERATOR.public,
            "view": self.log.view,
            "round_ids": {each.info.digest: round_id for round_id, each in self.rounds.items()},
        } | changes
        return certify_absence(**given)

    @property
    def site_document(self) -> bytes:
        """The signed site document."""
        witness = self.log.view.witnesses.witnesses[0]
        assert (witness.name, witness.algorithm) == (WITNESS, COSIGNATURE)
        document = SiteDocument(
            1, "shop.example", "test", self.registry.public, "https://registry.example", ORIGIN,
            (VerifierKey(WITNESS, COSIGNATURE, witness.public).vkey,), 1, 3600, (), (),
        )  # fmt: skip
        return sign_site(document, OPERATOR)


def manifest_of(round_id: str, terms: RoundTerms) -> bytes:
    """Return a signed manifest of the terms."""
    return sign_manifest(
        Manifest(
            round_id=round_id, query="q1", purpose="analytics", purposes=("analytics", "personalize"),
            epoch=20_000, profile="test", issuer=bytes(32), model=bytes(32), length=LENGTH, norm=1.0,
            scale=64.0, sigma=10.0, epsilon=0.5, delta=1e-6, bits=20, gamma=0.0, honest=1, least_issued=2,
            least_cell=50, terms=terms, windows=Windows(1, 2, 3, 4),
        ),
        OPERATOR,
    )  # fmt: skip


def evidence_of(round_id: str, digest: bytes) -> bytes:
    """Return a round's signed evidence, with a release whose hash is all ones."""
    return sign(
        CONTEXT,
        Evidence(
            round_id, "q1", ("analytics", "personalize"), "test", digest, bytes(32), bytes(32), bytes(32),
            0, 0, "<10", (), (), False, 1.0, 10.0, 0.5, 0.5, 1e-6, 1, 2, "released", "0", True, bytes(32),
            bytes(32), b"\1" * 32,
        ),
        OPERATOR,
    )  # fmt: skip


def size_of(note: str) -> int:
    """Return the size that a checkpoint states."""
    return int(note.split("\n")[1])
