"""The technical and organisational measures (GDPR Art. 32), from `measures.toml`, with their live values."""

from __future__ import annotations

from collections.abc import Mapping
from string import Template

from covey_consent.access.roles import Role
from covey_consent.access.tokens import DEVICE_SECONDS
from covey_consent.documents.document import Bilingual, Blank, Document, Row, Section
from covey_consent.documents.facts import Facts
from covey_consent.documents.outline import Outline, read_table
from covey_privacy.floors import PRODUCTION

OUTLINE = Outline("toms")


def toms(facts: Facts) -> Document:
    """Return the measures by theme."""
    themes = read_measures(facts).items()
    return OUTLINE.document(
        facts, (Section(theme, table=OUTLINE.table("theme", rows)) for theme, rows in themes)
    )


def read_measures(facts: Facts) -> dict[Bilingual, list[Row]]:
    """Return by theme the measures: what each is, what holds now, which part of the software shows it."""
    table, live = read_table("measures.toml"), _live(facts)
    return {
        Bilingual(*words): [
            (
                row["measure"],
                Blank(row["blank"]) if "blank" in row else Template(row["now"]).substitute(live),
                row.get("shown_by", "outside the software"),
            )
            for row in table[theme]
        ]
        for theme, words in table["themes"].items()
    }


def _live(facts: Facts) -> Mapping[str, object]:
    """Return the values of the registry's settings, notices and rounds."""
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
    return (
        f"last round {manifest.round_id}: clip {manifest.norm:g}, sigma {manifest.sigma:g}, "
        f"epsilon {manifest.epsilon:g}, delta {manifest.delta:g}, "
        + (f"sum over {terms.least_set} to {terms.most} phones" if terms else "of an earlier version")
    )
