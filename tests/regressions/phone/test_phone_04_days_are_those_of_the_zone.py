"""Days and weekdays of events are those of the device's IANA zone, in summer and in winter."""

import os
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from covey_sdk import clock as clocks
from covey_sdk.clock import milliseconds
from covey_sdk.errors import ClockError
from covey_sdk.events import AppOpen, OrderLine, OrderPaid
from covey_sdk.history_builder import history
from covey_sdk.interactions import ItemView
from covey_sdk.rule_bundle import BASE, Category

BERLIN = ZoneInfo("Europe/Berlin")
EVENING = datetime(2026, 12, 10, 23, 30, tzinfo=BERLIN)
SUMMER = datetime(2027, 7, 1, 12, tzinfo=BERLIN)
ZONES = (
    "Europe/Berlin",
    "America/New_York",
    "America/Sao_Paulo",
    "America/St_Johns",
    "Asia/Beirut",
    "Asia/Kathmandu",
    "Asia/Shanghai",
    "Australia/Lord_Howe",
    "Pacific/Apia",
    "UTC",
)
EDGES = (
    datetime(2026, 3, 29, 1, tzinfo=UTC),  # Berlin: summer begins
    datetime(2026, 10, 25, 1, tzinfo=UTC),  # Berlin: the hour from 2 to 3 comes twice
    datetime(2018, 2, 18, 2, tzinfo=UTC),  # Sao Paulo: the hour before midnight comes twice
    datetime(2018, 11, 4, 3, tzinfo=UTC),  # Sao Paulo: the day begins at 1
    datetime(2006, 10, 29, 2, 31, tzinfo=UTC),  # St John's: from 0:01 back to 23:01 of the day before
    datetime(2011, 12, 30, 10, tzinfo=UTC),  # Apia: 30 December 2011 does not exist
)

RULES = replace(BASE, categories=(Category("tea", "ordinary"),))


def bought(at: datetime, offset_min: int, order_id: str = "1") -> OrderPaid:
    return OrderPaid(order_id, (OrderLine("t", "tea", 3000),), 3000, "EUR", milliseconds(at), offset_min)


def set_zone_files(monkeypatch: pytest.MonkeyPatch, link: Path, name: Path) -> None:
    monkeypatch.setattr(clocks, "_LINK", link)
    monkeypatch.setattr(clocks, "_NAME", name)


def test_days_are_those_of_the_zone():
    order = bought(EVENING, 60)
    for now in (EVENING, SUMMER, SUMMER.astimezone(timezone(timedelta(hours=2)))):
        (counted,) = history([order], RULES, now).orders
        assert counted.day == date(2026, 12, 10)


def test_the_zone_wins_over_the_offset_that_the_event_tells():
    told = [
        bought(EVENING, 480, "1"),
        bought(EVENING, -600, "2"),
        ItemView("t", ("tea",), milliseconds(EVENING), 480),
        AppOpen(milliseconds(EVENING), 480),
    ]
    seen = history(told, RULES, SUMMER)
    days = {each.day for each in (*seen.orders, *seen.purchases)} | {*seen.interests._all}
    assert days | {seen.last_open} == {date(2026, 12, 10)}


def test_without_a_zone_the_offset_at_the_event_counts():
    summer = SUMMER.astimezone(timezone(timedelta(hours=2)))
    told = [
        bought(EVENING, 60),
        ItemView("t", ("tea",), milliseconds(EVENING), 60),
        AppOpen(milliseconds(EVENING), 60),
    ]
    seen = history(told, RULES, summer)
    assert {seen.orders[0].day, *seen.interests._all, seen.last_open} == {date(2026, 12, 10)}
    assert seen.purchases[0].day.weekday() == 3


def test_offsets_that_differ_leave_the_days_in_order():
    """In one instant it is Friday here and Thursday there: the histories' days still rise."""
    first = bought(EVENING, 480, "1")
    then = bought(EVENING + timedelta(minutes=1), -600, "2")
    seen = history([first, then], RULES, SUMMER.astimezone(UTC))
    assert [order.day for order in seen.orders] == [date(2026, 12, 10), date(2026, 12, 11)]
    assert [purchase.day for purchase in seen.purchases] == [date(2026, 12, 10), date(2026, 12, 11)]
    visits = [AppOpen(event.at_ms, event.tz_offset_min) for event in (first, then)]
    assert history(visits, RULES, SUMMER.astimezone(UTC)).last_open == date(2026, 12, 11)


@given(
    st.sampled_from(ZONES),
    st.sampled_from(EDGES),
    st.integers(-3 * 86_400, 3 * 86_400),
    st.integers(-3 * 86_400, 3 * 86_400),
    st.integers(-14 * 60, 14 * 60),
    st.integers(0, 400),
)
@example("America/St_Johns", EDGES[4], -1, 0, 0, 0)
@example("Pacific/Apia", EDGES[5], -1, 0, 0, 0)
def test_a_day_depends_on_event_and_zone_alone(name, edge, first_s, then_s, offset_min, later_days):
    zone = ZoneInfo(name)
    ats = [edge + timedelta(seconds=seconds) for seconds in (first_s, then_s)]
    expected = sorted(at.astimezone(zone).date() for at in ats)
    now = (max(ats) + timedelta(days=later_days)).astimezone(zone)
    told = [bought(at, offset_min, str(number)) for number, at in enumerate(ats)]
    seen = history(told, RULES, now)
    assert [order.day for order in seen.orders] == expected
    assert sorted({buy.day for buy in seen.buys["tea"]}) == [buy.day for buy in seen.buys["tea"]]
    fixed = history(told, RULES, now.astimezone(timezone(now.utcoffset() or timedelta())))
    by_offset = sorted((at + timedelta(minutes=offset_min)).date() for at in ats)
    assert [order.day for order in fixed.orders] == by_offset


def test_a_device_dates_an_order_alike_in_every_season(opened, allow):
    device = opened(clock=lambda: now)
    now = EVENING + timedelta(hours=2)
    allow(device, "personalize")
    device.record(bought(EVENING, 480))
    for now in (EVENING + timedelta(days=3), SUMMER, SUMMER + timedelta(days=200)):
        allow(device, "personalize")
        assert device.facts()["recency_days"] == (now.date() - date(2026, 12, 10)).days


def test_the_hour_that_comes_twice_is_no_clock_that_runs_backwards(opened, allow):
    """Between times of one zone Python compares and adds what clocks on the wall show."""
    first = datetime(2026, 10, 25, 2, 50, tzinfo=BERLIN)
    now = first
    device = opened(clock=lambda: now)
    allow(device, "personalize")
    device.record(bought(now, 120, "1"))
    now = first.replace(minute=10, fold=1)
    device.record(bought(now, 60, "2"))
    assert device.facts()["orders"] == 2
    assert device.odometer.charges(now) == ()


class TestTheSystemsZone:
    @pytest.mark.parametrize("value", ["Europe/Berlin", ":Europe/Berlin"])
    def test_by_the_environment(self, monkeypatch, value):
        monkeypatch.setenv("TZ", value)
        now = clocks.system()
        assert str(now.tzinfo) == "Europe/Berlin"
        assert abs(now - datetime.now(UTC)) < timedelta(minutes=1)

    @pytest.mark.parametrize(
        "value",
        ["CET-1CEST,M3.5.0,M10.5.0/3", "../../etc/passwd", "", "no/such", "Europe/\udcff", "x" * 5000],
    )
    def test_an_environment_that_names_no_zone_leaves_a_fixed_offset(self, monkeypatch, value):
        monkeypatch.setitem(os.environ, "TZ", value)
        assert isinstance(clocks.system().tzinfo, timezone)

    @pytest.mark.parametrize("below", ["zoneinfo", "zoneinfo/posix", "zoneinfo.default"])
    def test_by_the_link(self, monkeypatch, tmp_path, below):
        monkeypatch.delenv("TZ", raising=False)
        (tmp_path / "localtime").symlink_to(tmp_path / below / "Asia" / "Kathmandu")
        set_zone_files(monkeypatch, tmp_path / "localtime", tmp_path / "none")
        assert str(clocks.system().tzinfo) == "Asia/Kathmandu"

    def test_by_the_name_where_the_link_is_a_copy(self, monkeypatch, tmp_path):
        monkeypatch.delenv("TZ", raising=False)
        (tmp_path / "localtime").write_bytes(b"TZif")
        (tmp_path / "timezone").write_text("America/New_York\n")
        set_zone_files(monkeypatch, tmp_path / "localtime", tmp_path / "timezone")
        assert str(clocks.system().tzinfo) == "America/New_York"

    @pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"Not/AZone", b"a" * 100_000])
    def test_without_any_the_offset_is_fixed(self, monkeypatch, tmp_path, content):
        monkeypatch.delenv("TZ", raising=False)
        (tmp_path / "timezone").write_bytes(content)
        set_zone_files(monkeypatch, tmp_path / "none", tmp_path / "timezone")
        assert isinstance(clocks.system().tzinfo, timezone)


def test_the_error_names_a_clock_that_knows_summer_and_winter(opened):
    with pytest.raises(ClockError, match=r"datetime\.now\(ZoneInfo\(.*\)\)") as raised:
        opened(clock=lambda: datetime(2027, 3, 1)).tags()  # noqa: DTZ001  # that is the point
    assert "astimezone" not in str(raised.value)
