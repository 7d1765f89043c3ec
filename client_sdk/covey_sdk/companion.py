"""Companions: what goes with something bought a while ago, and was not bought since."""

from __future__ import annotations

from collections.abc import Iterable

from covey_sdk.finding import Finding, TagEvidence
from covey_sdk.history import History
from covey_sdk.rule_bundle import Pair, Rules, plain


def cross_sell(history: History, rules: Rules) -> tuple[Finding, ...]:
    """Return what people tend to buy that long after."""
    return _due("cross_sell.due", rules.cross_sell, history, rules)


def complement(history: History, rules: Rules) -> tuple[Finding, ...]:
    """Return what is used together with it."""
    return _due("complement.due", rules.complement, history, rules)


def _due(kind: str, pairs: Iterable[Pair], history: History, rules: Rules) -> tuple[Finding, ...]:
    """Return each due category once; a sensitive one only where the history may hold it."""
    found: dict[str, Finding] = {}
    for pair in pairs:
        lag = _lag(pair, history) if rules.may_enter_tags((pair.due,), history.sensitive) else None
        if lag is not None:
            evidence = (
                TagEvidence("lag_days", lag, pair.least_days),
                TagEvidence("lag_days", lag, pair.most_days),
            )
            about = f":{plain(pair.due)}"
            found.setdefault(about, Finding(kind, "yes", evidence, about=about))
    return tuple(found.values())


def _lag(pair: Pair, history: History) -> int | None:
    """Return the days since the latest buy that the pair's window holds and no buy of the other followed."""
    since = history.buys.get(plain(pair.due))
    lags = [
        history.age(buy.day)
        for buy in history.buys.get(plain(pair.bought), ())
        if since is None or since[-1].day < buy.day
    ]
    return min((lag for lag in lags if pair.least_days <= lag <= pair.most_days), default=None)
