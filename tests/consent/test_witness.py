"""A real registry and real witnesses, each a process of its own, on loopback."""

import signal
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from covey_consent.app import create_app
from covey_consent.commands import registry_server
from covey_consent.errors import DamageError
from covey_consent.settings import Settings
from covey_consent.storage.key_file import load_or_create
from covey_consent.witness.witness import verifier_key
from covey_consent.witness.witness_store import WitnessStore
from covey_privacy.checkpoint import Checkpoint, sign_checkpoint
from covey_privacy.errors import ServerError
from covey_privacy.merkle import Tree, leaf_hash
from covey_privacy.note import ED25519, VerifierKey, parse
from covey_privacy.signatures import SigningKey
from covey_privacy.split_view import LogVerdict, check_evidence
from covey_privacy.witness import AddCheckpoint, WitnessPolicy, cosigned_at
from covey_sdk import Device, RegistryClient, Trust
from covey_simulations.scenarios import loopback

COVEY = Path(__file__).parents[2] / "covey.py"
ORIGIN = "covey.test/log"
LOG = SigningKey(b"\1" * 32)
LOG_VKEY = VerifierKey(ORIGIN, ED25519, LOG.public).vkey

KILLED = """
import os, signal
from covey_consent.witness import witness_store
before = witness_store.{name}
def killed(*arguments):
    {act}
    os.kill(os.getpid(), signal.SIGKILL)
witness_store.{name} = killed
import covey
covey.main()
"""
"""A witness that is killed at one moment of its first answer."""

ONCE_WRITTEN = KILLED.format(name="WitnessStore.keep", act="before(*arguments)")
BEFORE_WRITTEN = KILLED.format(name="Path.replace", act="pass")


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return listening.getsockname()[1]


def wait(until, seconds=20.0):
    end = time.monotonic() + seconds
    while not (found := until()):
        assert time.monotonic() < end, "it did not come to pass"
        time.sleep(0.02)
    return found


@contextmanager
def witness(folder, name, vkey, code=None):
    """A witness process; yield its address."""
    port = free_port()
    start = [sys.executable, *(["-c", code] if code else [str(COVEY)])]
    what = ["witness", "serve", "--name", name, "--folder", str(folder), "--log", vkey, "--port", str(port)]
    process = subprocess.Popen([*start, *what], stderr=subprocess.DEVNULL, cwd=COVEY.parent)
    try:
        wait(lambda: process.poll() is None and listens(port))
        yield f"http://127.0.0.1:{port}"
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(20)


def listens(port):
    try:
        return socket.create_connection(("127.0.0.1", port), 0.2).close() is None
    except OSError:
        return False


class Growing:
    """A log of the test's own, and another that its key signs as well."""

    def __init__(self, changed=None):
        self.tree = Tree([leaf_hash(b"fork" if ix == changed else b"%d" % ix) for ix in range(40)])

    def request(self, old, size):
        note = sign_checkpoint(Checkpoint(ORIGIN, size, self.tree.root(size)), LOG)
        return AddCheckpoint(old, self.tree.consistency(old, size) if 0 < old < size else (), note)


def ask(url, request):
    body = request.body if isinstance(request, AddCheckpoint) else request
    return httpx.post(f"{url}/add-checkpoint", content=body)


@pytest.fixture(scope="module")
def one(tmp_path_factory):
    """A witness of the test's log, and its folder."""
    folder = tmp_path_factory.mktemp("witness")
    with witness(folder, "witness.test/1", LOG_VKEY) as url:
        yield url, folder


@pytest.mark.slow
def test_a_registry_gathers_what_two_witnesses_sign_while_a_third_is_silent(tmp_path):
    now = time.time()
    settings = {
        "database_url": f"sqlite:///{tmp_path}/registry.db",
        "key_file": tmp_path / "registry.key",
        "origin": ORIGIN,
        "epoch_seconds": 60,
        "witness_seconds": 2.0,
        "witness_every_seconds": 1.0,
    }
    key = registry_server.verifier_key(Settings(**settings)).vkey
    names = [f"witness.test/{n}" for n in (1, 2, 3)]
    keys = [verifier_key(name, tmp_path / name[-1]) for name in names]
    policy = WitnessPolicy(tuple(keys), least=2, age=600)
    with (
        witness(tmp_path / "1", names[0], key) as first,
        witness(tmp_path / "2", names[1], key) as second,
        socket.create_server(("127.0.0.1", 0)) as silent,
    ):
        third = f"http://127.0.0.1:{silent.getsockname()[1]}"
        asked = [{"vkey": k.vkey, "url": url} for k, url in zip(keys, (first, second, third), strict=True)]
        app = create_app(Settings(**settings, witnesses=asked), clock=lambda: now, durable=False)
        with loopback.serve_in_thread(app, "registry") as url:

            def cosigned():
                note = httpx.get(f"{url}/checkpoint").text
                try:
                    policy.check(note, int(time.time()))
                except ServerError:
                    return None
                return parse(note)

            before = wait(cosigned)
            assert followed(url, Settings(**settings), policy, tmp_path).text == before.text
            start = time.monotonic()
            epoch = int(now // 60)
            httpx.get(f"{url}/v1/issuers/{epoch}/analytics").raise_for_status()
            after = wait(lambda: (note := cosigned()) and note.text != before.text and note)
            assert time.monotonic() - start < settings["witness_seconds"]
            at = cosigned_at(after, keys[0])
            wait(lambda: (note := cosigned()) and note.text == after.text and cosigned_at(note, keys[0]) > at)
            assert cosigned_at(cosigned(), keys[2]) is None


def followed(url, settings, policy, folder):
    """The note that a phone takes which wants it witnessed."""
    trust = Trust(bytes(32), load_or_create(settings.key_file).public, ORIGIN, policy)
    with (
        httpx.Client(base_url=url) as client,
        Device.open(
            folder / "device.db", bytes(32), trust=trust, registry=RegistryClient(client, trust)
        ) as device,
    ):
        device.enrol()
        device.sync()
        return parse(device.log.note)


@pytest.mark.slow
@pytest.mark.parametrize(("code", "kept"), [(ONCE_WRITTEN, True), (BEFORE_WRITTEN, False)])
def test_killed_between_writing_and_answering_it_never_signs_two_forks(tmp_path, code, kept):
    log, fork = Growing(), Growing(changed=0)
    with witness(tmp_path, "witness.test/1", LOG_VKEY, code) as url, pytest.raises(httpx.RemoteProtocolError):
        ask(url, log.request(0, 20))
    with witness(tmp_path, "witness.test/1", LOG_VKEY) as url:
        # Whose head was on disk goes on, whether or not anyone was told; the other's is never signed.
        goes_on, refused = (log, fork) if kept else (fork, log)
        old = 20 if kept else 0
        assert ask(url, goes_on.request(old, 20)).status_code == 200
        for request in (refused.request(0, 20), refused.request(20, 20)):
            again = ask(url, request)
            assert (again.status_code, again.text) == (409, "20\n")
        assert ask(url, refused.request(20, 30)).status_code == 422
        assert ask(url, goes_on.request(20, 30)).status_code == 200


def test_of_two_heads_at_one_time_one_is_cosigned(tmp_path):
    logs = [Growing(changed=ix) for ix in range(16)]
    with witness(tmp_path, "witness.test/1", LOG_VKEY) as url, ThreadPoolExecutor(16) as threads:
        answers = list(threads.map(lambda log: ask(url, log.request(0, 20)).status_code, logs))
    assert sorted(answers) == [200] + [409] * 15


def test_answers_are_those_of_the_specification(one):
    url, folder = one
    log = Growing()
    unknown = AddCheckpoint(0, (), sign_checkpoint(Checkpoint("other.test/log", 1, bytes(32)), LOG))
    unsigned = AddCheckpoint(0, (), sign_checkpoint(Checkpoint(ORIGIN, 1, bytes(32)), SigningKey(b"\2" * 32)))
    assert ask(url, unknown).status_code == 404
    assert ask(url, unsigned).status_code == 403
    assert ask(url, b"old x\n\n").status_code == 400
    assert ask(url, bytes(2**20)).status_code == 413
    first = ask(url, log.request(0, 20))
    key = verifier_key("witness.test/1", folder)
    assert cosigned_at(parse(log.request(0, 20).note + first.text), key) is not None
    assert ask(url, log.request(5, 30)).headers["content-type"].startswith("text/x.tlog.size")
    assert ask(url, AddCheckpoint(20, (bytes(32),), log.request(0, 30).note)).status_code == 422
    assert list(folder.glob("*.fork")) == []


def test_a_log_that_convicts_itself_is_on_file(one):
    url, folder = one
    ask(url, Growing().request(0, 20))
    assert ask(url, Growing(changed=1).request(20, 20)).status_code == 409
    (kept,) = folder.glob("*.fork")
    assert check_evidence(kept.read_bytes(), LOG.public) is LogVerdict.FORKED


def test_a_folder_is_one_process_s(one):
    _, folder = one
    with pytest.raises(DamageError, match="another witness uses"):
        WitnessStore(folder, {})


def test_what_was_kept_under_another_key_or_cut_short_is_found_at_the_start(tmp_path):
    kept = WitnessStore(tmp_path, {ORIGIN: LOG.public})
    kept.keep(ORIGIN, Growing().request(0, 20).note)
    kept.close()
    WitnessStore(tmp_path, {ORIGIN: LOG.public}).close()
    with pytest.raises(DamageError, match="is not a note of"):
        WitnessStore(tmp_path, {ORIGIN: SigningKey(b"\2" * 32).public})
    (path,) = tmp_path.glob("*.note")
    path.write_text(path.read_text()[:-40])
    with pytest.raises(DamageError, match="is not a note of"):
        WitnessStore(tmp_path, {ORIGIN: LOG.public})
