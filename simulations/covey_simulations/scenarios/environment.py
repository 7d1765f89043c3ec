"""The stage of a simulation: its registry, witness and organisations on loopback, and the world's files."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
from flwr.app import Context

from covey_consent.app import create_app
from covey_consent.settings import Settings, WitnessAt
from covey_consent.storage.key_file import load_or_create
from covey_consent.witness import witness as witness_app
from covey_privacy.dp.odometer import Caps
from covey_privacy.floors import profile
from covey_privacy.signatures import SigningKey
from covey_privacy.site_document import SiteDocument, sign_site
from covey_privacy.witness import Witness
from covey_server.config import read_config
from covey_simulations.data import orders, shop_rules
from covey_simulations.devices import household
from covey_simulations.devices.phone import Phones
from covey_simulations.errors import SetupError
from covey_simulations.scenarios import loopback, organisation
from covey_simulations.scenarios.clock import DAY, Clock
from covey_simulations.scenarios.shared_settings import ORIGIN, SITE, SharedSettings

WITNESS = "witness.example/w1"
DEADLINE_SECONDS = 30
WITNESS_DAYS = 2
"""How old a cosignature may be: the simulation's days pass in a moment."""


@contextmanager
def set_up_environment(
    folder: Path,
    operator: SigningKey,
    clock: Clock,
    *,
    households: tuple[int, ...],
    seed: int,
    profile: str,
    caps: Caps,
    slots: int,
    epoch_days: int = 1,
) -> Iterator[SharedSettings]:
    """Yield a world whose registry, witness and organisations run until the block ends.

    The notices promise `caps`; `slots` is in how many rounds of a set a phone can take part in an epoch.
    """
    epoch_seconds = epoch_days * DAY
    key = load_or_create(folder / "registry.key")
    decryptors = organisation.create_decryptors(folder)
    listener = loopback.listening()
    with ExitStack() as stack:
        witness = stack.enter_context(_witness(folder, key.public, clock))
        document = SiteDocument(
            version=1,
            name="shop.example",
            profile=profile,
            registry=key.public,
            registry_url=loopback.url_of(listener),
            origin=ORIGIN,
            witnesses=(witness.vkey,),
            least_witnesses=1,
            witness_seconds=WITNESS_DAYS * DAY,
            gateways=(),
            organisations=decryptors.organisations,
        )
        signed = sign_site(document, operator)
        (folder / SITE).write_bytes(signed)
        settings = Settings(
            database_url=f"sqlite:///{folder / 'registry.db'}",
            key_file=folder / "registry.key",
            origin=ORIGIN,
            operator=operator.public.hex(),
            witnesses=(witness,),
            witness_seconds=DEADLINE_SECONDS,
            slots=slots,
            epoch_seconds=epoch_seconds,
            epsilon=dict(caps.per_purpose),
            epsilon_total=caps.total,
            delta=caps.delta,
            rate_caller=None,
            rate_address=None,
            rate_enrolments=None,
        )
        app = create_app(settings, clock=clock.seconds, durable=False)
        stack.enter_context(loopback.serve_in_thread(app, "registry", listener))
        _wait_for_cosignature(document.registry_url)
        most = max(caps.per_purpose.values())
        stack.enter_context(
            organisation.start_organisations(folder, decryptors, operator.public, signed, most)
        )
        world = SharedSettings(folder, operator.public.hex(), profile, seed, households, epoch_seconds)
        world.save()
        world.public.mkdir(exist_ok=True)
        (world.public / shop_rules.NAME).write_bytes(shop_rules.signed(operator))
        yield world


def _wait_for_cosignature(registry: str) -> None:
    """Wait for the witness's first cosignature: from then on the registry waits for it with every head."""
    end = time.monotonic() + DEADLINE_SECONDS
    while WITNESS not in httpx.get(f"{registry}/v1/log/checkpoint").raise_for_status().text:
        if time.monotonic() > end:
            raise SetupError("the simulation's witness did not cosign the registry's log")
        time.sleep(0.02)


@contextmanager
def _witness(folder: Path, registry: bytes, clock: Clock) -> Iterator[WitnessAt]:
    """Yield a witness of the registry's log that answers until the block ends."""
    kept = folder / "witness"
    vkey = witness_app.verifier_key(WITNESS, kept).vkey
    witness = Witness(WITNESS, load_or_create(kept / "witness.key"), {ORIGIN: registry})
    with loopback.serve_in_thread(witness_app.create_app(witness, kept, clock.seconds), "witness") as url:
        yield WitnessAt(vkey=vkey, url=url)


def shipped_caps(asked: Mapping[str, float]) -> Caps:
    """Return the caps of the notices as the registry ships them, raised only where more is asked for."""
    defaults = {name: field.get_default() for name, field in Settings.model_fields.items()}
    caps = {name: max(cap, asked.get(name, 0.0)) for name, cap in defaults["epsilon"].items()}
    return Caps(caps, max(defaults["epsilon_total"], sum(caps.values())), defaults["delta"])


def require_cohort(households: tuple[int, ...], staying: Collection[int], purpose: str, name: str) -> None:
    """Raise SetupError when too few of the households allow a purpose to the end for the profile's floor."""
    floor = profile(name).least_cohort(purpose)
    if len(staying) < floor:
        raise SetupError(
            f"{len(staying)} of {len(households)} households allow {purpose} to the end; "
            f"a round needs at least {floor}: simulate more of them"
        )


@contextmanager
def open_for_run(context: Context, operator: SigningKey) -> Iterator[bytes]:
    """Yield the signed document of a site for a Flower run that was given none.

    Its world is made of households that allow all that the run asks, as many as its `households`; they enrol
    and take their orders up before the first round, and get a ticket for each round.
    """
    run, config = read_config(context.run_config, context.run_id), context.run_config
    purposes, seed = {asked.purpose for asked in run.questions}, int(config["seed"])
    willing = orders.prepare_orders(run.state / "orders", seed, int(config["households"]), purposes)
    for purpose in sorted(purposes):
        require_cohort(willing, willing, purpose, run.profile.name)
    with set_up_environment(
        run.state,
        operator,
        Clock.starting(run.state, orders.CUT),
        households=willing,
        seed=seed,
        profile=run.profile.name,
        caps=Caps(run.caps, sum(run.caps.values()), run.delta),
        slots=len(run.questions),
    ) as world:
        with Phones(world, willing) as phones:
            household.enrol(phones, list(willing))
            household.record(phones, list(willing))
            household.fetch(phones, list(willing))
        yield world.signed_site
