from dataclasses import replace

import pytest

from covey_consent.errors import RequestError
from covey_consent.notices import files
from covey_consent.notices.drafts import NoticeFacts
from covey_consent.notices.files import ITEMS, items_of
from covey_consent.notices.lint import lint, require_complete
from covey_consent.policy import controller, purposes
from covey_consent.policy.controller import StatedRecipient
from covey_consent.policy.transfers import is_abroad
from covey_privacy.dp.odometer import Caps

CAPS = Caps({}, 4.0, 1e-6)
FACTS = NoticeFacts(controller.load(None), CAPS)
HEALTH = files.packaged()["health"].completed
"""Every item is asked of this one."""

ABROAD = StatedRecipient(name="Cloud", role="processor", country="US", purposes=("health",))


def written(file, language, **items):
    """Change items of a file in one language; None takes one away."""
    words = file.texts[language]
    left = {name: line for name, line in {**words.items, **items}.items() if line is not None}
    texts = {**file.texts, language: words.model_copy(update={"items": left})}
    return file.model_copy(update={"texts": texts})


def among(*recipients):
    return NoticeFacts(FACTS.controller.model_copy(update={"recipients": recipients}), CAPS)


@pytest.mark.compliance("GDPR 13", "a notice states every item, in every language")
@pytest.mark.parametrize("file", files.packaged().values(), ids=lambda file: file.purpose)
def test_every_packaged_notice_is_complete(file):
    assert lint(file.completed, FACTS) == ()
    assert [*file.texts] == ["en", "zh"]
    assert [*file.texts["en"].items] == [*file.texts["zh"].items]


@pytest.mark.compliance("PIPL 17", "a notice without one of its items is named with the article, and refused")
@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("item", ITEMS, ids=lambda item: item.name)
def test_an_item_that_is_taken_away_is_named_and_no_other(item, language):
    for missing in (None, ""):
        (finding,) = lint(written(HEALTH, language, **{item.name: missing}), FACTS)
        assert (finding.language, finding.item, finding.articles) == (language, item.name, item.articles)
        assert finding.what == "is missing"


def test_a_refusal_lists_all_that_is_missing():
    worse = written(written(HEALTH, "en", rights=None, complaint=None), "zh", retention=None)
    with pytest.raises(RequestError) as refused:
        require_complete(worse, FACTS)
    for told in ("en: rights (GDPR 13(2)(b)", "en: complaint", "zh: retention (GDPR 13(2)(a)"):
        assert told in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("item", [item for item in ITEMS if item.fact], ids=lambda item: item.name)
def test_words_that_leave_out_the_fact_are_named(item):
    facts = among(ABROAD.model_copy(update={"safeguard": "standard clauses"}))
    (finding,) = lint(written(HEALTH, "zh", **{item.name: "另行告知。"}), facts)
    assert (finding.item, finding.what) == (item.name, f"does not say ${item.fact}")


def test_who_receives_nothing_need_not_be_written_by_the_fact():
    assert lint(written(HEALTH, "en", recipients="Nobody receives it."), FACTS) == ()


@pytest.mark.parametrize("line", ["Costs $5.", "Ask $nobody.", "100 $"])
def test_words_that_cannot_be_filled_are_named(line):
    (finding,) = lint(written(HEALTH, "en", method=line), FACTS)
    assert finding.item == "method"
    assert finding.what.startswith("cannot be shown")
    text = HEALTH.texts["en"].model_copy(update={"text": line})
    (finding,) = lint(HEALTH.model_copy(update={"texts": {**HEALTH.texts, "en": text}}), FACTS)
    assert finding.item == "text"


def test_another_language_has_to_write_out_what_purposes_say_in_two():
    french = {"fr": HEALTH.texts["en"]}
    named = {finding.item for finding in lint(HEALTH.model_copy(update={"texts": french}), FACTS)}
    assert named == {"purpose", "data", "retention"}


def test_a_region_has_the_words_of_its_language():
    texts = {"en-DE": files.packaged()["train"].texts["en"]}
    file = files.packaged()["train"].model_copy(update={"texts": texts})
    assert lint(file.completed, FACTS) == ()


def test_a_partner_that_nobody_names_is_a_finding():
    (finding,) = lint(files.packaged()["partner"].completed, among())
    assert (finding.item, finding.language) == ("recipients", "*")
    assert "names nobody" in finding.what


def test_a_recipient_that_decides_itself_has_a_contact():
    shop = FACTS.controller.recipients[-1].model_copy(update={"contact": None})
    (finding,) = lint(files.packaged()["partner"].completed, among(shop))
    assert "lacks the contact of Covey Example Partner" in finding.what
    assert (
        lint(files.packaged()["partner"].completed, among(shop.model_copy(update={"role": "processor"})))
        == ()
    )


@pytest.mark.compliance("GDPR 44", "a notice of a transfer abroad without its safeguard is refused")
def test_a_transfer_abroad_names_its_safeguard():
    (finding,) = lint(HEALTH, among(ABROAD))
    assert (finding.item, finding.articles) == ("transfers", "GDPR 13(1)(f), PIPL 39")
    assert "Cloud in US" in finding.what
    assert lint(HEALTH, among(ABROAD.model_copy(update={"country": "FR"}))) == ()


def test_within_china_and_the_eea_nothing_is_abroad():
    assert [is_abroad(country, "CN") for country in ("CN", "DE", "HK")] == [False, True, True]
    assert [is_abroad(country, "DE") for country in ("DE", "IE", "CH")] == [False, False, True]


def test_only_what_is_sensitive_says_why_it_is_needed_and_only_consent_is_withdrawn():
    names = {
        name: {item.name for item in items_of(purposes.find(name))} for name in ("core", "train", "health")
    }
    everything = {item.name for item in ITEMS}
    assert names["health"] == everything
    assert names["train"] == everything - {"necessity"}
    assert names["core"] == everything - {"necessity", "withdrawal"}


def test_facts_name_joint_controllers_and_the_representative():
    other = controller.Contact(name="Other Shop", email="other@shop.example")
    us = FACTS.controller.model_copy(update={"joint": (other,), "representative": other, "dpo": None})
    words = replace(FACTS, controller=us).words(purposes.find("train"), "zh")
    assert words["controller"].count("Other Shop, other@shop.example") == 2
    assert words["contact"] == us.email
