"""Covey on the command line: reads the arguments and hands over to the packages.

Only the standard library is imported until a command needs more; a command whose extra is not installed says
so in one line.
"""

from __future__ import annotations

import argparse
import dataclasses
import importlib
import json
import os
import re
import sys
from collections.abc import Callable, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import ModuleType
from typing import Any, TypeAlias

Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"
"""Where commands are added."""

TRACEBACK = "COVEY_TRACEBACK"
"""The variable that shows where an error is from."""

_CLASS = re.compile(r"<class '[^']*'>|\(?\b[a-z_]\w*(\.\w+)*\.[A-Z]\w+\)?:?")
"""A class by its path, as Python and its libraries write it into errors."""

KEY = "the registry's public key, as `covey registry key` prints it, or its 64 hex digits"
"""What a command says of the key that it asks for; `covey_privacy.note.public_key` reads it."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status: 0 done, 1 failed, 2 asked for something that cannot be.

    `covey log judge` also says what it found: 0 consistent, 3 forked, 4 open.
    """
    chosen = _parser().parse_args(arguments)
    try:
        return int(chosen.run(chosen))
    except KeyboardInterrupt:
        return fail("interrupted; nothing half-written is left", 130)
    except OSError as error:
        if os.environ.get(TRACEBACK):
            raise
        return fail(error, 1)
    except Exception as error:  # what no command foresaw: a user gets a line, a developer a traceback
        if os.environ.get(TRACEBACK):
            raise
        said = _CLASS.sub("", str(error)) or "it says no more"
        return fail(f"this is a fault of Covey's own: {said}; {TRACEBACK}=1 shows where it is", 1)


def _parser() -> argparse.ArgumentParser:
    import covey_catalogue
    import covey_certificate
    import covey_decryptor
    import covey_registry
    import covey_site

    parser = argparse.ArgumentParser(prog="covey", description="Privacy-preserving personalization.")
    parser.add_argument("--version", action=_ShowVersion, nargs=0, help="say which Covey this is")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_demo(commands)
    covey_registry.add(commands)
    _add_operator(commands)
    covey_catalogue.add(commands)
    covey_certificate.add(commands)
    covey_decryptor.add(commands)
    covey_site.add(commands)
    _add_log(commands)
    _add_protocol(commands)
    _add_bench(commands)
    _add_audit(commands)
    show = command(commands, "version", "say which Covey this is", "covey version --json")
    show.add_argument("--json", action="store_true", help="for a program to read")
    show.set_defaults(run=_version)
    return parser


def _add_demo(commands: Commands) -> None:
    demo = command(
        commands,
        "demo",
        "play a shop's year on simulated phones, count and learn privately, write a report",
        "covey demo --out report --households 1000 --epsilon 2 --seed 1",
    )
    demo.add_argument("--out", type=Path, required=True, metavar="DIR", help="where the report is to go")
    how_many = demo.add_mutually_exclusive_group()
    how_many.add_argument(
        "--households", type=int, default=1000, metavar="N", help="phones, 850 to 2469, default 1000"
    )
    how_many.add_argument("--all", action="store_true", help="all 2,469 households")
    demo.add_argument(
        "--epsilon", type=float, default=2.0, metavar="E", help="what counting may cost a person, default 2"
    )
    demo.add_argument(
        "--train-epsilon", type=float, default=2.0, metavar="E", help="what training may cost one, default 2"
    )
    demo.add_argument("--seed", type=int, default=1, metavar="S", help="draws households and their choices")
    demo.add_argument("--json", action="store_true", help="print report.json as well, for a program to read")
    demo.set_defaults(run=_demo)


def _add_operator(commands: Commands) -> None:
    operator = command(
        commands, "operator", "the key of who operates rounds", "covey operator keygen operator.key"
    )
    actions = operator.add_subparsers(required=True, metavar="ACTION")
    keygen = command(
        actions,
        "keygen",
        "make a key in a file that its owner alone can read, and print its public half",
        "covey operator keygen operator.key",
    )
    keygen.add_argument("--force", action="store_true", help="replace the key in the file, for good")
    keygen.set_defaults(run=_operator_keygen)
    key = command(
        actions,
        "key",
        "print the public half of a key, as the registry's settings take it",
        "covey operator key operator.key >> registry.env",
    )
    key.set_defaults(run=_operator_key)
    for action in (keygen, key):
        action.add_argument("file", type=Path, metavar="FILE", help="the file of the key")
        form = action.add_mutually_exclusive_group()
        form.add_argument("--hex", action="store_true", help="the public key alone in hex, as apps pin it")
        form.add_argument("--json", action="store_true", help="for a program to read")


def _add_log(commands: Commands) -> None:
    log = command(
        commands,
        "log",
        "the registry's transparency log",
        "covey log judge evidence.hex --key $LOG_KEY",
    )
    actions = log.add_subparsers(required=True, metavar="ACTION")
    judge = command(
        actions,
        "judge",
        "say what evidence shows about a registry's log; exits with 0 when consistent, 3 forked, 4 open",
        "covey log judge evidence.hex --key $LOG_KEY --json",
    )
    judge.add_argument(
        "evidence", type=Path, metavar="EVIDENCE", help="file of a phone's evidence, raw or in hex"
    )
    judge.add_argument("--key", required=True, metavar="KEY", help=KEY)
    judge.add_argument("--json", action="store_true", help="for a program to read")
    judge.set_defaults(run=_judge)


def _add_protocol(commands: Commands) -> None:
    protocol = command(
        commands,
        "protocol",
        "the protocol of a round",
        "covey protocol parameters --issued 1000 --volunteers 900",
    )
    actions = protocol.add_subparsers(required=True, metavar="ACTION")
    parameters = command(
        actions,
        "parameters",
        "size the drawn committee of a round: its chances to fail, bytes, seconds; exits with 1 without one",
        "covey protocol parameters --issued 1000 --volunteers 900 --gamma 0.05 --lost 0.3 --length 25000",
    )
    parameters.add_argument(
        "--issued", type=int, required=True, metavar="N", help="phones that were issued tickets"
    )
    parameters.add_argument(
        "--volunteers", type=int, required=True, metavar="V", help="phones on the roster of volunteers"
    )
    parameters.add_argument(
        "--gamma",
        type=float,
        default=0.05,
        metavar="G",
        help="corrupt share of the issued phones, default 0.05",
    )
    parameters.add_argument(
        "--lost", type=float, default=0.5, metavar="L", help="share that does not answer, default 0.5"
    )
    parameters.add_argument("--length", type=int, default=1024, metavar="L", help="entries, default 1024")
    parameters.add_argument("--json", action="store_true", help="for a program to read")
    parameters.set_defaults(run=_protocol_parameters)


def _add_bench(commands: Commands) -> None:
    bench = command(
        commands, "bench", "measure Covey beside what it is held against", "covey bench secagg --json"
    )
    subjects = bench.add_subparsers(required=True, metavar="SUBJECT")
    _add_bench_secagg(subjects)
    noise = command(
        subjects,
        "dp",
        "a device's noise and whole contribution, beside numpy's noise, which protects nobody",
        "covey bench dp --length 1000000 --json",
    )
    noise.add_argument("--length", type=int, default=1_000_000, metavar="L", help="entries, default 1000000")
    noise.add_argument(
        "--repeats", type=int, default=15, metavar="R", help="how often each call is timed, default 15"
    )
    noise.add_argument("--json", action="store_true", help="for a program to read")
    noise.set_defaults(run=_bench_dp)

    registry = command(
        subjects,
        "registry",
        "the consent registry under load by wrk, beside an empty route and one commit each",
        "covey bench registry --rows 1000000 --db postgresql://localhost/bench --json",
    )
    registry.add_argument("--rows", type=int, default=1_000_000, metavar="N", help="people, default 1000000")
    registry.add_argument("--db", default="", metavar="URL", help="an empty database, default a fresh SQLite")
    registry.add_argument(
        "--seconds", type=int, default=10, metavar="S", help="how long each load lasts, default 10"
    )
    registry.add_argument("--json", action="store_true", help="for a program to read")
    registry.set_defaults(run=_bench_registry)
    tickets = command(
        subjects,
        "tickets",
        "blind signatures on one core, beside OpenSSL's own",
        "covey bench tickets --json",
    )
    tickets.add_argument("--tickets", type=int, default=2000, metavar="N", help="tickets, default 2000")
    tickets.add_argument("--json", action="store_true", help="for a program to read")
    tickets.set_defaults(run=_bench_tickets)
    device = command(
        subjects,
        "device",
        "the phone: import, recording, tags from scratch, after one more event and unchanged, storage",
        "covey bench device --events 10000 --json",
    )
    device.add_argument("--events", type=int, default=10_000, metavar="N", help="events, default 10000")
    device.add_argument("--json", action="store_true", help="for a program to read")
    device.set_defaults(run=_bench_device)


def _add_bench_secagg(subjects: Commands) -> None:
    bench = command(
        subjects,
        "secagg",
        "the round in one message: seconds of phone, coordinator, registry and decryptor, and bytes",
        "covey bench secagg --clients 1000 --length 1024 --committee standing --against flower --json",
    )
    bench.add_argument("--clients", type=int, default=1000, metavar="N", help="phones, default 1000")
    bench.add_argument("--length", type=int, default=1024, metavar="L", help="entries, default 1024")
    bench.add_argument(
        "--committee",
        choices=["standing", "drawn", "both"],
        default="drawn",
        help="4 organisations, phones drawn from nine tenths, or one of each; default drawn",
    )
    bench.add_argument(
        "--lost",
        type=float,
        default=0.3,
        metavar="L",
        help="share of the drawn decryptors that may not answer, default 0.3",
    )
    bench.add_argument(
        "--members",
        type=int,
        metavar="M",
        help="size of the drawn committee, default the least that is safe; "
        "where it bears fewer losses than --lost, that is said",
    )
    bench.add_argument(
        "--against",
        action="append",
        choices=["flower"],
        default=[],
        help="measure Flower's functions as well",
    )
    bench.add_argument(
        "--full", action="store_true", help="in Flower's graph every device is every other's neighbour"
    )
    bench.add_argument(
        "--measured",
        type=int,
        default=20,
        metavar="M",
        help="phones that check every ticket themselves and are timed, default 20",
    )
    bench.add_argument(
        "--profile", action="store_true", help="show each party's hot spots instead of seconds and bytes"
    )
    bench.add_argument(
        "--whole",
        action="store_true",
        help="play a whole round instead, all checks made, devices in two processes, and time it",
    )
    bench.add_argument("--json", action="store_true", help="for a program to read")
    bench.set_defaults(run=_bench_secagg)


def _add_audit(commands: Commands) -> None:
    audit = command(
        commands,
        "audit",
        "play counts and trainings with canaries, as shipped and broken on purpose, "
        "and bound from below what each gives away",
        "covey audit --runs 20 --of p1 --json",
    )
    audit.add_argument("--runs", type=int, default=20, metavar="N", help="runs of each build, default 20")
    audit.add_argument(
        "--of",
        action="append",
        choices=["q1", "q20", "p1"],
        default=[],
        help="audit this alone; may be repeated",
    )
    audit.add_argument("--json", action="store_true", help="for a program to read")
    audit.set_defaults(run=_audit)


def command(commands: Commands, name: str, what: str, example: str) -> argparse.ArgumentParser:
    """Add a command whose help ends with an example."""
    return commands.add_parser(name, help=what, description=what, epilog=f"example: {example}")


def _demo(chosen: argparse.Namespace) -> int:
    demo = load("covey_simulations.scenarios.demo", "demo")
    if demo is None:
        return 1
    households = None if chosen.all else chosen.households
    options = demo.Options(chosen.out, households, chosen.epsilon, chosen.train_epsilon, chosen.seed)
    try:
        page = demo.main(options)
    except demo.SetupError as error:
        return fail(error, 2)
    except demo.SimulationError as error:
        return fail(error, 1)
    if chosen.json:
        print(page.with_suffix(".json").read_text("utf-8"))
    else:
        print(f"The report is at {page}")
    return 0


def _bench_secagg(chosen: argparse.Namespace) -> int:
    _on_one_core()
    names = (
        "clients", "length", "committee", "lost", "members", "against", "full", "measured", "profile", "whole"
    )  # fmt: skip
    return measure("covey_simulations.benchmarks.secagg", chosen, names, "SecaggOptions")


def _bench_dp(chosen: argparse.Namespace) -> int:
    _on_one_core()
    return measure("covey_simulations.benchmarks.dp", chosen, ("length", "repeats"))


def _bench_registry(chosen: argparse.Namespace) -> int:
    return measure("covey_simulations.benchmarks.registry", chosen, ("rows", "db", "seconds"))


def _bench_tickets(chosen: argparse.Namespace) -> int:
    return measure("covey_simulations.benchmarks.tickets", chosen, ("tickets",))


def _bench_device(chosen: argparse.Namespace) -> int:
    _on_one_core()
    return measure("covey_simulations.benchmarks.device", chosen, ("events",))


def _audit(chosen: argparse.Namespace) -> int:
    return measure("covey_simulations.audit.command", chosen, ("runs", "of"))


def _on_one_core() -> None:
    """Let linear algebra start no threads: they spin while they wait, and the measured process pays for it.

    It is read when numpy is first imported.
    """
    os.environ["OPENBLAS_NUM_THREADS"] = "1"


def measure(module: str, chosen: argparse.Namespace, names: Sequence[str], options: str = "Asked") -> int:
    """Measure what a module measures with the options of these names; fail where that is not as expected.

    `options` is the module's class that holds them.
    """
    subject = load(module, "demo")
    if subject is None:
        return 1
    asked = getattr(subject, options)(**{name: getattr(chosen, name) for name in names})
    try:
        found = subject.measure(asked)
    except subject.SetupError as error:
        return fail(error, 2)
    except subject.SimulationError as error:
        return fail(error, 1)
    if chosen.json:
        print(json.dumps(found, indent=2))
    else:
        subject.show(found)
    return 0 if found.get("as_expected", True) else 1


def _operator_keygen(chosen: argparse.Namespace) -> int:
    return _show_operator(chosen, lambda keys: keys.make(chosen.file, replace=chosen.force))


def _operator_key(chosen: argparse.Namespace) -> int:
    return _show_operator(chosen, lambda keys: keys.read(chosen.file))


def _show_operator(chosen: argparse.Namespace, find: Callable[[ModuleType], Any]) -> int:
    """Print the public half of the key that `find` gives."""
    from covey_server import operator_keys
    from covey_server.errors import ConfigError

    try:
        public = find(operator_keys).public.hex()
    except ConfigError as error:
        return fail(error, 2)
    if chosen.json:
        print(json.dumps({"operator": public, "file": str(chosen.file)}))
    else:
        print(public if chosen.hex else f"COVEY_REGISTRY_OPERATOR={public}")
    return 0


def _judge(chosen: argparse.Namespace) -> int:
    from covey_privacy import split_view
    from covey_privacy.errors import PeerError
    from covey_privacy.note import public_key

    try:
        key = public_key(chosen.key)
        verdict = split_view.check_evidence(_unhexed(chosen.evidence.read_bytes()), key)
    except ValueError as error:
        return fail(error, 2)
    except (PeerError, OSError) as error:
        return fail(error, 1)
    name = verdict.name.lower()
    print(json.dumps({"verdict": name, "says": verdict.value}) if chosen.json else f"{name}: {verdict.value}")
    return {"consistent": 0, "forked": 3, "open": 4}[name]


def _protocol_parameters(chosen: argparse.Namespace) -> int:
    from covey_privacy.errors import MisuseError
    from covey_privacy.protocol_rules import Rule
    from covey_privacy.secagg import parameters

    try:
        plan = parameters.plan_committee(
            chosen.issued, chosen.volunteers, chosen.gamma, chosen.lost, chosen.length
        )
    except MisuseError as error:
        return fail(error, 1 if error.rule is Rule.COMMITTEE_SHAPE else 2)
    if chosen.json:
        print(json.dumps(dataclasses.asdict(plan), indent=2))
    else:
        print("\n".join(parameters.describe_plan(plan)))
    return 0


def _unhexed(data: bytes) -> bytes:
    """Return evidence as it is: an export gives it in hex, which raw evidence never looks like."""
    text = data.strip()
    return bytes.fromhex(text.decode()) if re.fullmatch(b"([0-9a-f]{2})+", text) else data


class _ShowVersion(argparse.Action):
    """`--version`: the version is looked up only when it is asked for."""

    def __call__(self, parser: argparse.ArgumentParser, chosen: argparse.Namespace, *_: object) -> None:
        chosen.json = False
        parser.exit(_version(chosen))


def _version(chosen: argparse.Namespace) -> int:
    try:
        number = version("covey")
    except PackageNotFoundError:
        return fail("Covey is not installed here, so its version is not known: pip install .", 1)
    print(json.dumps({"covey": number}) if chosen.json else f"covey {number}")
    return 0


def load(module: str, extra: str) -> ModuleType | None:
    """Return the module, None after saying which extra it takes."""
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        fail(
            f"{error.name} is missing; this command takes an extra: pip install '.[{extra}]' in a checkout", 1
        )
        return None


def fail(why: object, status: int) -> int:
    """Say in one line why a command failed, and return the exit status."""
    line = " ".join(in_words(why).split())
    print(f"covey: {line}", file=sys.stderr)
    return status


def in_words(why: object) -> str:
    """Return why something failed; of a file, its name and what the system says of it."""
    if isinstance(why, OSError) and why.filename is not None and why.strerror:
        return f"{why.filename} cannot be used: {why.strerror}"
    return str(why)


if __name__ == "__main__":
    sys.exit(main())
