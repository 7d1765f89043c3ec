"""Webhook headers of Standard Webhooks 1.0: an id, a time, and signatures over both and the body.

Each is signed twice, and a recipient checks whichever it can: `v1a`, Ed25519 under the registry's one public
key, and `v1`, HMAC-SHA256 under a secret of the recipient's own.
"""

from __future__ import annotations

import hashlib
import hmac
from base64 import b64encode
from dataclasses import dataclass

from covey_consent.storage import key_file
from covey_privacy.signatures import SigningKey


@dataclass(frozen=True, slots=True)
class WebhookSigner:
    """Signs notifications, with keys that are derived from its own and stored nowhere."""

    key: SigningKey

    @property
    def public(self) -> str:
        """The key that checks `v1a`, in the form that recipients are given."""
        return "whpk_" + b64encode(self._ed25519.public).decode()

    def secret(self, recipient: str) -> str:
        """Return the secret that checks `v1`, for this recipient alone."""
        return "whsec_" + b64encode(self._hmac(recipient)).decode()

    def pseudonym(self, recipient: str, subject: str) -> str:
        """Return the name (64 hex digits) by which this recipient, and no other, knows the person."""
        secret = key_file.derive(self.key, "recipients' pseudonyms")
        return hmac.digest(secret, f"{recipient} {subject}".encode(), hashlib.sha256).hex()

    def headers(self, recipient: str, id_: str, at: int, body: bytes) -> dict[str, str]:
        """Return the headers of a message that is sent `at` Unix seconds."""
        signed = b".".join((id_.encode(), str(at).encode(), body))
        signatures = {
            "v1a": self._ed25519.sign(signed),
            "v1": hmac.digest(self._hmac(recipient), signed, hashlib.sha256),
        }
        said = " ".join(f"{name},{b64encode(value).decode()}" for name, value in signatures.items())
        return {"webhook-id": id_, "webhook-timestamp": str(at), "webhook-signature": said}

    @property
    def _ed25519(self) -> SigningKey:
        return SigningKey(key_file.derive(self.key, "webhooks"))

    def _hmac(self, recipient: str) -> bytes:
        return key_file.derive(self.key, f"webhooks to {recipient}")
