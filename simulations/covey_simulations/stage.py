"""The stage of a simulation: its folder, its registry on loopback, and the world file that others read."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from flwr.app import Context

from covey_consent.keys import load_or_create
from covey_consent.settings import Settings
from covey_privacy.dp.odometer import Caps
from covey_privacy.profile import profile
from covey_server import config as configuration
from covey_server import coordinator
from covey_simulations import household, orders, registry, shop_rules
from covey_simulations.clock import DAY, Clock
from covey_simulations.errors import SetupError
from covey_simulations.phone import Phones
from covey_simulations.world import ORIGIN, World


@contextmanager
def set_up(
    folder: Path,
    operator: bytes,
    clock: Clock,
    *,
    households: tuple[int, ...],
    seed: int,
    profile: str,
    caps: Caps,
    slots: int,
    epoch_days: int = 1,
) -> Iterator[World]:
    """Yield a world whose registry runs until the block ends.

    The shop signs its rule bundle with the coordinator's key in `folder`, whose public half `operator` is.
    The notices promise `caps`; `slots` is in how many rounds of a set a phone
    can take part in an epoch.
    """
    epoch_seconds = epoch_days * DAY
    settings = Settings(
        database_url=f"sqlite:///{folder / 'registry.db'}",
        key_file=folder / "registry.key",
        origin=ORIGIN,
        operator=operator.hex(),
        slots=slots,
        epoch_seconds=epoch_seconds,
        epsilon=dict(caps.per_purpose),
        epsilon_total=caps.total,
        delta=caps.delta,
        rate_caller=None,
        rate_address=None,
        rate_enrolments=None,
    )
    key = load_or_create(settings.key_file)
    with registry.serve(settings, clock.seconds) as url:
        world = World(
            folder,
            url,
            key.public.hex(),
            operator.hex(),
            profile,
            clock.shift,
            seed,
            households,
            epoch_seconds,
        )
        world.save()
        world.public.mkdir(exist_ok=True)
        (world.public / shop_rules.NAME).write_bytes(shop_rules.signed(coordinator.operator_key(folder)))
        yield world


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
def open_for_run(context: Context, operator: bytes) -> Iterator[tuple[str, bytes]]:
    """Yield the address and key of a registry for a Flower run that was given none.

    Its world is made of households that allow all that the run asks, as many as its `households`; they enrol
    and take their orders up before the first round, and get a ticket for each round.
    """
    run, config = configuration.read(context.run_config, context.run_id), context.run_config
    purposes, seed = {asked.purpose for asked in run.questions}, int(config["seed"])
    willing = orders.prepare(run.state / "orders", seed, int(config["households"]), purposes)
    for purpose in sorted(purposes):
        require_cohort(willing, willing, purpose, run.policy.profile.name)
    with set_up(
        run.state,
        operator,
        Clock.starting(orders.CUT),
        households=willing,
        seed=seed,
        profile=run.policy.profile.name,
        caps=Caps(run.caps, sum(run.caps.values()), run.policy.delta),
        slots=len(run.questions),
    ) as world:
        with Phones(world, willing) as phones:
            household.enrol(phones, list(willing))
            household.record(phones, list(willing))
            household.fetch(phones, list(willing))
        yield world.registry_url, bytes.fromhex(world.registry_key)
