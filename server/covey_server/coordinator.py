"""The Flower coordinator: a `ServerApp` that asks what is configured, one private round each."""

from __future__ import annotations

import fcntl
import logging
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import httpx
from flwr.app import Context
from flwr.serverapp import Grid, ServerApp

from covey_models.recommender import steps
from covey_privacy.signatures import SigningKey
from covey_privacy.site_document import open_site
from covey_server import flower, operator_keys
from covey_server.config import Config, load_object, read_config
from covey_server.errors import ConfigError
from covey_server.node_messages import Ask
from covey_server.organisations import Organisations
from covey_server.questions import answer_query, run_training_step
from covey_server.registry_client import RegistryClient
from covey_server.round_runner import NodeTransport, RoundRunner
from covey_server.store import Store

log = logging.getLogger("flwr.covey")

app = ServerApp()

OPERATOR_KEY = "operator.key"
STORE = "coordinator.db"
LONGEST_SLEEP = 5.0

_NO_IDLE_LINES = httpx.Limits(max_keepalive_connections=0)
"""Minutes pass between two requests; a line that stayed open may be closed just as it is used again."""


@app.main()
def main(grid: Grid, context: Context) -> None:
    """Ask every configured query and run every configured step of a training, in order."""
    config = read_config(context.run_config, context.run_id)
    config.state.mkdir(parents=True, exist_ok=True)
    with _locked(config.state), _site(config, context) as signed, ExitStack() as stack:
        operator = operator_key(config.state)
        site = open_site(signed, operator.public)
        clock = load_object(config.clock)(config.state) if config.clock else SystemClock()
        store = stack.enter_context(closing(Store(config.state / STORE)))
        client = stack.enter_context(
            httpx.Client(base_url=site.registry_url, timeout=config.phase_timeout, limits=_NO_IDLE_LINES)
        )
        organisations = stack.enter_context(httpx.Client(timeout=config.phase_timeout, limits=_NO_IDLE_LINES))
        runner = RoundRunner(
            config,
            site,
            RegistryClient(client, operator),
            Organisations.of_site(site, operator, organisations),
            store,
            operator,
            clock,
            NodeTransport(_asking(grid, config), lambda: list(grid.get_node_ids())),
        )
        runner.start()
        flower.wait_for_nodes(grid, config.least_nodes, config.phase_timeout)
        for requested in config.questions:
            run = run_training_step if requested.name == steps.MODEL else answer_query
            run(requested, runner)


class SystemClock:
    """The machine's clock (`round_runner.Clock`)."""

    def seconds(self) -> float:
        """Return the time."""
        return time.time()

    def wait_until(self, at: int) -> None:
        """Sleep until the time is past `at`."""
        while (left := at + 1 - time.time()) > 0:
            time.sleep(min(left, LONGEST_SLEEP))


def operator_key(state: Path) -> SigningKey:
    """Return the operator's key, made at the first run and readable by its owner alone."""
    path = state / OPERATOR_KEY
    if not path.exists():
        state.mkdir(parents=True, exist_ok=True)
        return operator_keys.make(path)
    secret = path.read_bytes()
    if len(secret) != 32:
        raise ConfigError(f"{path} is to hold the operator's key, 32 bytes; it holds {len(secret)}")
    return SigningKey(secret)


def _asking(grid: Grid, config: Config) -> Ask:
    """Return what carries an exchange to the nodes; a node that fails counts as its devices' silence."""

    def ask(exchange: str, bodies: Mapping[int, bytes], round_id: str) -> dict[int, bytes]:
        answers, failures = flower.exchange(grid, bodies, exchange, round_id, config.phase_timeout)
        for node, why in failures.items():
            log.warning("node %s gave no answer to %s of %s: %s", node, exchange, round_id, why)
        return answers

    return ask


@contextmanager
def _locked(state: Path) -> Iterator[None]:
    """Hold the state folder: of two runs at once, Flower would allow both."""
    with (state / "lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ConfigError(f"another coordinator runs in {state}: wait, or take another folder") from None
        yield


@contextmanager
def _site(config: Config, context: Context) -> Iterator[bytes]:
    """Yield the signed site document: the configured one, or that of a site which `world` opens."""
    if config.site:
        try:
            signed = config.site.read_bytes()
        except OSError as error:
            raise ConfigError(f"the site document {config.site} cannot be read: {error.strerror}") from None
        yield signed
    else:
        with load_object(config.world)(context, operator_key(config.state)) as signed:
            yield signed
