"""A manifest's slot picks the issuer keys of its round, one for each role."""

from __future__ import annotations

import dataclasses

import pytest
from secagg_rounds import SETTINGS

from covey_privacy.errors import MisuseError, PeerError, ServerError
from covey_privacy.manifest import Manifest, Windows
from covey_privacy.protocol_rules import Rule
from covey_privacy.secagg.terms import RoundInfo
from covey_privacy.tickets import IssuerKeys, Role
from covey_simulations.scenarios.in_process_round import PURPOSES, Players

KEYS = IssuerKeys(
    PURPOSES, 7, tuple(bytes([each]) * 300 for each in (1, 2)), tuple(bytes([each]) * 300 for each in (3, 4))
)


@pytest.fixture(params=["standing", "both"])
def manifest(request, issuers):
    """A manifest of a round of slot 2."""
    terms = Players(SETTINGS[request.param], issuers).info.terms
    return Manifest(
        round_id="r", query="q1", purpose=PURPOSES[0], purposes=PURPOSES, epoch=7, profile="test",
        issuer=KEYS.digest, model=bytes(32), length=terms.length, norm=1.0, scale=1.0, sigma=terms.steps,
        epsilon=1.0, delta=1e-6, bits=31, gamma=terms.gamma,
        honest=terms.honest, least_issued=0, least_cell=50, terms=terms, windows=Windows(1, 2, 3, 4), slot=2,
    )  # fmt: skip


def test_the_slot_picks_a_key_for_each_role(manifest):
    info = manifest.info(b"d" * 32, b"r" * 32, KEYS)
    assert info.contribute == KEYS.key_for(Role.CONTRIBUTE, 2)
    assert info.contribute.key == KEYS.contribute[1]
    drawn = bool(manifest.terms.bands)
    assert info.volunteer == (KEYS.key_for(Role.VOLUNTEER, 2) if drawn else None)


@pytest.mark.parametrize("changes", [{"slot": 0}, {"slot": 3}, {"issuer": bytes(32)}, {"epoch": 8}])
def test_other_issuer_keys_or_slots_are_refused(manifest, changes):
    with pytest.raises(ServerError) as refused:
        dataclasses.replace(manifest, **changes).info(b"d" * 32, b"r" * 32, KEYS)
    assert refused.value.rule == Rule.MANIFEST_ISSUER


def test_issuer_keys_that_are_alike_are_refused(manifest):
    """Whoever signs volunteers under the contributors' key lets one person be both with one ticket more."""
    alike = dataclasses.replace(KEYS, volunteer=(KEYS.volunteer[0], KEYS.contribute[1]))
    with pytest.raises(PeerError) as refused:
        dataclasses.replace(manifest, issuer=alike.digest).info(b"d" * 32, b"r" * 32, alike)
    assert refused.value.rule == Rule.ISSUER_KEY


def test_a_round_takes_each_role_s_own_key(issuers):
    terms = Players(SETTINGS["both"], issuers).info.terms
    contribute, volunteer = (KEYS.key_for(role, 2) for role in Role)
    for pair in (
        (contribute, None),
        (volunteer, contribute),
        (contribute, contribute),
        (contribute, dataclasses.replace(volunteer, key=contribute.key)),
    ):
        with pytest.raises(MisuseError, match="issuer key"):
            RoundInfo(terms, b"d" * 32, b"r" * 32, *pair)
    assert RoundInfo(terms, b"d" * 32, b"r" * 32, contribute, volunteer).volunteer == volunteer
