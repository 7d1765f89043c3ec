"""The certificate of erasure: a JWS (RFC 7515) under the registry's key, with words for the person."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, cast

import orjson
import rfc8785
from joserfc import jws
from joserfc.jwk import OKPKey

from covey_consent.access.tokens import ALGORITHM, jwk
from covey_consent.rights import labels
from covey_consent.rights.personal_data_rows import Erased
from covey_consent.storage.models import HOUR
from covey_consent.tickets.epoch_calendar import Calendar
from covey_privacy.dp.odometer import Caps
from covey_privacy.signatures import SigningKey

TYPE = "covey-erasure+jws"


@dataclass(frozen=True, slots=True)
class Certifier:
    """Certifies erasures for the registry `origin`; `backup_days` is how long backups are kept."""

    key: SigningKey
    origin: str
    calendar: Calendar
    caps: Caps
    backup_days: int

    @property
    def public(self) -> OKPKey:
        """The key that checks certificates."""
        return OKPKey.import_key(jwk(self.key).as_dict(private=False))

    def certify(self, request: str, erased: Erased, recipients: int) -> str:
        """Return the certificate for the request of this id, which is all that leads to the person."""
        hour = self.calendar.now // HOUR * HOUR
        said = labels.say(
            "certificate", rows=sum(erased.deleted.values()), blanked=sum(erased.blanked.values()),
            hour=datetime.fromtimestamp(hour, UTC).isoformat(),
            days=self.backup_days, recipients=recipients, epsilon=f"{self.caps.total:g}",
            delta=f"{self.caps.delta:g}",
        )  # fmt: skip
        claims: dict[str, Any] = {
            "iss": self.origin, "jti": request, "iat": hour, "rows": dict(erased.deleted),
            "blanked": dict(erased.blanked), "key_destroyed": erased.deleted.get("subject_keys", 0) > 0,
            "recipients_written_to": recipients,
            "backups_until": hour + HOUR + self.backup_days * 86400, "epsilon": self.caps.total,
            "delta": self.caps.delta, "words": said,
        }  # fmt: skip
        header = {"alg": ALGORITHM, "typ": TYPE, "kid": self.key.public.hex()}
        return jws.serialize_compact(header, rfc8785.dumps(claims), jwk(self.key), [ALGORITHM])


def claims(certificate: str) -> dict[str, Any]:
    """Return what a certificate of the registry's own says; others check its signature first."""
    return cast(dict[str, Any], orjson.loads(jws.extract_compact(certificate.encode()).payload))
