"""Manifests that are not in the log or ask too much, a log that forgets, a phone that is asked twice."""

from __future__ import annotations

from dataclasses import replace

import pytest

from covey_models import QUERIES
from covey_privacy.checkpoint import Checkpoint
from covey_privacy.consent import SYNC, Sync
from covey_privacy.errors import PeerError, ServerError
from covey_privacy.manifest import sign_manifest
from covey_privacy.profile import TEST
from covey_privacy.rules import Rule
from covey_privacy.signatures import SigningKey, sign
from covey_sdk import RegistryError
from covey_sdk.clock import milliseconds
from covey_sdk.door import Door
from covey_sdk.invitation import Invited, check
from covey_server.coordinator import operator_key


@pytest.fixture(scope="module")
def played(lasting_shop):
    """A small shop after a round, and that round's name."""
    shop = lasting_shop()
    (result,) = shop.ask("q1=1.0")
    return shop, result["round_id"]


@pytest.fixture
def device(played):
    shop, _ = played
    with shop.phones().open(shop.world.households[0]) as device:
        yield device


def signed(played, key=None, **changes):
    """The round's manifest with changes, signed by the operator or another key."""
    shop, round_id = played
    return sign_manifest(replace(shop.manifest(round_id), **changes), key or operator_key(shop.world.folder))


def test_a_manifest_that_nobody_logged(played, device, refuses):
    with refuses(RegistryError, Rule.LOG_INCLUSION):
        Door(device).advertise(signed(played, round_id="q1-hidden"))


def test_a_manifest_that_the_operator_did_not_sign(played, device, refuses):
    with refuses(PeerError, Rule.DOCUMENT_SIGNATURE):
        Door(device).advertise(signed(played, key=SigningKey(b"x" * 32), round_id="q1-hidden"))


def test_a_replayed_round_after_the_phone_was_in_it(played, device, refuses):
    """The very manifest gets the very advert; anything else under the round's name is refused."""
    shop, round_id = played
    manifest = shop.signed_manifest(round_id)
    assert Door(device).advertise(manifest) == Door(device).advertise(manifest)
    with refuses(ServerError, Rule.STEP_ONCE):
        Door(device).advertise(signed(played, sigma=1e-3))


@pytest.mark.parametrize("step", ["share", "mask", "agree", "open"])
def test_a_phone_that_has_answered_a_step_answers_no_other_message(played, device, refuses, step):
    """A second roster after it shared, a second inbox, a second survivor set, a second unmask."""
    _, round_id = played
    with refuses(ServerError, Rule.STEP_ONCE):
        getattr(Door(device), step)(round_id, b"another message")


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ({"least_cohort": 19}, Rule.MANIFEST_FLOOR),
        ({"least_issued": 1}, Rule.MANIFEST_FLOOR),
        ({"gamma": 0.0}, Rule.MANIFEST_FLOOR),
        ({"least_cell": 10}, Rule.MANIFEST_FLOOR),
        ({"profile": "none"}, Rule.MANIFEST_FLOOR),
        ({"sigma": 1.0}, Rule.MANIFEST_NOISE),
        ({"sigma": 0.0}, Rule.MANIFEST_NOISE),
        ({"epsilon": 1e-3}, Rule.MANIFEST_NOISE),
        ({"length": 2**20}, Rule.MANIFEST_NOISE),
        ({"norm": 2.0}, Rule.MANIFEST_QUESTION),
        ({"purposes": ("analytics",)}, Rule.MANIFEST_QUESTION),
        ({"query": "q20"}, Rule.MANIFEST_QUESTION),
        ({"model": b"\0" * 32}, Rule.MANIFEST_MODEL),
        ({"step": 1}, Rule.MANIFEST_PLAN),
        ({"previous": b"\1" * 32}, Rule.MANIFEST_PLAN),
    ],
)
def test_a_manifest_that_asks_for_less_than_the_floors(played, refuses, change, rule):
    """Threshold and n_h are not said: they follow from gamma, cohort and survivors, which have floors."""
    shop, round_id = played
    manifest = shop.manifest(round_id)
    check(Invited(manifest, bytes(32)), QUERIES["q1"], (), TEST)
    with refuses(ServerError, rule):
        check(Invited(replace(manifest, **change), bytes(32)), QUERIES["q1"], (), TEST)


def ask_after(device, seen):
    """Sync as a phone that has seen that head."""
    said = Sync(device.key.public, milliseconds(device.clock.now()), seen.size)
    return device.registry.sync(sign(SYNC, said, device.key), seen, "", 0)


@pytest.mark.parametrize(
    ("seen", "rule"),
    [
        (lambda head: Checkpoint(head.origin, head.size, bytes(32)), Rule.LOG_CONSISTENCY),
        (lambda head: Checkpoint(head.origin, head.size - 1, bytes(32)), Rule.LOG_CONSISTENCY),
    ],
)
def test_a_log_that_does_not_continue_what_the_phone_saw(device, refuses, seen, rule):
    head = device.consents.checkpoint
    assert ask_after(device, head)
    with refuses(RegistryError, rule):
        ask_after(device, seen(head))
