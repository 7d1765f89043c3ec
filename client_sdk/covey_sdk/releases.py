"""Releases: figures that the shop publishes, the same for everyone; the phone takes signed and newer ones."""

from __future__ import annotations

from dataclasses import replace

from covey_privacy.errors import PrivacyError
from covey_privacy.release import Release, open_release
from covey_privacy.signatures import Verify, verify
from covey_sdk.errors import RegistryError
from covey_sdk.recommender import Model
from covey_sdk.rules import POPULATION, Rules
from covey_sdk.store import Store

CUTS = "q20"
"""The query whose medians are the population's cuts for recency, frequency and monetary value."""


class Releases:
    """The releases in a store, signed by the pinned `operator`."""

    def __init__(self, store: Store, operator: bytes) -> None:
        self._store = store
        self._operator = operator

    def adopt(self, signed: bytes, verify: Verify = verify) -> Release:
        """Keep a release. Raises RegistryError unless the operator signed it and none newer was seen."""
        try:
            release = open_release(signed, self._operator, verify)
        except PrivacyError as error:
            raise RegistryError(f"the release is refused: {error}") from None
        seen = self.latest(release.query)
        if seen and seen.version > release.version:
            raise RegistryError(
                f"release {release.version} of {release.query} is older than {seen.version}, seen before"
            )
        if seen != release:
            self._store.put(f"release/{release.query}", signed)
        return release

    def latest(self, query: str) -> Release | None:
        """Return the release in use for a query, None where there is none."""
        signed = self._store.get(f"release/{query}")
        return open_release(signed, self._operator) if signed else None

    def model(self) -> Model | None:
        """Return the recommender's model in use, None where none was released."""
        return None

    def apply(self, rules: Rules) -> Rules:
        """Return the rules with the population's cuts, where they were released."""
        cuts = self.latest(CUTS)
        if cuts is None:
            return rules
        rfm = rules.rfm
        recency, frequency, monetary = (cuts[name] for name in ("recency", "frequency", "monetary"))
        if recency is None or frequency is None or monetary is None:
            return rules
        population = replace(
            rfm, mode=POPULATION, recency_days=recency, orders=frequency, mean_order_minor=monetary
        )
        return replace(rules, rfm=population)
