"""The site document: what an app, a decryptor or an auditor pins of one shop, signed by its operator.

An app ships the operator's public key and one site document. Everything else that it believes follows from
them: the registry's key and log, the witnesses, the organisations of standing committees, where each of them
answers, and the profile whose floors apply.

    signed = sign_site(document, operator_key)
    document = open_site(signed, operator_public_key)
    document.log_view.require_logged(entry, logged, now)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from covey_privacy import wire
from covey_privacy.errors import MisuseError, ServerError
from covey_privacy.note import VerifierKey
from covey_privacy.protocol_rules import Rule
from covey_privacy.secagg.log_entries import LogView
from covey_privacy.secagg.terms import MOST_ORGANISATIONS
from covey_privacy.signatures import SigningKey, Verify, open_signed, sign, verify
from covey_privacy.witness import WitnessPolicy

CONTEXT = "site"

MOST_KEYS = 64
"""Of one organisation: it may sit on a committee more than once, with a key for each seat."""

Url = Annotated[str, wire.Size(0, 512)]


@dataclass(frozen=True, slots=True)
class Organisation:
    """An organisation whose decryptors apps trust: its name, its seats' Ed25519 keys, where they answer.

    `urls` has the address of each key's decryptor, in the order of `keys`.
    """

    name: wire.Name
    keys: Annotated[tuple[wire.Bytes32, ...], wire.Records(1, MOST_KEYS)]
    urls: Annotated[tuple[Url, ...], wire.Size(1, MOST_KEYS)]


@dataclass(frozen=True, slots=True)
class SiteDocument:
    """One shop's addresses and pinned keys. A document replaces those of smaller `version`.

    `origin` is the log's name. `witnesses` are verifier keys as text, of which `least_witnesses` must have
    cosigned a checkpoint at most `witness_seconds` from now. `profile` names the floors that apply.
    """

    version: wire.U32
    name: wire.Name
    profile: wire.Name
    registry: wire.Bytes32
    registry_url: Url
    origin: wire.Text
    witnesses: Annotated[tuple[wire.Text, ...], wire.Size(0, 16)]
    least_witnesses: wire.U32
    witness_seconds: wire.U32
    gateways: Annotated[tuple[Url, ...], wire.Size(0, 64)]
    organisations: Annotated[tuple[Organisation, ...], wire.Size(0, MOST_ORGANISATIONS)]

    @property
    def policy(self) -> WitnessPolicy | None:
        """Which witnesses must have cosigned; None where none is asked for.

        Raises MisuseError for keys that are none, or more cosignatures asked for than witnesses named.
        """
        if not self.witnesses:
            return None
        return WitnessPolicy(
            tuple(map(VerifierKey.parse, self.witnesses)), self.least_witnesses, self.witness_seconds
        )

    @property
    def log_view(self) -> LogView:
        """Whom a decryptor believes about the log. Raises MisuseError where no witness is named."""
        if self.policy is None:
            raise MisuseError("the site names no witness, and a decryptor believes no log without one")
        return LogView(self.origin, self.registry, self.policy)

    @property
    def organisation_keys(self) -> frozenset[bytes]:
        """The pinned keys of all organisations."""
        return frozenset(key for organisation in self.organisations for key in organisation.keys)

    def organisation_of(self, key: bytes) -> Organisation | None:
        """Return the organisation that a key belongs to, None where none is pinned with it."""
        return next((each for each in self.organisations if key in each.keys), None)

    def require_sound(self) -> None:
        """Raise ServerError unless the document fits together."""
        keys = [key for organisation in self.organisations for key in organisation.keys]
        if len(set(keys)) < len(keys):
            raise ServerError("the site pins one key for two seats", rule=Rule.DOCUMENT_CONTENT)
        if any(len(each.keys) != len(each.urls) for each in self.organisations):
            raise ServerError("an organisation has not one address a key", rule=Rule.DOCUMENT_CONTENT)
        try:
            self.policy  # noqa: B018  # it says what is wrong with it
        except MisuseError as error:
            raise ServerError(f"the site's witnesses: {error}", rule=Rule.DOCUMENT_CONTENT) from None


def sign_site(document: SiteDocument, operator: SigningKey) -> bytes:
    """Return the document signed by the operator. Raises ServerError where it does not fit together."""
    document.require_sound()
    return sign(CONTEXT, document, operator)


def open_site(signed: bytes, operator: bytes, verify: Verify = verify) -> SiteDocument:
    """Return the document in `signed`.

    Raises:
        PeerError: the operator did not sign it.
        ServerError: it does not fit together.
    """
    document = open_signed(SiteDocument, CONTEXT, signed, operator, verify, "operator")
    document.require_sound()
    return document
