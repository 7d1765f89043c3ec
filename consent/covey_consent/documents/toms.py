"""The technical and organisational measures (GDPR Art. 32), from the live configuration."""

from __future__ import annotations

import itertools
from operator import attrgetter

from covey_consent.documents.document import Document, Section, Table, Words
from covey_consent.documents.facts import Facts
from covey_consent.documents.labels import Labels
from covey_consent.documents.measures import measures

WORDS = Labels("toms")

COLUMNS = WORDS.columns("measure", "value", "shown_by")


def toms(facts: Facts) -> Document:
    """Return the measures by theme, each with its live value."""
    return Document(
        "toms",
        Words("Technical and organisational measures", "技术与组织措施"),
        "GDPR Art. 32 and 25; PIPL Art. 51",
        facts,
        tuple(
            Section(theme, table=Table(COLUMNS, tuple(each[1:] for each in group)))
            for theme, group in itertools.groupby(measures(facts), attrgetter("theme"))
        ),
    )
