"""Rounds in one message while the registry is killed, run twice, or restored from an old backup."""

import dataclasses
import multiprocessing
import shutil
import threading
from contextlib import contextmanager

import numpy as np
import pytest
from registry_players import WITNESS_KEY, prepare, start_clock, wait_until_cosigned
from secagg_rounds import contribute, crooked
from sqlalchemy import event, select
from sqlalchemy.engine import Engine
from starlette.testclient import TestClient

from covey_consent.app import create_app
from covey_consent.errors import UnavailableError
from covey_consent.rounds.tables import PublishedSet
from covey_consent.settings import Settings
from covey_privacy import wire
from covey_privacy.errors import ServerError
from covey_privacy.protocol_rules import Rule
from covey_privacy.secagg.committee import check_committees
from covey_privacy.secagg.decryptor import Decryptor, complaints_statement
from covey_privacy.secagg.leaves import LeafSet
from covey_privacy.secagg.log_entries import LEAF_SECAGG, entry_of
from covey_privacy.secagg.messages import (
    CommitteeFile,
    Complaints,
    FinalRequest,
    IncludeRequest,
    OpenRequest,
    unpack_leaves,
)
from covey_privacy.secagg.notary_messages import (
    DrawAnswer,
    DrawRequest,
    ExclusionRequest,
    GrantRequest,
    InclusionAnswer,
    LoggedHead,
    RosterRequest,
    RoundEntries,
    SetLeaves,
    request_statement,
)
from covey_privacy.secagg.terms import Kind
from covey_privacy.secagg.volunteer import Volunteer
from covey_privacy.signatures import SigningKey
from covey_simulations.scenarios.in_process_round import NOW

on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


def vectors(count=6, length=10):
    return np.random.default_rng(1).integers(-1000, 1001, (count, length))


def entries(shop):
    answer = shop.http.get("/v1/rounds/round-1")
    assert answer.status_code == 200, answer.text
    return [each.signed for each in wire.decode(RoundEntries, answer.content).entries]


def signed_in(answer):
    """What was signed, as one of the answers carries it."""
    assert answer.status_code == 200, answer.text
    name = answer.request.url.path.rpartition("/")[2]
    cls = {"draw": DrawAnswer, "included": InclusionAnswer}.get(name, LoggedHead)
    found = wire.decode(cls, answer.content)
    return found.signed if cls is LoggedHead else found.head.signed


class KilledError(RuntimeError):
    """The registry is no more."""


@contextmanager
def killed_before(place):
    """Let the writer's thread die before its statement or commit number `place`, and do nothing afterwards.

    Yields a list that holds what it was about to do once it died.
    """
    died, seen = [], [0]

    def step(what):
        if not threading.current_thread().name.startswith("registry-writer"):
            return
        if died or seen[0] == place:
            died.append(what)
            raise KilledError(what)
        seen[0] += 1

    def executing(_connection, _cursor, statement, *_):
        step(statement)

    def committing(_connection):
        step("COMMIT")

    event.listen(Engine, "before_cursor_execute", executing)
    event.listen(Engine, "commit", committing)
    try:
        yield died
    finally:
        event.remove(Engine, "before_cursor_execute", executing)
        event.remove(Engine, "commit", committing)


def _require_sets_shown(shop):
    """Every signed set is shown with its leaves, and no other."""
    sets = shop.signed_sets("round-1")
    heads = {head.root: head for head in (sets.included, sets.final) if head is not None}
    with shop.http.app.state.registry.store.session() as session:
        assert set(session.scalars(select(PublishedSet.root))) == heads.keys()
    for root, head in heads.items():
        answer = shop.http.get(f"/v1/sets/{root.hex()}")
        assert answer.status_code == 200, answer.text
        LeafSet(unpack_leaves(wire.decode(SetLeaves, answer.content).leaves)).require_head(head)


class Interrupted:
    """A round whose registry is killed at every point of a step and started again over its database."""

    def __init__(self, opened, settings, round_):
        self._opened, self._settings, self.round_ = opened, settings, round_

    @contextmanager
    def registry(self):
        """A fresh registry over the same files; the round's players ask it from now on."""
        with self._opened(**self._settings) as shop:
            self.round_.shop = self.round_.notary.shop = shop
            yield shop

    def take(self, message, other=None):
        """Have a step signed, killing the registry at each point of it; return what was signed.

        Once the step stands in the log, every answer is the same; `other` is a request that is refused then.
        """
        stood, point, killed = None, 0, True
        with self.registry() as shop:
            before = entries(shop)
        while killed:
            with self.registry():
                with killed_before(point) as died:
                    answer = self.round_.notary.ask(message)
                killed = bool(died)
                assert killed or answer.status_code == 200, answer.text
            with self.registry() as shop:
                found = entries(shop)
                assert len(found) - len(before) in (0, 1)
                logged = [entry for entry in shop.entries() if entry.startswith(LEAF_SECAGG)]
                assert logged == [entry_of(signed) for signed in found]
                _require_sets_shown(shop)
                if len(found) > len(before):
                    stood = stood or found[-1]
                    assert found[-1] == stood, "a second one was signed"
                else:
                    assert stood is None, "what was signed is gone"
                    assert answer.status_code != 200, "what was answered is not in the log"
            point += 1
        assert point > 5, "the step was never interrupted"
        with self.registry():
            assert signed_in(self.round_.notary.ask(message)) == stood
            if other is not None:
                assert self.round_.notary.ask(other).status_code in (409, 422)
        return stood


@pytest.mark.slow
@on_sqlite
def test_a_registry_that_is_killed_at_any_point_of_a_step_signs_it_once(
    opened, play, round_issuers, follow_witness, clock
):
    with opened(**follow_witness) as shop:
        prepare(shop, round_issuers)
        wait_until_cosigned(shop)
        round_ = play(shop, "drawn", honest=1)
        keys = round_issuers[1].round_keys(40, round_.random)
        candidates = [Volunteer(round_.info, key) for key in keys]
        for candidate in candidates:
            round_.notary.volunteer(candidate.volunteer())
    digest = round_.info.digest
    play_on = Interrupted(opened, follow_witness, round_)

    round_.notary.at("volunteer")
    play_on.take(RosterRequest(digest))
    draw = DrawRequest(digest, round_._nonce)
    play_on.take(draw, dataclasses.replace(draw, nonce=bytes(32)))

    with play_on.registry() as shop:
        wait_until_cosigned(shop)
        _seat(round_, candidates)
        given = vectors()
        garbled = crooked(round_, 0, given[0], boxes=lambda sealed: (bytes(len(sealed[0])), *sealed[1:]))
        round_.collector.add(garbled)
        for contributor, vector in list(zip(round_.contributors(), given, strict=True))[1:]:
            round_.collector.add(contributor.contribute(round_.file, vector))
    request = round_.include_request()
    smaller = wire.decode(IncludeRequest, request.request)
    smaller = dataclasses.replace(smaller, entries=smaller.entries[1:])
    play_on.take(request, dataclasses.replace(request, request=wire.encode(smaller)))

    with play_on.registry() as shop:
        wait_until_cosigned(shop)
        round_.include()
        said = _check(round_)
        ((member, number),) = round_.aggregator.to_dispute()
    false = _complaints(round_, (Kind.DRAWN, 3 if number != 3 else 4), member)
    grant = play_on.take(
        GrantRequest(digest, said[Kind.DRAWN, number], member), GrantRequest(digest, false, member)
    )

    with play_on.registry() as shop:
        wait_until_cosigned(shop)
        again = round_.notary.dispute(said[Kind.DRAWN, number], member)
        assert again == grant
        place = round_.log.append(again)
        shown = round_.decryptors[Kind.DRAWN, number].dispute(
            round_.dispute_request(member, number, again, place), int(clock.now)
        )
        round_.aggregator.disputed(shown)
    final = round_.aggregator.exclude()
    play_on.take(
        ExclusionRequest(digest, final), ExclusionRequest(digest, wire.encode(FinalRequest((), (), ())))
    )

    with play_on.registry() as shop:
        wait_until_cosigned(shop)
        signed = round_.notary.final(final)
        round_.aggregator.final(signed, round_.log.append(signed))
        result = round_.open()
        assert len(entries(shop)) == 5
    total = given.sum(axis=0) - given[0]
    assert (result.vector == total).all()


@on_sqlite
def test_a_final_set_is_shown_exactly_if_it_was_signed_whenever_the_registry_is_killed(
    opened, play, round_issuers, follow_witness
):
    with opened(**follow_witness) as shop:
        round_ = _checked_round(shop, play, round_issuers)
    complaint = wire.decode(Complaints, _complaints(round_, (Kind.STANDING, 1), 2))
    final, other = (
        ExclusionRequest(round_.info.digest, wire.encode(request))
        for request in (FinalRequest((2,), (complaint,), ()), FinalRequest((), (), ()))
    )
    Interrupted(opened, follow_witness, round_).take(final, other)


def _checked_round(shop, play, round_issuers):
    """Play a standing round up to the check of its included set."""
    prepare(shop, round_issuers)
    wait_until_cosigned(shop)
    round_ = play(shop, "standing")
    round_.seat()
    contribute(round_, vectors())
    round_.include()
    _check(round_)
    return round_


def _seat(round_, candidates):
    """Seat the volunteers that were drawn by the registry."""
    round_.file = wire.encode(CommitteeFile((), round_.notary.draw(round_._nonce)))
    committees = check_committees(round_.file, round_.info)
    for candidate in candidates:
        if keys := candidate.drawn(committees):
            decryptor = Decryptor(round_.info, committees, keys, round_.log.view)
            round_.decryptors[Kind(keys.kind), decryptor.number] = decryptor


def _check(round_):
    """Have every decryptor check the set; return what each said."""
    said = {}
    for (kind, number), decryptor in round_.decryptors.items():
        said[kind, number] = decryptor.check(round_.aggregator.check_request(kind, number), NOW)
        round_.aggregator.complain(said[kind, number])
    return said


def _complaints(round_, seat, *members):
    """A decryptor's signed complaints, true or not."""
    blank = Complaints(*seat, round_.aggregator.state.members.root, members, bytes(64))
    key = SigningKey(round_.decryptors[seat].state.keys.signing)
    signature = key.sign(complaints_statement(round_.aggregator.committees.context, blank))
    return wire.encode(dataclasses.replace(blank, signature=signature))


@on_sqlite
def test_a_registry_restored_from_an_old_backup_gets_no_cosignature_and_opens_nothing(
    opened, play, round_issuers, follow_witness, tmp_path, clock, caplog
):
    """It signs a second final set, because its records are gone; no decryptor believes that set."""
    files = [tmp_path / f"registry.db{suffix}" for suffix in ("", "-wal", "-shm")]
    with opened(**follow_witness) as shop:
        round_ = _checked_round(shop, play, round_issuers)
    (tmp_path / "backup").mkdir()
    for file in filter(lambda file: file.exists(), files):
        shutil.copy(file, tmp_path / "backup" / file.name)

    complaint = wire.decode(Complaints, _complaints(round_, (Kind.STANDING, 1), 2))
    with opened(**follow_witness) as shop:
        round_.notary.shop = shop
        wait_until_cosigned(shop)
        first = round_.notary.final(wire.encode(FinalRequest((), (), ())))
        assert round_.notary.logged[first].missing == ()

    for file in files:
        file.unlink(missing_ok=True)
    for file in (tmp_path / "backup").iterdir():
        shutil.copy(file, tmp_path / file.name)
    with opened(**follow_witness) as shop:
        round_.notary.shop = shop
        second = round_.notary.final(wire.encode(FinalRequest((2,), (complaint,), ())))
        head = round_.notary.logged[second]
    assert second != first
    assert head.missing == (WITNESS_KEY.name,)
    assert f"no cosignature of {WITNESS_KEY.name}" in caplog.text
    decryptor = round_.decryptors[Kind.STANDING, 2]
    with pytest.raises(ServerError, match="0 of 1 witnesses cosigned") as refused:
        decryptor.open(wire.encode(OpenRequest(second, head.logged, (2,))), int(clock.now))
    assert refused.value.rule == Rule.WITNESSES
    genuine = round_.notary.logged[first]
    assert decryptor.open(wire.encode(OpenRequest(first, genuine.logged, ())), int(clock.now))


def _ask_alone(settings, now, path, body, signature, answers):
    """Open a registry in a process of its own and put one request to it."""
    app = create_app(Settings(**settings), clock=lambda: now)
    headers = {"content-type": "application/cbor", "covey-signature": signature}
    try:
        with TestClient(app, raise_server_exceptions=False) as http:
            answer = http.post(path, content=body, headers=headers)
            answers.put((answer.status_code, answer.content))
    except UnavailableError as error:
        answers.put((error.status, str(error).encode()))


@pytest.mark.slow
def test_two_processes_that_ask_for_different_sets_get_one(
    opened, play, round_issuers, clock, database_url, tmp_path
):
    start_clock(clock)
    with opened() as shop:
        prepare(shop, round_issuers)
        round_ = play(shop, "standing")
        round_.seat()
        contribute(round_, vectors())
        request = round_.include_request()
        operator = shop.operator
    asked = wire.decode(IncludeRequest, request.request)
    smaller = wire.encode(dataclasses.replace(asked, entries=asked.entries[1:]))
    settings = {
        "database_url": database_url,
        "key_file": tmp_path / "registry.key",
        "origin": "covey.test/log",
        "operator": operator.public.hex(),
        "public_url": "http://testserver",
    }
    spawning = multiprocessing.get_context("spawn")
    answers, processes = spawning.Queue(), []
    for each in (request, dataclasses.replace(request, request=smaller)):
        body = wire.encode(each)
        signature = operator.sign(request_statement("round/included", body)).hex()
        arguments = (settings, clock.now, round_.notary.path("included"), body, signature, answers)
        processes.append(spawning.Process(target=_ask_alone, args=arguments))
    for process in processes:
        process.start()
    told = dict(answers.get(timeout=60) for _ in processes)
    for process in processes:
        process.join(20)
    assert told.keys() in ({200, 409}, {200, 503})
    with opened() as shop:
        assert entries(shop) == [wire.decode(InclusionAnswer, told[200]).head.signed]
