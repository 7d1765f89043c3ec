"""Errors, split by whose fault it is."""


class PrivacyError(Exception):
    """Root of every error that `covey_privacy` raises."""


class MisuseError(PrivacyError, ValueError):
    """The caller asked for something that cannot be: a wrong argument, a step out of order."""


class PeerError(PrivacyError):
    """Another device, or whoever speaks for it, broke the protocol."""


class ServerError(PrivacyError):
    """The coordinator, a node or the registry broke the protocol, or asked for less than the floors."""


class BudgetError(PrivacyError):
    """The privacy budget does not hold what was asked for."""


class AbortError(PrivacyError):
    """Nobody lied, but too few devices are left to finish the round; nothing of it is released."""
