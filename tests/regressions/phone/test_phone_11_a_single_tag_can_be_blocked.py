"""A person can delete or correct a single tag, as the notice of `personalize` says."""

import json
from dataclasses import replace

import pytest

from covey_sdk import ledger, tag_choices
from covey_sdk.clock import milliseconds
from covey_sdk.errors import ClockError, ConsentError, EventError
from covey_sdk.events import OrderLine
from covey_sdk.interactions import ItemView
from covey_sdk.rule_bundle import sign_rules
from covey_sdk.tag_choices import Choices, require_known
from covey_sdk.tag_rules.registry import MEMBERS, TAGS, kind_of

TEA = "pref.category.tea"


def shown(device):
    return {tag.id: tag for tag in device.tags()}


@pytest.fixture
def loyal(device, order):
    """A device whose owner is a super user, by orders each week and by what they came to."""
    device.record_many([order(days, 60_000) for days in (1, 8, 15, 22)])
    assert shown(device)["lifecycle.stage"].value == "super"
    return device


def test_a_single_tag_can_be_blocked(loyal):
    before = shown(loyal)
    loyal.block(TEA)
    after = shown(loyal)
    assert before.keys() - after.keys() == {TEA}
    assert [(entry.kind, entry.purposes) for entry in loyal.ledger()[-1:]] == [("tag", ("personalize",))]
    assert TEA in loyal.ledger()[-1].said_en
    assert TEA in loyal.ledger()[-1].said_zh
    loyal.unblock(TEA)
    assert shown(loyal) == before


def test_a_blocked_or_corrected_segment_is_in_no_fact(loyal):
    known = loyal.facts()
    for hide, show in (
        (lambda: loyal.block("rfm.segment"), lambda: loyal.unblock("rfm.segment")),
        (lambda: loyal.correct("rfm.segment", "mine"), lambda: loyal.correct("rfm.segment", None)),
    ):
        hide()
        assert loyal.facts() == {**known, "segment": None}
        show()
        assert loyal.facts() == known
    assert known["segment"] == "important_value"


def test_a_blocked_or_corrected_tag_feeds_no_other(loyal):
    for hide in (lambda: loyal.block("behav.core_user"), lambda: loyal.correct("behav.core_user", "no")):
        hide()
        assert shown(loyal)["lifecycle.stage"].value == "repeat"
        loyal.unblock("behav.core_user")
        loyal.correct("behav.core_user", None)
        assert shown(loyal)["lifecycle.stage"].value == "super"
    loyal.block("behav.loyal_fan")
    assert not any(each.fact == "spend_minor" for each in shown(loyal)["lifecycle.stage"].evidence)


def test_a_kind_blocks_all_its_members(loyal, order):
    weekly = {each for each in shown(loyal) if kind_of(each)[0] == "habit.weekly"}
    assert weekly
    loyal.block("habit.weekly")
    assert not weekly & shown(loyal).keys()
    loyal.record_many([order(days, lines=(OrderLine("c", "coffee", 100),)) for days in (2, 9, 16, 23)])
    assert not any(kind_of(each)[0] == "habit.weekly" for each in shown(loyal))
    (one, *_) = weekly
    with pytest.raises(EventError, match=r"'habit\.weekly' is blocked as a whole"):
        loyal.unblock(one)
    loyal.block(one)
    loyal.unblock("habit.weekly")
    assert one not in shown(loyal)
    assert any(kind_of(each)[0] == "habit.weekly" for each in shown(loyal))


def test_a_correction_shows_the_persons_value_and_says_so(loyal):
    loyal.correct("lifecycle.stage", "new here")
    tag = shown(loyal)["lifecycle.stage"]
    assert (tag.value, tag.score, tag.purpose) == ("new here", 1.0, "personalize")
    assert [each.fact for each in tag.evidence] == ["corrected_by_you"]
    assert (tag.said_en, tag.said_zh) == ("Corrected by you", "由您更正")
    entry = loyal.ledger()[-1]
    assert entry.kind == ledger.TAG
    assert "lifecycle.stage" in entry.said_en
    loyal.correct("lifecycle.stage", None)
    assert shown(loyal)["lifecycle.stage"].value == "super"


def test_a_correction_replaces_only_what_is_found(loyal, clock):
    loyal.correct("risk.dormant", "on holiday")
    loyal.correct("pref.category.coffee", "yes")
    assert not {"risk.dormant", "pref.category.coffee"} & shown(loyal).keys()


def test_a_correction_enters_no_fact(loyal):
    loyal.correct("rfm.segment", "corrected-value")
    loyal.correct("lifecycle.stage", "corrected-value")
    assert "corrected-value" not in str(loyal.facts())


def test_a_withdrawal_deletes_corrections_and_leaves_blocks(loyal, clock, order):
    loyal.block(TEA)
    loyal.correct("lifecycle.stage", "secret-value")
    clock.forward(seconds=1)
    loyal.withdraw("personalize")
    assert loyal.profile.choices.read() == Choices(blocked=(TEA,))
    assert "secret-value" not in json.dumps(loyal.export())
    clock.forward(seconds=1)
    loyal.grant("personalize")
    loyal.record_many([order(days, 60_000) for days in (1, 8, 15, 22)])
    assert TEA not in shown(loyal)
    assert shown(loyal)["lifecycle.stage"].value == "super"


def test_choices_survive_restart_and_new_rules_and_reach_other_processes(loyal, opened, shop, mapped):
    other = opened()
    loyal.block(TEA)
    loyal.correct("rfm.segment", "mine")
    assert TEA not in shown(other)
    assert shown(other)["rfm.segment"].value == "mine"
    assert other.facts()["segment"] is None
    other.unblock(TEA)
    assert TEA in shown(loyal)
    loyal.block(TEA)
    loyal.adopt_rules(sign_rules(replace(mapped, version=9), shop.operator))
    loyal.close()
    again = opened()
    assert TEA not in shown(again)
    assert shown(again)["rfm.segment"].value == "mine"
    assert {tag.rule_version for tag in again.tags()} == {9}


def test_the_export_holds_the_choices(loyal):
    loyal.block(TEA)
    loyal.correct("rfm.segment", "mine")
    held = json.loads(json.dumps(loyal.export()))
    at = milliseconds(loyal.clock.now())
    assert held["tag_choices"] == {
        "blocked": [TEA],
        "corrections": [{"tag_id": "rfm.segment", "value": "mine", "at": at}],
    }
    assert held["facts"]["segment"] is None
    assert TEA not in {tag["id"] for tag in held["tags"]}


def test_a_block_deletes_the_correction(loyal):
    (one, *_) = [each for each in shown(loyal) if kind_of(each)[0] == "habit.weekly"]
    loyal.correct(one, "no")
    loyal.block("habit.weekly")
    assert loyal.profile.choices.read().corrections == ()
    with pytest.raises(EventError, match="is blocked; unblock it before"):
        loyal.correct(one, "no")


def test_choosing_again_changes_nothing(loyal):
    loyal.block(TEA)
    loyal.correct("rfm.segment", "mine")
    told = loyal.ledger()
    loyal.block("pref.category.Tea")
    loyal.correct("rfm.segment", "mine")
    loyal.unblock("behav.core_user")
    loyal.correct("behav.core_user", None)
    assert loyal.ledger() == told


@pytest.mark.parametrize(
    "tag_id",
    [
        "",
        "nothing",
        "rfm",
        "rfm.segment:x",
        "rfm.segmental",
        "pref.category.",
        "pref.category:tea",
        "pref.category. _",
        "habit.weekly:tea",
        "habit.weekly:tea:day",
        "habit.weekly::wed",
        "replenish.due.tea",
        "pref.category.a\0b",
        "pref.category.\udc00",
        "pref.category." + "x" * 129,
        7,
        None,
        b"rfm.segment",
        ["rfm.segment"],
    ],
)
def test_an_id_of_no_tag_is_refused(loyal, tag_id):
    for choose in (loyal.block, loyal.unblock, lambda each: loyal.correct(each, "x")):
        with pytest.raises(EventError, match=r"tag_id is .*the id of a tag or of a kind of tags"):
            choose(tag_id)
    assert loyal.profile.choices.read() == Choices()


@pytest.mark.parametrize("value", ["", " ", "a\0b", "\udc00", "x" * 129, 7, b"x", ["x"]])
def test_a_value_that_is_no_text_is_refused(loyal, value):
    with pytest.raises(EventError, match="value is"):
        loyal.correct("rfm.segment", value)


def test_a_kind_with_members_is_not_corrected_as_one(loyal):
    for kind in MEMBERS:
        with pytest.raises(EventError, match="one tag of that kind"):
            loyal.correct(kind, "no")


def test_every_tag_that_is_found_can_be_blocked(device, allow, order, met):
    allow(device, "personalize", "replenish", "marketing")
    phone = (
        OrderLine("p", "organic vegetables", 100, days_per_unit=10, discounted=True),
        OrderLine("q", "phone", 1),
    )
    device.record_many([order(days, lines=phone) for days in (8, 15, 22)])
    device.record_many([met(ItemView, days, "organic vegetables") for days in (1, 2, 3)])
    found = set(shown(device))
    assert {"habit.weekly", "replenish.due", "complement.due", "pref.category"} <= {
        kind_of(each)[0] for each in found
    }
    assert [require_known(each) for each in found] == list(found)
    for each in found:
        device.block(each)
    assert device.tags() == ()


def test_every_kind_is_known():
    assert set(MEMBERS) <= set(TAGS)
    assert [require_known(kind) for kind in TAGS] == list(TAGS)


def test_choices_are_bounded_in_number(loyal, monkeypatch):
    monkeypatch.setattr(tag_choices, "MOST", 2)
    for category in ("a", "b"):
        loyal.block(f"pref.category.{category}")
    with pytest.raises(EventError, match="2 tags are blocked, no more can be"):
        loyal.block("pref.category.c")
    for category in ("c", "d"):
        loyal.correct(f"pref.category.{category}", "no")
    with pytest.raises(EventError, match="2 tags are corrected, no more can be"):
        loyal.correct("pref.category.e", "no")
    loyal.correct("pref.category.d", "other")
    loyal.block("pref.category.a")


def test_a_wrong_clock_hinders_no_block(loyal, clock):
    loyal.sync()
    clock.forward(days=-1)
    loyal.block(TEA)
    with pytest.raises(ClockError):
        loyal.unblock(TEA)
    clock.forward(days=1)
    assert TEA not in shown(loyal)


def test_a_block_needs_no_purpose_and_a_correction_does(opened, shop):
    device = opened()
    device.block(TEA)
    with pytest.raises(ConsentError, match="'personalize' is not allowed"):
        device.correct("rfm.segment", "mine")
    with pytest.raises(ConsentError, match="'replenish' is not allowed"):
        device.correct("replenish.due:tea", "no")
    assert device.profile.choices.read() == Choices(blocked=(TEA,))


def test_recommendations_name_no_tag(loyal):
    told = loyal.recommend(["item", "other"], 2)
    said = " ".join(reason.said_en + reason.about + reason.code for each in told for reason in each.reasons)
    assert not any(tag_id in said for tag_id in shown(loyal))
