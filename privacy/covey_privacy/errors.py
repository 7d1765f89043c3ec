"""Errors, split by whose fault it is."""


class PrivacyError(Exception):
    """Root of every error that `covey_privacy` raises."""


class MisuseError(PrivacyError, ValueError):
    """The caller asked for something that cannot be: a wrong argument, a step out of order."""


class PeerError(PrivacyError):
    """Another device, or whoever speaks for it, broke the protocol."""


class ServerError(PrivacyError):
    """The coordinator, a node or the registry broke the protocol, or asked for less than the floors."""


class ForkError(ServerError):
    """The log showed a signed head that does not continue the one seen before.

    `evidence` is bytes by which a third party can judge alone whether it lied (`covey_privacy.fork`).
    """

    def __init__(self, message: str, evidence: bytes) -> None:
        super().__init__(message)
        self.evidence = evidence


class BudgetError(PrivacyError):
    """The privacy budget does not hold what was asked for."""


class AbortError(PrivacyError):
    """Nobody lied, but too few devices are left to finish the round; nothing of it is released."""
