"""Data of people in China go abroad on a separate consent alone (PIPL Art. 39), whoever asks for it."""

import pytest

from covey_consent.access.roles import Role
from covey_consent.notices import files
from covey_consent.policy import controller, purposes
from covey_consent.policy.controller import StatedRecipient
from covey_consent.policy.transfers import CONSENT, Transfers
from covey_privacy.registry_messages import REFUSED, WITHDRAWN

YEAR_SECONDS = 365 * 86400
EXAMPLE = controller.load(None)


def publish(shop, purpose=CONSENT, version="1.0.0", **changes):
    """Open the purpose as two officers and an administrator do."""
    said = {"purpose": purpose, "kind": "pipia", "document_sha256": "ab" * 32}
    said["valid_until"] = int(shop.clock.now) + YEAR_SECONDS
    written = shop.http.post("/v1/assessments", json=said, headers=shop.as_(Role.OFFICER, "ada")).json()
    approval = f"/v1/assessments/{written['id']}/approval"
    grace = shop.as_(Role.OFFICER, "grace") | {"if-match": "*"}
    assert shop.http.post(approval, headers=grace).status_code == 200
    file = files.packaged()[purpose].model_copy(update={"version": version, **changes})
    answer = shop.publish(file.model_dump(mode="json"))
    assert answer.status_code == 201, answer.text


JSON = {"content-type": "application/json"}


@pytest.fixture
def service(shop):
    return shop.as_(Role.SERVICE)


@pytest.fixture
def living_in(shop, service):
    """Return what makes a person of a country known, with a phone."""

    def living_in(country):
        answer = shop.http.post("/v1/subjects", json={"country": country}, headers=service)
        subject, phone = answer.json()["subject"], shop.stranger()
        path = f"/v1/subjects/{subject}/devices/{phone.device.hex()}"
        assert shop.http.put(path, headers=service).status_code in (200, 201, 204)
        return subject, phone

    return living_in


def verdict(shop, service, subject, purpose="train"):
    return shop.http.get(f"/v1/subjects/{subject}/decisions/{purpose}", headers=service).json()["verdict"]


def yes(shop, subject, purpose, method="dialog"):
    notice = shop.notices()[purpose]
    said = {
        "purpose": purpose, "state": "granted", "notice_version": notice.version, "language": "en",
        "text_sha256": notice.text("en").digest.hex(), "method": method,
    }  # fmt: skip
    me = shop.as_(Role.SUBJECT, subject=subject)
    return shop.http.post(f"/v1/subjects/{subject}/consents", json=said, headers=me)


def past(shop, subject):
    listed = shop.http.get(f"/v1/subjects/{subject}/events", headers=shop.as_(Role.SUBJECT, subject=subject))
    return [(event["purpose"], event["state"], event["actor"]) for event in listed.json()["items"]]


@pytest.mark.compliance("PIPL 39", "nothing of people in China goes abroad without a consent to that alone")
def test_no_purpose_takes_data_abroad_before_the_person_agreed_to_that(shop, service, problem, living_in):
    subject, phone = living_in("CN")
    for answer in (shop.decide(phone, "train"), yes(shop, subject, "train")):
        assert "go to DE" in problem(answer, 403)
    assert verdict(shop, service, subject) == "undecided"
    publish(shop)
    problem(shop.decide(phone, CONSENT, method="toggle"), 422)
    assert shop.decide(phone, CONSENT, method="dialog").status_code == 204
    assert verdict(shop, service, subject) == "undecided"
    shop.grant(phone, "train")
    assert verdict(shop, service, subject) == "allowed"


@pytest.mark.compliance("PIPL 39", "what takes data abroad ends with the consent to that")
@pytest.mark.parametrize("no", [WITHDRAWN, REFUSED, "objected"])
def test_what_takes_data_abroad_ends_with_the_consent_to_that(shop, service, living_in, no):
    publish(shop)
    subject, phone = living_in("CN")
    assert shop.decide(phone, CONSENT, method="dialog").status_code == 204
    shop.grant(phone, "personalize", "train", "analytics")
    said = {"purpose": CONSENT, "state": no}
    me = shop.as_(Role.SUBJECT, subject=subject)
    answer = shop.http.post(f"/v1/subjects/{subject}/consents", json=said, headers=me)
    assert (answer.status_code, answer.json()["purpose"], answer.json()["state"]) == (201, CONSENT, no)
    found = {name: verdict(shop, service, subject, name) for name in ("personalize", "train", "analytics")}
    assert found == {"personalize": "allowed", "train": "withdrawn", "analytics": "withdrawn"}
    assert shop.choices(phone)["train"] == WITHDRAWN
    ended = {(purpose, state, actor) for purpose, state, actor in past(shop, subject) if actor == "system"}
    assert ended == {("train", WITHDRAWN, "system"), ("analytics", WITHDRAWN, "system")}


def test_one_batch_may_hold_both_yeses_in_their_order(shop, service, problem, living_in):
    publish(shop)
    notices = shop.notices()
    (first, one), (second, two) = living_in("CN"), living_in("CN")
    abroad, train = (lambda phone: phone.decision(notices[CONSENT], method="dialog")), notices["train"]
    problem(shop.post("/v1/decisions", one.batch(one.decision(train), abroad(one))), 403)
    assert past(shop, first) == []
    assert shop.post("/v1/decisions", two.batch(abroad(two), two.decision(train))).status_code == 204
    assert verdict(shop, service, second) == "allowed"


def test_other_countries_and_what_stays_on_the_phone_are_not_asked(shop, service, living_in):
    for country in ("DE", "US"):
        subject, phone = living_in(country)
        shop.grant(phone, "train")
        assert verdict(shop, service, subject) == "allowed"
    subject, phone = living_in("CN")
    shop.grant(phone, "personalize")
    assert verdict(shop, service, subject, "personalize") == "allowed"
    assert verdict(shop, service, subject, "core") == "allowed"


def test_a_notice_that_names_more_asks_anew(shop, service, problem, living_in):
    publish(shop)
    (subject, phone), (elsewhere, another) = living_in("CN"), living_in("US")
    assert shop.decide(phone, CONSENT, method="dialog").status_code == 204
    for one in (phone, another):
        shop.grant(one, "personalize", "train")
    texts = files.packaged()[CONSENT].texts
    renamed = {name: text.model_copy(update={"title": f"{text.title}."}) for name, text in texts.items()}
    publish(shop, version="2.0.0", texts=renamed)
    assert verdict(shop, service, subject) == "withdrawn"
    assert verdict(shop, service, subject, "personalize") == "allowed"
    assert verdict(shop, service, elsewhere) == "allowed"
    shop.clock.now += 1
    problem(shop.decide(phone, "train"), 403)
    assert shop.decide(phone, CONSENT, method="dialog").status_code == 204
    shop.grant(phone, "train")
    assert verdict(shop, service, subject) == "allowed"


def test_who_turns_out_to_be_in_china_is_asked_from_then_on(shop, service, living_in):
    subject, phone = living_in("US")
    shop.grant(phone, "personalize", "train")
    path = f"/v1/subjects/{subject}/attributes"
    officer = shop.as_(Role.OFFICER) | {"if-match": "*"}
    answer = shop.http.patch(path, json={"country": "CN"}, headers=officer)
    assert answer.status_code == 200, answer.text
    assert verdict(shop, service, subject) == "withdrawn"
    assert verdict(shop, service, subject, "personalize") == "allowed"


class TestTransfers:
    def test_a_shop_in_china_asks_for_nothing(self):
        at_home = EXAMPLE.model_copy(update={"storage_countries": ("CN",), "recipients": ()})
        assert Transfers(at_home, {}).destinations("CN") == {}

    def test_a_recipient_abroad_is_enough(self):
        cloud = StatedRecipient(name="Cloud", role="processor", country="SG", purposes=("personalize",))
        at_home = EXAMPLE.model_copy(update={"storage_countries": ("CN",), "recipients": (cloud,)})
        assert Transfers(at_home, {}).destinations("CN") == {"personalize": ("SG",)}

    def test_no_contract_waits_for_it(self):
        asked = Transfers(EXAMPLE, {}).destinations("CN")
        assert {"train", "analytics"} <= asked.keys()
        assert all(purposes.find(name).needs_consent for name in asked)
        assert CONSENT not in asked
