"""What an app pins: the keys of operator and registry, the log's origin and its witnesses."""

from __future__ import annotations

from dataclasses import dataclass

from covey_privacy.secagg.log_entries import LogView
from covey_privacy.site_document import open_site
from covey_privacy.witness import WitnessPolicy
from covey_sdk import event_checks

PUBLIC_KEY_LENGTH = 32


@dataclass(frozen=True, slots=True)
class Trust:
    """The pinned public keys of operator and registry, and the origin of the registry's log.

    With a `policy`, heads of the log count only once enough of its witnesses have cosigned them of late.
    `organisations` are the keys of the organisations whose standing committees the app trusts.
    """

    operator: bytes
    registry: bytes
    origin: str
    policy: WitnessPolicy | None = None
    organisations: frozenset[bytes] = frozenset()

    @classmethod
    def of_site(cls, operator: bytes, signed: bytes) -> Trust:
        """Return what a site document pins. Raises PrivacyError unless `operator` signed it."""
        site = open_site(signed, operator)
        return cls(operator, site.registry, site.origin, site.policy, site.organisation_keys)

    @property
    def log_view(self) -> LogView | None:
        """How the registry's log is verified, None where the app pins no witness."""
        return LogView(self.origin, self.registry, self.policy) if self.policy else None

    def require_sound(self) -> None:
        """Raise EventError where a pinned value cannot be one."""
        for name in ("operator", "registry"):
            pinned = getattr(self, name)
            if type(pinned) is not bytes or len(pinned) != PUBLIC_KEY_LENGTH:
                raise event_checks.wrong(
                    f"trust.{name}", f"a public key of {PUBLIC_KEY_LENGTH} bytes", pinned
                )
        event_checks.text(self.origin, "trust.origin")
        if self.policy is not None and not isinstance(self.policy, WitnessPolicy):
            raise event_checks.wrong("trust.policy", "a WitnessPolicy or None", self.policy)
