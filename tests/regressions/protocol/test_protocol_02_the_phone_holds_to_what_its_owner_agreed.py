"""What the owner was told and agreed to is what the phone enforces: delta, caps, how many are in a sum."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from shared_fixtures import fixtures_of

from covey_models import QUERIES
from covey_privacy import wire
from covey_privacy.dp import epsilon
from covey_privacy.errors import ServerError
from covey_privacy.floors import PRODUCTION
from covey_privacy.manifest import sign_manifest
from covey_privacy.registry_messages import Issuer
from covey_sdk import ledger
from covey_sdk.errors import ConsentError
from covey_sdk.manifest_check import OpenedManifest, check_manifest

globals().update(fixtures_of("client_sdk"))
Q1 = QUERIES["q1"]
PURPOSES = ("analytics", "personalize")


@pytest.fixture
def shop(running):
    with running(epsilon={"analytics": 2.0, "personalize": 0.0}, epsilon_total=4.5, slots=4) as shop:
        yield shop


@pytest.fixture
def phone(opened, shop):
    """A phone whose owner allows statistics."""
    device = opened(trust=shop.trust_with_organisations)
    device.enrol()
    device.grant("personalize")
    device.grant("analytics")
    return device


@pytest.fixture
def signed(shop, clock, planned):
    """Return the files of a production round of Q1, sent to be logged, with `log` as the answer's status."""
    epoch = int(clock.now.timestamp()) // 86_400
    issuer = wire.decode(Issuer, shop.http.get(f"/v1/issuers/{epoch}/{'+'.join(PURPOSES)}").content)

    def signed(log=200, **changes):
        made = planned(issuer_keys=issuer.keys, now=int(clock.now.timestamp()))
        manifest = sign_manifest(replace(made, **changes), shop.operator)
        shop.log(manifest, log)
        return shop.round_files(manifest, issuer.keys)

    return signed


def at_delta(manifest, delta):
    """The same noise at another delta, with the epsilon that it costs there."""
    return {"delta": delta, "epsilon": epsilon([manifest.charge.mechanism], delta) * (1 + 1e-7)}


def test_the_phone_holds_to_what_its_owner_agreed(phone, signed, planned):
    """A greater delta makes a round look cheaper: 0.51 where the notice's delta says 1.40."""
    lie = at_delta(planned(), 1e-2)
    assert lie["epsilon"] < 0.6
    with pytest.raises(
        ServerError, match="delta is 0\\.01; this phone's notices allow 1e-06 at most"
    ) as refused:
        phone.round_client().prepare(signed(log=422, **lie))
    assert refused.value.rule == "manifest-floor"


def test_the_registry_logs_no_manifest_at_another_delta_than_the_notices(signed, planned):
    signed(log=422, **at_delta(planned(), 2e-6))
    signed()


def test_a_smaller_delta_only_overstates_what_a_round_costs(phone, signed, planned):
    phone.ticket_fetcher().fetch(int(phone.clock.now().timestamp()) // 86_400, PURPOSES)
    assert phone.round_client().contribute(signed(**at_delta(planned(), 1e-7)))


@pytest.mark.parametrize(("people", "turnout"), [(400, 0.5), (213, 0.95), (401, 0.6), (5000, 1.0)])
def test_what_a_coordinator_plans_is_what_a_phone_takes(planned, people, turnout):
    check_manifest(OpenedManifest(planned(people=people, turnout=turnout), bytes(32)), Q1, (), PRODUCTION)


RAISED = {
    "epsilon": {"epsilon": 2.5},
    "epsilon_total": {"epsilon_total": 100.0},
    "delta": {"delta": 1e-5},
    "basis": {"basis": "contract"},
}


@pytest.mark.parametrize("what", RAISED)
@pytest.mark.parametrize("number", [{"patch": 1}, {"minor": 1}, {}], ids=["patch", "minor", "same number"])
def test_a_notice_that_raises_a_cap_under_the_same_version_needs_a_new_decision(phone, what, number):
    before = phone.consents.notices["analytics"]
    after = replace(before, **RAISED[what], **number)
    phone.consents.keep_notices({**phone.consents.notices, "analytics": after})
    with pytest.raises(ConsentError, match="under the same version; ask again"):
        phone.gate().require("analytics")
    assert phone.gate().allows("personalize")
    phone.decision("analytics", "granted")
    assert phone.gate().allows("analytics")


def test_lower_caps_and_other_words_need_no_new_decision(phone):
    before = phone.consents.notices["analytics"]
    texts = tuple(replace(text, text=text.text + " More.") for text in before.texts)
    after = replace(before, patch=1, epsilon=1.0, epsilon_total=2.0, delta=1e-7, texts=texts)
    phone.consents.keep_notices({**phone.consents.notices, "analytics": after})
    assert phone.gate().allows("analytics")


def test_what_was_agreed_outlives_closing(phone, opened):
    before = phone.consents.notices["analytics"]
    phone.consents.keep_notices(
        {**phone.consents.notices, "analytics": replace(before, patch=1, epsilon=9.0)}
    )
    phone.close()
    assert not opened().gate().allows("analytics")


def test_a_grant_of_which_no_terms_are_on_record_does_not_count(phone):
    phone.store.delete("agreed")
    assert not phone.gate().allows("analytics")
    assert not phone.gate().allows("personalize")


@pytest.mark.parametrize(("people", "least"), [(400, 380), (211, 200)])
def test_the_ledger_says_the_least_set_that_the_phone_agrees_to(planned, people, least):
    """Not how many phones hold tickets: of those, as many come as the manifest plans for. One is its own."""
    manifest = planned(people=people)
    assert manifest.terms.least_set == least
    entry = ledger.sealed(0, manifest, (Q1.english, Q1.chinese), np.zeros(manifest.length, np.int64))
    assert f"with those of at least {least - 1} other phones" in entry.said_en
    assert f"至少 {least - 1} 部其他手机" in entry.said_zh
