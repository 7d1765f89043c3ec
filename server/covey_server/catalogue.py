"""The catalogue: the shop's items as the operator publishes them, from a JSON file.

{"items": ["tea", "milk"], "levels": {"department": ["grocery", "dairy"]}}
"""

from __future__ import annotations

import json
from pathlib import Path

from covey_models import Catalogue, ModelError
from covey_models.recommender.steps import CATALOGUE
from covey_privacy.catalogue_document import Level, Listing, open_listing, sign_listing
from covey_privacy.errors import PrivacyError
from covey_privacy.signatures import SigningKey
from covey_server.errors import ConfigError
from covey_server.store import Store


def read_catalogue(path: Path) -> Catalogue:
    """Return the items and their groups. Raises ConfigError in one line for what cannot be."""
    try:
        found = json.loads(path.read_text("utf-8"))
        levels = {str(level): tuple(map(str, groups)) for level, groups in found.get("levels", {}).items()}
        return Catalogue(tuple(map(str, found["items"])), levels)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, ModelError) as error:
        raise ConfigError(f"{path} cannot be read as a shop's items: {error}") from None


def publish_catalogue(catalogue: Catalogue, store: Store, operator: SigningKey) -> bytes:
    """Return the signed listing of these items: the one published before, or the next version of it.

    Raises ConfigError where phones would refuse it: too many items, or a name that is too long.
    """
    levels = tuple(Level.from_groups(name, groups) for name, groups in catalogue.levels.items())
    kept = store.releases([CATALOGUE])
    if kept and _same(kept[0], catalogue, levels, operator):
        return kept[0]
    version = store.next_version(CATALOGUE)
    try:
        signed = sign_listing(Listing(version, catalogue.items, levels), operator)
    except PrivacyError as error:
        raise ConfigError(f"the shop's items cannot be published: {error}") from None
    store.put_release(CATALOGUE, version, signed)
    return signed


def _same(signed: bytes, catalogue: Catalogue, levels: tuple[Level, ...], operator: SigningKey) -> bool:
    try:
        listing = open_listing(signed, operator.public)
    except PrivacyError:
        return False
    return (listing.items, listing.levels) == (catalogue.items, levels)
