"""Rounds from end to end: phones, registry, nodes, decryptors and coordinator, all of them real."""

from dataclasses import replace

import httpx
import numpy as np
import pytest
from opened_sums import integers, opened_sum

from covey_consent.storage.key_file import load_or_create
from covey_models import QUERIES
from covey_privacy import sealed_figures, wire
from covey_privacy.checkpoint import Checkpoint, sign_checkpoint
from covey_privacy.errors import AbortError, BudgetError, ServerError
from covey_privacy.evidence import CONTEXT, Evidence, RoundProofs, require_proofs
from covey_privacy.floors import PRODUCTION, TEST
from covey_privacy.manifest import open_manifest, sign_manifest
from covey_privacy.protocol_rules import Rule
from covey_privacy.registry_messages import LEAF_MANIFEST, Entries
from covey_privacy.round_files import RoundFiles
from covey_privacy.signatures import open_signed
from covey_privacy.split_view import evidence
from covey_privacy.tickets import IssuerKeys
from covey_sdk.errors import RegistryError
from covey_sdk.manifest_check import OpenedManifest, check_manifest
from covey_sdk.round_client import RoundClient
from covey_server.coordinator import operator_key
from covey_server.errors import ConfigError, RoundError
from covey_server.plan import Admission, RoundPolicy, Size, fit_plan, manifest_for
from covey_server.round_terms import CommitteePolicy, Durations, Population
from covey_simulations.devices import household, phone
from covey_simulations.devices.flower_fleet import PhonesBehindNode
from covey_simulations.scenarios.shared_settings import ORIGIN


def test_two_rounds_give_the_plain_sums_of_what_the_phones_say_they_sent(small_shop):
    shop = small_shop()
    q20, q1 = shop.ask("q20=0.6", "q1=1.4")
    for played, length in ((q20, 128), (q1, 8)):
        assert (played["included"], played["final"]) == (26, 26)
        assert played["integrity_proved"]
        assert played["committees"] == [{"kind": "standing", "members": 4, "threshold": 2, "opened": 4}]
        assert len(opened_sum(played)) == length
        assert (opened_sum(played) == shop.plain_sum(played["round_id"])).all()
    assert set(q1["released"].values()) == {None}


@pytest.mark.slow
def test_a_committee_that_is_drawn_beside_the_organisations_opens_the_plain_sum(small_shop):
    shop = small_shop(count=60)
    (played,) = shop.ask("q1=1.4", committees="standing+drawn")
    standing, drawn = played["committees"]
    assert (standing["kind"], drawn["kind"], drawn["opened"]) == ("standing", "drawn", drawn["members"])
    assert played["volunteers"] == 60
    assert (opened_sum(played) == shop.plain_sum(played["round_id"])).all()


@pytest.mark.slow
def test_a_round_to_which_fewer_come_than_its_noise_needs_is_aborted(small_shop, monkeypatch):
    shop = small_shop()
    contribute = PhonesBehindNode.contribute

    def one_fewer(phones, files):
        yield from list(contribute(phones, files))[1:]

    monkeypatch.setattr(PhonesBehindNode, "contribute", one_fewer)
    with pytest.raises(AbortError, match=r"24 contributions can be added up; .* over 26 at least"):
        shop.ask("q1=1.4")
    assert [leaf.outcome for leaf in shop.evidence()] == ["aborted"]
    assert shop.stored(lambda store: store.charges()) == ()


@pytest.mark.slow
def test_a_round_without_enough_volunteers_is_aborted(small_shop, monkeypatch):
    shop = small_shop(count=60)
    monkeypatch.setattr(PhonesBehindNode, "volunteer", lambda *_: None)
    with pytest.raises(AbortError, match="the roster has 0 volunteers") as ended:
        shop.ask("q1=1.4", committees="standing+drawn")
    assert ended.value.rule == Rule.COMMITTEE_SHAPE
    assert [leaf.outcome for leaf in shop.evidence()] == ["aborted"]
    shop.a_day_later()
    *_, after = shop.ask("q1=1.4")
    assert after["final"] == 60


@pytest.mark.slow
def test_who_withdraws_is_in_nothing_after(small_shop):
    shop = small_shop()
    leaving = shop.world.households[:3]
    shop.ask("q20=0.6")
    household.withdraw(shop.phones(), list(leaving), "analytics")
    shop.a_day_later()
    q20, q1 = shop.ask("q1=1.4")
    assert set(leaving) <= set(shop.sent(q20["round_id"]))
    assert not set(leaving) & set(shop.sent(q1["round_id"]))
    assert q1["final"] == 23


@pytest.mark.slow
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
    with pytest.raises(AbortError, match="0 contributions can be added up"):
        shop.ask("q1=1.4")
    (aborted,) = shop.results()
    assert "sum" not in aborted
    assert shop.sent(aborted["round_id"]) == {}


@pytest.mark.slow
def test_fewer_devices_than_the_floor_is_refused_in_one_line(small_shop):
    shop = small_shop(count=19)
    with pytest.raises(ConfigError, match="needs 20") as refused:
        shop.ask("q1=1.4")
    assert "\n" not in str(refused.value)
    assert shop.results() == []


@pytest.mark.slow
def test_phones_of_production_refuse_a_test_round(small_shop, monkeypatch):
    shop = small_shop()
    monkeypatch.setattr(phone, "profile", lambda _name: PRODUCTION)
    with pytest.raises(AbortError, match="0 contributions can be added up"):
        shop.ask("q1=1.4")


def asked_files(shop, monkeypatch) -> RoundFiles:
    """Run a round in which nobody contributes; return its files."""
    seen = []
    with monkeypatch.context() as patch:
        patch.setattr(PhonesBehindNode, "contribute", lambda _, files: seen.append(files) or ())
        with pytest.raises(AbortError):
            shop.ask("q1=1.4")
    return seen[0]


@pytest.mark.slow
def test_a_round_whose_window_has_closed_is_refused(small_shop, monkeypatch):
    shop = small_shop()
    files = asked_files(shop, monkeypatch)
    with shop.phones().open(shop.world.households[0]) as device:
        with pytest.raises(ServerError, match="takes no contribution any more"):
            device.round_client().contribute(files)
        assert device.odometer.spent(device.clock.now()) == 0


@pytest.mark.slow
def test_a_phone_that_convicted_the_log_sends_nothing(small_shop, monkeypatch):
    """Also not in a round that it prepared before."""
    shop = small_shop()
    registry = load_or_create(shop.world.folder / "registry.key")
    one, other = (sign_checkpoint(Checkpoint(ORIGIN, 1, bytes([root]) * 32), registry) for root in (1, 2))
    prepare = RoundClient.prepare

    def accusing(client, files):
        prepared = prepare(client, files)
        if client._store.path.stem == str(shop.world.households[0]):
            client._log.accuse(evidence(one, other, ()), client._admission.now())
        return prepared

    monkeypatch.setattr(RoundClient, "prepare", accusing)
    (played,) = shop.ask("q1=1.4", turnout=0.95)
    assert shop.sent(played["round_id"]).keys() == {*shop.world.households[1:]}


@pytest.mark.slow
def test_a_manifest_that_nobody_logged_is_refused(small_shop, monkeypatch):
    shop = small_shop()
    operator = operator_key(shop.world.folder)
    files = asked_files(shop, monkeypatch)
    manifest = open_manifest(files.manifest, operator.public)
    hidden = sign_manifest(replace(manifest, round_id="q1-hidden"), operator)
    with shop.phones().open(shop.world.households[0]) as device, pytest.raises(RegistryError):
        device.round_client().prepare(replace(files, manifest=hidden))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"least_issued": 1}, "least_issued"),
        ({"gamma": 0.0}, "terms state"),
        ({"least_cell": 10}, "least_cell"),
        ({"sigma": 1.0}, "terms state"),
        ({"norm": 2.0}, "another norm"),
        ({"purposes": ("analytics",)}, "other purposes"),
        ({"model": b"\0" * 32}, "builds on another"),
        ({"query": "q20"}, "other purposes"),
        ({"step": 1}, "states no plan"),
        ({"previous": b"\1" * 32}, "states no plan"),
    ],
)
def test_the_phone_keeps_its_floors(manifest, change, says):
    check_manifest(OpenedManifest(manifest, bytes(32)), QUERIES["q1"], (), TEST)
    with pytest.raises(ServerError, match=says):
        check_manifest(OpenedManifest(replace(manifest, **change), bytes(32)), QUERIES["q1"], (), TEST)


@pytest.mark.parametrize(
    ("change", "terms", "says"),
    [
        ({"honest": 17}, {"honest": 17}, "least set"),
        ({"gamma": 0.0, "honest": 19}, {"gamma": 0.0, "honest": 19}, "gamma"),
        ({"sigma": 1.0}, {"steps": 2.0**10}, "its noise costs"),
    ],
)
def test_the_phone_keeps_its_floors_for_the_terms(manifest, change, terms, says):
    changed = replace(manifest, **change, terms=replace(manifest.terms, **terms))
    with pytest.raises(ServerError, match=says):
        check_manifest(OpenedManifest(changed, bytes(32)), QUERIES["q1"], (), TEST)


@pytest.fixture(scope="module")
def manifest():
    """A manifest that a phone of the test profile accepts."""
    keys = IssuerKeys(("analytics", "personalize"), 1, (bytes(300),), (b"v" * 300,))
    (step,) = fit_plan([Size("q1", 8, 1.0)], 1.4, 20, 1e-6).steps
    organisations = tuple(bytes([number]) * 32 for number in range(1, 5))
    committees = CommitteePolicy(organisations, drawn=False, gamma=0.05, lost=0.0, turnout=1.0)
    durations = Durations(60, 60, 60, 60)
    policy, admission = RoundPolicy(TEST, 1e-6, committees, durations), Admission(keys, 1, Population(20, 20))
    return manifest_for(
        QUERIES["q1"],
        step,
        1.4,
        "q1-1",
        admission,
        (),
        policy,
        durations.windows_from(1_800_000_000),
        bytes(32),
    )


@pytest.mark.slow
def test_without_the_registry_the_gate_closes(small_shop, monkeypatch):
    shop = small_shop()
    files = asked_files(shop, monkeypatch)
    phones = shop.phones()
    phones.registry._http._client.base_url = "http://127.0.0.1:9"
    with phones.open(shop.world.households[0]) as device, pytest.raises(RegistryError, match="be reached"):
        device.round_client().prepare(files)


@pytest.mark.slow
def test_an_auditor_opens_the_annex_and_the_proofs_that_the_log_has_the_hashes_of(small_shop):
    shop = small_shop()
    (played,) = shop.ask("q1=1.4")
    operator = operator_key(shop.world.folder)
    with httpx.Client(base_url=shop.world.registry_url) as client:
        query = {"start": played["evidence_index"], "end": played["evidence_index"] + 1}
        answer = client.get("/v1/log/entries", params=query)
    (entry,) = wire.decode(Entries, answer.content).entries
    leaf = open_signed(Evidence, CONTEXT, entry[1:], operator.public)
    sealed = shop.stored(lambda store: store.annex(played["round_id"]))
    opened = sealed_figures.audit(sealed, sealed_figures.key(operator, played["round_id"]), leaf)
    assert (opened.included, opened.final, opened.bad, opened.spent, opened.retracted) == (26, 26, 0, 0, 0)
    assert (leaf.cohort, leaf.excluded, leaf.denials) == (20, 0, "bad <10, spent <10, retracted <10")
    assert leaf.integrity_proved
    (kept,) = shop.stored(lambda store: store.results())
    exact = {"volunteers", "included", "final", "bad", "spent", "retracted", "seconds", "sd", "salt"}
    assert not exact & kept.keys()
    assert exact - {"salt"} <= played.keys()
    proofs = wire.decode(RoundProofs, shop.stored(lambda store: store.proofs(played["round_id"])))
    assert len(proofs.openings) == 4
    require_proofs(leaf, proofs)


@pytest.mark.slow
def test_every_phone_adds_its_share_of_the_noise(small_shop):
    """What a ledger says was sent, less the phone's own one-hot, has the spread that the manifest states."""
    shop = small_shop()
    (played,) = shop.ask("q1=1.4")
    manifest = shop.manifest(played["round_id"])
    invited = OpenedManifest(manifest, shop.manifest_digest(played["round_id"]))
    query, left = QUERIES["q1"], []
    phones = shop.phones()
    for household_, vector in shop.sent(played["round_id"]).items():
        with phones.open(household_) as device:
            plain = invited.encoding(query).encode(query.contribute(device.facts()))
        left.append(integers(vector) - plain)
    share = (manifest.sigma * manifest.scale) ** 2 / manifest.honest
    assert len(left) == 26
    assert 0.6 < np.mean(np.square(left)) / share < 1.5


@pytest.mark.slow
def test_a_round_is_on_the_odometer_for_what_it_cost(small_shop):
    shop = small_shop()
    shop.ask("q1=1.4")
    with shop.phones().open(shop.world.households[0]) as device:
        assert 1.3 < device.odometer.spent(device.clock.now()) <= 1.4


@pytest.mark.slow
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
