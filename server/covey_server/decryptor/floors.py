"""Floors: the least that an organisation asks of a shop's rounds before it takes a seat.

They are the organisation's own. A round below one of them gets no seat, whatever phones would accept.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from covey_privacy.dp import epsilon
from covey_privacy.errors import MisuseError, ServerError
from covey_privacy.floors import PRODUCTION, FloorProfile
from covey_privacy.manifest import Manifest
from covey_privacy.protocol_rules import Rule
from covey_privacy.secagg.terms import RoundTerms
from covey_server.errors import ConfigError

DEFAULT_EPSILON = 2.0
"""The most that one round may cost a person, where the organisation states no other."""

_TOLERANCE = 1 + 1e-6


@dataclass(frozen=True, slots=True)
class Floors:
    """What a round must keep.

    `profile` is the one that the manifest must name. `purposes` maps each purpose that is served to the
    fewest contributions that its sums may be over. `least_corrupt` is the least share of phones that a round
    must assume to be corrupt (gamma). `most_epsilon` is the most that a round may cost a person.
    """

    profile: str
    purposes: Mapping[str, int]
    least_corrupt: float
    most_epsilon: float

    def require(self, manifest: Manifest, terms: RoundTerms) -> None:
        """Raise ServerError where a round is below a floor, or costs a person more than it claims."""
        if manifest.profile != self.profile:
            raise _below("profile", manifest.profile, self.profile)
        if manifest.purpose not in self.purposes:
            raise _below("purpose", manifest.purpose, f"one of {', '.join(sorted(self.purposes))}")
        least = self.purposes[manifest.purpose]
        if terms.least_set < least:
            raise _below("least set (n_h + K + 1)", terms.least_set, f"{least} or more")
        if not manifest.gamma >= self.least_corrupt:
            raise _below("corrupt share (gamma)", manifest.gamma, f"{self.least_corrupt} or more")
        if not manifest.epsilon <= self.most_epsilon:
            raise _below("epsilon", manifest.epsilon, f"{self.most_epsilon} or less")
        _require_noise(manifest)


def read_floors(stated: Mapping[str, Any], profile: FloorProfile) -> Floors:
    """Return the floors of a site's file; what it does not state is the profile's.

    Args:
        stated: may have `purposes` (names), `least_set`, `least_corrupt` and `most_epsilon`.

    Raises:
        ConfigError: a name is unknown, or a value is not what the name is for.
    """
    unknown = set(stated) - {"purposes", "least_set", "least_corrupt", "most_epsilon"}
    if unknown:
        raise ConfigError(
            f"there is no floor {sorted(unknown)[0]!r}; purposes, least_set, least_corrupt and most_epsilon "
            "can be set"
        )
    purposes = stated.get("purposes", sorted(PRODUCTION.cohorts))
    if not isinstance(purposes, list) or not purposes or not all(isinstance(each, str) for each in purposes):
        raise ConfigError(f'purposes is {purposes!r}; a list such as ["analytics"] was expected')
    least = {purpose: profile.least_cohort(purpose) for purpose in purposes}
    if "least_set" in stated:
        least = dict.fromkeys(purposes, int(_number(stated, "least_set", 0, 1, 10_000, whole=True)))
    corrupt = _number(stated, "least_corrupt", profile.least_gamma, 0, 0.5)
    return Floors(profile.name, least, corrupt, _number(stated, "most_epsilon", DEFAULT_EPSILON, 0, 100))


def _number(
    stated: Mapping[str, Any], name: str, default: float, least: float, most: float, *, whole: bool = False
) -> float:
    value = stated.get(name, default)
    kinds = int if whole else (int, float)
    if isinstance(value, bool) or not isinstance(value, kinds) or not least <= value <= most:
        kind = "whole number" if whole else "number"
        raise ConfigError(f"{name} is {value!r}; a {kind} from {least} to {most} was expected")
    return float(value)


def _require_noise(manifest: Manifest) -> None:
    try:
        costs = epsilon([manifest.as_step.mechanism], manifest.delta)
    except MisuseError as error:
        raise ServerError(f"the manifest's noise makes no sense: {error}", rule=Rule.MANIFEST_NOISE) from None
    if costs > manifest.epsilon * _TOLERANCE:
        raise ServerError(
            f"the manifest claims epsilon {manifest.epsilon}; its noise costs {costs:.4g}",
            rule=Rule.MANIFEST_NOISE,
        )


def _below(name: str, stated: object, asked: object) -> ServerError:
    return ServerError(
        f"the manifest's {name} is {stated}; this organisation asks for {asked} and takes no seat",
        rule=Rule.MANIFEST_FLOOR,
    )
