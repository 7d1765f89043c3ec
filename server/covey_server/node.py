"""The Flower node: a `ClientApp` that relays each exchange to the fleet that its configuration names.

It keeps nothing: the fleet has the messages on its disk, and the devices keep their own keys.
"""

from __future__ import annotations

from flwr.app import Context, Message
from flwr.clientapp import ClientApp

from covey_server.config import load_object
from covey_server.flower import body_of, content
from covey_server.node_messages import EXCHANGES

app = ClientApp()


def relay(message: Message, context: Context) -> Message:
    """Hand an exchange's body to the fleet and its answer back."""
    exchange = message.metadata.message_type.partition(".")[2]
    name = context.node_config.get("fleet", context.run_config.get("fleet", ""))
    with load_object(str(name))(context) as fleet:
        answer = fleet.handle(exchange, body_of(message))
    return Message(content(answer), reply_to=message)


for _exchange in EXCHANGES:
    app.query(_exchange)(relay)
