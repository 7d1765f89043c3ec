"""Releases: what the shop publishes, the same for everyone; the phone takes the signed, and nothing older.

The catalogue of items comes as a listing, everything else as a release.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache

from covey_models import Catalogue, ModelError
from covey_models.recommender import steps
from covey_models.recommender.on_device import Base
from covey_privacy.catalogue_document import Listing, open_listing
from covey_privacy.errors import PrivacyError
from covey_privacy.release import Release, open_release
from covey_sdk.errors import RegistryError
from covey_sdk.purposes import PERSONALIZE, TRAIN
from covey_sdk.recommender import Model
from covey_sdk.rule_bundle import FIXED, POPULATION, Rules
from covey_sdk.store import Store

CUTS = "q20"
"""The query whose medians are the population's cuts for recency, frequency and monetary value."""

NEEDED_BY: Mapping[str, str] = {
    steps.CATALOGUE: PERSONALIZE,
    steps.MODEL: PERSONALIZE,
    steps.BASE: TRAIN,
    steps.AXES: TRAIN,
}
"""The purpose without which a document has no place on the phone."""


class Releases:
    """The releases and the listing in a store, signed by the pinned `operator`."""

    def __init__(self, store: Store, operator: bytes) -> None:
        self._store = store
        self._operator = operator

    def read(self, name: str, signed: bytes) -> Release | Listing:
        """Open a document called `name`, without keeping it.

        Raises RegistryError unless the operator signed it as such, it makes sense in itself, and neither a
        newer one nor another of the same version was seen.
        """
        try:
            document = _opened(name, signed, self._operator)
            _require_sound(name, signed, self._operator)
        except (PrivacyError, ModelError) as error:
            raise RegistryError(f"the {_kind(name)} is refused: {error}") from None
        if isinstance(document, Release) and document.query != name:
            raise RegistryError(f"a release of {name} was expected; one of {document.query} came")
        kept = self._store.get(_key(name))
        seen = _opened(name, kept, self._operator) if kept and kept != signed else document
        if seen.version > document.version:
            raise RegistryError(
                f"{_kind(name)} {document.version} of {name} is older than {seen.version}, seen before"
            )
        if seen.version == document.version and seen != document:
            raise RegistryError(
                f"another {_kind(name)} {document.version} of {name} was seen before; a version is given once"
            )
        return document

    def keep(self, name: str, signed: bytes) -> None:
        """Keep a document in the place of the one before. See `read`."""
        self.read(name, signed)
        if self._store.get(_key(name)) != signed:
            self._store.put(_key(name), signed)

    def kept(self, names: Sequence[str]) -> tuple[bytes, ...]:
        """Return the signed documents of these names, nothing for one that is not here."""
        return tuple(self._store.get(_key(name)) or b"" for name in names)

    def latest(self, query: str) -> Release | None:
        """Return the release in use for a query, None where there is none."""
        signed = self._store.get(_key(query))
        document = _opened(query, signed, self._operator) if signed else None
        return document if isinstance(document, Release) else None

    def model(self) -> Model | None:
        """Return what the phone ranks by, None until a model and the catalogue that it rests on are here."""
        listing, signed = self.kept((steps.CATALOGUE, steps.MODEL))
        return _model(listing, signed, self._operator) if listing and signed else None

    def sweep(self, granted: Callable[[str], bool]) -> None:
        """Delete every document whose purpose is no longer granted."""
        for name, purpose in NEEDED_BY.items():
            if not granted(purpose):
                self._store.delete(_key(name))

    def apply(self, rules: Rules) -> Rules:
        """Return the rules with the population's cuts, where they were released, else with the shop's."""
        cuts, rfm = self.latest(CUTS), rules.rfm
        recency, frequency, monetary = _cuts(cuts) if cuts else (None, None, None)
        if recency is None or frequency is None or monetary is None:
            # Until there are medians, the cuts are the bundle's own, in the bundle's currency.
            return replace(rules, rfm=replace(rfm, mode=FIXED)) if rfm.mode != FIXED else rules
        population = replace(
            rfm, mode=POPULATION, recency_days=recency, orders=frequency, mean_order_minor=monetary
        )
        return replace(rules, rfm=population)


@lru_cache(maxsize=16)
def _opened(name: str, signed: bytes, operator: bytes) -> Release | Listing:
    """Return the document once its signature holds; the same bytes are opened once."""
    if name == steps.CATALOGUE:
        return open_listing(signed, operator)
    return open_release(signed, operator)


@lru_cache(maxsize=16)
def _require_sound(name: str, signed: bytes, operator: bytes) -> None:
    """Raise PrivacyError or ModelError for a document of a known name that makes no sense in itself."""
    document = _opened(name, signed, operator)
    if isinstance(document, Listing):
        Catalogue(document.items, document.taxonomy)
    elif name == steps.MODEL:
        anything = map(str, range(len(document.array("popularity"))))
        _read(document, Catalogue(document.items or tuple(anything)))
    elif name == CUTS:
        _cuts(document)


@lru_cache(maxsize=2)
def _model(listing: bytes, signed: bytes, operator: bytes) -> Model | None:
    """Return the model, None where it does not fit the listing that it rests on.

    A model that names its items is used beside any newer listing: see `recommender`. One that names none is
    used only beside the very listing that it rests on.
    """
    release = open_release(signed, operator)
    shop = open_listing(listing, operator)
    trained_on_it = release.rests_on == (hashlib.sha256(listing).digest(),)
    items = release.items or (shop.items if trained_on_it else ())
    if len(release.rests_on) != 1 or len(release.array("popularity")) != len(items):
        return None
    current = Catalogue(shop.items, shop.taxonomy)
    if trained_on_it:
        return _read(release, current) if items == shop.items else None
    return replace(_read(release, Catalogue(items)), listing=current)


def _read(release: Release, catalogue: Catalogue) -> Model:
    return Model(
        catalogue,
        Base(release.array("popularity"), release.array("rate")),
        release.array("factors"),
        release["mix"] or 0.0,
        release.version,
        release.round_id,
    )


def _cuts(release: Release) -> tuple[float | None, ...]:
    return tuple(release[name] for name in ("recency", "frequency", "monetary"))


def _kind(name: str) -> str:
    return "listing" if name == steps.CATALOGUE else "release"


def _key(name: str) -> str:
    return f"release/{name}"
