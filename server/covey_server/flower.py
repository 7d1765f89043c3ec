"""All that Covey needs of Flower beyond its decorators: an exchange with nodes, and a grid in one process.

Only `flwr.app`, `flwr.clientapp` and `flwr.serverapp` are imported, here and elsewhere.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from flwr.app import ConfigRecord, Context, Error, Message, Metadata, RecordDict
from flwr.clientapp import ClientApp
from flwr.serverapp import Grid

from covey_server.errors import NodesError

RECORD = "covey"
BODY = "body"
POLL_SECONDS = 0.1

_SUPERLINK = 1
_APP_RAISED = 2

OnMessage = Callable[[str, int], None]
"""Called with a message's type and destination once it was answered."""


def content(body: bytes) -> RecordDict:
    """Return the record that carries `body`."""
    return RecordDict({RECORD: ConfigRecord({BODY: body})})


def body_of(message: Message) -> bytes:
    """Return the bytes that a message carries. Raises NodesError when it carries none."""
    records = message.content.config_records
    body = records[RECORD].get(BODY) if RECORD in records else None
    if not isinstance(body, bytes):
        raise NodesError(f"a message's body is bytes; a {type(body).__name__} arrived")
    return body


def wait_for_nodes(grid: Grid, least: int, timeout: float) -> None:
    """Wait until `least` nodes are connected. Raises NodesError when they are not in `timeout` seconds."""
    end = time.monotonic() + timeout
    while (count := len(list(grid.get_node_ids()))) < least:
        if time.monotonic() > end:
            raise NodesError(f"{count} nodes are connected after {timeout:g} s; the run waits for {least}")
        time.sleep(POLL_SECONDS)


def exchange(
    grid: Grid, bodies: Mapping[int, bytes], name: str, group: str, timeout: float
) -> tuple[dict[int, bytes], dict[int, str]]:
    """Send each node its body in an exchange; return the answers, and why others gave none.

    `timeout` is in seconds. It is also the messages' time to live, so that Flower reports a dead node then
    and not after two missed heartbeats.
    """
    new = grid.message if isinstance(grid, InProcessGrid) else Message
    kind = f"query.{name}"
    messages = [new(content(body), node, kind, ttl=timeout, group_id=group) for node, body in bodies.items()]
    ids = list(grid.push_messages(messages))
    waiting = {message_id: node for message_id, node in zip(ids, bodies, strict=True) if message_id}
    answers: dict[int, bytes] = {}
    failures = {node: "refused" for message_id, node in zip(ids, bodies, strict=True) if not message_id}
    end = time.monotonic() + timeout + 5
    while waiting and time.monotonic() < end:
        for reply in grid.pull_messages(list(waiting)):
            node = waiting.pop(reply.metadata.reply_to_message_id)
            if reply.has_error():
                failures[node] = f"error {reply.error.code}: {reply.error.reason}"
                continue
            try:
                answers[node] = body_of(reply)
            except NodesError as error:
                failures[node] = str(error)
        if waiting:
            time.sleep(POLL_SECONDS)
    return answers, failures | dict.fromkeys(waiting.values(), "no answer in time")


class InProcessGrid(Grid):
    """Flower's grid without Flower's processes: every message calls `app` in a thread of its node's."""

    def __init__(self, app: ClientApp, contexts: Mapping[int, Context], on_message: OnMessage | None = None):
        self._app, self._contexts, self._on_message = app, contexts, on_message
        self._replies: dict[str, Message] = {}
        self._run: Any = None

    def set_run(self, run: Any) -> None:
        """Remember the run."""
        self._run = run

    @property
    def run(self) -> Any:
        """The run."""
        return self._run

    @staticmethod
    def message(record: RecordDict, node: int, kind: str, *, ttl: float, group_id: str) -> Message:
        """Return a message with all metadata set: outside Flower's processes nobody else sets them."""
        metadata = Metadata(0, uuid.uuid4().hex, _SUPERLINK, node, "", group_id, time.time(), ttl, kind)
        message: Message = Message(record, metadata=metadata)  # type: ignore[call-overload]  # an internal keyword
        return message

    def create_message(
        self,
        content: RecordDict,
        message_type: str,
        dst_node_id: int,
        group_id: str,
        ttl: float | None = None,
    ) -> Message:
        """Return a message, as the abstract class asks."""
        return self.message(content, dst_node_id, message_type, ttl=ttl or 3600.0, group_id=group_id)

    def get_node_ids(self) -> Iterable[int]:
        """Return the nodes."""
        return list(self._contexts)

    def push_messages(self, messages: Iterable[Message]) -> Iterable[str]:
        """Deliver messages, all nodes at once, and keep the answers."""
        batch = list(messages)
        with ThreadPoolExecutor(max_workers=max(1, len(batch))) as threads:
            for message, reply in zip(batch, threads.map(self._deliver, batch), strict=True):
                self._replies[message.metadata.message_id] = reply
        return [message.metadata.message_id for message in batch]

    def pull_messages(self, message_ids: Iterable[str]) -> Iterable[Message]:
        """Return the answers to these messages."""
        return [self._replies.pop(i) for i in list(message_ids) if i in self._replies]

    def send_and_receive(
        self, messages: Iterable[Message], *, timeout: float | None = None
    ) -> Iterable[Message]:
        """Deliver messages and return their answers."""
        del timeout
        return self.pull_messages(self.push_messages(messages))

    def _deliver(self, message: Message) -> Message:
        node = message.metadata.dst_node_id
        try:
            reply = self._app(message, self._contexts[node])
        except Exception as error:  # noqa: BLE001  # Flower turns whatever an app raises into an error reply
            reply = Message(Error(_APP_RAISED, repr(error)), reply_to=message)
        if self._on_message:
            self._on_message(message.metadata.message_type, node)
        return reply
