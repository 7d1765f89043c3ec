from datetime import timedelta

import pytest

from covey_privacy.registry_messages import REFUSED, WITHDRAWN, Choice
from covey_sdk.errors import ConsentError
from covey_sdk.purposes import ORDINARY, SENSITIVE


def test_a_confirmed_grant_is_allowed(gate):
    gate("personalize", "analytics").require("core", "personalize", "analytics")


@pytest.mark.compliance("GDPR 25", "on the phone everything but the service is off until granted")
def test_everything_is_off_by_default_but_core(gate):
    assert not gate().allows("personalize")
    assert gate().allows("core")
    with pytest.raises(ConsentError, match="'personalize' is not allowed: it is not granted"):
        gate().require("core", "personalize")


@pytest.mark.parametrize("state", [REFUSED, WITHDRAWN, "perhaps", ""])
def test_no_other_state_is_a_grant(gate, state):
    assert not gate("personalize", choices={"personalize": Choice("personalize", state, 1)}).allows(
        "personalize"
    )


def test_a_newer_notice_asks_again(gate, notice):
    held = gate("personalize", notices={"personalize": notice("personalize", version=2)})
    assert not held.allows("personalize")
    with pytest.raises(ConsentError, match="notice 1 was agreed to, 2 is current"):
        held.require("personalize")


def test_other_terms_under_the_same_version_ask_again(gate, notice):
    held = gate("personalize", notices={"personalize": notice("personalize", epsilon=1.5, total=3.0)})
    with pytest.raises(ConsentError, match="changed the cap of this purpose, the cap of all purposes under"):
        held.require("personalize")
    assert gate("personalize", notices={"personalize": notice("personalize", epsilon=0.5)}).allows(
        "personalize"
    )
    assert not gate("personalize", agreed={}).allows("personalize")


def test_a_purpose_without_a_notice_is_off(gate):
    assert not gate("personalize", notices={}).allows("personalize")


@pytest.mark.parametrize(
    ("age", "open_"),
    [
        (timedelta(0), True),
        (timedelta(days=7), True),
        (timedelta(days=7, seconds=1), False),
        (-timedelta(minutes=5), True),
        (-timedelta(minutes=6), False),
    ],
)
def test_seven_days_without_the_registry_close_all_but_core(gate, clock, age, open_):
    held = gate("personalize", synced_at=clock.now - age)
    assert held.allows("personalize") is open_
    assert held.allows("membership") is open_
    assert held.allows("core")


def test_without_any_registry_all_but_core_is_off(gate):
    held = gate("personalize", synced_at=None)
    assert held.allows("core")
    assert not held.allows("personalize")
    assert not held.allows("membership")


def test_a_notice_cannot_declare_a_purpose_to_be_contract(gate, notice):
    claimed = notice("membership")
    forged = type(claimed)(
        "personalize", 1, "contract", *(getattr(claimed, name) for name in claimed.__slots__[3:])
    )
    assert not gate(notices={"personalize": forged}).allows("personalize")


TAKEN = ORDINARY | SENSITIVE


def test_a_sensitive_line_needs_its_own_purpose(gate, mapped):
    def keeps(granted, category):
        return mapped.keeps(category, {purpose for purpose in TAKEN if gate(granted).allows(purpose)})

    assert keeps("personalize", "tea")
    assert not keeps("personalize", "cold_med")
    assert keeps("health", "cold_med")
    assert not keeps("health", "diapers")
    assert keeps("family", "diapers")
