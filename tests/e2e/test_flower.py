"""Flower's own engines drive the same coordinator and node, without any network but loopback."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import numpy as np
import pytest
from opened_sums import integers, opened_sum

from covey_sdk import ledger
from covey_server import coordinator
from covey_server.round_result import exact_results
from covey_server.store import Store
from covey_simulations.devices.phone import Phones
from covey_simulations.scenarios.shared_settings import SharedSettings

pytestmark = pytest.mark.slow

REPOSITORY = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
LOOPBACK_UP = 'ip link set lo up && exec "$@"'
THREE_STEPS = ' queries="p1=90 p1=90 p1=90" train-epsilon-cap=90.0 households=60'
"""60 people at an epsilon so large that all three sums are worth taking."""
LOOPBACK_ONLY = ["unshare", "--map-root-user", "--net", "--", "sh", "-c", LOOPBACK_UP, "sh"]


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return listening.getsockname()[1]


@pytest.fixture
def flower(tmp_path: Path) -> dict[str, str]:
    """An environment in which Flower asks nobody anything and keeps to its own folder and port."""
    port = str(free_port())
    return {
        **os.environ,
        "PATH": f"{BIN}:{os.environ['PATH']}",
        "FLWR_HOME": str(tmp_path / "flwr"),
        "FLWR_TELEMETRY_ENABLED": "0",
        "FLWR_DISABLE_UPDATE_CHECK": "1",
        "FLWR_DISABLE_RUNTIME_DEPENDENCY_INSTALLATION": "1",
        "RAY_USAGE_STATS_ENABLED": "0",
        "FLWR_LOCAL_SUPERLINK_HTTP_API_PORT": port,
        "FLWR_LOCAL_CONTROL_API_PORT": port,
    }


def connection(environment: dict[str, str], name: str, text: str) -> None:
    home = Path(environment["FLWR_HOME"])
    home.mkdir(parents=True, exist_ok=True)
    (home / "config.toml").write_text(f'[superlink]\ndefault = "{name}"\n\n[superlink.{name}]\n{text}\n')


def without_network() -> list[str]:
    """A prefix that leaves a command loopback alone; nothing where the system does not let us."""
    probe = [*LOOPBACK_ONLY, "true"]
    allowed = shutil.which("unshare") and shutil.which("ip")
    return LOOPBACK_ONLY if allowed and subprocess.run(probe, check=False).returncode == 0 else []


def run(command: list[str], environment: dict[str, str], seconds: float) -> str:
    done = subprocess.run(
        command, env=environment, cwd=environment["FLWR_HOME"], timeout=seconds, check=False,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    return done.stdout


def results(state: Path) -> list[dict]:
    with closing(Store(state / coordinator.STORE)) as store:
        return exact_results(store, coordinator.operator_key(state))


def sent(state: Path, played: dict) -> list[np.ndarray]:
    """What the phones' ledgers say they sent."""
    world, vectors = SharedSettings.load(state), []
    with Phones(world, world.households) as phones:
        for household in world.households:
            with phones.open(household) as device:
                vectors += [
                    integers(entry.vector)
                    for entry in device.ledger()
                    if entry.kind == ledger.CONTRIBUTION and entry.round_id == played["round_id"]
                ]
    return vectors


def require_exact(state: Path, played: dict, devices: int) -> None:
    """Require that the opened sum is that of the ledgers; a long vector's within its stated error.

    A few of the devices are dark (`draw.goes_dark`).
    """
    vectors = sent(state, played)
    assert 0.85 * devices <= len(vectors) == played["final"]
    error = np.abs(opened_sum(played) - np.sum(vectors, axis=0)).max()
    assert error <= 7 * played["error_variance"] ** 0.5


def stop_daemons(environment: dict[str, str]) -> None:
    """End what `flwr run` leaves behind: every process that was started with this FLWR_HOME."""
    mark = f"FLWR_HOME={environment['FLWR_HOME']}".encode()
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if mark in (process / "environ").read_bytes().split(b"\0") and int(process.name) != os.getpid():
                os.kill(int(process.name), signal.SIGKILL)
        except (OSError, ValueError):
            continue


@pytest.mark.parametrize(
    ("changes", "devices", "queries"),
    [("", 24, ["q20", "q1"]), (THREE_STEPS, 60, ["p1-base", "p1-gram", "p1-half-step"])],
    ids=["counts", "learns"],
)
def test_the_simulation_engine_plays_what_is_asked(flower, tmp_path, changes, devices, queries):
    state = tmp_path / "state"
    connection(flower, "local", 'address = ":local:"')
    command = [
        *without_network(), "flwr", "run", str(REPOSITORY), "local", "--stream",
        "--federation-config", "num-supernodes=24 client-resources-num-cpus=1",
        "-c", f'state-dir="{state}"{changes}',
    ]  # fmt: skip
    try:
        said = run(command, flower, 300)
    finally:
        stop_daemons(flower)
    assert [played["query"] for played in results(state)] == queries, said
    for played in results(state):
        require_exact(state, played, devices)


@contextmanager
def process(command: list[str], environment: dict[str, str]) -> Iterator[subprocess.Popen]:
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    ) as running:
        try:
            yield running
        finally:
            os.killpg(running.pid, signal.SIGKILL)


def wait_for(port: int, running: subprocess.Popen) -> None:
    end = time.monotonic() + 60
    while time.monotonic() < end:
        assert running.poll() is None
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    pytest.fail("SuperLink did not listen within a minute")


def test_the_deployment_engine_plays_a_round_with_three_nodes_of_eight_devices(flower, tmp_path):
    state, port = tmp_path / "state", free_port()
    connection(flower, "site", f'address = "127.0.0.1:{port}"\ninsecure = true')
    superlink = ["flower-superlink", "--insecure", "--host", "127.0.0.1", "--port", str(port)]
    try:
        with ExitStack() as stack:
            wait_for(port, stack.enter_context(process(superlink, flower)))
            for shard in range(3):
                home = {**flower, "FLWR_HOME": f"{flower['FLWR_HOME']}/node-{shard}"}
                node = [
                    "flower-supernode", "--insecure", "--superlink", f"127.0.0.1:{port}",
                    "--port", str(free_port()), "--node-config", f"partition-id={shard} num-partitions=3",
                ]  # fmt: skip
                stack.enter_context(process(node, home))
                stack.callback(stop_daemons, home)
            command = ["flwr", "run", str(REPOSITORY), "site", "--stream"]
            changes = f'state-dir="{state}" queries="q1=1.4" least-nodes=3'
            said = run([*command, "-c", changes], flower, 400)
    finally:
        stop_daemons(flower)
    assert len(results(state)) == 1, said
    (played,) = results(state)
    require_exact(state, played, 24)
