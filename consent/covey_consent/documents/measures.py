"""Technical and organisational measures (GDPR Art. 32(1)), from `measures.toml`, each with its live value."""

from __future__ import annotations

import functools
import tomllib
from collections.abc import Mapping
from importlib import resources
from string import Template
from typing import Any, NamedTuple

from covey_consent.access.roles import Role
from covey_consent.access.tokens import DEVICE_SECONDS
from covey_consent.documents.document import Blank, Words
from covey_consent.documents.facts import Facts
from covey_privacy.floors import PRODUCTION


class Measure(NamedTuple):
    """A measure, what holds now, and the part of the software that shows it."""

    theme: Words
    measure: str
    value: str | Blank
    shown_by: str


def measures(facts: Facts) -> tuple[Measure, ...]:
    """Return the measures, with the values of the registry's settings, notices and rounds."""
    table, live = _load(), _live(facts)
    return tuple(
        Measure(Words(*words), row["measure"], _value(row, live), row.get("shown_by", "outside the software"))
        for theme, words in table["themes"].items()
        for row in table[theme]
    )


def _value(row: Mapping[str, str], live: Mapping[str, object]) -> str | Blank:
    return Blank(row["blank"]) if "blank" in row else Template(row["now"]).substitute(live)


def _live(facts: Facts) -> Mapping[str, object]:
    settings, caps = facts.settings, facts.settings.caps
    witnesses = ", ".join(witness.key.name for witness in settings.witnesses)
    return {
        "floors": ", ".join(f"{least} for {purpose}" for purpose, least in PRODUCTION.cohorts.items()),
        "noise": _noise(facts),
        "epoch_seconds": settings.epoch_seconds,
        "device_seconds": DEVICE_SECONDS,
        "provider": f"the provider's keys after {settings.idp_jwks_seconds} s"
        if settings.idp_jwks
        else "no provider is set",
        "roles": ", ".join(Role),
        "by_consent": sum(notice.basis == "consent" for notice in facts.notices.values()),
        "caps": ", ".join(f"{purpose} {epsilon:g}" for purpose, epsilon in caps.per_purpose.items()),
        "total": f"{caps.total:g}",
        "delta": f"{caps.delta:g}",
        "log_size": facts.log_size,
        "log_root": facts.log_root,
        "witnesses": witnesses or "none: only phones hold the registry to its log",
        "operators": "no: one operator runs both" if facts.controller.same_operator else "yes",
        "database": settings.database_url.partition(":")[0].partition("+")[0],
        "version": facts.version,
    }


def _noise(facts: Facts) -> str:
    if not facts.rounds:
        return "no round was announced yet"
    manifest = facts.rounds[-1].manifest
    terms = manifest.terms
    over = f"sum over {terms.least_set} to {terms.most} phones" if terms else "of an earlier version"
    return (
        f"last round {manifest.round_id}: clip {manifest.norm:g}, sigma {manifest.sigma:g}, "
        f"epsilon {manifest.epsilon:g}, delta {manifest.delta:g}, "
        f"{over}"
    )


@functools.cache
def _load() -> Mapping[str, Any]:
    text = resources.files("covey_consent.documents").joinpath("measures.toml").read_text("utf-8")
    return tomllib.loads(text)
