"""A grant that did not reach the registry is not told as allowed, and is sent at the next sync."""

from __future__ import annotations

from dataclasses import replace

import pytest

from covey_sdk import ledger
from covey_sdk.errors import ConsentError, RegistryError


def said(device):
    return [entry.said_en for entry in device.ledger() if entry.kind == ledger.CONSENT]


@pytest.fixture
def enrolled(opened):
    device = opened()
    device.enrol()
    assert device.notices
    return device


def test_a_grant_made_offline_is_told_as_such_and_sent_at_the_next_sync(enrolled, shop, clock):
    shop.reachable = False
    with pytest.raises(RegistryError, match="cannot be reached"):
        enrolled.grant("personalize")
    assert len(said(enrolled)) == 1
    assert said(enrolled)[0].startswith("You chose to allow")
    assert not enrolled.gate().allows("personalize")
    clock.forward(hours=5)
    shop.reachable = True
    enrolled.sync()
    assert enrolled.gate().allows("personalize")
    assert said(enrolled)[1:] == [entry for entry in said(enrolled) if entry.startswith("You allowed")]
    enrolled.sync()
    assert len(said(enrolled)) == 2


def test_a_grant_that_the_registry_refuses_ends_and_the_ledger_says_so(enrolled, shop):
    enrolled.consents.keep_notices(
        {name: replace(notice, version=9) for name, notice in enrolled.consents.notices.items()}
    )
    with pytest.raises(RegistryError, match="409"):
        enrolled.grant("personalize")
    assert said(enrolled)[-1].startswith("The consent registry did not accept")
    assert not any(text.startswith("You allowed") for text in said(enrolled))
    posted = len(shop.seen)
    with pytest.raises(RegistryError, match="older than 9"):
        enrolled.sync()
    assert "/v1/decisions" not in {request.url.path for request in shop.seen[posted:]}


def test_a_refused_grant_holds_up_no_other_decision(enrolled, shop, clock):
    shop.reachable = False
    for purpose in ("personalize", "train"):
        with pytest.raises(RegistryError, match="cannot be reached"):
            enrolled.grant(purpose)
    enrolled.refuse("analytics")
    clock.forward(days=8)
    with pytest.raises(RegistryError, match="cannot be reached"):
        enrolled.grant("marketing")
    shop.reachable = True
    with pytest.raises(RegistryError, match="422"):
        enrolled.sync()
    assert {name: choice.state for name, choice in enrolled.choices.items()} == {
        "personalize": "withdrawn",
        "train": "withdrawn",
        "analytics": "refused",
        "marketing": "granted",
    }
    enrolled.sync()


def test_a_withdrawal_made_offline_takes_an_unsent_grant_back(enrolled, shop):
    shop.reachable = False
    with pytest.raises(RegistryError):
        enrolled.grant("train")
    enrolled.withdraw("train")
    shop.reachable = True
    enrolled.sync()
    assert enrolled.choices["train"].state == "withdrawn"


@pytest.mark.parametrize("state", ["granted", "refused", "withdrawn"])
def test_a_method_is_checked_before_anything_is_written(enrolled, state):
    with pytest.raises(ConsentError, match="toggle, dialog, settings; 'prechecked' was given"):
        enrolled.decision("train", state, method="prechecked")
    assert enrolled.ledger() == ()
    assert enrolled.consents.decisions == {}
