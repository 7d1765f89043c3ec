"""Odd input from the app or the disk: one clear error, and nothing is taken for what it is not."""

from __future__ import annotations

import itertools
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from covey_privacy.release import Figure, Release, sign_release
from covey_sdk import CoveyError, Device, StoreError, Trust
from covey_sdk.clock import milliseconds
from covey_sdk.errors import ConsentError, EventError
from covey_sdk.events import Refund, parse
from covey_sdk.rule_bundle import BASE, sign_rules
from covey_sdk.rule_sections import MoneyCuts
from covey_sdk.store import Store

KEY = bytes(range(32))
LINE = {"item_id": "7", "category": "tea", "paid_minor": 4500}
ORDER = {
    "type": "order_paid",
    "order_id": "A-1",
    "at_ms": 1_760_000_000_000,
    "tz_offset_min": 480,
    "currency": "CNY",
    "total_minor": 4500,
    "lines": [LINE],
}


@pytest.mark.parametrize(
    "odd",
    [
        {"order_id": "A\x001"},
        {"order_id": "A\ud8001"},
        {"order_id": "   "},
        {"at_ms": 10**5000},
        {"total_minor": 10**5000},
        {"currency": "XQZ"},
        {"currency": ["CNY"]},
        {"lines": [{**LINE, "list_minor": 4499}]},
        {"lines": [{**LINE, "category": "  "}]},
        {"lines": [{**LINE, "category": "_ _"}]},
        {"lines": [{**LINE, "qty": 10**5000}]},
    ],
    ids=lambda odd: ",".join(odd),
)
def test_odd_input_is_one_clear_error(odd):
    with pytest.raises(EventError) as refused:
        parse({**ORDER, **odd})
    str(refused.value).encode()
    assert len(str(refused.value)) < 500


def test_a_refund_dated_before_its_order_is_refused(device, order, clock):
    bought = order(1)
    device.record(bought)
    early = milliseconds(clock.now - timedelta(days=2))
    with pytest.raises(EventError, match="before"):
        device.record(Refund("R-1", bought.order_id, 100, early, 480))


@pytest.mark.parametrize("key", [None, "k" * 32, 7, bytearray(32), b"", bytes(31), bytes(33), ["k"]])
def test_a_wrong_key_is_a_store_error_that_does_not_show_it(path, shop, key):
    with pytest.raises(StoreError, match="a store's key has 32 bytes; ") as refused:
        Device.open(path, key, trust=shop.trust)
    assert "kkk" not in str(refused.value)
    assert list(path.parent.glob("device.db*")) == []


@pytest.mark.parametrize("wrong", [None, 7, b"device.db", ["device.db"], "", ".", "/", "a\0b", "a\ud800b"])
def test_a_wrong_path_is_a_store_error(shop, wrong, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(StoreError) as refused:
        Device.open(wrong, KEY, trust=shop.trust)
    str(refused.value).encode()


@pytest.mark.parametrize(
    "trust",
    [
        None,
        "trust",
        (bytes(32), bytes(32), "covey.test/log"),
        Trust(None, bytes(32), "covey.test/log"),
        Trust("0" * 64, bytes(32), "covey.test/log"),
        Trust(bytes(32), bytes(31), "covey.test/log"),
        Trust(bytes(32), bytes(32), None),
        Trust(bytes(32), bytes(32), "covey.test/log", "policy"),
    ],
)
def test_a_wrong_trust_is_an_error_before_a_file_is_made(path, trust):
    with pytest.raises(CoveyError, match=r"^trust"):
        Device.open(path, KEY, trust=trust)
    assert list(path.parent.iterdir()) == []


@pytest.mark.parametrize(
    "odd", [{"registry": "r"}, {"floors": 1}, {"clock": 7}, {"currency": "XQZ"}], ids=str
)
def test_another_odd_argument_of_opening_is_named(path, shop, odd):
    with pytest.raises(CoveyError, match=f"^{next(iter(odd))} is "):
        Device.open(path, KEY, trust=shop.trust, **odd)


def beside(path: Path) -> set[str]:
    """The names of a store's files without their endings in "-wal" and "-shm"."""
    return {file.name for file in path.parent.iterdir() if not file.name.endswith(("-wal", "-shm"))}


@pytest.mark.parametrize("length", [0, 1])
def test_a_store_that_was_cut_is_damaged_and_no_new_device(tmp_path, shop, length):
    path = tmp_path / "cut.db"
    Device.open(path, KEY, trust=shop.trust).close()
    path.write_bytes(path.read_bytes()[:length])
    for _ in range(2):
        with pytest.raises(StoreError, match="is damaged"):
            Device.open(path, KEY, trust=shop.trust)


def test_the_marker_of_a_new_store_goes_once_its_tables_are_there(tmp_path):
    path = tmp_path / "new.db"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("covey_sdk.store_file.sqlite3.connect", lambda *_, **__: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            Store(path, KEY)
    assert beside(path) == {"new.db", "new.db-new"}, "as a phone that is killed here leaves it"
    Store(path, KEY).close()
    assert beside(path) == {"new.db"}


def test_a_marker_left_by_another_opener_is_removed_and_erased(tmp_path):
    path = tmp_path / "new.db"
    store = Store(path, KEY)
    path.with_name("new.db-new").touch()
    store.erase()
    assert beside(path) == set()
    Store(path, KEY).close()
    path.with_name("new.db-new").touch()
    Store(path, KEY).close()
    assert beside(path) == {"new.db"}


def test_a_paused_store_whose_file_is_gone_is_not_made_anew(tmp_path):
    path = tmp_path / "gone.db"
    store = Store(path, KEY)
    store.put("name", b"value")
    store.pause()
    path.unlink()
    with pytest.raises(StoreError, match="cannot be opened"):
        store.get("name")
    assert not path.exists()


def spender(device, order, currency):
    """Record what makes a loyal fan, a core user and an important customer of someone who pays in USD."""
    device.record_many([order(days, 50_000, currency=currency) for days in (1, 100, 200, 300)])


def held(device) -> dict[str, str]:
    return {tag.id: tag.value for tag in device.tags()}


MONEY = {"rfm.segment": "important_value", "lifecycle.stage": "super", "behav.loyal_fan": "yes"}


def test_amounts_in_the_currency_of_the_cuts_are_held_against_them(device, order):
    spender(device, order, "USD")
    assert held(device).items() >= MONEY.items()
    assert device.facts()["segment"] == "important_value"


def test_amounts_in_another_currency_are_held_against_no_cut(device, order):
    spender(device, order, "JPY")
    assert not MONEY.keys() & held(device).keys()
    assert held(device)["behav.core_user"] == "yes", "which needs no currency"
    facts = device.facts()
    assert facts["segment"] is None
    assert (facts["orders"], facts["mean_order_minor"]) == (4, 50_000)


def test_a_bundle_gives_cuts_for_further_currencies(device, order, shop):
    spender(device, order, "JPY")
    bundle = replace(BASE, version=BASE.version + 1, money=(MoneyCuts("JPY", 60_000.0, 190_000),))
    device.adopt_rules(sign_rules(bundle, shop.operator))
    expected = {**MONEY, "rfm.segment": "general_value"}
    assert held(device).items() >= expected.items()
    (fan,) = (tag for tag in device.tags() if tag.id == "behav.loyal_fan")
    assert fan.evidence[0].cut == 190_000


def test_medians_of_the_population_need_no_currency(device, order, shop):
    spender(device, order, "JPY")
    medians = (Figure("recency", 5.0), Figure("frequency", 2.0), Figure("monetary", 49_999.0))
    device.adopt("q20", sign_release(Release("q20", 1, "q20-1", medians), shop.operator))
    assert held(device)["rfm.segment"] == "important_value"
    assert "behav.loyal_fan" not in held(device)


@pytest.mark.parametrize(("days", "stage"), [((1, 2, 3, 200), "super"), ((1, 100), "repeat"), ((1,), "new")])
def test_a_stage_that_hangs_on_no_amount_needs_no_currency(device, order, days, stage):
    device.record_many([order(day, 50_000, currency="JPY") for day in days])
    assert held(device)["lifecycle.stage"] == stage


@pytest.mark.parametrize("odd", [None, 7, ["personalize"], {"a": 1}, "a\ud800b", "p" * 10_000, [10**5000]])
@pytest.mark.parametrize("act", ["grant", "refuse", "withdraw", "decision"])
def test_an_odd_purpose_language_or_method_is_a_consent_error(device, act, odd):
    before = device.consents.decisions, device.ledger()
    rest = ("granted",) if act == "decision" else ()
    calls = [((odd, *rest), {}), (("personalize", *rest), {"method": odd})]
    if not isinstance(odd, str) or len(odd) > 128:
        calls.append((("personalize", *rest), {"language": odd}))
    for positional, named in calls:
        # Who never decided on a purpose of that name has nothing to withdraw.
        if act == "withdraw" and positional == ("a\ud800b",):
            continue
        with pytest.raises(ConsentError) as refused:
            getattr(device, act)(*positional, **named)
        str(refused.value).encode()
        assert len(str(refused.value)) < 500
    assert (device.consents.decisions, device.ledger()) == before


@pytest.mark.parametrize("odd", [None, 7, "text", bytearray(b"x"), [b"x"], b"", b"\xff" * 99])
def test_what_is_no_signed_document_is_refused(device, odd):
    for act in (device.adopt_rules, lambda signed: device.adopt("q20", signed)):
        with pytest.raises(CoveyError):
            act(odd)


@pytest.mark.parametrize("odd", [None, 7, ["q20"], {"q20": 1}, "", "a\0b"])
def test_an_odd_name_of_a_document_or_item_is_an_event_error(device, odd):
    with pytest.raises(EventError, match=r"^name is "):
        device.adopt(odd, b"")
    with pytest.raises(EventError, match=r"^item is "):
        device.explain(odd)


@pytest.mark.parametrize("odd", [None, 7, "tea", b"tea", [7], ["a\0b"], itertools.repeat("tea")])
def test_odd_candidates_are_an_event_error(device, odd):
    with pytest.raises(EventError, match="candidate"):
        device.recommend(odd)


TEXTS = st.text(st.characters(exclude_categories=()), max_size=150)
NUMBERS = st.integers() | st.sampled_from([10**4000, -(10**4000), 2**63]) | st.floats()
PLAIN = st.none() | st.booleans() | NUMBERS | st.binary(max_size=40) | st.builds(object)
JUNK = st.recursive(
    PLAIN | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4) | st.tuples(inner),
    max_leaves=8,
)
FIELDS = st.sampled_from([*ORDER, "refund_id", "source", "channel", "positions", "line_ix", "amount_minor"])
LINES = st.dictionaries(st.sampled_from([*LINE, "style", "qty", "list_minor"]), JUNK, max_size=2).map(
    lambda odd: {**LINE, **odd}
)
EVENTS = JUNK | st.tuples(
    st.dictionaries(FIELDS, JUNK, max_size=2), st.lists(LINES, min_size=1, max_size=2)
).map(lambda parts: {**ORDER, "lines": parts[1], **parts[0]})
NAMES = JUNK | st.sampled_from(
    ["personalize", "train", "core", "catalogue", "q20", "new", "granted", "toggle"]
)
OPENINGS = st.fixed_dictionaries(
    {}, optional={"trust": JUNK, "currency": JUNK, "clock": JUNK, "floors": JUNK}
)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_only_covey_s_errors_leave_the_public_calls(device, shop, tmp_path, data):
    def reopened(path, key, options):
        at = tmp_path / path if isinstance(path, str) else path
        Device.open(at, key, **{"trust": shop.trust, **options}).close()

    paths = PLAIN | TEXTS.filter(lambda text: "/" not in text)
    calls = {
        "parse": (lambda event: device.record(parse(event)), EVENTS),
        "record": (device.record, JUNK),
        "record_many": (device.record_many, JUNK),
        "grant": (device.grant, NAMES, NAMES, NAMES),
        "withdraw": (device.withdraw, JUNK, NAMES, NAMES),
        "decision": (device.decision, NAMES, NAMES, NAMES, NAMES),
        "recommend": (device.recommend, NAMES, NAMES, NAMES),
        "explain": (device.explain, NAMES),
        "adopt": (device.adopt, NAMES, NAMES),
        "adopt_rules": (device.adopt_rules, NAMES),
        "open": (reopened, paths, st.just(KEY) | JUNK, OPENINGS),
    }
    act, *arguments = calls[data.draw(st.sampled_from(sorted(calls)))]
    with suppress(CoveyError):
        act(*map(data.draw, arguments))
