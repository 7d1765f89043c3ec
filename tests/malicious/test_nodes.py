"""A node that speaks for others, or says nothing that can be read, in a whole round."""

from __future__ import annotations

import pytest
from flwr.app import ConfigRecord, Context, Message, RecordDict
from flwr.clientapp import ClientApp

from covey_privacy import wire
from covey_privacy.five_phases import messages
from covey_server import fleet, flower
from covey_simulations.fleet import Fleet

pytestmark = pytest.mark.slow  # The five-phase protocol is about to be replaced.


def adding(monkeypatch, phase, more):
    """Let every node's reply in a phase have `more(node)` messages in it."""
    honest = getattr(Fleet, phase)

    def add(self, body):
        replies = wire.decode(fleet.Replies, honest(self, body))
        return wire.encode(fleet.Replies((*replies.messages, *more(self))))

    monkeypatch.setattr(Fleet, phase, add)


@pytest.mark.parametrize(
    ("phase", "said", "blamed"),
    [
        ("_advertise", b"no advert", [[None, "message-form"]]),
        ("_share", messages.Parcels(99, ()), [["node 2", "own-devices"], ["node 3", "own-devices"]]),
        pytest.param(
            "_agree",
            messages.Agreement(99, bytes(64)),
            [["node 2", "own-devices"], ["node 3", "own-devices"]],
            marks=pytest.mark.slow,
        ),
        pytest.param(
            "_open",
            b"no openings",
            [["node 2", "own-devices"], ["node 3", "own-devices"]],
            marks=pytest.mark.slow,
        ),
    ],
)
def test_what_nodes_add_of_their_own_costs_the_round_nothing(small_shop, monkeypatch, phase, said, blamed):
    shop = small_shop()
    adding(monkeypatch, phase, lambda _: [said if isinstance(said, bytes) else wire.encode(said)])
    (played,) = shop.ask("q1=1.4")
    assert played["survivors"] == 26
    assert played["sum"] == shop.plain_sum(played["round_id"], 8)
    assert played["blamed"] == blamed


def test_a_node_that_forges_another_nodes_devices_changes_nothing(small_shop, monkeypatch):
    """Both nodes speak in the name of each other's devices: what is not of their own is not heard."""
    shop = small_shop()

    def forged(node):
        others = set(range(26)) - set(node._places.values())
        return [wire.encode(messages.Agreement(place, bytes(64))) for place in others]

    adding(monkeypatch, "_agree", forged)
    (played,) = shop.ask("q1=1.4")
    assert played["blamed"] == [["node 2", "own-devices"], ["node 3", "own-devices"]]
    assert played["sum"] == shop.plain_sum(played["round_id"], 8)


@pytest.mark.parametrize(
    "content", [RecordDict(), RecordDict({flower.RECORD: ConfigRecord({flower.BODY: "text"})})]
)
def test_a_reply_without_a_body_is_that_nodes_failure(content):
    app = ClientApp()

    @app.query("share")
    def answer(message: Message, context: Context) -> Message:
        good = message.metadata.dst_node_id == 2
        return Message(flower.content(b"well") if good else content, reply_to=message)

    grid = flower.InProcessGrid(app, {node: Context(0, node, {}, RecordDict(), {}) for node in (2, 3)})
    answers, failures = flower.exchange(grid, {2: b"", 3: b""}, "share", "round-1", 5.0)
    assert answers == {2: b"well"}
    assert "body" in failures[3]
