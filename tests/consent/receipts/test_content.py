import json
from pathlib import Path

import pytest

from covey_consent.errors import DamageError
from covey_consent.receipts import content, signed_receipts
from covey_consent.receipts.schema_27560 import EXAMPLE, read_packaged

GOLDEN = Path(__file__).parents[1] / "golden"


@pytest.mark.parametrize(
    ("name", "purpose", "language", "state"),
    [
        ("train-withdrawn.zh", "train", "zh", "withdrawn"),
        ("personalize-granted.en", "personalize", "en", "granted"),
    ],
)
def test_receipts_are_what_they_were(registrar, name, purpose, language, state):
    receipt = registrar.receipt(registrar.record(purpose, language, state=state))
    made = json.loads(signed_receipts.canonical(receipt))
    assert made == json.loads(GOLDEN.joinpath(f"{name}.json").read_text("utf-8"))


def test_the_example_of_the_documentation_is_a_receipt(registrar):
    made = signed_receipts.canonical(registrar.receipt(registrar.record("train", "en")))
    assert json.loads(made) == json.loads(read_packaged(EXAMPLE))


@pytest.mark.compliance("GDPR 13", "the receipt names all that the person had to be told")
def test_a_receipt_says_what_a_person_has_to_be_told(registrar):
    (record,) = registrar.receipt().has_record_of_activity
    (process,), (notice,) = record.has_process, record.has_notice
    assert record.has_data_controller[0].has_name == "Covey Example Shop"
    assert record.has_data_controller[0].has_contact[0] == "mailto:privacy@shop.example"
    assert record.has_data_protection_officer.has_contact == ("mailto:dpo@shop.example",)
    assert process.has_purpose == ("covey:FederatedModelTraining",)
    assert process.has_legal_basis == ("eu-gdpr:A6-1-a", "pipl:A13-1")
    assert process.has_recipient[0].has_name == "Covey Example Shop"
    assert "one round" in process.has_storage_condition[1].has_duration.value
    assert {right.type[1] for right in record.has_right} == {
        f"eu-gdpr:A{number}" for number in ("7-3", "15", "16", "17", "18", "20", "21", "22", "77")
    }
    assert record.has_consent_control[0].is_exercised_at == "https://shop.example/privacy#consent"
    assert record.has_authority[0].has_name.startswith("Berliner")
    assert notice.description == registrar.notices["train"].text("en").text


@pytest.mark.compliance(
    "PIPL 14", "purpose, data and way are told in the person's language, and sensitive apart"
)
def test_a_consent_is_informed_in_its_own_language_and_explicit_where_data_are_sensitive(registrar):
    (chinese,) = registrar.receipt(registrar.record("train", "zh")).has_record_of_activity
    assert chinese.has_process[0].title == "参与联邦训练（不上传浏览与购买记录）"
    assert chinese.has_process[0].data_in_words == ("每步一个归一化、加噪声、加掩码的向量",)
    assert chinese.has_right[0].title == "撤回同意"
    (health,) = registrar.receipt(registrar.record("health")).has_record_of_activity
    assert health.has_consent_status[0].has_legal_basis == "dpv:ExplicitlyExpressedConsent"
    assert "pipl:A29" in health.has_process[0].has_legal_basis


def test_what_stays_on_the_phone_is_said_to_and_received_by_nobody_else(registrar):
    (record,) = registrar.receipt(registrar.record("personalize")).has_record_of_activity
    (process,) = record.has_process
    assert process.has_storage_condition[0].has_location == ("dpv:WithinDevice",)
    assert [one.type[1] for one in process.has_recipient] == ["dpv:DataSubject"]
    assert process.privacy_budget is None


def test_a_recipient_of_the_purpose_is_named_with_what_covers_the_transfer(registrar):
    maker = registrar.controller.recipients[0].model_copy(
        update={"purposes": ("train",), "country": "US", "safeguard": "standard contractual clauses"}
    )
    registrar.controller = registrar.controller.model_copy(update={"recipients": (maker,)})
    (record,) = registrar.receipt().has_record_of_activity
    named = record.has_process[0].has_recipient[-1]
    assert (named.type[1], named.has_country) == ("dpv:DataProcessor", "loc:US")
    assert named.description == "standard contractual clauses"


@pytest.mark.parametrize("same_operator", [True, False])
def test_the_privacy_budget_stands_in_plain_words_with_its_caveat(registrar, same_operator):
    registrar.controller = registrar.controller.model_copy(update={"same_operator": same_operator})
    (record,) = registrar.receipt().has_record_of_activity
    budget = record.has_process[0].privacy_budget
    assert (budget.epsilon, budget.epsilon_total, budget.delta) == (3.0, 4.0, 1e-6)
    assert "stops by itself at 3 a year for this purpose and at 4" in budget.description
    assert ("One company runs both" in budget.description) is same_operator


def test_a_contract_is_no_consent_and_is_not_withdrawn(registrar):
    (record,) = registrar.receipt(registrar.record("core", state="restricted")).has_record_of_activity
    assert record.has_consent_status[0].has_legal_basis == "dpv:ContractPerformance"
    assert record.has_process[0].has_personal_data[0].has_necessity == "dpv:Required"
    assert "eu-gdpr:A7-3" not in {right.type[1] for right in record.has_right}


def test_an_event_holds_until_its_time_or_another(registrar):
    ends = registrar.receipt(registrar.record(expires=1_831_536_000_000), registrar.record(state="refused"))
    until = [record.has_consent_status[0].has_duration for record in ends.has_record_of_activity]
    assert (until[0].type, until[0].value) == ("dpv:UntilTimeDuration", "2028-01-15T08:00:00.000Z")
    assert (until[1].type, until[1].value) == ("dpv:UntilEventDuration", "you choose anew")


def test_a_yes_to_another_text_gets_no_receipt_and_a_no_does(registrar):
    with pytest.raises(DamageError, match="agrees to a text that is not in the notice"):
        registrar.receipt(registrar.record(text="00" * 32))
    refused = registrar.record(state="refused", text="00" * 32)
    assert registrar.receipt(refused).has_record_of_activity[0].has_notice[0].language == "en"


def test_joint_controllers_are_all_named(registrar):
    officer = registrar.controller.dpo
    joint = registrar.controller.model_copy(update={"joint": (officer,)})
    (record,) = content.make_receipt(
        "7d1f3a52-90c4-4e6b-8a37-5c2be0d91f64", 0, [registrar.case(registrar.record())], joint
    ).has_record_of_activity
    assert [party.type[0] for party in record.has_data_controller] == [
        "dpv:DataController",
        "dpv:JointDataControllers",
    ]
