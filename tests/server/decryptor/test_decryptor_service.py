"""A decryptor's decisions, with a clock of the test's own."""

import dataclasses
import re
from concurrent.futures import ThreadPoolExecutor

import pytest
from shop_rounds import LEAST_SET, PHONES, SPARE, Shop, make_key, wait

from covey_privacy import wire
from covey_privacy.errors import MisuseError, PeerError, ServerError
from covey_privacy.manifest import Windows
from covey_privacy.protocol_rules import Rule
from covey_privacy.registry_messages import LEAF_MANIFEST
from covey_privacy.secagg.decryptor import Erased
from covey_privacy.secagg.log_entries import LogView
from covey_privacy.secagg.messages import CommitteeFile, OpenRequest, Seat
from covey_privacy.secagg.volunteer import offer_seat
from covey_privacy.signatures import SigningKey
from covey_server.decryptor import page
from covey_server.decryptor.errors import AbsentError, StateError, UnknownRoundError
from covey_server.decryptor.messages import CommitteeCheck, SeatRequest
from covey_server.decryptor.service import TOLERANCE, DecryptorService
from covey_server.decryptor.sites import read_sites
from covey_server.decryptor.state import LONGEST, State
from covey_server.errors import ConfigError

NOW = 1_790_000_000
OTHERS = [SigningKey(bytes([n]) * 32) for n in (1, 2, 3)]


class Scene:
    """One decryptor, number 1 of 4; the others are played without a server."""

    def __init__(self, issuers, folder, floors=f"least_set = {LEAST_SET}\nmost_epsilon = 100"):
        self.now, self.folder = NOW, folder
        self.key_file, self.key = make_key(folder)
        self.shop = Shop(issuers, [self.key.public, *(key.public for key in OTHERS)], lambda: self.now)
        self.sites = self.shop.write_site(folder / "sites", floors)
        self.start()

    def start(self, restored=False, state="state"):
        served = read_sites(self.sites, self.key.public)
        self.state = State(self.folder / state, self.key_file, self.key.public, self.now, restored)
        self.service = DecryptorService(self.key, served, self.state, lambda: self.now)

    def restart(self, **how):
        self.service.close()
        self.start(**how)

    def seated(self, asked, first=None):
        """Let a round's committee be seated, and its set be included."""
        first = first or self.service.seat(asked.seat_request)
        seats = [first, *(wire.encode(offer_seat(asked.digest, key.secret)[1]) for key in OTHERS)]
        asked.seated(seats)
        asked.include()
        return asked

    def checked(self):
        """Return a round whose set was checked."""
        asked = self.seated(self.shop.round())
        asked.players.aggregator.complain(self.service.check(asked.digest, asked.check_request(1)))
        return asked


@pytest.fixture
def scene(issuers, tmp_path):
    made = Scene(issuers, tmp_path)
    yield made
    made.service.close()


def refused(error, rule, act, *arguments):
    with pytest.raises(error) as caught:
        act(*arguments)
    assert caught.value.rule == rule
    return str(caught.value)


def test_each_step_asked_again_gives_the_same_bytes(scene):
    asked = scene.seated(scene.shop.round())
    service, digest = scene.service, asked.digest
    assert service.seat(asked.seat_request) == wire.encode(
        wire.decode(CommitteeFile, asked.players.file).seats[0]
    )
    check = asked.check_request(1)
    assert service.check(digest, check) == service.check(digest, check)
    asked.players.aggregator.complain(service.check(digest, check))
    request = asked.finalize()
    opened = service.open(digest, request)
    assert service.secrets_held() == 0
    assert service.open(digest, request) == opened
    record = scene.state.find(digest)
    assert (record.members, record.complaints, record.excluded) == (PHONES, 0, 0)
    assert scene.state.totals() == {"seats": 1, "checked": 1, "opened": 1, "complaints": 0}


def test_fifty_threads_get_one_seat(scene, monkeypatch):
    """The first one's seat is not kept before all have come as far as to ask for theirs."""
    asked, checked = scene.shop.round(), []
    require_entry, give_seat = LogView.require_entry, scene.state.give_seat

    def checks(*arguments):
        require_entry(*arguments)
        checked.append(arguments)

    def give(*arguments):
        wait(lambda: len(checked) == 50)
        return give_seat(*arguments)

    monkeypatch.setattr(LogView, "require_entry", checks)
    monkeypatch.setattr(scene.state, "give_seat", give)
    with ThreadPoolExecutor(50) as threads:
        said = set(threads.map(lambda _: scene.service.seat(asked.seat_request), range(50)))
    assert len(said) == 1
    assert scene.state.totals()["seats"] == 1


def test_another_manifest_of_the_same_round_is_refused(scene):
    scene.service.seat(scene.shop.round().seat_request)
    other = scene.shop.round(scene.shop.manifest(query="q20"))
    assert "round-1" in refused(ServerError, Rule.STEP_ONCE, scene.service.seat, other.seat_request)
    scene.restart()
    refused(ServerError, Rule.STEP_ONCE, scene.service.seat, other.seat_request)


def test_another_set_or_committee_after_the_first_is_refused(scene):
    asked = scene.checked()
    message = wire.decode(CommitteeCheck, asked.check_request(1))
    other_set = asked.check_of(message, request=message.request + b"\0")
    service, digest = scene.service, asked.digest
    refused(ServerError, Rule.STEP_ONCE, service.check, digest, other_set)
    seats = wire.decode(CommitteeFile, asked.players.file).seats
    swapped = CommitteeFile((seats[0], *seats[:0:-1]), None)
    other_committee = asked.check_of(message, committees=wire.encode(swapped))
    refused(ServerError, Rule.STEP_ONCE, service.check, digest, other_committee)
    request = asked.finalize()
    service.open(digest, request)
    other = wire.encode(dataclasses.replace(wire.decode(OpenRequest, request), excluded=(0,)))
    refused(ServerError, Rule.STEP_ONCE, service.open, digest, other)
    refused(MisuseError, Rule.STEP_ORDER, service.check, digest, wire.encode(message))


def test_a_check_that_the_operator_did_not_sign_is_refused(scene):
    """Whoever has the leaves could otherwise ask first, with other boxes."""
    asked = scene.seated(scene.shop.round())
    message = wire.decode(CommitteeCheck, asked.check_request(1))
    for changes in ({"request": message.request + b"\0"}, {"signature": bytes(64)}):
        bad = wire.encode(dataclasses.replace(message, **changes))
        refused(PeerError, Rule.DOCUMENT_SIGNATURE, scene.service.check, asked.digest, bad)
    stranger = CommitteeCheck.signed(asked.digest, message.committees, message.request, SigningKey(b"x" * 32))
    refused(PeerError, Rule.DOCUMENT_SIGNATURE, scene.service.check, asked.digest, wire.encode(stranger))
    scene.service.check(asked.digest, wire.encode(message))


def test_a_refused_check_fixes_nothing(scene):
    asked = scene.seated(scene.shop.round())
    message = wire.decode(CommitteeCheck, asked.check_request(1))
    refused(PeerError, Rule.MESSAGE_FORM, scene.service.check, asked.digest, b"")
    seats = wire.decode(CommitteeFile, asked.players.file).seats
    strange = Seat(offer_seat(asked.digest, OTHERS[0].secret)[1].box_key, seats[1].signature)
    forged = wire.encode(CommitteeFile((seats[0], strange, *seats[2:]), None))
    bad = asked.check_of(message, committees=forged)
    refused(ServerError, Rule.ORGANISATION_SIGNATURE, scene.service.check, asked.digest, bad)
    own = offer_seat(asked.digest, scene.key.secret)[1]
    replaced = wire.encode(CommitteeFile((own, *seats[1:]), None))
    bad = asked.check_of(message, committees=replaced)
    refused(ServerError, Rule.COMMITTEE_MEMBERS, scene.service.check, asked.digest, bad)
    assert scene.state.totals()["checked"] == 0
    scene.service.check(asked.digest, asked.check_request(1))


def test_open_follows_check(scene):
    asked = scene.seated(scene.shop.round())
    refused(ServerError, Rule.STEP_ORDER, scene.service.open, asked.digest, b"")
    with pytest.raises(UnknownRoundError):
        scene.service.open(bytes(32), b"")


FLOORS = 'purposes = ["analytics"]\nleast_set = 12\nleast_corrupt = 0.05\nmost_epsilon = 3.0'


@pytest.mark.parametrize(
    ("at", "below"),
    [
        ({}, {"purpose": "train"}),
        ({}, {"profile": "production"}),
        ({"honest": 10}, {"honest": 9}),
        ({"gamma": 0.05}, {"gamma": 0.0499, "honest": 11}),
        ({"epsilon": 3.0}, {"epsilon": 3.0001}),
    ],
)
def test_a_round_at_the_floor_gets_a_seat_and_one_just_below_gets_none(issuers, tmp_path, at, below):
    scene = Scene(issuers, tmp_path, FLOORS)
    cheap = {"sigma": 8.0}
    outside = scene.shop.round(scene.shop.manifest(**cheap | below))
    assert "this organisation" in refused(
        ServerError, Rule.MANIFEST_FLOOR, scene.service.seat, outside.seat_request
    )
    assert scene.state.totals()["seats"] == 0
    scene.service.seat(scene.shop.round(scene.shop.manifest(**cheap | at)).seat_request)
    scene.service.close()


def test_without_floors_of_its_own_a_site_gets_those_of_its_profile(issuers, tmp_path):
    scene = Scene(issuers, tmp_path, "")
    floors = scene.service.sites[0].floors
    assert floors.purposes == {"analytics": 20, "train": 20}
    assert (floors.least_corrupt, floors.most_epsilon) == (0.05, 2.0)
    scene.service.close()


def test_noise_that_costs_more_than_the_manifest_claims_is_refused(scene):
    costs = scene.shop.manifest().epsilon
    cheap = scene.shop.round(scene.shop.manifest(epsilon=costs * 0.999))
    refused(ServerError, Rule.MANIFEST_NOISE, scene.service.seat, cheap.seat_request)


def unlogged(scene):
    return scene.shop.round(logged=scene.shop.log.append_logged(b"Mother", NOW))


def logged_as_another_kind(scene):
    asked = scene.shop.round()
    return scene.shop.round(logged=scene.shop.log.append(asked.signed, NOW))


def logged_elsewhere(scene):
    other = Shop(scene.shop.issuers, scene.shop.keys, lambda: NOW)
    asked = scene.shop.round()
    return scene.shop.round(logged=other.log.append_logged(LEAF_MANIFEST + asked.signed, NOW))


def logged_too_long_ago(scene):
    asked = scene.shop.round()
    return scene.shop.round(logged=scene.shop.log.append_logged(LEAF_MANIFEST + asked.signed, NOW - 4000))


def of_another_operator(scene):
    scene.shop.operator = OTHERS[0]
    return scene.shop.round()


def for_other_keys(scene):
    return scene.shop.round(scene.shop.manifest(terms={"organisations": (*scene.shop.keys[1:], SPARE)}))


def beside_an_unknown_key(scene):
    extra = SigningKey(b"x" * 32).public
    return scene.shop.round(scene.shop.manifest(terms={"organisations": (*scene.shop.keys[:3], extra)}))


def without_terms(scene):
    return scene.shop.round(dataclasses.replace(scene.shop.manifest(), terms=None))


def with_other_issuer_keys(scene):
    return scene.shop.round(scene.shop.manifest(issuer=bytes(32)))


@pytest.mark.parametrize(
    ("made", "error", "rule"),
    [
        (unlogged, ServerError, Rule.LOG_INCLUSION),
        (logged_as_another_kind, ServerError, Rule.LOG_INCLUSION),
        (logged_elsewhere, ServerError, Rule.CHECKPOINT_SIGNATURE),
        (logged_too_long_ago, ServerError, Rule.WITNESSES),
        (of_another_operator, PeerError, Rule.DOCUMENT_SIGNATURE),
        (for_other_keys, ServerError, Rule.COMMITTEE_MEMBERS),
        (beside_an_unknown_key, ServerError, Rule.COMMITTEE_MEMBERS),
        (without_terms, ServerError, Rule.MANIFEST_TERMS),
        (with_other_issuer_keys, ServerError, Rule.MANIFEST_ISSUER),
    ],
)
def test_a_manifest_that_is_not_the_shops_for_this_key_gets_no_seat(scene, made, error, rule):
    refused(error, rule, scene.service.seat, made(scene).seat_request)
    assert scene.state.totals()["seats"] == 0


def test_nothing_is_answered_outside_its_window(scene):
    windows = Windows(NOW, NOW + 1000, NOW + 2000, NOW + 3000)
    asked = scene.shop.round(scene.shop.manifest(windows=windows))
    late = scene.shop.round(scene.shop.manifest("late", windows=windows))
    scene.seated(asked)
    scene.now = NOW + 1000 - TOLERANCE - 1
    check = asked.check_request(1)
    assert "early by 61" in refused(ServerError, Rule.STEP_WINDOW, scene.service.check, asked.digest, check)
    scene.now += 1
    scene.service.check(asked.digest, check)
    scene.now = NOW + 1000 + TOLERANCE + 1
    assert "late by 61" in refused(ServerError, Rule.STEP_WINDOW, scene.service.seat, late.seat_request)
    scene.now -= 1
    scene.service.seat(late.seat_request)
    scene.now = NOW + 2000 + TOLERANCE + 1
    refused(ServerError, Rule.STEP_WINDOW, scene.service.check, asked.digest, check)
    scene.now = NOW + 3000 + TOLERANCE + 1
    refused(ServerError, Rule.STEP_WINDOW, scene.service.open, asked.digest, b"")


def test_keys_are_erased_when_a_window_closes_without_a_request(scene):
    windows = Windows(NOW, NOW + 10, NOW + 1000, NOW + 2000)
    checked = scene.seated(scene.shop.round(scene.shop.manifest(windows=windows)))
    scene.service.check(checked.digest, checked.check_request(1))
    scene.service.seat(scene.shop.round(scene.shop.manifest("unchecked", windows=windows)).seat_request)
    for after, held in ((1000, 2), (1001, 1), (2000, 1), (2001, 0)):
        scene.now = NOW + after + TOLERANCE
        scene.service.expire()
        assert scene.service.secrets_held() == held
    assert scene.service._rounds == {}


def test_after_a_restart_it_is_absent_from_the_round_and_serves_the_next(scene):
    asked = scene.checked()
    check, request = asked.check_request(1), asked.finalize()
    scene.restart()
    steps = (
        (scene.service.seat, asked.seat_request),
        (scene.service.check, asked.digest, check),
        (scene.service.open, asked.digest, request),
    )
    for act, *arguments in steps:
        with pytest.raises(AbsentError, match="started again; it is absent"):
            act(*arguments)
    scene.service.seat(scene.shop.round(scene.shop.manifest("round-2")).seat_request)


def test_keys_and_shares_are_erased_at_shutdown(scene):
    asked = scene.checked()
    seated = scene.service._rounds[asked.digest]
    machine = seated.machine
    scene.service.close()
    assert (seated.keys, seated.machine) == (None, None)
    assert isinstance(machine.state, Erased)
    with pytest.raises(StateError, match="shutting down"):
        scene.service.check(asked.digest, asked.check_request(1))


def test_no_secret_is_ever_in_the_state_folder(scene):
    asked = scene.checked()
    keys = scene.service._rounds[asked.digest].keys
    shares = scene.service._rounds[asked.digest].machine.state.shares
    everything = b"".join(path.read_bytes() for path in (scene.folder / "state").iterdir())
    assert keys.box_public in everything
    for secret in (keys.box, keys.signing, shares[:64]):
        assert secret not in everything


def test_another_process_on_folder_or_key_is_refused(scene):
    with pytest.raises(StateError, match="state folder"):
        scene.start()
    with pytest.raises(StateError, match="uses the key"):
        scene.start(state="copy")


def copy_state(scene):
    (scene.folder / "copy").mkdir()
    for file in (scene.folder / "state").iterdir():
        (scene.folder / "copy" / file.name).write_bytes(file.read_bytes())


@pytest.mark.parametrize("made", [copy_state, lambda _: None], ids=["copy", "empty"])
def test_a_copied_or_lost_state_serves_no_round_that_it_may_have_answered(scene, made):
    made(scene)  # before the seat is given: a backup that does not know of it
    windows = Windows(NOW, NOW + LONGEST - 2, NOW + LONGEST - 1, NOW + LONGEST)
    asked = scene.shop.round(scene.shop.manifest(windows=windows))
    scene.service.seat(asked.seat_request)
    scene.service.close()
    with pytest.raises(StateError, match="--restored"):
        scene.start(state="copy")
    scene.start(state="copy", restored=True)
    refused(ServerError, Rule.STEP_WINDOW, scene.service.seat, asked.seat_request)
    scene.restart(state="copy")
    refused(ServerError, Rule.STEP_WINDOW, scene.service.seat, asked.seat_request)
    scene.now = NOW + LONGEST - 1000
    again = scene.shop.round(scene.shop.manifest("round-2"))
    scene.service.seat(again.seat_request)
    scene.service.close()
    with pytest.raises(StateError, match="--restored"):
        scene.start()  # the first folder is no longer this key's


def test_a_key_of_unknown_history_needs_a_word(issuers, tmp_path):
    scene = Scene(issuers, tmp_path)
    scene.service.close()
    (tmp_path / "decryptor-0.key.state").unlink()
    scene.start()  # its own folder is there
    scene.service.close()
    (tmp_path / "decryptor-0.key.state").unlink()
    with pytest.raises(StateError, match="--restored"):
        scene.start(state="new")


def test_no_seat_is_given_for_a_round_that_ends_far_ahead(scene):
    for ahead, taken in ((LONGEST + 1, False), (LONGEST, True)):
        windows = Windows(NOW, NOW + 1, NOW + 2, NOW + ahead)
        asked = scene.shop.round(scene.shop.manifest(f"round-{ahead}", windows=windows))
        if taken:
            scene.service.seat(asked.seat_request)
        else:
            refused(ServerError, Rule.STEP_WINDOW, scene.service.seat, asked.seat_request)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("operator = 1", "64 hex digits"),
        ("oops", "shop.toml"),
        ('operator = "{operator}"\ndocument = "../x"', "same folder"),
        ('operator = "{operator}"\ndocument = "none.site"', "none.site"),
        ('operator = "{operator}"\ndocument = "shop.site"\nfloor = 1', "'floor'"),
        ('operator = "{operator}"\ndocument = "shop.site"\n[floors]\nleast = 1', "no floor 'least'"),
        ('operator = "{operator}"\ndocument = "shop.site"\n[floors]\nmost_epsilon = true', "most_epsilon"),
        ('operator = "{operator}"\ndocument = "shop.site"\n[floors]\nmost_epsilon = nan', "most_epsilon"),
        ('operator = "{operator}"\ndocument = "shop.site"\n[floors]\nleast_set = 2.5', "whole number"),
        ('operator = "{operator}"\ndocument = "shop.site"\n[floors]\npurposes = "train"', "a list"),
        ('operator = "{other}"\ndocument = "shop.site"', "not signed by the operator"),
    ],
)
def test_a_site_that_cannot_be_used_is_one_line_that_names_the_file(scene, text, said):
    other = OTHERS[0].public.hex()
    (scene.sites / "shop.toml").write_text(
        text.replace("{operator}", scene.shop.operator.public.hex()).replace("{other}", other)
    )
    with pytest.raises(ConfigError, match=re.escape(said)) as caught:
        read_sites(scene.sites, scene.key.public)
    assert "\n" not in str(caught.value)


def test_a_site_that_does_not_pin_the_key_is_not_served(scene):
    with pytest.raises(ConfigError, match="does not pin"):
        read_sites(scene.sites, SigningKey(b"z" * 32).public)


def test_a_seat_request_beyond_its_limit_or_of_another_form_is_refused(scene):
    asked = scene.shop.round()
    message = wire.decode(SeatRequest, asked.seat_request)
    for body in (b"", b"\xff" * 100, asked.seat_request + b"\0", bytes(2**19 + 1)):
        refused(PeerError, Rule.MESSAGE_FORM, scene.service.seat, body)
    huge = wire.encode(dataclasses.replace(message, manifest=bytes(2**16 + 1)))
    refused(PeerError, Rule.MESSAGE_FORM, scene.service.seat, huge)


def test_the_report_counts_what_was_done(scene):
    asked = scene.checked()
    scene.service.open(asked.digest, asked.finalize())
    found = page.report(scene.service, 10)
    (done,) = found["rounds"]
    assert (done["shop"], done["purpose"], done["query"]) == ("shop.example", "analytics", "q1")
    assert (done["contributions"], done["complaints"], done["opened_contributions"]) == (PHONES, 0, PHONES)
    assert done["epsilon"] == asked.manifest.epsilon
    assert found["sites"][0]["seats_of_this_organisation"] == 2


@pytest.mark.parametrize(
    ("chosen", "accepted", "language"),
    [
        (None, None, "en"),
        (None, "zh-CN,zh;q=0.9,en;q=0.8", "zh"),
        (None, "en;q=0.5, zh;q=0.7", "zh"),
        (None, "fr, zh;q=0", "en"),
        (None, "zh;q=nonsense", "zh"),
        ("en", "zh", "en"),
        ("xx", "zh", "zh"),
    ],
)
def test_the_pages_language(chosen, accepted, language):
    assert page.language(chosen, accepted) == language
