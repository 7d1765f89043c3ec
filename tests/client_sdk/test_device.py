import json
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from covey_privacy.registry_messages import DECISION, Batch, Choice, Notice, NoticeText
from covey_privacy.signatures import sign
from covey_sdk import ClockError, ConsentError, Device, EventError, RegistryError, StoreError, ledger
from covey_sdk.clock import milliseconds
from covey_sdk.events import AppOpen, OrderLine, parse
from covey_sdk.facts import UNKNOWN
from covey_sdk.rule_bundle import Category, sign_rules

TEA = OrderLine("tea-1", "tea", paid_minor=1000)
COLD = OrderLine("syrup-secret", "COLD AND FLU", paid_minor=500)
FORMULA = OrderLine("formula-1", "INFANT FORMULA", paid_minor=300)


def on_disk(path):
    return b"".join(file.read_bytes() for file in path.parent.glob(path.name + "*"))


def ids(device):
    return {tag.id for tag in device.tags()}


class TestRecording:
    def test_orders_become_tags(self, device, order):
        assert device.record_many([order(100, 26_000), order(130, 24_000)]) == 2
        segment = next(tag for tag in device.tags() if tag.id == "rfm.segment")
        assert segment.value == "important_win_back"
        assert device.facts() == {
            "recency_days": 100,
            "orders": 2,
            "mean_order_minor": 25_000,
            "segment": "important_win_back",
            "items": {"item"},
            "adopted": set(),
        }

    def test_nothing_is_kept_by_default(self, opened, order, path):
        device = opened()
        assert device.record(order()) is False
        assert device.record(AppOpen(1, 0)) is False
        assert device.journal.events() == []
        assert device.tags() == ()
        assert device.facts() == UNKNOWN

    def test_a_parsed_event_is_kept_and_a_mapping_is_not_an_event(self, device, clock):
        told = {"type": "app_open", "at_ms": milliseconds(clock.now), "tz_offset_min": 480}
        with pytest.raises(EventError, match="a dict is no event"):
            device.record(told)
        assert device.record(parse(told)) is True

    def test_the_same_order_twice_is_an_error_and_changes_nothing(self, device, order):
        first = order(1)
        assert device.record(first)
        before = device.journal.events()
        with pytest.raises(EventError, match=f"order_paid '{first.order_id}' is recorded already from 'app'"):
            device.record(first)
        assert device.journal.events() == before

    def test_an_order_from_app_and_receipt_counts_once(self, device, order):
        first = order(1)
        assert device.record(first) is True
        assert device.record(replace(first, source="pos_qr")) is False
        assert device.facts()["orders"] == 1

    def test_a_receipt_with_another_total_is_an_error(self, device, order):
        first = order(1, minor=3000)
        device.record(first)
        other = order(1, minor=3100, order_id=first.order_id, source="pos_qr")
        with pytest.raises(EventError, match="recorded already with another amount"):
            device.record(other)

    def test_currencies_do_not_mix(self, device, order, opened, path):
        device.record(order(1))
        with pytest.raises(EventError, match="currency is CNY; this profile is in USD"):
            device.record(order(1, currency="CNY"))
        given = opened(currency="CNY")
        with pytest.raises(EventError, match="this profile is in CNY"):
            given.record(order(1))

    def test_many_are_kept_all_or_none(self, device, order):
        good, wrong = order(2), order(1, currency="CNY")
        with pytest.raises(EventError):
            device.record_many([good, wrong])
        assert device.journal.events() == []
        assert device.record_many([good]) == 1

    def test_the_future_is_refused(self, device, order, clock):
        assert device.record(order(at_ms=milliseconds(clock.now + timedelta(minutes=5))))
        with pytest.raises(EventError, match="in the future"):
            device.record(order(at_ms=milliseconds(clock.now + timedelta(minutes=5, seconds=1))))

    def test_events_are_kept_for_400_days(self, device, order, clock):
        assert device.record(order(399))
        assert not device.record(order(401))
        clock.forward(days=2)
        device.sync()
        assert device.journal.events() == []
        assert device.ledger()[-1].kind == ledger.PURGE

    def test_one_visit_a_day_is_kept(self, device, clock):
        visits = [AppOpen(milliseconds(clock.now) + minutes * 60_000, 480) for minutes in (0, 1, -1440)]
        assert [device.record(visit) for visit in visits] == [True, False, True]

    def test_a_refund_counts_once_its_order_is_kept(self, device, order, refund):
        paid, unknown = order(1), order(1)
        assert device.record_many([refund(paid, 1000), paid]) == 2
        assert device.record(refund(unknown, 1000))
        assert device.facts()["mean_order_minor"] == 2000
        assert len(device.journal) == 2

    def test_the_clock_may_not_run_backwards(self, device, opened, order, clock):
        device.record(order(1))
        device.close()
        clock.forward(minutes=-2)
        again = opened()
        assert again.record(order(1))
        clock.forward(seconds=-1)
        for act in (again.tags, again.facts, again.sync, lambda: again.record(order(1))):
            with pytest.raises(ClockError, match="before 2027-03-01 04:00 UTC"):
                act()

    def test_a_clock_without_a_zone_is_refused(self, opened):
        with pytest.raises(ClockError, match="without a zone"):
            opened(clock=lambda: datetime(2027, 3, 1)).tags()  # noqa: DTZ001  # that is the point


class TestSensitive:
    def test_a_cold_medicine_line_is_not_kept_without_health(self, device, order, path):
        device.record(order(1, lines=(TEA, COLD)))
        (kept,) = device.journal.events()
        assert (kept.lines, kept.total_minor) == ((TEA,), 1500)
        assert device.facts()["mean_order_minor"] == 1500
        assert device.facts()["items"] == {"tea-1"}

    def test_of_an_order_of_nothing_else_the_total_is_kept(self, device, order, opened, path, allow):
        assert device.record(order(1, lines=(COLD,)))
        (kept,) = device.journal.events()
        assert (kept.lines, kept.total_minor) == ((), 500)
        assert device.facts()["orders"] == 1
        assert device.facts()["items"] == frozenset()
        other = opened(path.with_name("other.db"))
        allow(other, "marketing")
        assert other.record(order(1, lines=(COLD,))) is False

    def test_under_health_it_is_kept_sealed_and_feeds_nothing_else(self, opened, order, path, allow):
        device = opened()
        allow(device, "personalize", "health")
        device.record_many([order(1, lines=(TEA, COLD)), order(2, lines=(COLD,))])
        assert [len(event.lines) for event in device.journal.events()] == [1, 2]
        assert device.facts()["orders"] == 2
        assert device.facts()["mean_order_minor"] == 1000
        assert device.facts()["items"] == {"tea-1"}
        for plain in (b"syrup-secret", b"COLD AND FLU", b"tea-1", b"order-1", b"USD"):
            assert plain not in on_disk(path)

    def test_without_health_its_plaintext_is_nowhere(self, device, order, path):
        device.record(order(1, lines=(TEA, COLD)))
        assert "syrup-secret" not in json.dumps(device.export())
        assert b"syrup-secret" not in on_disk(path)

    def test_health_is_not_family(self, opened, order, allow):
        device = opened()
        allow(device, "health")
        device.record(order(1, lines=(TEA, COLD, FORMULA)))
        (kept,) = device.journal.events()
        assert kept.lines == (COLD,)

    def test_refunds_follow_the_lines_as_they_were_numbered(self, device, order, refund):
        mixed = order(1, lines=(COLD, TEA, OrderLine("b", "tea", 400)))
        device.record(mixed)
        assert device.record(refund(mixed, 500, 0))
        assert device.facts()["mean_order_minor"] == 1400
        assert device.facts()["items"] == {"tea-1", "b"}
        assert device.record(refund(mixed, 400, 2))
        assert device.facts()["mean_order_minor"] == 1000
        assert device.facts()["items"] == {"tea-1"}

    def test_a_refund_of_all_does_not_tell_what_was_left_out(self, device, order, refund):
        mixed = order(1, lines=(COLD, TEA))
        device.record(mixed)
        device.record(refund(mixed, 1500))
        assert device.facts() == UNKNOWN
        assert "COLD" not in json.dumps(device.export())

    def test_formula_is_due_where_family_and_replenish_are_granted(self, opened, order, path, allow):
        formula = OrderLine("f", "INFANT FORMULA", 300, days_per_unit=30)
        for number, granted in enumerate((["replenish"], ["family"], ["replenish", "family"])):
            device = opened(path.with_name(f"{number}.db"))
            allow(device, *granted)
            assert device.record(order(24, lines=(formula,))) is ("family" in granted)
            assert ids(device) == ({"replenish.due:infant_formula"} if number == 2 else set())
            assert device.facts() == UNKNOWN
        device.withdraw("family")
        assert ids(device) == set()
        assert device.journal.events() == []

    def test_diapers_are_due_where_family_and_marketing_are_granted(self, opened, order, path, allow):
        for number, granted in enumerate((["marketing"], ["marketing", "family"])):
            device = opened(path.with_name(f"{number}.db"))
            allow(device, *granted)
            assert device.record(order(80, lines=(OrderLine("w", "wipes", 300),)))
            assert ids(device) == ({"cross_sell.due:diapers"} if number else set())

    def test_what_a_phone_still_holds_is_not_read_once_a_newer_notice_asks_again(self, opened, order, allow):
        device = opened()
        allow(device, "personalize", "family")
        device.record_many([order(days, lines=(FORMULA,)) for days in (1, 2, 3)])
        assert "pref.category.infant_formula" in ids(device)
        texts = (NoticeText("en", "title", "text"),)
        newer = {"family": Notice("family", 2, 0, 0, "consent", 1.0, 1.0, 1e-6, texts)}
        device.consents.keep_notices({**device.consents.notices, **newer})
        assert len(device.journal.events()) == 3
        assert "pref.category.infant_formula" not in ids(device)

    @pytest.mark.parametrize("wine", [(Category("wine", "health"),), ()])
    def test_a_bundle_that_maps_less_to_ordinary_cuts_down_what_is_kept(
        self, device, order, shop, mapped, wine
    ):
        device.record(order(1, lines=(TEA, OrderLine("w", "wine", 400))))
        others = tuple(category for category in mapped.categories if category.id != "wine")
        longer = replace(mapped, version=3, categories=(*others, *wine))
        device.adopt_rules(sign_rules(longer, shop.operator))
        assert device.journal.events()[0].lines == (TEA,)
        assert [entry.kind for entry in device.ledger()][-2:] == [ledger.RULES, ledger.PURGE]


def held_by_registry(device):
    """What the registry said at the last sync."""
    return {choice.purpose: choice.state for choice in device.consents._state.read().confirmed}


class TestConsent:
    def test_a_grant_counts_once_the_registry_confirms_it(self, opened, order, shop):
        device = opened()
        device.enrol()
        signed = device.decision("personalize", "granted")
        assert not device.gate().allows("personalize")
        assert device.record(order(1)) is False
        shop.way().decide(Batch((signed,), (device.key.public,)))
        assert not device.gate().allows("personalize")
        device.sync()
        assert device.gate().allows("personalize")
        assert device.choices["personalize"] == Choice("personalize", "granted", 1)

    def test_a_grant_that_does_not_arrive_does_not_count(self, opened, shop, order):
        device = opened()
        device.enrol()
        assert device.notices
        shop.reachable = False
        with pytest.raises(RegistryError, match="cannot be reached"):
            device.grant("personalize")
        assert device.record(order(1)) is False

    def test_the_registry_cannot_make_a_grant(self, device, opened, shop, tmp_path, order):
        device.grant("analytics")
        device.consents._state.write(replace(device.consents._state.read(), decisions=()))
        device.sync()
        assert not device.gate().allows("analytics")

    def test_choices_outlive_closing(self, device, opened):
        device.close()
        again = opened()
        assert again.gate().allows("personalize")
        assert again.key.public == device.key.public

    def test_purposes_are_granted_one_by_one(self, device):
        assert not device.gate().allows("analytics")
        assert not device.gate().allows("train")

    def test_an_unknown_purpose_has_no_notice(self, device):
        with pytest.raises(ConsentError, match="'biometric' has no notice"):
            device.grant("biometric")

    def test_a_decision_is_one_of_three(self, device):
        with pytest.raises(ConsentError, match="'perhaps' was given"):
            device.decision("analytics", "perhaps")

    def test_what_the_contract_needs_cannot_be_withdrawn_here(self, device):
        with pytest.raises(ConsentError, match="rests on the contract"):
            device.withdraw("core")
        assert device.gate().allows("core")

    def test_withdrawing_deletes_events_and_says_so(self, device, opened, order, path, shop):
        device.record_many([order(1), order(2), AppOpen(order(1).at_ms, 480)])
        assert ids(device)
        device.withdraw("personalize")
        assert device.journal.events() == []
        assert device.tags() == ()
        assert device.facts() == UNKNOWN
        said = device.ledger()
        assert [entry.kind for entry in said] == [ledger.CONSENT] * 3 + [ledger.PURGE]
        assert "withdrew" in said[2].said_en
        assert "撤回" in said[2].said_zh
        assert "3 stored events" in said[3].said_en
        assert opened(path.with_name("other.db")).choices == {}
        device.sync()
        assert device.choices["personalize"].state == "withdrawn"

    def test_withdrawing_leaves_no_sealed_row_on_the_disk(self, device, order, path):
        device.record(order(1))
        (sealed,) = device.store._db.execute("SELECT sealed FROM events").fetchone()
        assert sealed[:48] in on_disk(path)
        device.withdraw("personalize")
        assert sealed[:48] not in on_disk(path)

    def test_withdrawing_keeps_what_another_granted_purpose_needs(self, opened, order, allow):
        device = opened()
        allow(device, "personalize", "health")
        device.record(order(1, lines=(TEA, COLD)))
        device.withdraw("personalize")
        (kept,) = device.journal.events()
        assert (kept.lines, kept.total_minor, kept.positions) == ((COLD,), 500, (1,))
        device.withdraw("health")
        assert device.journal.events() == []

    def test_lines_keep_their_numbers_however_often_an_order_is_cut(self, opened, order, refund, allow):
        device = opened()
        allow(device, "personalize", "health", "family")
        sold = order(1, lines=(TEA, COLD, FORMULA))
        device.record(sold)
        device.withdraw("personalize")
        device.withdraw("health")
        (kept,) = device.journal.events()
        assert (kept.lines, kept.positions) == ((FORMULA,), (2,))
        assert device.record(refund(sold, 300, 2))

    def test_a_withdrawal_counts_at_once_and_is_sent_later(self, device, opened, order, shop, clock):
        device.record(order(1))
        shop.reachable = False
        device.withdraw("personalize")
        assert device.journal.events() == []
        assert device.record(order(1)) is False
        with pytest.raises(RegistryError):
            device.sync()
        device.close()
        clock.forward(days=9)
        shop.reachable = True
        again = opened()
        assert not again.consents.granted("personalize")
        again.sync()
        assert held_by_registry(again) == {"personalize": "withdrawn"}

    def test_a_withdrawal_sent_later_is_not_dated_before_the_grant(self, device, shop, clock):
        shop.reachable = False
        clock.forward(minutes=-1)
        device.withdraw("personalize")
        shop.reachable = True
        device.sync()
        assert held_by_registry(device) == {"personalize": "withdrawn"}

    def test_a_withdrawal_wins_over_a_registry_that_lags(self, device, shop):
        shop.reachable = False
        device.withdraw("personalize")
        device.consents._state.write(replace(device.consents._state.read(), unsent=()))
        shop.reachable = True
        device.sync()
        assert not device.gate().allows("personalize")

    def test_no_clock_hinders_a_withdrawal(self, device, opened, clock, order):
        device.record(order(1))
        device.close()
        slow = opened(clock=lambda: clock.now - timedelta(days=3))
        slow.withdraw("personalize")
        assert slow.journal.events() == []
        slow.close()
        device = opened()
        device.sync()
        assert held_by_registry(device) == {"personalize": "withdrawn"}

    def test_who_withdrew_may_grant_again(self, device, order, clock):
        device.withdraw("personalize")
        clock.forward(seconds=1)
        device.grant("personalize")
        assert device.record(order(1))

    def test_refusing_is_a_decision_too(self, opened, shop):
        device = opened()
        device.enrol()
        device.refuse("analytics", language="zh", method="dialog")
        device.sync()
        assert device.choices == {"analytics": Choice("analytics", "refused", 1)}
        assert "You refused" in device.ledger()[-1].said_en

    def test_withdrawing_what_was_never_decided_is_nothing(self, opened):
        device = opened(registry=None)
        device.withdraw("analytics")
        assert device.choices == {}

    def test_a_grant_that_someone_else_ended_is_purged(self, device, order, shop, clock):
        device.record(order(1))
        clock.forward(seconds=1)
        withdrawn = replace(
            device.consents.decisions["personalize"], state="withdrawn", at=milliseconds(clock.now)
        )
        shop.way().decide(Batch((sign(DECISION, withdrawn, device.key),), (device.key.public,)))
        device.sync()
        assert device.journal.events() == []
        assert [entry.kind for entry in device.ledger()][-2:] == [ledger.CONSENT, ledger.PURGE]
        assert "no longer lists" in device.ledger()[-2].said_en

    def test_seven_days_without_the_registry_stop_all_but_keep_what_is_there(
        self, device, order, clock, shop
    ):
        device.record(order(1))
        shop.reachable = False
        clock.forward(days=7, seconds=1)
        assert device.tags() == ()
        assert device.facts() == UNKNOWN
        assert device.record(order(1)) is False
        shop.reachable = True
        device.sync()
        assert "rfm.segment" in ids(device)

    def test_a_device_without_a_registry_says_so(self, opened):
        with pytest.raises(RegistryError, match="without a registry"):
            opened(registry=None).grant("personalize")

    def test_one_request_carries_many_devices(self, opened, tmp_path, shop):
        devices = [opened(tmp_path / f"{number}.db") for number in range(3)]
        keys = tuple(device.key.public for device in devices)
        way = shop.way()
        way.enrol(Batch(tuple(device.enrolment() for device in devices), keys))
        way.decide(Batch(tuple(device.decision("analytics", "granted") for device in devices), keys))
        for device in devices:
            device.sync()
            assert device.gate().allows("analytics")


class TestRules:
    def test_an_adopted_bundle_decides_and_stays(self, device, opened, order, shop, mapped):
        device.record(order(10))
        tight = replace(mapped, version=3, rfm=replace(mapped.rfm, recency_days=9))
        device.adopt_rules(sign_rules(tight, shop.operator))
        assert device.facts()["segment"] == "general_win_back"
        device.close()
        again = opened()
        assert again.facts()["segment"] == "general_win_back"
        assert {tag.rule_version for tag in again.tags()} == {3}
        with pytest.raises(RegistryError):
            again.adopt_rules(sign_rules(mapped, shop.operator))


class TestWhole:
    def test_export_is_everything_as_plain_json(self, device, order, mapped):
        sold = order(1, lines=(TEA, replace(TEA, item_id="b")))
        device.record(sold)
        held = json.loads(json.dumps(device.export()))
        assert [parse(event) for event in held["events"]] == [sold]
        assert held["device"] == device.key.public.hex()
        assert held["choices"][0]["state"] == "granted"
        assert held["decisions"][0]["language"] == "en"
        assert {tag["id"] for tag in held["tags"]} == ids(device)
        assert held["facts"]["orders"] == 1
        assert held["facts"]["items"] == ["b", "tea-1"]
        assert held["ledger"][0]["said_en"].startswith("You chose to allow")
        assert held["ledger"][1]["said_en"].startswith("You allowed")
        assert held["charges"] == []
        assert held["rule_version"] == mapped.version

    def test_erasing_leaves_nothing(self, device, opened, order, path):
        device.record(order(1))
        key = device.key.public
        device.erase()
        assert list(path.parent.glob(path.name + "*")) == []
        fresh = opened()
        assert fresh.key.public != key
        assert fresh.journal.events() == []
        assert fresh.choices == {}

    def test_a_wrong_key_and_a_damaged_file_say_different_things(self, device, shop, path, clock):
        device.close()
        with pytest.raises(StoreError, match="made with another key"):
            Device.open(path, bytes(32), trust=shop.trust, clock=clock)
        data = path.read_bytes()
        sealed = data.index(b"consents") + 40
        path.write_bytes(data[:sealed] + bytes([data[sealed] ^ 1]) + data[sealed + 1 :])
        with pytest.raises(StoreError, match="damaged"):
            Device.open(path, bytes(range(32)), trust=shop.trust, clock=clock)

    def test_nothing_of_an_order_is_readable_or_reaches_the_registry(
        self, device, order, path, shop, tmp_path
    ):
        sold = order(1, order_id="order-4711-secret", lines=(OrderLine("sofa-99", "furniture-x", 777),))
        device.record(sold)
        device.sync()
        device.withdraw("analytics")
        sent = b"".join(request.content + request.url.raw_path for request in shop.seen)
        stored = b"".join(file.read_bytes() for file in tmp_path.iterdir())
        for plain in (b"order-4711-secret", b"sofa-99", b"furniture-x"):
            assert plain not in sent
            assert plain not in stored
