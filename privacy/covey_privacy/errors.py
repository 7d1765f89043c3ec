"""Errors, split by whose fault it is; `rule` names what was broken."""

from __future__ import annotations

from covey_privacy.protocol_rules import Rule


class PrivacyError(Exception):
    """Root of every error that `covey_privacy` raises. Its text is for people, its `rule` for programs."""

    def __init__(self, message: str, *, rule: Rule) -> None:
        super().__init__(message)
        self._rule = rule

    @property
    def rule(self) -> Rule:
        """The rule that was broken."""
        return self._rule


class MisuseError(PrivacyError, ValueError):
    """The caller asked for something that cannot be: a wrong argument, a step out of order."""

    def __init__(self, message: str, *, rule: Rule = Rule.ARGUMENT) -> None:
        super().__init__(message, rule=rule)


class PeerError(PrivacyError):
    """Another device, or whoever speaks for it, broke the protocol."""


class ServerError(PrivacyError):
    """The coordinator, a node or the registry broke the protocol, or asked for less than the floors."""


class ForkError(ServerError):
    """The log showed a signed head that does not continue the one seen before.

    `evidence` is bytes by which a third party can judge alone whether it lied (`covey_privacy.split_view`).
    """

    def __init__(self, message: str, evidence: bytes) -> None:
        super().__init__(message, rule=Rule.LOG_CONSISTENCY)
        self.evidence = evidence


class BudgetError(PrivacyError):
    """The privacy budget does not hold what was asked for."""

    def __init__(self, message: str) -> None:
        super().__init__(message, rule=Rule.BUDGET)


class AbortError(PrivacyError):
    """Too few good messages came to finish the round; nothing of it is released."""
