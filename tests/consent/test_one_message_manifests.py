"""What the manifest of a round in one message has to state before the registry logs it."""

import dataclasses
import hashlib

import pytest
from registry_players import (
    SETTINGS,
    STANDING,
    add_issued,
    issuer_keys,
    one_message_manifest,
)

from covey_privacy.manifest import sign_manifest
from covey_privacy.secagg.shape import Shape, bands
from covey_privacy.signatures import SigningKey
from covey_simulations.scenarios.in_process_round import Setting

SQLITE_ALONE = True  # What these tests say does not rest on the database.

ORGANISATIONS = [SigningKey(bytes([place]) * 32) for place in range(1, 5)]


@pytest.fixture
def manifest(one_message, round_issuers):
    """`manifest(kind, **changes)`; changes of its terms are given as `terms`."""

    def manifest(kind="standing", terms=(), setting=None, **changes):
        keys = issuer_keys(round_issuers, one_message.clock.epoch)
        setting = setting or SETTINGS[kind]
        organisations = ORGANISATIONS if setting.standing else []
        made = one_message_manifest(one_message, setting, organisations, bytes(32), keys)
        return dataclasses.replace(made, terms=dataclasses.replace(made.terms, **dict(terms)), **changes)

    return manifest


@pytest.fixture
def announce(one_message):
    return lambda made: one_message.post("/v1/rounds", sign_manifest(made, one_message.operator))


@pytest.fixture
def refused(one_message, announce, problem):
    """Assert that a manifest is refused, and that nothing of it is logged; return why."""

    def refused(made, status=422):
        before = one_message.checkpoint()
        said = problem(announce(made), status)
        assert one_message.checkpoint() == before
        assert one_message.http.get(f"/v1/rounds/{made.round_id}").status_code == 404
        return said

    return refused


def test_it_is_logged_once(manifest, announce, problem):
    made = manifest()
    assert announce(made).content == announce(made).content
    problem(announce(dataclasses.replace(made, query="another")), 409)


def test_it_has_terms(manifest, refused):
    assert "the manifest has no terms" in refused(dataclasses.replace(manifest(), terms=None))
    assert "the manifest has no terms" in refused(dataclasses.replace(manifest(), terms=None, windows=None))


def test_other_profiles_are_for_phones_that_were_opened_with_them(manifest, announce):
    assert announce(manifest(profile="laboratory")).status_code == 200


@pytest.mark.parametrize(
    ("terms", "says"),
    [
        ({"length": 11}, "manifest-terms"),
        ({"honest": 2}, "manifest-terms"),
        ({"gamma": 0.1}, "manifest-terms"),
        ({"steps": 1.0}, "manifest-terms"),
        ({"organisations": ()}, "committee-kind"),
        ({"standing": None}, "committee-kind"),
        ({"standing": Shape(4, 1, 2, 1)}, "committee-shape"),
        ({"organisations": (bytes(32),) * 4}, "committee-members"),
        ({"drop": 7}, "rounding"),
    ],
)
def test_its_terms_are_sound_and_fit_its_other_fields(manifest, refused, terms, says):
    assert f"({says})" in refused(manifest(terms=terms.items()))


def test_its_windows_follow_each_other_within_its_epoch(manifest, refused, announce, one_message):
    made = manifest()
    windows = made.windows
    backwards = dataclasses.replace(windows, check=windows.open)
    assert "(manifest-terms)" in refused(dataclasses.replace(made, windows=backwards))
    ends = (made.epoch + 1) * 86400
    late = dataclasses.replace(windows, open=ends + 1)
    assert "closes 1 seconds after epoch" in refused(dataclasses.replace(made, windows=late))
    assert "(manifest-terms)" in refused(dataclasses.replace(made, windows=None))
    last = dataclasses.replace(windows, open=ends)
    assert announce(dataclasses.replace(made, windows=last)).status_code == 200


def test_it_names_the_issuer_keys_of_its_set_and_epoch(manifest, refused):
    assert "(manifest-issuer)" in refused(manifest(issuer=bytes(32)))
    assert "no issuer keys" in refused(manifest(epoch=1))
    assert "no issuer keys" in refused(manifest(epoch=2**64 - 1))
    assert "no issuer keys" in refused(manifest(purposes=("core",), purpose="core"))
    assert "(manifest-issuer)" in refused(manifest(slot=2))


def test_it_counts_all_who_were_issued_tickets(manifest, refused, announce, one_message):
    assert "4 batches were issued; the terms count" in refused(manifest(terms={"issued": 3}.items()), 409)
    assert announce(manifest(terms={"issued": 4}.items())).status_code == 200
    add_issued(one_message, range(4, 5))
    again = manifest(terms={"issued": 4}.items(), round_id="round-2")
    assert "5 batches were issued" in refused(again, 409)


def test_it_is_logged_after_the_fetch_window(manifest, refused, one_message):
    made = manifest()
    one_message.clock.now = made.epoch * 86400 + 60
    assert "phones fetch their tickets" in refused(made, 409)


PRODUCTION = {
    "profile": "production", "least_issued": 200, "gamma": 0.05,
    "honest": 150,
}  # fmt: skip
"""Of 1,000 who were issued tickets, 50 may be corrupt: a set has 201 members at least."""


def production(manifest, setting=None, **changes):
    setting = setting or Setting(
        phones=400, length=10, standing=STANDING, honest=150, issued=1000, gamma=0.05
    )
    made = {**PRODUCTION, **changes}
    figures = {name: made[name] for name in ("honest", "gamma") if name in made}
    return manifest(setting=setting, terms=figures.items(), **made)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"least_issued": 199}, "least_issued is 199"),
        ({"least_cell": 49}, "least_cell is 49"),
        ({"gamma": 0.04}, "gamma is 0.04"),
        ({"honest": 148}, "terms.least_set is 199"),
        ({"least_issued": 1001}, "terms.issued is 1000"),
    ],
)
def test_a_round_of_production_states_its_profiles_floors(manifest, refused, announce, changes, says):
    assert says in refused(production(manifest, **changes))
    assert announce(production(manifest)).status_code == 200


def test_production_draws_no_committee_alone_of_a_small_pool(manifest, refused, announce):
    def drawn(least, standing=None):
        setting = Setting(
            phones=400, length=10, standing=standing, drawn=SETTINGS["drawn"].drawn, honest=150, issued=1000,
            gamma=0.05, lost=0.1,
        )  # fmt: skip
        made = production(manifest, setting)
        shapes = bands((least, 1000), 50, 0.1)
        return dataclasses.replace(made, terms=dataclasses.replace(made.terms, bands=shapes))

    assert "smallest roster is 399" in refused(drawn(399))
    assert announce(drawn(400)).status_code == 200
    both = dataclasses.replace(drawn(300, STANDING), round_id="round-2")
    assert announce(both).status_code == 200


def test_only_the_operator_announces(manifest, one_message, problem):
    signed = sign_manifest(manifest(), SigningKey(hashlib.sha256(b"stranger").digest()))
    problem(one_message.post("/v1/rounds", signed), 403)
