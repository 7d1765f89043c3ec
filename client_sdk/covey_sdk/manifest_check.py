"""The manifest of a round, held against the floors that this phone keeps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from covey_models import Question
from covey_privacy.dp import Encoding, epsilon
from covey_privacy.errors import MisuseError, ServerError
from covey_privacy.floors import FloorProfile
from covey_privacy.manifest import Manifest, Plan, model_digest
from covey_privacy.protocol_rules import Rule
from covey_privacy.tickets import purpose_set

TOLERANCE = 1 + 1e-6


@dataclass(frozen=True, slots=True)
class OpenedManifest:
    """A manifest with its digest."""

    manifest: Manifest
    digest: bytes

    def encoding(self, question: Question) -> Encoding:
        """Return how this round writes the answers to `question`."""
        return self.manifest.encoding(question.length, self.digest)


def check_manifest(
    opened: OpenedManifest, question: Question, documents: Sequence[bytes], profile: FloorProfile
) -> None:
    """Raise ServerError when the manifest asks for less than the floors, or for something else.

    `question` is what the manifest asks for, made of the signed public `documents`.
    """
    manifest = opened.manifest
    asked = (manifest.query, manifest.purpose, manifest.purposes, manifest.norm)
    if asked != (question.id, question.purpose, purpose_set(question.purposes), question.norm):
        raise ServerError(
            f"the manifest asks {manifest.query} under other purposes or another norm",
            rule=Rule.MANIFEST_QUESTION,
        )
    if manifest.model != model_digest(question.digest(), *documents):
        raise ServerError(
            "the manifest builds on another query text or release than the ones at hand",
            rule=Rule.MANIFEST_MODEL,
        )
    _floors(manifest, profile)
    _noise(opened, question)
    manifest.require_place()
    if manifest.plan:
        _plan_costs(manifest.plan, manifest.delta)


def require_delta(manifest: Manifest, most: float) -> None:
    """Raise ServerError when the manifest counts at a greater delta than `most`, that of the notices.

    The same noise costs less at a greater delta: its owner would be told too small an epsilon. A smaller
    delta only overstates it.
    """
    if not manifest.delta <= most:
        raise ServerError(
            f"the manifest's delta is {manifest.delta}; this phone's notices allow {most} at most",
            rule=Rule.MANIFEST_FLOOR,
        )


def _floors(manifest: Manifest, profile: FloorProfile) -> None:
    if manifest.profile != profile.name:
        raise _refusal("profile", manifest.profile, profile.name)
    terms, floors = manifest.require_terms(), profile.floors(manifest.purpose)
    stated = {
        "least set": (terms.least_set, profile.least_cohort(manifest.purpose)),
        "issued": (terms.issued, manifest.least_issued),
        **{name: (getattr(manifest, name), floor) for name, floor in floors.items()},
    }
    for name, (value, floor) in stated.items():
        if not value >= floor:
            raise _refusal(name, value, floor)


def _refusal(name: str, stated: object, floor: object) -> ServerError:
    return ServerError(
        f"the manifest's {name} is {stated}; this phone asks for {floor}", rule=Rule.MANIFEST_FLOOR
    )


def _noise(opened: OpenedManifest, question: Question) -> None:
    """Check that the noise is what the manifest says it costs."""
    manifest = opened.manifest
    try:
        costs = epsilon([manifest.charge.mechanism], manifest.delta)
        length = opened.encoding(question).padded
    except MisuseError as error:
        raise ServerError(f"the manifest's noise makes no sense: {error}", rule=Rule.MANIFEST_NOISE) from None
    if length != manifest.length or costs > manifest.epsilon * TOLERANCE:
        raise ServerError(
            f"the manifest claims epsilon {manifest.epsilon} for {manifest.length} entries; "
            f"its noise costs {costs:.4g} for {length}",
            rule=Rule.MANIFEST_NOISE,
        )


def _plan_costs(plan: Plan, delta: float) -> None:
    try:
        costs = epsilon([step.mechanism for step in plan.steps], delta)
    except MisuseError as error:
        raise ServerError(f"the plan's noise makes no sense: {error}", rule=Rule.MANIFEST_NOISE) from None
    if costs > plan.epsilon * TOLERANCE:
        raise ServerError(
            f"the plan claims epsilon {plan.epsilon}; its steps cost {costs:.4g} together",
            rule=Rule.MANIFEST_NOISE,
        )
