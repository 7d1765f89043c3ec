"""Rounds in one message, whole, at the site of `one_message_site`."""

from __future__ import annotations

import dataclasses
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import timedelta

import pytest
from one_message_site import Gone, Household, MemorySteps, Site

from covey_privacy import wire
from covey_privacy.errors import AbortError, PrivacyError
from covey_privacy.protocol_rules import Rule
from covey_privacy.round_files import RoundFiles
from covey_sdk import RegistryClient
from covey_sdk.errors import RegistryError
from covey_server.errors import NodesError, OrganisationError, RoundError
from covey_server.node_messages import LIMIT, NodeChecks, NodeContributions, NodeOpen


@pytest.fixture
def site(tmp_path, monkeypatch, lent_keys):
    with ExitStack() as stack:
        yield Site(tmp_path, stack, monkeypatch, phones=4)


def test_a_standing_round_adds_up_to_what_the_ledgers_say(site):
    total = site.runner().run()
    assert total.members == 4
    assert total.integrity_proved
    assert (total.vector == site.plain("round-1")).all()
    assert site.asked == ["contribute", "check", "open"] or site.asked == ["contribute", "open"]
    assert site.charges == ["round-1"]
    assert not list(site.folder.glob("node-*/*/messages.db"))


def test_one_organisation_down_after_the_seats_is_borne(site):
    site.down.add(3)
    with pytest.raises(OrganisationError, match=r"\[3\]"):
        site.runner().run()
    site.down.clear()
    runner = site.runner()
    include = runner.registry.include
    runner.registry.include = lambda *arguments: (site.down.add(2), include(*arguments))[1]
    total = runner.run()
    assert (total.vector == site.plain("round-1")).all()
    site.down.clear()
    assert site.runner(2).run().members == 4


def test_two_organisations_down_end_the_round_without_a_sum(site):
    runner = site.runner()
    include = runner.registry.include
    runner.registry.include = lambda *arguments: (site.down.update({1, 2, 3}), include(*arguments))[1]
    with pytest.raises(AbortError) as ended:
        runner.run()
    assert ended.value.rule == Rule.ENOUGH_SUMS


@pytest.mark.parametrize("step", ["committee", "included", "checked", "final"])
def test_a_coordinator_that_was_stopped_goes_on(site, step):
    steps = MemorySteps()
    steps.stop_after = step
    with pytest.raises(KeyboardInterrupt):
        site.runner(steps=steps).run()
    steps.stop_after = ""
    total = site.runner(steps=steps).run()
    assert (total.vector == site.plain("round-1")).all()
    assert site.charges == ["round-1"]
    for device in site.devices:
        assert len(device.odometer.charges(device.clock.now())) == 1


def test_a_round_cut_between_charge_and_sum_is_opened_by_nobody(site):
    steps = MemorySteps()
    steps.stop_after = "charged"
    with pytest.raises(KeyboardInterrupt):
        site.runner(steps=steps).run()
    steps.stop_after = ""
    site.asked.clear()
    with pytest.raises(RoundError, match="cut between the charge and the sum"):
        site.runner(steps=steps).run()
    assert site.asked == []
    assert site.runner(2).run().members == 4


def test_a_node_that_is_gone_after_collecting_costs_nothing(site):
    nodes = site.nodes()
    runner = site.runner(nodes=nodes)
    include = runner.registry.include
    runner.registry.include = lambda *arguments: (nodes.update({2: Gone()}), include(*arguments))[1]
    total = runner.run()
    assert total.members == 4
    assert (total.vector == site.plain("round-1")).all()


def test_a_node_whose_answers_cannot_be_read_costs_its_own_phones(site):
    site.households[1].devices, site.households[2].devices = site.devices[:3], site.devices[3:]
    nodes = site.nodes()
    nodes[2] = Gone(answer=b"garbage")
    total = site.runner(nodes=nodes).run()
    assert total.members == 3


def test_two_processes_of_a_node_tell_of_one_collection(site):
    """Asked at once, as by a coordinator that was started again: the second waits for the first."""
    runner = site.runner()
    files = RoundFiles(runner.running.files.manifest, runner.running.files.issuer_keys, runner._committees())
    household, entered = site.households[1], threading.Event()
    contribute, asked = household.contribute, []

    def slowly(files):
        asked.append(1)
        for each in contribute(files):
            yield each
            entered.wait(0.2)  # The other process would come in between.

    household.contribute = slowly
    with ThreadPoolExecutor(2) as pool:
        answers = list(
            pool.map(
                lambda node: node[1].handle("contribute", wire.encode(files)), [(1, site.nodes()[1])] * 2
            )
        )
    other = site.nodes()[1].handle("contribute", wire.encode(files))
    assert answers[0] == answers[1] == other
    assert asked == [1]


def test_a_node_answers_for_one_final_set(site):
    runner = site.runner()
    nodes = site.nodes()
    files = RoundFiles(runner.running.files.manifest, runner.running.files.issuer_keys, runner._committees())
    told = wire.decode(NodeContributions, nodes[1].handle("contribute", wire.encode(files)), LIMIT)
    keys = [entry.leaf.round_key for entry in told.collected.entries]
    first = NodeOpen("round-1", b"final", (keys[0],))
    answer = nodes[1].handle("open", wire.encode(first))
    assert site.nodes()[1].handle("open", wire.encode(first)) == answer
    with pytest.raises(NodesError, match="over another set"):
        site.nodes()[1].handle("open", wire.encode(NodeOpen("round-1", b"final", (keys[1],))))
    with pytest.raises(NodesError, match="has other files"):
        nodes[1].handle("contribute", wire.encode(dataclasses.replace(files, committee=b"other")))
    for body in (NodeOpen("round-9", b"final", ()), NodeChecks("round-9")):
        with pytest.raises(NodesError, match="is not here"):
            nodes[1].handle("open" if isinstance(body, NodeOpen) else "check", wire.encode(body))


def test_a_node_that_was_stopped_between_two_messages_goes_on(site):
    household = site.households[1]
    devices, household.devices = household.devices, household.devices[:1]

    def stop(files, original=household.contribute):
        yield from original(files)
        raise KeyboardInterrupt

    household.contribute = stop
    with pytest.raises(KeyboardInterrupt):
        site.runner().run()
    del household.contribute
    household.devices = devices
    total = site.runner().run()
    assert total.members == 4
    assert (total.vector == site.plain("round-1")).all()


def test_who_withdrew_is_not_in_the_sum(site):
    site.devices[0].withdraw("analytics")
    total = site.runner().run()
    assert total.members == 3
    assert site.sealed("round-1", site.devices[0]) is None
    assert (total.vector == site.plain("round-1")).all()


def test_who_withdraws_while_the_window_is_open_is_taken_out_again(site):
    runner = site.runner()
    wait = runner.wait_until

    def withdraw(at):
        site.devices[0].withdraw("analytics")
        wait(at)

    runner.wait_until = withdraw
    total = runner.run()
    assert total.members == 3
    assert list(runner.running.progress.refused.values()) == ["ticket-spent"]
    plain = site.plain("round-1") - site.sealed("round-1", site.devices[0])
    assert (total.vector == plain).all()


@pytest.mark.slow
@pytest.mark.parametrize("standing", [False, True])
def test_drawn_phones_open_the_sum_of_themselves_and_others(tmp_path, monkeypatch, lent_keys, standing):
    with ExitStack() as stack:
        site = Site(tmp_path, stack, monkeypatch, phones=19)
        total = site.runner(drawn=True, standing=standing).run()
        assert total.members == 19
        assert (total.vector == site.plain("round-1")).all()
        assert site.asked == ["volunteer", "contribute", "check", "open"]
        # Once the last window has closed no key and no share is left on any phone.
        assert any(device.store.get_round("round-1", "duty") for device in site.devices)
        site.clock.now += timedelta(hours=1)
        for device in site.devices:
            device.sync()
            assert device.store.get_round("round-1", "duty") is None


@pytest.fixture
def volunteers(tmp_path, monkeypatch, lent_keys):
    with ExitStack() as stack:
        yield Site(tmp_path, stack, monkeypatch, phones=19)


@pytest.mark.slow
def test_an_offer_that_did_not_arrive_is_sent_again(volunteers):
    site = volunteers
    runner = site.runner(drawn=True, standing=False)
    device, sent, volunteer = site.devices[0], [], RegistryClient.volunteer

    def lost(registry, round_id, offer):
        sent.append(offer)
        if len(sent) == 1:
            raise RegistryError("the line broke")
        volunteer(registry, round_id, offer)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(RegistryClient, "volunteer", lost)
        duty = site.households[1].duty(device)
        with pytest.raises(RegistryError):
            duty.volunteer(runner.running.files.manifest)
        site.households[1].duty(device).volunteer(runner.running.files.manifest)
        duty.volunteer(runner.running.files.manifest)
    assert len(sent) == 2
    assert sent[0] == sent[1]
    assert runner.run().members == 19


@pytest.mark.slow
def test_a_seat_that_is_taken_again_forgets_no_check(volunteers):
    """Another process of the app may learn of the committee late; a decryptor checks one set."""
    site = volunteers
    runner = site.runner(drawn=True, standing=False)
    seats, checked = [], []
    check = Household.check

    def once(household, device, round_id, request):
        said = check(household, device, round_id, request)
        duty = household.duty(device)
        file = runner.steps.get("committee")
        seats.append(duty.take_seat(round_id, file))
        checked.append(duty.check(round_id, request) == said)
        with pytest.raises(PrivacyError) as refused:
            duty.check(round_id, request + b"\0")
        assert refused.value.rule == Rule.STEP_ONCE
        return said

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Household, "check", once)
        assert runner.run().members == 19
    assert all(seats)
    assert all(checked)
