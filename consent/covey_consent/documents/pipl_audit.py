"""The checklist for a compliance audit under PIPL Art. 54 and the Cyberspace Administration's Order 18."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from covey_consent.documents.document import Bilingual, Blank, Document, Row, Section
from covey_consent.documents.facts import Facts
from covey_consent.documents.outline import Outline, read_table
from covey_consent.law import compliance

OUTLINE = Outline("pipl-audit")
OUTSIDE = "outside software: the officer answers"


def pipl_audit(facts: Facts) -> Document:
    """Return the checklist, each row with what shows it, or saying that the officer answers."""
    themes = (
        Section(Bilingual(theme["en"], theme["zh"]), table=OUTLINE.table("theme", map(_row, theme["row"])))
        for theme in read_table("pipl_audit.toml")["theme"]
    )
    return OUTLINE.document(facts, (OUTLINE.section("list", {}), *themes))


def _row(row: Mapping[str, Any]) -> Row:
    evidence = tuple(row["evidence"])
    tests = tuple(mark.test for mark in compliance.shipped_marks() if mark.article == row["article"])
    finding = Blank("in order, or what is to be mended" if evidence or tests else OUTSIDE)
    return row["article"], Bilingual(row["question"], row["zh"]), evidence or "none", tests or "none", finding
