"""The demo runs under the notices that `covey registry serve` ships, so that what it shows can be had."""

from pathlib import Path

import httpx
from covey import _parser

from covey_consent.app import create_app
from covey_consent.settings import Settings
from covey_privacy.signatures import SigningKey
from covey_sdk import RegistryClient
from covey_simulations.data import orders
from covey_simulations.scenarios import demo, environment, loopback
from covey_simulations.scenarios.clock import Clock
from covey_simulations.scenarios.shared_settings import ORIGIN, Trust


def notices(url: str, key: bytes) -> dict:
    with httpx.Client(base_url=url) as client:
        return dict(RegistryClient(client, Trust(bytes(32), key, ORIGIN)).notices())


def test_the_demo_spends_what_shipped_notices_allow(tmp_path):
    asked, options = _parser().parse_args(["demo", "--out", "x"]), demo.Options(Path("x"))
    assert (asked.epsilon, asked.train_epsilon) == (options.epsilon, options.train_epsilon)
    shipped = Settings(database_url=f"sqlite:///{tmp_path}/shipped.db", key_file=tmp_path / "shipped.key")
    assert options.epsilon == shipped.epsilon["analytics"]
    assert options.train_epsilon == shipped.epsilon["train"]
    caps = environment.shipped_caps({"analytics": options.epsilon, "train": options.train_epsilon})
    assert caps == shipped.caps
    folder = tmp_path / "demo"
    clock = Clock.starting(folder, orders.CUT)
    with loopback.serve_in_thread(create_app(shipped, clock=clock.seconds, durable=False), "registry") as url:
        expected = notices(url, bytes.fromhex(_public(shipped)))
    with environment.set_up_environment(
        folder, SigningKey(b"\1" * 32), clock, households=(1,), seed=1, profile="production",
        caps=caps, slots=2, epoch_days=7,
    ) as world:  # fmt: skip
        assert notices(world.registry_url, world.trust.registry) == expected


def _public(settings: Settings) -> str:
    from covey_consent.storage.key_file import load_or_create

    return load_or_create(settings.key_file).public.hex()


def test_more_is_allowed_where_more_is_asked_for():
    caps = environment.shipped_caps({"analytics": 1.0, "train": 4.0})
    assert (dict(caps.per_purpose), caps.total) == ({"analytics": 2.0, "train": 4.0}, 6.0)
