import pytest

from covey_consent.errors import ConflictError
from covey_consent.receipts import kantara

# Consent Receipt Specification 1.1.0, section 4: what a receipt has to have, and may.
REQUIRED = {
    "version", "jurisdiction", "consentTimestamp", "collectionMethod", "consentReceiptID", "language",
    "piiPrincipalId", "piiControllers", "policyUrl", "services", "sensitive", "spiCat",
}  # fmt: skip
CONTROLLER = {"piiController", "contact", "address", "email", "phone"}
PURPOSE = {"purposeCategory", "consentType", "piiCategory", "termination", "thirdPartyDisclosure"}


@pytest.fixture
def made(registrar):
    def made(*args, **changes):
        record = registrar.record(*args, **changes)
        return kantara.receipt("r-1", registrar.case(record), registrar.controller, registrar.key.public)

    return made


@pytest.mark.parametrize("purpose", ["partner", "*"])
def test_what_was_said_without_a_notice_has_no_older_receipt(registrar, purpose):
    case = registrar.case(registrar.unshown(purpose, "objected"))
    with pytest.raises(ConflictError, match="consent given"):
        kantara.receipt("r-1", case, registrar.controller, registrar.key.public)


def test_the_fields_are_the_specifications(made):
    receipt = made()
    assert REQUIRED | {"publicKey"} == set(receipt)
    (controller,), (service,) = receipt["piiControllers"], receipt["services"]
    assert CONTROLLER | {"onBehalf", "piiControllerUrl"} == set(controller)
    assert {"streetAddress", "addressCountry"} == set(controller["address"])
    (purpose,) = service["purposes"]
    assert PURPOSE | {"purpose", "primaryPurpose"} == set(purpose)


def test_the_values_are_what_happened(made):
    receipt = made()
    assert receipt["version"] == "KI-CR-v1.1.0"
    assert receipt["consentTimestamp"] == 1_800_000_000
    assert receipt["piiPrincipalId"] == "5e" * 16
    assert receipt["services"][0]["purposes"][0]["consentType"] == "EXPLICIT"
    assert (receipt["sensitive"], receipt["spiCat"]) == (False, [])


def test_sensitive_data_and_third_parties_are_named(made, registrar):
    assert (made("health")["sensitive"], made("health")["spiCat"]) == (True, ["pd:Health"])
    partner = registrar.controller.recipients[0].model_copy(
        update={"role": "controller", "purposes": ("train",)}
    )
    registrar.controller = registrar.controller.model_copy(update={"recipients": (partner,)})
    (purpose,) = made()["services"][0]["purposes"]
    assert purpose["thirdPartyDisclosure"] is True
    assert purpose["thirdPartyName"] == "Covey Example Parcel"


def test_a_withdrawal_has_no_such_receipt(made):
    with pytest.raises(ConflictError, match="withdrawn"):
        made(state="withdrawn")
    assert made(state="renewed")
