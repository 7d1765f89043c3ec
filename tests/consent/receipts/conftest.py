import dataclasses
from dataclasses import dataclass
from typing import Any

import pytest

from covey_consent.decisions.consent_event import Record, commit
from covey_consent.notices import files
from covey_consent.notices.drafts import NoticeFacts, draft
from covey_consent.policy import controller
from covey_consent.receipts import content, signed_receipts
from covey_consent.receipts.content import Case
from covey_consent.receipts.evidence import InclusionEvidence, PromiseEvidence
from covey_consent.receipts.schema_27560 import Receipt
from covey_privacy import checkpoint, merkle
from covey_privacy.checkpoint import Checkpoint
from covey_privacy.dp.odometer import Caps
from covey_privacy.inclusion_promise import CONTEXT as PROMISE
from covey_privacy.inclusion_promise import Promise
from covey_privacy.registry_messages import LEAF_CONSENT, Notice, NoticeText
from covey_privacy.signatures import SigningKey, sign

ORIGIN = "covey.test/log"
EVENT = "0b3f8c1e-6a2d-4c58-9d0e-2f7a51c4e9b1"
RECEIPT = "7d1f3a52-90c4-4e6b-8a37-5c2be0d91f64"
AT = 1_800_000_000_123
HEALTH = Notice(
    "health", 1, 0, 0, "consent", 0.0, 0.0, 1e-6, (NoticeText("en", "Reminders", "Kept on this phone only."),)
)


@dataclass
class Registrar:
    """A registry in miniature: a key, a controller, a log of six leaves."""

    key: SigningKey
    controller: controller.Controller
    notices: dict[str, Notice]
    salt: bytes = bytes(range(32))

    def record(self, purpose: str = "train", language: str = "en", **changes: Any) -> Record:
        plain = Record(
            registry=ORIGIN, event=EVENT, subject="5e" * 16, purpose=purpose, state="granted",
            actor="subject", method="toggle", notice="1.0.0", language=language,
            text=self.notices[purpose].text(language).digest.hex(), at=AT, expires=0,
        )  # fmt: skip
        return dataclasses.replace(plain, **changes)

    def unshown(self, purpose: str, state: str, language: str = "", **changes: Any) -> Record:
        """Return a record of what was said without a notice."""
        plain = {"notice": "", "language": language, "text": "", "method": "gpc", "state": state}
        return dataclasses.replace(self.record(), purpose=purpose, **{**plain, **changes})

    def published(self, record: Record, **changes: Any) -> InclusionEvidence:
        leaves = [merkle.leaf_hash(b"%d" % place) for place in range(6)]
        leaves[3] = merkle.leaf_hash(LEAF_CONSENT + commit(self.salt, record))
        tree = merkle.Tree(leaves)
        plain = {
            "record": record,
            "salt": self.salt.hex(),
            "index": 3,
            "size": 6,
            "proof": tuple(one.hex() for one in tree.inclusion(3)),
            "checkpoint": checkpoint.sign_checkpoint(Checkpoint(ORIGIN, 6, tree.root()), self.key),
        }
        return InclusionEvidence(**{**plain, **changes})

    def promised(self, record: Record) -> PromiseEvidence:
        promise = sign(PROMISE, Promise(ORIGIN, commit(self.salt, record), AT, AT + 3_600_000), self.key)
        return PromiseEvidence(record=record, salt=self.salt.hex(), promise=promise.hex())

    def case(self, record: Record, evidence: InclusionEvidence | PromiseEvidence | None = None) -> Case:
        notice = self.notices[record.purpose] if record.notice else None
        return Case(notice, evidence or self.published(record))

    def receipt(self, *records: Record) -> Receipt:
        cases = [self.case(record) for record in records or [self.record()]]
        return content.make_receipt(RECEIPT, AT + 100_000, cases, self.controller)

    def signed(self, *records: Record) -> bytes:
        return signed_receipts.sign(self.receipt(*records), self.key)


@pytest.fixture
def registrar() -> Registrar:
    facts = NoticeFacts(controller.load(None), Caps({"analytics": 1.5, "train": 3.0}, 4.0, 1e-6))
    drafts = [draft(file.completed, facts) for file in files.packaged().values()]
    known = {notice.purpose: notice for notice in (*drafts, HEALTH)}
    return Registrar(SigningKey(bytes(range(32))), facts.controller, known)
