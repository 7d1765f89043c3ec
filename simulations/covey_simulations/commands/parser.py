"""The options and help of `covey demo`, `bench`, `audit` and `registry drill`."""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import get_type_hints

from covey_privacy.command_line import (
    JSON,
    CommandGroup,
    choice,
    exclusive,
    exit_statuses,
    flag,
    load,
    number,
    option,
    path,
    text,
    whole,
)
from covey_simulations.errors import SetupError, SimulationError

_errors = partial(exit_statuses, {SetupError: 2, SimulationError: 1})


def _measure(module: str, *, one_core: bool = False) -> Callable[[argparse.Namespace], int]:
    """Return what measures what a module measures, and fails where the figures are not as expected.

    Args:
        module: has `measure`, whose parameter is a data class of the options, and `show`, which prints the
            figures.
        one_core: keep linear algebra from starting threads: they spin while they wait, and the measured
            process pays for it. It is read when numpy is first imported.
    """

    def run(chosen: argparse.Namespace) -> int:
        if one_core:
            os.environ["OPENBLAS_NUM_THREADS"] = "1"
        subject = load(module, "demo")
        options = {name: value for name, value in vars(chosen).items() if name not in ("run", "as_json")}
        options_class, *_ = get_type_hints(subject.measure).values()
        with _errors():
            found = subject.measure(options_class(**options))
        if chosen.as_json:
            print(json.dumps(found, indent=2))
        else:
            subject.show(found)
        return 0 if found.get("as_expected", True) else 1

    return run


def add_demo(covey: CommandGroup) -> None:
    """Add `covey demo`."""
    every = option("--all", "all 2,469 households", action="store_const", const=None, dest="households")
    replace(covey, extra="demo", errors=_errors).command(
        "demo",
        "play a shop's year on simulated phones, count and learn privately, write a report",
        "covey demo --out report --households 1000 --epsilon 2 --seed 1",
        path("--out", "DIR", "where the report is to go", required=True),
        exclusive(number("--households", "N", 1000, "phones, 850 to 2469"), every),
        number("--epsilon", "E", 2.0, "what counting may cost a person"),
        number("--train-epsilon", "E", 2.0, "what training may cost one"),
        text("--seed", "S", "draws households and their choices", type=int, default=1),
        flag("--json", "print report.json as well, for a program to read", dest="as_json"),
        run="covey_simulations.commands.demo:play",
    )


def add_bench(covey: CommandGroup) -> CommandGroup:
    """Add `covey bench`."""
    what, example = "measure Covey beside what it is held against", "covey bench secagg --json"
    bench = covey.group("bench", what, example, metavar="SUBJECT")
    bench.command(
        "secagg",
        "the round in one message: seconds of phone, coordinator, registry and decryptor, and bytes",
        "covey bench secagg --clients 1000 --length 1024 --committee standing --against flower --json",
        number("--clients", "N", 1000, "phones"),
        number("--length", "L", 1024, "entries"),
        choice(
            "--committee",
            ["standing", "drawn", "both"],
            "4 organisations, phones drawn from nine tenths, or one of each; default drawn",
            default="drawn",
        ),
        number("--lost", "L", 0.3, "share of the drawn decryptors that may not answer"),
        text(
            "--members",
            "M",
            "size of the drawn committee, default the least that is safe; "
            "where it bears fewer losses than --lost, that is said",
            type=int,
        ),
        choice("--against", ["flower"], "measure Flower's functions as well", action="append", default=[]),
        flag("--full", "in Flower's graph every device is every other's neighbour"),
        number("--measured", "M", 20, "phones that check every ticket themselves and are timed"),
        flag("--profile", "show each party's hot spots instead of seconds and bytes"),
        flag("--whole", "play a whole round instead, all checks made, devices in two processes, and time it"),
        JSON,
        run=_measure("covey_simulations.benchmarks.secagg", one_core=True),
    )
    bench.command(
        "dp",
        "a device's noise and whole contribution, beside numpy's noise, which protects nobody",
        "covey bench dp --length 1000000 --json",
        number("--length", "L", 1_000_000, "entries"),
        number("--repeats", "R", 15, "how often each call is timed"),
        JSON,
        run=_measure("covey_simulations.benchmarks.dp", one_core=True),
    )
    bench.command(
        "registry",
        "the consent registry under load by wrk, beside an empty route and one commit each",
        "covey bench registry --rows 1000000 --db postgresql://localhost/bench --json",
        number("--rows", "N", 1_000_000, "people"),
        text("--db", "URL", "an empty database, default a fresh SQLite", default=""),
        number("--seconds", "S", 10, "how long each load lasts"),
        JSON,
        run=_measure("covey_simulations.benchmarks.registry"),
    )
    bench.command(
        "tickets",
        "blind signatures on one core, beside OpenSSL's own",
        "covey bench tickets --json",
        number("--tickets", "N", 2000, "tickets"),
        JSON,
        run=_measure("covey_simulations.benchmarks.tickets"),
    )
    bench.command(
        "device",
        "the phone: import, recording, tags from scratch, after one more event and unchanged, storage",
        "covey bench device --events 10000 --json",
        number("--events", "N", 10_000, "events"),
        JSON,
        run=_measure("covey_simulations.benchmarks.device", one_core=True),
    )
    return bench


def add_audit(covey: CommandGroup) -> None:
    """Add `covey audit`."""
    covey.command(
        "audit",
        "play counts and trainings with canaries, as shipped and broken on purpose, "
        "and bound from below what each gives away",
        "covey audit --runs 20 --of p1 --json",
        number("--runs", "N", 20, "runs of each build"),
        choice("--of", ["q1", "q20", "p1"], "audit this alone; may be repeated", action="append", default=[]),
        JSON,
        run=_measure("covey_simulations.audit.command"),
    )


def add_drills(registry: CommandGroup) -> CommandGroup:
    """Add `covey registry drill`."""
    what, example = "play what must hold, on a registry of its own", "covey registry drill withdraw"
    drill = registry.group("drill", what, example, metavar="DRILL")
    drill.command(
        "crash",
        "kill the registry while phones decide, start it again, and look for what was acknowledged",
        "covey registry drill crash --rounds 5 --db postgresql://host/empty --json",
        text("--db", "URL", "an empty database, emptied in the end; default a file that goes", dest="url"),
        number("--rounds", "N", 5, "crashes"),
        JSON,
        run="covey_simulations.commands.crash:crash",
    )
    drill.command(
        "tamper",
        "change a log behind everyone's back and show who finds out; 0 when all did who should",
        "covey registry drill tamper --json",
        JSON,
        run="covey_simulations.commands.tamper:tamper",
    )
    drill.command(
        "withdraw",
        "how long a withdrawal takes to have effect; exits with 1 where anything still got through",
        "covey registry drill withdraw --subjects 200 --json",
        number("--subjects", "N", 200, "people who withdraw"),
        JSON,
        run=_measure("covey_simulations.drills.withdraw"),
    )
    drill.command(
        "erase",
        "erase a person, then look for them in every byte of the database; exits with 1 where one is left",
        "covey registry drill erase --db postgresql://host/empty --json",
        text("--people", "N", "people, default 20", type=whole(1), default=20),
        text("--db", "URL", "an empty database; default a file that goes", dest="database_url"),
        JSON,
        run="covey_simulations.commands.erase:erase",
    )
    return drill
