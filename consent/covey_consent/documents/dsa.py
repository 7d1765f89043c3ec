"""What a platform says about its recommender (DSA Art. 27), with the option without profiling (Art. 38)."""

from __future__ import annotations

from string import Template

from covey_consent.documents.document import Bilingual, Document, Section
from covey_consent.documents.facts import Facts
from covey_consent.documents.outline import Outline, read_table
from covey_models.repurchase import HALF_LIFE

OUTLINE = Outline("dsa")


def dsa(facts: Facts) -> Document:
    """Return the text of `recommender.toml` in English and in Chinese, for the shop's terms."""
    controller = facts.controller
    words = {"shop": controller.name, "half_life": f"{HALF_LIFE:g}", "rights": controller.rights_url}
    sections = []
    for language, said in read_table("recommender.toml").items():
        heading, *text = (Template(each).substitute(words) for each in (said["heading"], *said["text"]))
        both = Bilingual(heading, "") if language == "en" else Bilingual("", heading)
        sections.append(Section(both, tuple(text), OUTLINE.facts("text", {}), language=language))
    return OUTLINE.document(facts, sections)
