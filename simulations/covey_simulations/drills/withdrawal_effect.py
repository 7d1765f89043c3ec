"""The effect of withdrawals: each group's figures, and whether they are as they should be."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from covey_simulations.drills.participation_attempts import Try
from covey_simulations.drills.withdrawal_attempts import Away, GroupResult, PersonResult

ALLOWED, WITHDRAWN = "allowed", "withdrawn"


def withdrawal_figures(
    group: GroupResult,
    left: Sequence[PersonResult],
    stayed: Sequence[PersonResult],
    in_set: Collection[bytes],
) -> dict[str, Any]:
    """Return a group's figures as JSON values; `in_set` holds the round keys of the earlier round's set."""
    found: dict[str, Any] = {
        "group": group.name,
        "people": len(left),
        "phone_refuses_ms": _spread([one.act + one.first.seconds for one in left if one.first.refusal]),
        "registry_refuses_ms": _spread([_heard(group, one) for one in left if one.demanded.refusal]),
        "contributions": sum(_any(one.first, one.back) for one in left),
        "tickets": sum(_any(one.demanded, one.fetched) for one in left),
        "refused_by_registry_alone": sum(_unheeded(group, one) for one in left),
        "verdicts": dict(Counter(one.verdict for one in left)),
        "phone_says": _refusals(one.first for one in left),
        "registry_says": _refusals(one.demanded for one in left),
        "stay_offline": sum(one.away for one in left),
        "old_tickets_usable": sum(one.ticket.succeeded for one in left),
        "in_the_earlier_set": _in_set(left, in_set),
        "baseline": _baseline(group, stayed, in_set),
    }
    return {**found, "as_expected": _as_expected(found)}


def waiting_seconds(away: Away, hours_left: float) -> dict[str, Any]:
    """Return what bounds a phone that stays offline, as JSON values."""
    as_expected = away.open_before == away.closed_after == away.people
    as_expected = as_expected and not (away.open_again or away.contributions)
    return {
        "people": away.people,
        "ticket_hours_left": round(hours_left, 2),
        "gates_open_before_seven_days": away.open_before,
        "gates_closed_after_seven_days": away.closed_after,
        "gates_open_again_online": away.open_again,
        "contributions": away.contributions,
        "as_expected": as_expected,
    }


def _heard(group: GroupResult, one: PersonResult) -> float:
    """Return the seconds until the registry refused, from when it could first be told."""
    return one.demanded.seconds + (one.sync if group.offline and not group.by_officer else one.act)


def _any(*tries: Try | None) -> bool:
    return any(each is not None and each.succeeded for each in tries)


def _in_set(people: Sequence[PersonResult], in_set: Collection[bytes]) -> int:
    return sum(one.earlier_key in in_set for one in people)


def _refusals(tries: Iterable[Try]) -> dict[str, int]:
    return dict(Counter(each.refusal for each in tries if each.refusal))


def _unheeded(group: GroupResult, one: PersonResult) -> bool:
    """Say whether a phone that knew of the withdrawal left it to others to refuse."""
    knew = () if group.by_officer and group.offline else (one.first,)
    tries = (*knew, one.back, one.fetched)
    return any(each is not None and each.refusal and not each.by_phone for each in tries)


def _baseline(
    group: GroupResult, stayed: Sequence[PersonResult], in_set: Collection[bytes]
) -> dict[str, Any]:
    return {
        "people": len(stayed),
        "took_part": sum(_any(one.back) for one in stayed),
        "took_part_offline": sum(group.offline and one.first.succeeded for one in stayed),
        "got_tickets": sum(_any(one.demanded) and _any(one.fetched) for one in stayed),
        "old_tickets_usable": sum(one.ticket.succeeded for one in stayed),
        "in_the_earlier_set": _in_set(stayed, in_set),
        "verdicts": dict(Counter(one.verdict for one in stayed)),
    }


def _as_expected(found: Mapping[str, Any]) -> bool:
    stayed = found["baseline"]
    done = ("took_part", "got_tickets", "old_tickets_usable", "in_the_earlier_set")
    succeeded = all(stayed[name] == stayed["people"] for name in done)
    through = found["contributions"] or found["tickets"] or stayed["took_part_offline"]
    # A phone that stays offline has not heard of its officer's withdrawal.
    kept = found["old_tickets_usable"], found["in_the_earlier_set"]
    unheard = kept == (found["stay_offline"],) * 2
    return (
        succeeded
        and unheard
        and not through
        and not found["refused_by_registry_alone"]
        and stayed["verdicts"] == {ALLOWED: stayed["people"]}
        and found["verdicts"] == {WITHDRAWN: found["people"]}
    )


def _spread(seconds: Sequence[float]) -> dict[str, float] | None:
    if not seconds:
        return None
    median, most = 1000 * np.percentile(seconds, [50, 99])
    return {"median": round(float(median), 2), "p99": round(float(most), 2)}
