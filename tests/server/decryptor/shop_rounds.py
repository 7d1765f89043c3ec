"""A shop with its registry, log and witness, whose rounds are played through decryptors' servers."""

from __future__ import annotations

import dataclasses
import functools
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import httpx
import numpy as np

from covey_privacy import wire
from covey_privacy.dp import epsilon
from covey_privacy.manifest import Manifest, Windows, sign_manifest
from covey_privacy.note import COSIGNATURE, VerifierKey
from covey_privacy.registry_messages import LEAF_MANIFEST
from covey_privacy.secagg import keys
from covey_privacy.secagg.aggregator import Result
from covey_privacy.secagg.contributor import Accepted, Contributor
from covey_privacy.secagg.messages import CommitteeFile, Logged, Seat
from covey_privacy.secagg.notary import Notary
from covey_privacy.secagg.shape import standing_shape
from covey_privacy.secagg.terms import Kind, RoundTerms
from covey_privacy.signatures import SigningKey, digest_of
from covey_privacy.site_document import Organisation, SiteDocument, sign_site
from covey_privacy.tickets import IssuerKeys
from covey_server import operator_keys
from covey_server.decryptor.messages import CommitteeCheck, SeatRequest
from covey_server.decryptor.state import mark_unused
from covey_simulations.scenarios.in_process_round import (
    EPOCH,
    ORIGIN,
    PURPOSES,
    WITNESS,
    Players,
    Setting,
    WitnessedLog,
)

COVEY = Path(__file__).parents[3] / "covey.py"
VERIFY = functools.lru_cache(2**16)(keys.verify)
SHAPE = standing_shape()
PHONES, LENGTH, LEAST_SET = 12, 64, 12
STANDING = Kind.STANDING
SPARE = SigningKey(b"s" * 32).public
"""Of an organisation that the site pins and no committee seats."""


class Shop:
    """One operator with its registry. `clock` gives POSIX seconds to log and windows."""

    def __init__(self, issuers, keys_: Sequence[bytes], clock: Callable[[], float] = time.time) -> None:
        self.issuers, self.keys, self.clock = issuers, tuple(keys_), clock
        self.operator, self.registry = SigningKey(os.urandom(32)), SigningKey(os.urandom(32))
        self.witness = SigningKey(os.urandom(32))
        self.log = WitnessedLog(self.registry, self.witness)
        self.issuer_keys = IssuerKeys(PURPOSES, EPOCH, (issuers[0].key.key,), (issuers[1].key.key,))
        half = len(self.keys) // 2
        self.site = SiteDocument(
            1, "shop.example", "test", self.registry.public, "https://registry.example", ORIGIN,
            (VerifierKey(WITNESS, COSIGNATURE, self.witness.public).vkey,), 1, 3600, (),
            tuple(
                Organisation(name, some, tuple("https://" + key.hex()[:8] for key in some))
                for name, some in (
                    ("consumers.example", keys_[:half]), ("trustee.example", keys_[half:]),
                    ("spare.example", (SPARE,)),
                )
            ),
        )  # fmt: skip

    def write_site(self, folder: Path, floors: str = f"least_set = {LEAST_SET}\nmost_epsilon = 100") -> Path:
        """Write the files by which a decryptor serves this shop."""
        folder.mkdir(exist_ok=True)
        (folder / "shop.site").write_bytes(sign_site(self.site, self.operator))
        text = f'operator = "{self.operator.public.hex()}"\ndocument = "shop.site"\n[floors]\n{floors}\n'
        (folder / "shop.toml").write_text(text)
        return folder

    def manifest(self, round_id: str = "round-1", terms: dict | None = None, **changes) -> Manifest:
        """Return a manifest whose windows are all open at once, given the decryptors' tolerance."""
        now = int(self.clock())
        stated = {"gamma": 0.05, "honest": 10, "sigma": 4.0, "scale": 64.0, "length": LENGTH, "delta": 1e-6}
        stated |= {name: changes[name] for name in stated if name in changes}
        made = RoundTerms(
            stated["length"], drop=0, steps=stated["sigma"] * stated["scale"], honest=stated["honest"],
            issued=20, gamma=stated["gamma"], lost=0.0,
            most=PHONES, organisations=self.keys, standing=SHAPE, bands=(), nonce_hash=bytes(32),
        )  # fmt: skip
        fields = {
            "round_id": round_id, "query": "q1", "purpose": "analytics", "purposes": PURPOSES, "epoch": EPOCH,
            "profile": "test", "issuer": self.issuer_keys.digest, "model": bytes(32), "norm": 1.0,
            "epsilon": 0.0, "bits": 20,
            "least_issued": 0, "least_cell": 50, "terms": dataclasses.replace(made, **terms or {}),
            "windows": Windows(now, now + 1, now + 600, now + 1200), **stated, **changes,
        }  # fmt: skip
        manifest = Manifest(**fields)
        if "epsilon" in changes:
            return manifest
        costs = epsilon([manifest.as_step.mechanism], manifest.delta)
        return dataclasses.replace(manifest, epsilon=costs)

    def round(self, manifest: Manifest | None = None, logged: Logged | None = None) -> ShopRound:
        """Return a round, its manifest logged."""
        return ShopRound(self, manifest or self.manifest(), logged)


class ShopRound:
    """One round. `ask(number, path, body)` reaches the decryptor with that number."""

    def __init__(self, shop: Shop, manifest: Manifest, logged: Logged | None = None) -> None:
        self.shop, self.manifest = shop, manifest
        self.signed = sign_manifest(manifest, shop.operator)
        self.digest = digest_of(self.signed)
        self.logged = logged or shop.log.append_logged(LEAF_MANIFEST + self.signed, int(shop.clock()))
        self.seat_request = wire.encode(SeatRequest(self.signed, shop.issuer_keys, self.logged))
        self.vectors = np.random.default_rng(1).integers(-1000, 1001, (PHONES, LENGTH))

    def seated(self, seats: Sequence[bytes]) -> None:
        """Publish the committee file of the decryptors' answers, and let every phone contribute."""
        shop = self.shop
        info = self.manifest.info(self.digest, shop.registry.public, shop.issuer_keys)
        players = Players(Setting(PHONES, LENGTH, SHAPE), shop.issuers, verify=VERIFY)
        players.registry, players.log, players.info = shop.registry, shop.log, info
        players.notary = Notary(info, shop.registry, players.records, verify=VERIFY)
        players.file = wire.encode(CommitteeFile(tuple(wire.decode(Seat, seat) for seat in seats), None))
        accepted = Accepted(frozenset(shop.keys), frozenset({(STANDING,)}), 0)
        self.players = players
        for key, vector in zip(players.round_keys, self.vectors, strict=True):
            contributor = Contributor(info, accepted, key, verify=VERIFY)
            players.collector.add(contributor.contribute(players.file, vector))

    def include(self) -> None:
        """Close the collection, and have the included set signed and logged."""
        signed = self.players.notary.include(self.players.file, self.players.close())
        self.players.aggregator.included(signed, self.shop.log.append(signed, int(self.shop.clock())))

    def check_request(self, number: int) -> bytes:
        """Return the body of the request to check."""
        return wire.encode(
            CommitteeCheck.signed(
                self.players.info.digest,
                self.players.file,
                self.players.aggregator.check_request(STANDING, number),
                self.shop.operator,
            )
        )

    def check_of(self, message: CommitteeCheck, **changes) -> bytes:
        """Return a check with some fields changed, signed by the operator again."""
        changed = dataclasses.replace(message, **changes)
        signed = CommitteeCheck.signed(
            self.players.info.digest, changed.committees, changed.request, self.shop.operator
        )
        return wire.encode(signed)

    def finalize(self) -> bytes:
        """Have the final set signed and logged; return the body of the request to open."""
        signed = self.players.notary.final(self.players.aggregator.exclude())
        self.players.aggregator.final(signed, self.shop.log.append(signed, int(self.shop.clock())))
        return self.players.open_request()

    def conclude(self, openings: Sequence[bytes]) -> Result:
        """Return the sum that the openings give."""
        for opening in openings:
            self.players.aggregator.opened(opening)
        return self.players.aggregator.conclude()

    def require_sum(self, openings: Sequence[bytes]) -> None:
        """Require that the openings give the sum of all vectors."""
        assert (self.conclude(openings).vector == self.vectors.sum(axis=0)).all()


def make_key(folder: Path, number: int = 0) -> tuple[Path, SigningKey]:
    """Make a key as `covey decryptor keygen` does."""
    path = folder / f"decryptor-{number}.key"
    key = operator_keys.make(path)
    mark_unused(path)
    return path, key


def wait(until: Callable[[], object], seconds: float = 20.0) -> object:
    """Return what `until` gives once it is true."""
    end = time.monotonic() + seconds
    while not (found := until()):
        assert time.monotonic() < end, "it did not come to pass"
        time.sleep(0.02)
    return found


class Server:
    """A decryptor's process."""

    def __init__(self, process: subprocess.Popen[str], url: str) -> None:
        self.process, self.url = process, url
        self.client = httpx.Client(base_url=url, timeout=30, trust_env=False)

    def post(self, path: str, body: bytes) -> httpx.Response:
        return self.client.post(path, content=body)

    def seat(self, asked: ShopRound) -> httpx.Response:
        return self.post("/v1/seats", asked.seat_request)

    def check(self, asked: ShopRound, number: int) -> httpx.Response:
        return self.post(f"/v1/rounds/{asked.digest.hex()}/check", asked.check_request(number))

    def open(self, asked: ShopRound, request: bytes) -> httpx.Response:
        return self.post(f"/v1/rounds/{asked.digest.hex()}/open", request)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(20)


def command(key: Path, sites: Path, state: Path, *more: str, code: str | None = None) -> list[str]:
    """Return the command that serves a decryptor at any free port."""
    start = [sys.executable, *(["-c", code] if code else [str(COVEY)])]
    files = ["--key", str(key), "--sites", str(sites), "--state", str(state)]
    return [*start, "decryptor", "serve", *files, "--port", "0", *more]


@contextmanager
def serving(key: Path, sites: Path, state: Path, *more: str, code: str | None = None) -> Iterator[Server]:
    """Run a decryptor's process until the block ends."""
    process = subprocess.Popen(
        command(key, sites, state, *more, code=code), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True, cwd=COVEY.parent,
    )  # fmt: skip
    server = None
    try:
        line = process.stdout.readline()
        assert "answers at " in line, process.stderr.read()
        server = Server(process, line.split()[-1])
        yield server
    finally:
        if server:
            server.client.close()
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=30)


def problem(answer: httpx.Response) -> dict:
    """Return an answer's problem: one clear line, as application/problem+json."""
    assert answer.headers["content-type"] == "application/problem+json"
    said = json.loads(answer.text)
    assert said["status"] == answer.status_code
    assert said["detail"]
    assert "\n" not in said["detail"]
    return said
