"""The checklist for a compliance audit under PIPL Art. 54 and the Cyberspace Administration's Order 18."""

from __future__ import annotations

import functools
import tomllib
from collections.abc import Mapping
from importlib import resources
from typing import Any

from covey_consent.documents.document import Blank, Document, Section, Table, Value, Words
from covey_consent.documents.facts import Facts
from covey_consent.documents.labels import Labels
from covey_consent.law import marks

WORDS = Labels("pipl_audit")

COLUMNS = WORDS.columns("article", "question", "evidence", "tests", "finding")
READING = Words(
    "These questions are Covey's reading of the law and the Order. Tests and documents show what software "
    "does, not that the law is met: that is for the officer and the auditor.",
    "以下事项系 Covey 对法律及该办法的理解。测试与文件仅说明软件的行为，不表明已符合法律要求；"
    "结论由负责人和审计人员作出。",
)
OUTSIDE = "outside software: the officer answers"


@functools.cache
def load() -> Mapping[str, Any]:
    """Return the checklist, whose `theme` has the rows."""
    text = resources.files("covey_consent.documents").joinpath("pipl_audit.toml").read_text("utf-8")
    return tomllib.loads(text)


def pipl_audit(facts: Facts) -> Document:
    """Return the checklist, each row with what shows it, or saying that the officer answers."""
    return Document(
        "pipl-audit",
        Words("Personal information protection: audit checklist", "个人信息保护合规审计清单"),
        "PIPL Art. 54; CAC Order 18, in force since 2025-05-01",
        facts,
        (
            Section(
                Words("This list", "本清单"), facts=(WORDS.fact("reading", READING), WORDS.blank("annex"))
            ),
            *(_theme(theme) for theme in load()["theme"]),
        ),
    )


def _theme(theme: Mapping[str, Any]) -> Section:
    rows = tuple(_row(row) for row in theme["row"])
    return Section(Words(theme["en"], theme["zh"]), table=Table(COLUMNS, rows))


def _row(row: Mapping[str, Any]) -> tuple[Value, ...]:
    evidence = tuple(row["evidence"])
    tests = tuple(mark.test for mark in marks.shipped() if mark.article == row["article"])
    finding = Blank("in order, or what is to be mended" if evidence or tests else OUTSIDE)
    return row["article"], Words(row["question"], row["zh"]), evidence or "none", tests or "none", finding
