"""An invitation to a round: a manifest held against the floors that this phone keeps."""

from __future__ import annotations

from dataclasses import dataclass

from covey_models import QUERIES
from covey_privacy.dp import Charge, Encoding, epsilon
from covey_privacy.errors import MisuseError, ServerError
from covey_privacy.manifest import Manifest, model_digest
from covey_privacy.profile import Profile
from covey_privacy.tickets import purpose_set

TOLERANCE = 1 + 1e-6


@dataclass(frozen=True, slots=True)
class Invited:
    """A manifest with its digest, and what follows from it."""

    manifest: Manifest
    digest: bytes

    @property
    def encoding(self) -> Encoding:
        """How this round writes vectors."""
        return self.manifest.encoding(QUERIES[self.manifest.query].length, self.digest)

    @property
    def charge(self) -> Charge:
        """What the round costs a person."""
        return self.manifest.charge(self.encoding)


def check(invited: Invited, release: bytes, profile: Profile) -> None:
    """Raise ServerError when the invitation asks for less than the floors, or for something else."""
    manifest = invited.manifest
    query = QUERIES.get(manifest.query)
    if query is None:
        raise ServerError(f"the manifest asks query {manifest.query!r}, which this SDK does not know")
    asked = (manifest.purpose, manifest.purposes, manifest.norm)
    if asked != (query.purpose, purpose_set(query.purposes), query.norm):
        raise ServerError(f"the manifest asks {manifest.query} under other purposes or another norm")
    if manifest.model != model_digest(query.digest(), release):
        raise ServerError("the manifest builds on another query text or release than the ones at hand")
    _floors(manifest, profile)
    _noise(invited)


def _floors(manifest: Manifest, profile: Profile) -> None:
    least = profile.least_cohort(manifest.purpose)
    floors = (
        ("profile", manifest.profile == profile.name, profile.name),
        ("least_cohort", manifest.least_cohort >= least, least),
        ("least_issued", manifest.least_issued >= least, least),
        ("least_cell", manifest.least_cell >= profile.least_cell, profile.least_cell),
        ("gamma", manifest.gamma >= profile.least_gamma, profile.least_gamma),
    )
    for name, holds, floor in floors:
        if not holds:
            stated = getattr(manifest, name)
            raise ServerError(f"the manifest's {name} is {stated}; this phone asks for {floor}")


def _noise(invited: Invited) -> None:
    """Check that the noise is what the manifest says it costs."""
    manifest = invited.manifest
    try:
        costs = epsilon([invited.charge.mechanism], manifest.delta)
        length = invited.encoding.padded
    except MisuseError as error:
        raise ServerError(f"the manifest's noise makes no sense: {error}") from None
    if length != manifest.length or costs > manifest.epsilon * TOLERANCE:
        raise ServerError(
            f"the manifest claims epsilon {manifest.epsilon} for {manifest.length} entries; "
            f"its noise costs {costs:.4g} for {length}"
        )
