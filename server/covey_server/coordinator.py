"""The Flower coordinator: a `ServerApp` that asks what is configured, one private round each."""

from __future__ import annotations

import fcntl
import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path

import httpx
from flwr.app import Context
from flwr.serverapp import Grid, ServerApp

from covey_models import p1_steps
from covey_privacy.signatures import SigningKey
from covey_server import analytics, fleet, flower, training
from covey_server import config as configuration
from covey_server.conductor import Conductor
from covey_server.config import Config
from covey_server.errors import ConfigError
from covey_server.registry import Registry
from covey_server.store import Store

log = logging.getLogger("flwr.covey")

app = ServerApp()

OPERATOR_KEY = "operator.key"
STORE = "coordinator.db"

_NO_IDLE_LINES = httpx.Limits(max_keepalive_connections=0)
"""Minutes pass between two requests; a line that stayed open may be closed just as it is used again."""


@app.main()
def main(grid: Grid, context: Context) -> None:
    """Ask every configured query and play every configured step of a training, in order."""
    config = configuration.read(context.run_config, context.run_id)
    config.state.mkdir(parents=True, exist_ok=True)
    with _locked(config.state), _world(config, context) as (url, registry_key):
        operator = operator_key(config.state)
        with (
            closing(Store(config.state / STORE)) as store,
            httpx.Client(base_url=url, timeout=config.phase_timeout, limits=_NO_IDLE_LINES) as client,
        ):
            conductor = Conductor(config, Registry(client, operator), store, operator, registry_key)
            conductor.start()
            flower.wait_for_nodes(grid, config.least_nodes, config.phase_timeout)
            for asked in config.questions:
                play = training.play_step if asked.name == p1_steps.MODEL else analytics.answer
                play(asked, conductor, _asking(grid, config))


def operator_key(state: Path) -> SigningKey:
    """Return the operator's key, made at the first run and readable by its owner alone."""
    path = state / OPERATOR_KEY
    if not path.exists():
        state.mkdir(parents=True, exist_ok=True)
        draft = path.with_suffix(".new")
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(os.urandom(32))
            os.fsync(file.fileno())
        draft.replace(path)
    secret = path.read_bytes()
    if len(secret) != 32:
        raise ConfigError(f"{path} is to hold the operator's key, 32 bytes; it holds {len(secret)}")
    return SigningKey(secret)


def _asking(grid: Grid, config: Config) -> fleet.Ask:
    """Return what carries a phase to the nodes; a node that fails counts as its devices' silence."""

    def ask(phase: str, bodies: Mapping[int, bytes] | bytes, group: str) -> dict[int, bytes]:
        if isinstance(bodies, bytes):
            bodies = dict.fromkeys(grid.get_node_ids(), bodies)
        answers, failures = flower.exchange(grid, bodies, phase, group, config.phase_timeout)
        for node, why in failures.items():
            log.warning("node %s gave no answer in phase %s of %s: %s", node, phase, group, why)
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
def _world(config: Config, context: Context) -> Iterator[tuple[str, bytes]]:
    """Yield the registry's address and public key: the configured one, or one that `world` opens."""
    if config.registry_url:
        yield config.registry_url, bytes.fromhex(config.registry_key)
    else:
        with fleet.load(config.world)(context, operator_key(config.state).public) as world:
            yield world
