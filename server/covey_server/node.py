"""The Flower node: a `ClientApp` that relays each phase to the fleet that its configuration names.

It keeps nothing. Keys, phase state and floors live with the devices, keyed by round id.
"""

from __future__ import annotations

from flwr.app import Context, Message
from flwr.clientapp import ClientApp

from covey_server.fleet import PHASES, load
from covey_server.flower import body_of, content

app = ClientApp()


def relay(message: Message, context: Context) -> Message:
    """Hand a phase's body to the fleet and its answer back."""
    phase = message.metadata.message_type.partition(".")[2]
    name = context.node_config.get("fleet", context.run_config.get("fleet", ""))
    with load(str(name))(context) as fleet:
        answer = fleet.handle(phase, body_of(message))
    return Message(content(answer), reply_to=message)


for _phase in PHASES:
    app.query(_phase)(relay)
