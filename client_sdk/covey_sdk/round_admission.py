"""What every part in a round starts with: the signed manifest, consent, the log and the issuer keys."""

from __future__ import annotations

from datetime import datetime

from covey_privacy.manifest import Manifest, open_manifest
from covey_privacy.merkle import leaf_hash
from covey_privacy.registry_messages import LEAF_MANIFEST
from covey_privacy.secagg.terms import RoundInfo
from covey_privacy.signatures import Verify, digest_of
from covey_privacy.tickets import IssuerKeys
from covey_sdk.clock import Clock
from covey_sdk.consent_gate import ConsentGate
from covey_sdk.consents import Consents
from covey_sdk.manifest_check import OpenedManifest
from covey_sdk.registry_client import RegistryClient
from covey_sdk.registry_sync import RegistrySync
from covey_sdk.trust import Trust


class RoundAdmission:
    """A device's checks before it takes part in a round, as a contributor or as a decryptor.

    `verify` checks the operator's signature on manifests.
    """

    def __init__(
        self, trust: Trust, clock: Clock, consents: Consents, registry_sync: RegistrySync, verify: Verify
    ) -> None:
        self.trust, self.verify = trust, verify
        self._clock, self._consents, self._sync = clock, consents, registry_sync

    @property
    def registry(self) -> RegistryClient:
        """The registry. Raises RegistryError when the device was opened without one."""
        return self._sync.registry

    def now(self) -> datetime:
        """Return the checked time."""
        return self._clock.now()

    def sync(self) -> None:
        """Synchronise consents with the registry. See `RegistrySync.sync`."""
        self._sync.sync()

    def open(self, signed: bytes) -> OpenedManifest:
        """Return a manifest that the pinned operator signed."""
        return OpenedManifest(open_manifest(signed, self.trust.operator, self.verify), digest_of(signed))

    def round_info(self, opened: OpenedManifest, issuer_keys: IssuerKeys) -> RoundInfo:
        """Return what the round's messages are checked by."""
        return opened.manifest.info(opened.digest, self.trust.registry, issuer_keys)

    def gate(self) -> ConsentGate:
        """Return what the person allows now."""
        return self._consents.gate(self._clock.now())

    def require_consent(self, manifest: Manifest) -> None:
        """Raise ConsentError unless every purpose of a round is allowed now."""
        self.gate().require(*manifest.purposes)

    def logged_issuer_keys(self, signed: bytes, manifest: Manifest) -> IssuerKeys:
        """Return the issuer keys of a round, once they and its signed manifest are proven to be in the log.

        No ticket is fetched here: the time of it would tell the registry who takes part.
        """
        checkpoint = self._consents.checkpoint
        self.registry.inclusion(leaf_hash(LEAF_MANIFEST + signed), checkpoint)
        return self.registry.issuer(manifest.purposes, manifest.epoch, checkpoint).keys
