"""Verdicts for many people at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from covey_consent.decisions.verdicts import Standings, Verdict, judge
from covey_privacy.registry_messages import Notice


def verdicts(
    people: Sequence[str],
    choices: Mapping[str, Standings],
    purpose: str,
    notices: Mapping[str, Notice],
    now: int,
) -> list[Verdict]:
    """Return the verdict for each person at `now` (Unix milliseconds), in their order.

    Who chose the same share what stands: each is judged once.
    """
    alike = {id(standings): standings for standings in choices.values()}
    judged = {name: judge(standings, purpose, notices, now) for name, standings in alike.items()}
    return [judged[id(choices[subject])] if subject in choices else Verdict.UNKNOWN for subject in people]
