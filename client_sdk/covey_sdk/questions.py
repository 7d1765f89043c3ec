"""Questions that this phone can answer, made of the public documents that they build on."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from functools import lru_cache

from covey_models import QUERIES, Catalogue, ModelError, Question
from covey_models.recommender import steps
from covey_models.recommender.on_device import Base
from covey_privacy.catalogue_document import open_listing
from covey_privacy.errors import PrivacyError, ServerError
from covey_privacy.protocol_rules import Rule
from covey_privacy.release import Release, open_release
from covey_privacy.tickets import purpose_set

BUILDS_ON: Mapping[str, tuple[str, ...]] = {
    **{query.id: query.builds_on for query in QUERIES.values()},
    **steps.BUILDS_ON,
}
"""The names of the documents that each question builds on."""

TICKET_SETS: tuple[tuple[str, ...], ...] = tuple(
    sorted({purpose_set(query.purposes) for query in QUERIES.values()} | {purpose_set(steps.PURPOSES)})
)
"""The purpose sets of all known questions: those that tickets are fetched for."""


def make_question(name: str, documents: Sequence[bytes], operator: bytes) -> Question:
    """Return the question called `name`, over the signed `documents` in the order of `BUILDS_ON`.

    Raises ServerError for a question that this SDK does not know, or documents that do not make one.
    """
    if name not in BUILDS_ON:
        raise ServerError(
            f"the manifest asks query {name!r}, which this SDK does not know", rule=Rule.MANIFEST_QUESTION
        )
    if name in QUERIES:
        return QUERIES[name]
    if len(documents) != len(BUILDS_ON[name]):
        wanted = ", ".join(BUILDS_ON[name])
        raise ServerError(
            f"query {name!r} builds on {wanted}; {len(documents)} documents came", rule=Rule.MANIFEST_QUESTION
        )
    try:
        return _training(name, tuple(documents), operator)
    except (PrivacyError, ModelError) as error:
        raise ServerError(
            f"query {name!r} cannot be answered: {error}", rule=Rule.MANIFEST_QUESTION
        ) from None


@lru_cache(maxsize=4)
def _training(name: str, documents: tuple[bytes, ...], operator: bytes) -> Question:
    """Return a step of a training; the same documents are read once."""
    listing, *rest = documents
    releases = [open_release(signed, operator) for signed in rest]
    for place, release in enumerate(releases, 1):
        if release.rests_on != tuple(hashlib.sha256(below).digest() for below in documents[:place]):
            raise ServerError(
                f"release {release.version} of {release.query} rests on other documents",
                rule=Rule.DOCUMENT_CONTENT,
            )
    shop = open_listing(listing, operator)
    return _step(name, Catalogue(shop.items, shop.taxonomy), releases)


def _step(name: str, catalogue: Catalogue, releases: Sequence[Release]) -> Question:
    if name == steps.BASE:
        return steps.base_step(catalogue)
    base = Base(releases[0].array("popularity"), releases[0].array("rate"))
    if len(base.popularity) != len(catalogue.items):
        raise ModelError(f"the base is over {len(base.popularity)} items, not {len(catalogue.items)}")
    if name == steps.GRAM:
        return steps.gram_step(catalogue, base)
    return steps.half_step(catalogue, base, releases[1].array("axes"))
