"""The tamper drill: an operator changes the log behind its back, and it shows who finds out, and by what.

Each play works on a copy of one registry that phones, a witness and an auditor have seen. The registry finds
what no longer fits its own signed checkpoints; only who remembers an earlier one finds a log that was cut or
told in two versions.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from covey_consent.commands.pack import make
from covey_consent.errors import DamageError
from covey_consent.pack import verify
from covey_consent.registry import Registry
from covey_consent.settings import Settings, WitnessAt
from covey_consent.storage import key_file
from covey_consent.transparency.cosigners import Cosigner
from covey_consent.transparency.promises import LEAST, promise_all
from covey_consent.witness import witness
from covey_privacy import checkpoint
from covey_privacy.errors import ServerError
from covey_privacy.note import COSIGNATURE, ED25519, VerifierKey
from covey_privacy.signatures import SigningKey
from covey_privacy.split_view import check_evidence, follow
from covey_privacy.witness import Witness

REGISTRY, PHONE, WITNESS, AUDITOR = "registry at its start", "phone", "witness", "auditor with verify.py"

_ORIGIN = "drill.example/log"
_AT = WitnessAt(
    vkey=VerifierKey("drill.example/w1", COSIGNATURE, SigningKey(b"\1" * 32).public).vkey,
    url="http://witness.invalid",
)

Clock = Callable[[], float]


@dataclass(frozen=True, slots=True)
class TamperCase:
    """One change: who has to find it, and who did, each with the line that they print."""

    change: str
    finders: frozenset[str]
    found: dict[str, str] = field(default_factory=dict)

    @property
    def as_expected(self) -> bool:
        """Whether it was found by just those who should."""
        return self.found.keys() == self.finders


def run_tamper_drill(folder: Path, clock: Clock) -> list[TamperCase]:
    """Play every change below the empty `folder` and return what was found."""
    return asyncio.run(_drill(Scene(folder / "as-it-was", clock), folder))


async def _drill(scene: Scene, folder: Path) -> list[TamperCase]:
    await scene.prepare()
    changes: list[tuple[str, tuple[str, ...], Callable[[Scene], None]]] = [
        ("nothing", (), lambda _: None),
        ("one row of the log is edited", (REGISTRY, AUDITOR), _edit_row),
        ("the newest checkpoint is edited", (REGISTRY, AUDITOR), _edit_checkpoint),
        ("the newest rows and checkpoints are dropped", (PHONE, WITNESS, AUDITOR), _truncate),
        ("the log is forked: other entries under the same key", (PHONE, WITNESS, AUDITOR), _fork),
    ]
    plays = []
    for number, (change, finders, act) in enumerate(changes):
        copy = scene.copy(folder / f"changed-{number}")
        act(copy)
        if act is _fork:
            await copy.log_events(b"another story", LEAST)
        plays.append(TamperCase(change, frozenset(finders), await copy.look()))
    return plays


class Scene:
    """A registry's files and the witness's, with the checkpoint that phone and auditor remember."""

    def __init__(self, folder: Path, clock: Clock, seen: str = "") -> None:
        self.folder, self.seen = folder, seen
        self._clock = clock
        self.settings = Settings(
            database_url=f"sqlite:///{folder}/registry.db", key_file=folder / "registry.key", origin=_ORIGIN
        )

    def copy(self, folder: Path) -> Scene:
        """Return a copy of everything, in a folder that is made."""
        shutil.copytree(self.folder, folder)
        return Scene(folder, self._clock, self.seen)

    async def prepare(self) -> None:
        """Log some events, keep a copy of the database, log more, and show the newest head to everyone."""
        self.folder.mkdir()
        await self.log_events(b"first", LEAST)
        shutil.copy(self.folder / "registry.db", self.folder / "earlier.db")
        await self.log_events(b"second", LEAST)
        async with self._registry() as registry:
            self.seen = registry.log.head.note
            await self._cosign(registry)

    async def log_events(self, name: bytes, count: int) -> None:
        """Have the registry promise and publish the events of so many people."""
        commitments = [hashlib.sha256(b"%s %d" % (name, number)).digest() for number in range(count)]
        async with self._registry() as registry:
            await registry.store.write(promise_all, commitments, registry.calendar)
            await registry.promises.publish()

    async def look(self) -> dict[str, str]:
        """Return who finds something wrong, and the line that they print."""
        found = {AUDITOR: await asyncio.to_thread(self._audit)}
        try:
            async with self._registry() as registry:
                found[PHONE] = self._follow(registry)
                found[WITNESS] = await self._refusal(registry)
        except DamageError as error:
            found[REGISTRY] = str(error)
        return {who: line for who, line in found.items() if line}

    @contextlib.asynccontextmanager
    async def _registry(self) -> AsyncIterator[Registry]:
        registry = await Registry.open(self.settings, self._clock, durable=False)
        try:
            yield registry
        finally:
            await registry.close()

    def _follow(self, registry: Registry) -> str:
        """Do as a phone that syncs: take no head that does not continue the one it saw."""
        key = registry.key.public
        note, proof = registry.log.since(checkpoint.open_note(self.seen, key).size)
        try:
            follow(self.seen, note, proof, key)
        except ServerError as error:
            return str(error)
        return ""

    async def _refusal(self, registry: Registry) -> str:
        try:
            await self._cosign(registry)
        except ServerError as error:
            kept = (self.folder / "witness").glob("*.fork")
            verdicts = [check_evidence(path.read_bytes(), registry.key.public).value for path in kept]
            return "; it keeps evidence: ".join([" ".join(str(error).split()), *verdicts])
        return ""

    async def _cosign(self, registry: Registry) -> None:
        """Ask the witness to cosign the newest head. Raises ServerError where it does not."""
        folder = self.folder / "witness"
        folder.mkdir(exist_ok=True)
        known = {_ORIGIN: registry.key.public}
        app = witness.create_app(Witness(_AT.key.name, SigningKey(b"\1" * 32), known), folder, self._clock)
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app)) as client:
            await Cosigner(_AT, registry.log, client).cosign()

    def _audit(self) -> str:
        """Do as an auditor who kept a checkpoint: check a fresh pack with the verifier alone."""
        (self.folder / "pack.zip").write_bytes(make(self.settings, 0, None))
        (self.folder / "kept").write_text(self.seen, "utf-8")
        key = VerifierKey(_ORIGIN, ED25519, key_file.load_or_create(self.settings.key_file).public).vkey
        command = [sys.executable, "-I", verify.__file__, "pack.zip", "--key", key, "--seen", "kept"]
        done = subprocess.run(  # noqa: S603  the verifier, as an auditor runs it
            command, cwd=self.folder, capture_output=True, text=True, check=False
        )
        return "" if done.returncode == 0 else (done.stdout or done.stderr).strip()


def _edit_row(scene: Scene) -> None:
    _change(scene, 'update log set entry = cast("C" || zeroblob(32) as blob) where "index" = 20')


def _edit_checkpoint(scene: Scene) -> None:
    newest = "size = (select max(size) from checkpoints)"
    _change(scene, f"update checkpoints set note = replace(note, '106', '105') where {newest}")  # noqa: S608


def _truncate(scene: Scene) -> None:
    _change(scene, "delete from checkpoints where size = (select max(size) from checkpoints)")
    _change(scene, 'delete from log where "index" >= (select max(size) from checkpoints)')


def _fork(scene: Scene) -> None:
    (scene.folder / "earlier.db").replace(scene.folder / "registry.db")


def _change(scene: Scene, statement: str) -> None:
    with contextlib.closing(sqlite3.connect(scene.folder / "registry.db")) as database, database:
        if not database.execute(statement).rowcount:
            raise DamageError(f"the drill changed nothing: {statement}")
