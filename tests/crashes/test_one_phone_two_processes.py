"""Two processes of one phone, coordinator, node or registry; a phone that is put back from a backup.

One message of a phone is in a round at most, and whoever comes second gets the same answer or a refusal.
"""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest
from round_invariants import check_phone, check_settled
from round_site import OPERATOR, Phone, RoundSite, round_id_of
from starlette.testclient import TestClient

from covey_consent.errors import UnavailableError
from covey_privacy import wire
from covey_privacy.errors import ServerError
from covey_privacy.evidence import RELEASED
from covey_privacy.round_files import RoundFiles
from covey_sdk.errors import ConsentError, CoveyError
from covey_sdk.round_client import RoundClient
from covey_server.errors import ConfigError, NodesError
from covey_server.round_node import RoundNode
from covey_server.round_result import exact_results
from covey_server.store import Store

DEADLINE_SECONDS = 60


@pytest.fixture
def site(standing) -> Iterator[RoundSite]:
    with standing().open() as site:
        yield site


@pytest.fixture
def files(site) -> RoundFiles:
    """The files of a round that waits for contributions."""
    return waiting_round(site)


class Stopped(BaseException):
    """Ends the coordinator of a test where it waits."""


def waiting_round(site: RoundSite) -> RoundFiles:
    """Run a coordinator until it asks for contributions, and stop it there."""
    seen = []
    ask, site.ask = site.ask, lambda _exchange, bodies, _round: stop(seen, bodies)
    try:
        site.run_round()
    except Stopped:
        site.ask = ask
    return wire.decode(RoundFiles, seen[0], 2**20)


def stop(seen: list[bytes], bodies: dict[int, bytes]) -> dict[int, bytes]:
    seen.append(bodies[1])
    raise Stopped


def second_process(phone: Phone, stack: ExitStack, *, starts: int = 1) -> RoundClient:
    """Open the phone's store once more."""
    device = stack.enter_context(phone.opened())
    return device.round_client(boot_id=bytes([starts]) * 32)


def contribute_second(
    phone: Phone, files: RoundFiles, meanwhile: Callable[[], object], monkeypatch: pytest.MonkeyPatch
) -> bytes:
    """Contribute in a second process; another one acts just before its transaction."""
    with ExitStack() as stack:
        other = second_process(phone, stack)
        other.prepare(files)
        sync = other._admission.sync

        def late() -> None:
            sync()
            meanwhile()

        monkeypatch.setattr(other._admission, "sync", late)
        return other.contribute(files)


def test_two_processes_send_the_same_message(site, files, monkeypatch):
    phone, sent = site.phones[0], []
    message = contribute_second(phone, files, lambda: sent.append(phone.contribute(files)), monkeypatch)
    assert sent == [message]
    check_phone(phone)


def test_two_processes_do_not_contribute_to_different_files(site, files, monkeypatch):
    phone = site.phones[0]
    other = dataclasses.replace(files, documents=(b"another",))
    with pytest.raises(ServerError, match="asked for twice, with other files"):
        contribute_second(
            phone, files, lambda: phone.messages.update(r=[phone.client.contribute(files)]) or
            phone.client.contribute(other), monkeypatch,
        )  # fmt: skip
    phone.messages = {round_id_of(files): phone.messages["r"]}
    check_phone(phone)


@pytest.mark.parametrize("purpose", ["analytics", "personalize"])
def test_a_process_sends_nothing_once_another_has_withdrawn(site, files, monkeypatch, purpose):
    phone = site.phones[0]
    with pytest.raises(CoveyError):
        contribute_second(phone, files, lambda: phone.device.withdraw(purpose), monkeypatch)
    check_phone(phone)
    assert phone.device.odometer.charges(phone.device.clock.now()) == ()


def test_what_another_process_acknowledged_is_not_sent_again(site, files, monkeypatch):
    phone = site.phones[0]

    def arrives() -> None:
        phone.contribute(files)
        phone.client.acknowledge(round_id_of(files))

    with pytest.raises(ConsentError, match="took part"):
        contribute_second(phone, files, arrives, monkeypatch)
    check_phone(phone)


def test_two_processes_at_once_send_the_same_message(site, files):
    phone = site.phones[0]
    with ExitStack() as stack, ThreadPoolExecutor(4) as pool:
        clients = [second_process(phone, stack) for _ in range(4)]
        made = [pool.submit(client.contribute, files) for client in clients]
        messages = {each.result(DEADLINE_SECONDS) for each in made}
    assert len(messages) == 1
    check_phone(phone)


def test_a_phone_put_back_from_a_backup_does_not_send_the_message_that_is_in_it(site, files):
    phone = site.phones[0]
    phone.contribute(files)
    phone.device.close()
    backup = site.folder / "backup.db"
    shutil.copy(phone.path, backup)
    phone.device = phone.opened()
    phone.client.acknowledge(round_id_of(files))
    phone.device.close()
    shutil.copy(backup, phone.path)
    phone.device, phone.starts = phone.opened(), 2
    for _ in range(2):
        with pytest.raises(ConsentError, match="started again since"):
            phone.client.contribute(files)
    check_phone(phone)


def test_a_phone_put_back_from_before_its_message_is_not_in_the_round_twice(site, files):
    """Its ticket is in the backup: the node takes one message of a round key, whichever comes first."""
    phone = site.phones[0]
    phone.device.close()
    backup = site.folder / "backup.db"
    shutil.copy(phone.path, backup)
    phone.device = phone.opened()
    first = phone.contribute(files)
    phone.device.close()
    shutil.copy(backup, phone.path)
    phone.device, phone.starts, phone.messages = phone.opened(), 2, {}
    second = phone.contribute(files)
    assert second != first
    site.households[1].contribute = lambda _files: iter([(phone, first), (phone, second)])
    site.run_round()
    with site.store() as store:
        (result,) = exact_results(store, OPERATOR)
    assert result["final"] == len(site.phones)


def test_two_coordinators_do_not_use_one_store(site):
    with site.runner(), pytest.raises(ConfigError, match="cannot be used"):
        Store(site.folder / "coordinator.db")
    site.run_round()
    assert check_settled(site).outcomes == [RELEASED]


def test_a_coordinator_that_takes_over_asks_nobody_for_a_second_sum(site):
    """Stopped while the nodes collect, and started again in another process."""
    waiting_round(site)
    site.run_round()
    site.run_round()
    assert check_settled(site).outcomes == [RELEASED, RELEASED]
    assert len([each for each in site.asked if each[0] == "open"]) == 2


def test_a_node_asked_twice_at_once_answers_alike(site):
    """In each exchange two processes of each node are asked at once."""
    ask, refused = site.ask, []

    def twice(exchange: str, bodies: dict[int, bytes], round_id: str) -> dict[int, bytes]:
        site.asked.append((exchange, round_id))
        answers = {}
        with ThreadPoolExecutor(4) as pool:
            for number, body in bodies.items():
                others = [site.nodes[number], site.node(number)]
                asked = [pool.submit(answer, node, exchange, body, refused) for node in others]
                first, second = [each.result(DEADLINE_SECONDS) for each in asked]
                assert first == second
                answers[number] = first
        return answers

    site.ask = twice
    site.run_round()
    assert not refused
    site.ask = ask
    site.run_round()
    rounds = check_settled(site)
    assert rounds.outcomes == [RELEASED, RELEASED]


def answer(node: RoundNode[Phone], exchange: str, body: bytes, refused: list[Exception]) -> bytes:
    try:
        return node.handle(exchange, body)
    except NodesError as error:
        refused.append(error)
        raise


def test_a_second_registry_on_one_database_writes_nothing(site):
    """It neither starts nor signs while the first one runs; the round goes on."""
    with (
        pytest.raises(UnavailableError, match="another process writes to this database"),
        TestClient(site.registry_app()),
    ):
        pass
    site.run_round()
    assert check_settled(site).outcomes == [RELEASED]
