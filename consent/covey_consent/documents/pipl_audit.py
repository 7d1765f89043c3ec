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
OUTSIDE = "outside software: the officer answers"


@functools.cache
def load() -> Mapping[str, Any]:
    """Return the checklist's `theme` rows and its `awaiting` routes."""
    text = resources.files("covey_consent.documents").joinpath("pipl_audit.toml").read_text("utf-8")
    return tomllib.loads(text)


def pipl_audit(facts: Facts) -> Document:
    """Return the checklist, each row with what shows it, or saying that the officer answers."""
    return Document(
        "pipl-audit",
        Words("Personal information protection: audit checklist", "个人信息保护合规审计清单"),
        "PIPL Art. 54; CAC Order 18, in force since 2025-05-01",
        facts,
        tuple(_theme(theme) for theme in load()["theme"]),
    )


def _theme(theme: Mapping[str, Any]) -> Section:
    rows = tuple(_row(row) for row in theme["row"])
    return Section(Words(theme["en"], theme["zh"]), table=Table(COLUMNS, rows))


def _row(row: Mapping[str, Any]) -> tuple[Value, ...]:
    evidence = tuple(each for each in row["evidence"] if each not in load()["awaiting"])
    tests = tuple(mark.test for mark in marks.shipped() if mark.article == row["article"])
    finding = Blank("in order, or what is to be mended" if evidence or tests else OUTSIDE)
    return row["article"], Words(row["question"], row["zh"]), evidence or "none", tests or "none", finding
