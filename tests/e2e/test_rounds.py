"""Rounds from end to end: phones, registry, node and coordinator, all of them real."""

import httpx
import numpy as np
import pytest

from covey_consent.keys import load_or_create
from covey_models import QUERIES
from covey_privacy import annex, wire
from covey_privacy.checkpoint import Checkpoint, sign
from covey_privacy.consent import LEAF_MANIFEST, Entries
from covey_privacy.errors import AbortError, BudgetError, PrivacyError, ServerError
from covey_privacy.evidence import CONTEXT, Evidence
from covey_privacy.five_phases import ring
from covey_privacy.fork import evidence
from covey_privacy.profile import PRODUCTION
from covey_privacy.signatures import open_signed
from covey_sdk.door import Door
from covey_sdk.errors import ConsentError, CoveyError, RegistryError
from covey_sdk.invitation import Invited
from covey_server.coordinator import operator_key
from covey_server.errors import ConfigError, RoundError
from covey_simulations import household, phone
from covey_simulations.fleet import Fleet
from covey_simulations.world import ORIGIN

pytestmark = pytest.mark.slow  # The five-phase protocol is about to be replaced.


def test_two_rounds_give_the_plain_sums_of_what_the_phones_say_they_sent(small_shop):
    shop = small_shop()
    q20, q1 = shop.ask("q20=0.6", "q1=1.4")
    for played, length in ((q20, 128), (q1, 8)):
        assert played["survivors"] == 26
        assert played["sum"] == shop.plain_sum(played["round_id"], length)
    assert set(q1["released"].values()) == {None}


def test_who_withdraws_is_in_nothing_after(small_shop):
    shop = small_shop()
    leaving = shop.world.households[:3]
    shop.ask("q20=0.6")
    household.withdraw(shop.phones(), list(leaving), "analytics")
    shop.a_day_later()
    q20, q1 = shop.ask("q1=1.4")
    assert set(leaving) <= set(shop.sent(q20["round_id"]))
    assert not set(leaving) & set(shop.sent(q1["round_id"]))
    assert q1["survivors"] == 23


def test_a_spent_budget_refuses_the_round_before_it_starts(small_shop):
    shop = small_shop()
    before = shop.ask("q1=1.4")
    with pytest.raises(BudgetError):
        shop.ask("q1=1.4")
    assert shop.results() == before
    assert len(shop.sent(before[0]["round_id"])) == 26


@pytest.mark.slow
def test_spent_odometers_refuse_what_the_coordinator_asks(small_shop):
    """The notice promises 0.5; an operator that asks for 1.4 finds no phone."""
    shop = small_shop(cap=0.5)
    with pytest.raises(AbortError, match="0 devices came"):
        shop.ask("q1=1.4")
    (aborted,) = shop.results()
    assert "sum" not in aborted
    assert shop.sent(aborted["round_id"]) == {}


def test_fewer_devices_than_the_floor_is_refused_in_one_line(small_shop):
    shop = small_shop(count=19)
    with pytest.raises(ConfigError, match="at least 20") as refused:
        shop.ask("q1=1.4")
    assert "\n" not in str(refused.value)
    assert shop.results() == []


@pytest.mark.slow
def test_phones_of_production_refuse_a_test_round(small_shop, monkeypatch):
    shop = small_shop()
    monkeypatch.setattr(phone, "profile", lambda _name: PRODUCTION)
    with pytest.raises(AbortError, match="0 devices came"):
        shop.ask("q1=1.4")


def invitation(shop, monkeypatch) -> bytes:
    """Run a round in which nobody answers; return its signed manifest."""
    seen = []

    def listen(_, body):
        from covey_privacy import wire
        from covey_server.fleet import Invitation, Replies

        seen.append(wire.decode(Invitation, body).manifest)
        return wire.encode(Replies(()))

    with monkeypatch.context() as patch:
        patch.setattr(Fleet, "_advertise", listen)
        with pytest.raises(AbortError):
            shop.ask("q1=1.4")
    return seen[0]


def test_the_door_answers_a_request_again_and_no_other(small_shop, monkeypatch):
    shop = small_shop()
    manifest = invitation(shop, monkeypatch)
    phones = shop.phones()
    with phones.open(shop.world.households[0]) as device:
        advert = Door(device).advertise(manifest)
        assert Door(device).advertise(manifest) == advert
        with pytest.raises(ServerError, match="twice, differently"):
            Door(device).advertise(manifest, [b"another release"])


@pytest.mark.slow
def test_a_restarted_phone_burns_its_open_round(small_shop, monkeypatch):
    shop = small_shop()
    manifest = invitation(shop, monkeypatch)
    with shop.phones().open(shop.world.households[0]) as device:
        door = Door(device, boot_id=b"1" * 32)
        door.advertise(manifest)
        round_id = shop.results()[0]["round_id"]
        assert door.participant(round_id) is not None
        restarted = Door(device, boot_id=b"2" * 32)
        assert restarted.participant(round_id) is None
        assert device.store.get_round(round_id, "joined") is None
        with pytest.raises(ConsentError, match="restarted"):
            restarted.share(round_id, b"view")


@pytest.mark.slow
def test_a_phone_that_convicted_the_log_sends_nothing(small_shop, monkeypatch):
    """Also not in a round that it joined before."""
    shop = small_shop()
    registry = load_or_create(shop.world.folder / "registry.key")
    one, other = (sign(Checkpoint(ORIGIN, 1, bytes([root]) * 32), registry) for root in (1, 2))
    share = Door.share

    def accusing(door, round_id, view):
        device = door._device
        if device.store.path.stem == str(shop.world.households[0]):
            device.log.accuse(evidence(one, other, ()), device.clock.now())
        return share(door, round_id, view)

    monkeypatch.setattr(Door, "share", accusing)
    (played,) = shop.ask("q1=1.4")
    assert shop.sent(played["round_id"]).keys() == {*shop.world.households[1:]}


def test_a_manifest_that_nobody_logged_is_refused(small_shop, monkeypatch):
    from dataclasses import replace

    from covey_privacy.manifest import open_manifest, sign_manifest
    from covey_server.coordinator import operator_key

    shop = small_shop()
    operator = operator_key(shop.world.folder)
    manifest = open_manifest(invitation(shop, monkeypatch), operator.public)
    hidden = sign_manifest(replace(manifest, round_id="q1-hidden"), operator)
    with shop.phones().open(shop.world.households[0]) as device, pytest.raises(RegistryError):
        Door(device).advertise(hidden)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"least_cohort": 19}, "least_cohort"),
        ({"least_issued": 1}, "least_issued"),
        ({"gamma": 0.0}, "gamma"),
        ({"least_cell": 10}, "least_cell"),
        ({"sigma": 1.0}, "its noise costs"),
        ({"norm": 2.0}, "another norm"),
        ({"purposes": ("analytics",)}, "other purposes"),
        ({"model": b"\0" * 32}, "builds on another"),
        ({"query": "q20"}, "other purposes"),
        ({"step": 1}, "states no plan"),
        ({"previous": b"\1" * 32}, "states no plan"),
    ],
)
def test_the_phone_keeps_its_floors(small_shop_terms, change, says):
    from dataclasses import replace

    from covey_privacy.profile import TEST
    from covey_sdk.invitation import check

    check(Invited(small_shop_terms, bytes(32)), QUERIES["q1"], (), TEST)
    with pytest.raises(ServerError, match=says):
        check(Invited(replace(small_shop_terms, **change), bytes(32)), QUERIES["q1"], (), TEST)


@pytest.fixture(scope="module")
def small_shop_terms():
    """A manifest that a phone of the test profile accepts."""
    from covey_privacy.profile import TEST
    from covey_privacy.tickets import IssuerKeys
    from covey_server.plan import BITS, Policy, Size, fitted, manifest_for

    issuer_keys = IssuerKeys(("analytics", "personalize"), 1, (bytes(300),), (b"v" * 300,))
    (step,) = fitted([Size("q1", 8, 1.0)], 1.4, 30, 1e-6, BITS).steps
    policy = Policy(TEST, 1e-6, 0.05, 0.05, 1.0)
    return manifest_for(QUERIES["q1"], step, 1.4, "q1-1", 30, issuer_keys, 1, (), policy)


@pytest.mark.slow
def test_without_the_registry_the_gate_closes(small_shop, monkeypatch):
    shop = small_shop()
    manifest = invitation(shop, monkeypatch)
    phones = shop.phones()
    phones.registry._client.base_url = "http://127.0.0.1:9"
    with phones.open(shop.world.households[0]) as device, pytest.raises(RegistryError, match="be reached"):
        Door(device).advertise(manifest)


@pytest.mark.slow
def test_a_round_found_open_is_burnt(small_shop):
    from covey_privacy.tickets import Role
    from covey_server import coordinator
    from covey_server.registry import Registry
    from covey_server.store import Store

    shop = small_shop()
    store = Store(shop.world.folder / coordinator.STORE)
    with httpx.Client(base_url=shop.world.registry_url) as client:
        registry = Registry(client, operator_key(shop.world.folder))
        keys = registry.issuer(("analytics", "personalize"), registry.epoch()).keys
    store.open_round("q1-1-cut-short", keys.of(Role.CONTRIBUTE, 1))
    store.close()
    (played,) = shop.ask("q1=1.4")
    assert played["round_id"].startswith("q1-2-")
    assert shop.manifest(played["round_id"]).slot == 2


def test_an_auditor_opens_the_annex_that_the_log_has_the_hash_of(small_shop):
    shop = small_shop()
    (played,) = shop.ask("q1=1.4")
    operator = operator_key(shop.world.folder)
    with httpx.Client(base_url=shop.world.registry_url) as client:
        query = {"start": played["evidence_index"], "end": played["evidence_index"] + 1}
        answer = client.get("/v1/log/entries", params=query)
    (entry,) = wire.decode(Entries, answer.content).entries
    leaf = open_signed(Evidence, CONTEXT, entry[1:], operator.public)
    sealed = shop.stored(lambda store: store.annex(played["round_id"]))
    opened = annex.audit(sealed, annex.key(operator, played["round_id"]), leaf)
    assert (opened.roster, opened.survivors, opened.bad, opened.spent) == (26, 26, 0, 0)
    assert (leaf.cohort, leaf.dropouts, leaf.denials) == (20, 0, "bad <10, spent <10")
    (kept,) = shop.stored(lambda store: store.results())
    exact = {"roster", "survivors", "bad", "spent", "degree", "seconds", "sd", "graph_failure", "salt"}
    assert not exact & kept.keys()
    assert exact - {"salt"} <= played.keys()


def test_refusals_are_errors_of_the_packages(small_shop):
    """Whatever a phone refuses with can be caught by the two roots that a fleet catches."""
    assert issubclass(ConsentError, CoveyError)
    assert issubclass(BudgetError, PrivacyError)


def test_every_phone_adds_its_share_of_the_noise(small_shop):
    """What a ledger says was sent, less the phone's own one-hot, has the spread that the manifest states."""
    shop = small_shop()
    (played,) = shop.ask("q1=1.4")
    manifest = shop.manifest(played["round_id"])
    invited = Invited(manifest, shop.manifest_digest(played["round_id"]))
    query, left = QUERIES["q1"], []
    phones = shop.phones()
    for household_, vector in shop.sent(played["round_id"]).items():
        with phones.open(household_) as device:
            plain = invited.encoding(query).encode(query.contribute(device.facts()))
        sent = ring.unpack(vector, manifest.length, manifest.bits).astype(np.int64)
        left.append((sent - plain + 2**19) % 2**20 - 2**19)
    share = (manifest.sigma * manifest.scale) ** 2 / manifest.honest
    assert len(left) == 26
    assert 0.6 < np.mean(np.square(left)) / share < 1.5


def test_a_round_is_on_the_odometer_for_what_it_cost(small_shop):
    shop = small_shop()
    shop.ask("q1=1.4")
    with shop.phones().open(shop.world.households[0]) as device:
        assert 1.3 < device.odometer.spent(device.clock.now()) <= 1.4


def test_a_round_too_many_for_the_slots_is_not_opened(small_shop):
    """The rounds before it are whole, and the next epoch has slots again."""
    shop = small_shop(count=20, slots=1)
    says = r"all 1 slots of epoch .* are used for analytics .* personalize; wait for the next epoch"
    with pytest.raises(RoundError, match=says):
        shop.ask("q20=0.6", "q1=0.6")
    assert [each["query"] for each in shop.results()] == ["q20"]
    assert len(shop.logged(LEAF_MANIFEST)) == 1
    shop.a_day_later()
    *_, later = shop.ask("q1=0.6")
    assert (later["query"], shop.manifest(later["round_id"]).slot) == ("q1", 1)


@pytest.mark.slow
def test_joining_a_round_forgets_the_one_before(small_shop):
    shop = small_shop()
    q20, q1 = shop.ask("q20=0.6", "q1=1.4")
    assert [shop.manifest(each["round_id"]).slot for each in (q20, q1)] == [1, 2]
    with shop.phones().open(shop.world.households[0]) as device:
        assert Door(device).participant(q1["round_id"]) is not None
        assert Door(device).participant(q20["round_id"]) is None
        with pytest.raises(ConsentError, match="not in round"):
            Door(device).open(q20["round_id"], b"again")
