"""Covey on the command line: reads the arguments and hands over to the packages.

Only the standard library is imported until a command needs more; a command whose extra is not installed says
so in one line.
"""

from __future__ import annotations

import argparse
import importlib
import json
import re
import sys
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from types import ModuleType


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status: 0 done, 1 failed, 2 asked for something that cannot be.

    `covey log judge` also says what it found: 0 consistent, 3 forked, 4 open.
    """
    chosen = _parser().parse_args(arguments)
    try:
        return int(chosen.run(chosen))
    except KeyboardInterrupt:
        return _fail("interrupted; nothing half-written is left", 130)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="covey", description="Privacy-preserving personalization.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_demo(commands)
    _add_registry(commands)
    _add_log(commands)
    _add_witness(commands)
    _add_bench(commands)
    _add_audit(commands)
    show = _command(commands, "version", "say which Covey this is", "covey version --json")
    show.add_argument("--json", action="store_true", help="for a program to read")
    show.set_defaults(run=_version)
    return parser


def _add_demo(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    demo = _command(
        commands,
        "demo",
        "play a shop's year on simulated phones, count and learn privately, write a report",
        "covey demo --out report --households 1000 --epsilon 2 --seed 1",
    )
    demo.add_argument("--out", type=Path, required=True, metavar="DIR", help="where the report is to go")
    how_many = demo.add_mutually_exclusive_group()
    how_many.add_argument("--households", type=int, default=1000, metavar="N", help="phones, default 1000")
    how_many.add_argument("--all", action="store_true", help="all 2,469 households")
    demo.add_argument(
        "--epsilon", type=float, default=2.0, metavar="E", help="what counting may cost a person, default 2"
    )
    demo.add_argument(
        "--train-epsilon", type=float, default=4.0, metavar="E", help="what training may cost one, default 4"
    )
    demo.add_argument("--seed", type=int, default=1, metavar="S", help="draws households and their choices")
    demo.add_argument("--json", action="store_true", help="print report.json as well, for a program to read")
    demo.set_defaults(run=_demo)


def _add_registry(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    registry = _command(commands, "registry", "the consent registry", "covey registry serve --port 8700")
    actions = registry.add_subparsers(required=True, metavar="ACTION")
    serve = _command(
        actions,
        "serve",
        "serve the registry over HTTP; COVEY_REGISTRY_* variables configure it",
        "COVEY_REGISTRY_OPERATOR=<hex public key> covey registry serve --port 8700",
    )
    serve.add_argument("--host", default="127.0.0.1", help="address to listen on, default 127.0.0.1")
    serve.add_argument("--port", type=int, default=8700, help="port to listen on, default 8700")
    serve.set_defaults(run=_serve)
    key = _command(
        actions, "key", "print the key of the registry's log, as witnesses want it", "covey registry key"
    )
    key.set_defaults(run=_registry_key)
    _add_registry_receipt(actions)
    _add_registry_notice(actions)
    _add_registry_document(actions)
    _add_registry_evidence(actions)
    _add_registry_token(actions)
    _add_registry_breach(actions)
    _add_registry_database(actions)
    _add_registry_pack(actions)
    _add_registry_drills(actions)


def _add_registry_notice(actions: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    notice = _command(
        actions, "notice", "the notices that people are shown", "covey registry notice lint notices/"
    )
    deeds = notice.add_subparsers(required=True, metavar="DEED")
    lint = _command(
        deeds,
        "lint",
        "list what notices lack under GDPR and PIPL; exits with 1 when something is missing",
        "COVEY_REGISTRY_CONTROLLER=controller.toml covey registry notice lint notices/",
    )
    publish = _command(
        deeds,
        "publish",
        "put a notice in force at a running registry; COVEY_REGISTRY_TOKEN is an admin's access token",
        "covey registry notice publish notices/celebrate.toml --url http://127.0.0.1:8700",
    )
    for deed in (lint, publish):
        deed.add_argument("path", metavar="NOTICE", help="a notice file, or a packaged notice's purpose")
    publish.add_argument("--url", default="http://127.0.0.1:8700", help="where the registry serves")
    lint.set_defaults(run=lambda chosen: _registry_command("notice", "lint", chosen.path))
    publish.set_defaults(run=lambda chosen: _registry_command("notice", "publish", chosen.path, chosen.url))


def _add_registry_document(actions: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    document = _command(
        actions,
        "document",
        "make a document that the law asks for, from the registry's database",
        "covey registry document dpia --purpose train --format html --out dpia.html",
    )
    names = ["ropa", "dpia", "dossier", "pipl-audit", "dsa", "toms"]
    document.add_argument("name", choices=names, help="which document")
    document.add_argument("--purpose", metavar="P", help="the purpose that a dpia is about")
    document.add_argument("--round", metavar="R", help="the round that a dossier is about")
    document.add_argument("--format", choices=["json", "md", "html", "csv"], default="md", help="default md")
    document.add_argument("--out", type=Path, metavar="FILE", help="write it there instead of printing it")
    document.set_defaults(run=_registry_document)


def _add_registry_evidence(actions: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    evidence = _command(
        actions,
        "evidence",
        "print which articles of law are shown by which tests; exits with 1 when one did not pass",
        "covey registry evidence --run --json",
    )
    evidence.add_argument(
        "--run", action="store_true", dest="run_tests", help="run the tests first; takes a checkout"
    )
    evidence.add_argument("--json", action="store_true", help="for a program to read")
    evidence.set_defaults(run=_registry_evidence)


def _add_registry_receipt(actions: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    example = "covey registry receipt verify receipt.jwt --key <hex public key>"
    receipt = _command(actions, "receipt", "receipts of consent", example)
    verify = _command(
        receipt.add_subparsers(required=True, metavar="ACTION"),
        "verify",
        "say what a signed receipt shows, without the network; exits with 1 where it does not hold",
        example,
    )
    verify.add_argument("file", type=Path, metavar="FILE", help="the signed receipt")
    verify.add_argument(
        "--key", required=True, metavar="HEX", help="the registry's public key, 64 hex digits"
    )
    verify.set_defaults(run=_registry_receipt)


def _add_registry_breach(actions: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    example = "covey registry breach open --officer olga --nature 'a backup was copied'"
    breach = _command(actions, "breach", "the breach desk of a registry that is being served", example)
    named = breach.add_subparsers(required=True, metavar="ACTION")
    opened = _command(named, "open", "open a breach: its clock runs from its detection", example)
    opened.add_argument("--nature", required=True, metavar="WORDS", help="what happened, as far as is known")
    opened.add_argument("--at", metavar="TIME", help="when it was detected (ISO 8601, UTC), default now")
    opened.add_argument("--purpose", action="append", default=[], help="a purpose that was hit; repeatable")
    opened.add_argument("--round", action="append", default=[], help="a round that was hit; repeatable")
    listed = _command(
        named, "list", "list breaches with their clocks", "covey registry breach list --officer olga"
    )
    for one in (opened, listed):
        one.add_argument("--officer", required=True, metavar="NAME", help="in whose name, for the records")
        one.add_argument("--url", default="http://127.0.0.1:8700", help="where the registry is served")
        one.add_argument("--json", action="store_true", help="print JSON, for a program to read")
    opened.set_defaults(run=_registry_breach_open)
    listed.set_defaults(run=_registry_breach_list)


def _add_registry_token(actions: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    token = _command(
        actions,
        "token",
        "print an access token under the registry's own key",
        "covey registry token --role officer --name alice --hours 8",
    )
    roles = ("admin", "auditor", "officer", "operator", "service", "subject")
    token.add_argument("--role", required=True, choices=roles, help="what its bearer is to the registry")
    token.add_argument("--name", required=True, help="by which the access log knows them")
    token.add_argument("--hours", type=float, default=8, metavar="H", help="how long it holds, default 8")
    token.add_argument("--subject", metavar="ID", help="for the role subject: whose records are theirs")
    token.set_defaults(run=_registry_token)


def _add_registry_database(actions: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    migrate = _command(
        actions,
        "migrate",
        "bring the database to this Covey's revision; stop the registry and back it up before",
        "COVEY_REGISTRY_DATABASE_URL=postgresql://host/covey covey registry migrate --check",
    )
    instead = migrate.add_mutually_exclusive_group()
    instead.add_argument(
        "--check", action="store_true", help="only say whether it is there; else exits with 1"
    )
    instead.add_argument("--sql", action="store_true", help="only print the statements")
    migrate.set_defaults(run=_registry_migrate)


def _add_registry_pack(actions: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    pack = _command(
        actions,
        "pack",
        "write what the registry can show into one file, which verify.py inside it checks offline",
        "covey registry pack --out pack.zip --subject <pseudonym>",
    )
    pack.add_argument("--out", type=Path, required=True, metavar="FILE", help="where the pack is to go")
    pack.add_argument(
        "--since", type=int, default=0, metavar="ENTRY", help="first log entry wanted, default 0: all"
    )
    pack.add_argument("--subject", metavar="ID", help="add this person's records, with what opens them")
    pack.set_defaults(run=_registry_pack)


def _add_registry_drills(actions: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    drill = _command(
        actions, "drill", "play what must hold, on a registry of its own", "covey registry drill withdraw"
    )
    drills = drill.add_subparsers(required=True, metavar="DRILL")
    crash = _command(
        drills,
        "crash",
        "kill the registry while phones decide, start it again, and look for what was acknowledged",
        "covey registry drill crash --rounds 5 --db postgresql://host/empty --json",
    )
    crash.add_argument(
        "--db", metavar="URL", help="an empty database, emptied in the end; default a file that goes"
    )
    crash.add_argument("--rounds", type=int, default=5, metavar="N", help="crashes, default 5")
    crash.set_defaults(run=_registry_crash)
    tamper = _command(
        drills,
        "tamper",
        "change a log behind everyone's back and show who finds out; 0 when all did who should",
        "covey registry drill tamper --json",
    )
    tamper.set_defaults(run=_drill_tamper)
    withdraw = _command(
        drills,
        "withdraw",
        "how long a withdrawal takes to have effect; exits with 1 where anything still got through",
        "covey registry drill withdraw --subjects 200 --json",
    )
    withdraw.add_argument(
        "--subjects", type=int, default=200, metavar="N", help="people who withdraw, default 200"
    )
    withdraw.set_defaults(run=_drill_withdraw)
    erase = _command(
        drills,
        "erase",
        "erase a person, then look for them in every byte of the database; exits with 1 where one is left",
        "covey registry drill erase --db postgresql://host/empty --json",
    )
    erase.add_argument("--people", type=int, default=20, metavar="N", help="people, default 20")
    erase.add_argument("--db", metavar="URL", help="an empty database; default a file that goes")
    erase.set_defaults(run=_drill_erase)
    for each in (crash, tamper, withdraw, erase):
        each.add_argument("--json", action="store_true", help="for a program to read")


def _add_witness(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    witness = _command(
        commands, "witness", "a witness of logs", "covey witness key --name witness.example/w1 --folder w1"
    )
    actions = witness.add_subparsers(required=True, metavar="ACTION")
    serve = _command(
        actions,
        "serve",
        "cosign the heads of logs over HTTP, each once it continues the one before",
        "covey witness serve --name witness.example/w1 --folder w1 --log $(covey registry key)",
    )
    serve.add_argument(
        "--log", required=True, action="append", metavar="KEY", help="a log's key, name+id+key; repeatable"
    )
    serve.add_argument("--host", default="127.0.0.1", help="address to listen on, default 127.0.0.1")
    serve.add_argument("--port", type=int, default=8710, help="port to listen on, default 8710")
    serve.set_defaults(run=_witness)
    key = _command(
        actions,
        "key",
        "print the witness's key, as registries and phones want it",
        "covey witness key --name witness.example/w1 --folder w1",
    )
    key.set_defaults(run=_witness_key)
    for action in (serve, key):
        action.add_argument(
            "--name", required=True, help="the name it signs with, an address without https://"
        )
        action.add_argument(
            "--folder",
            type=Path,
            required=True,
            metavar="DIR",
            help="keeps its key and the heads it cosigned",
        )


def _add_log(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    log = _command(
        commands,
        "log",
        "the registry's transparency log",
        "covey log judge evidence.hex --key <hex public key>",
    )
    actions = log.add_subparsers(required=True, metavar="ACTION")
    judge = _command(
        actions,
        "judge",
        "say what evidence shows about a registry's log; exits with 0 when consistent, 3 forked, 4 open",
        "covey log judge evidence.hex --key <hex public key> --json",
    )
    judge.add_argument(
        "evidence", type=Path, metavar="EVIDENCE", help="file of a phone's evidence, raw or in hex"
    )
    judge.add_argument("--key", required=True, metavar="HEX", help="the registry's public key, 64 hex digits")
    judge.add_argument("--json", action="store_true", help="for a program to read")
    judge.set_defaults(run=_judge)


def _add_bench(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    bench = _command(
        commands, "bench", "measure Covey beside what it is held against", "covey bench secagg --json"
    )
    subjects = bench.add_subparsers(required=True, metavar="SUBJECT")
    secagg = _command(
        subjects,
        "secagg",
        "a round of secure aggregation: seconds and bytes by phase, beside the primitives' own",
        "covey bench secagg --clients 1000 --length 100000 --dropout 0.05 --against flower --json",
    )
    secagg.add_argument("--clients", type=int, default=1000, metavar="N", help="devices, default 1000")
    secagg.add_argument("--length", type=int, default=100_000, metavar="L", help="entries, default 100000")
    secagg.add_argument(
        "--dropout", type=float, default=0.05, metavar="D", help="share that drops out, default 0.05"
    )
    secagg.add_argument(
        "--gamma",
        type=float,
        default=0.1,
        metavar="G",
        help="corrupt share that the graph bears, default 0.1",
    )
    secagg.add_argument("--full", action="store_true", help="every device is every other's neighbour")
    secagg.add_argument(
        "--measured",
        type=int,
        default=20,
        metavar="M",
        help="devices that check every signature themselves and are timed, default 20",
    )
    secagg.add_argument(
        "--profile", action="store_true", help="show hot spots instead of primitives; this slows the round"
    )
    secagg.add_argument("--against", choices=["flower"], help="measure Flower's functions as well")
    secagg.add_argument("--json", action="store_true", help="for a program to read")
    secagg.set_defaults(run=_bench_secagg)
    noise = _command(
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

    registry = _command(
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
    tickets = _command(
        subjects,
        "tickets",
        "blind signatures on one core, beside OpenSSL's own",
        "covey bench tickets --json",
    )
    tickets.add_argument("--tickets", type=int, default=2000, metavar="N", help="tickets, default 2000")
    tickets.add_argument("--json", action="store_true", help="for a program to read")
    tickets.set_defaults(run=_bench_tickets)


def _add_audit(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    audit = _command(
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


def _command(
    commands: argparse._SubParsersAction[argparse.ArgumentParser], name: str, what: str, example: str
) -> argparse.ArgumentParser:
    return commands.add_parser(name, help=what, description=what, epilog=f"example: {example}")


def _demo(chosen: argparse.Namespace) -> int:
    demo = _load("covey_simulations.demo", "demo")
    if demo is None:
        return 1
    households = None if chosen.all else chosen.households
    options = demo.Options(chosen.out, households, chosen.epsilon, chosen.train_epsilon, chosen.seed)
    try:
        page = demo.main(options)
    except demo.SetupError as error:
        return _fail(error, 2)
    except demo.SimulationError as error:
        return _fail(error, 1)
    if chosen.json:
        print(page.with_suffix(".json").read_text("utf-8"))
    else:
        print(f"The report is at {page}")
    return 0


def _bench_secagg(chosen: argparse.Namespace) -> int:
    names = ("clients", "length", "dropout", "gamma", "full", "against", "measured", "profile")
    return _measure("covey_simulations.benchmarks.secagg", chosen, names)


def _bench_dp(chosen: argparse.Namespace) -> int:
    return _measure("covey_simulations.benchmarks.dp", chosen, ("length", "repeats"))


def _bench_registry(chosen: argparse.Namespace) -> int:
    return _measure("covey_simulations.benchmarks.registry", chosen, ("rows", "db", "seconds"))


def _bench_tickets(chosen: argparse.Namespace) -> int:
    return _measure("covey_simulations.benchmarks.tickets", chosen, ("tickets",))


def _audit(chosen: argparse.Namespace) -> int:
    return _measure("covey_simulations.audit.command", chosen, ("runs", "of"))


def _measure(module: str, chosen: argparse.Namespace, names: Sequence[str]) -> int:
    """Measure what a module measures with the options of these names; fail where that is not as expected."""
    subject = _load(module, "demo")
    if subject is None:
        return 1
    asked = subject.Asked(**{name: getattr(chosen, name) for name in names})
    try:
        found = subject.measure(asked)
    except subject.SetupError as error:
        return _fail(error, 2)
    except subject.SimulationError as error:
        return _fail(error, 1)
    if chosen.json:
        print(json.dumps(found, indent=2))
    else:
        subject.show(found)
    return 0 if found.get("as_expected", True) else 1


def _registry_command(noun: str, deed: str, *arguments: object) -> int:
    """Run a deed of `covey_consent.commands.<noun>` and return its exit status."""
    module = _load(f"covey_consent.commands.{noun}", "server")
    return 1 if module is None else int(getattr(module, deed)(*arguments))


def _serve(chosen: argparse.Namespace) -> int:
    return _serving("covey_consent.serve", lambda registry: registry.serve(chosen.host, chosen.port))


def _registry_key(_chosen: argparse.Namespace) -> int:
    return _serving("covey_consent.serve", lambda registry: print(registry.verifier_key().vkey))


def _registry_document(chosen: argparse.Namespace) -> int:
    asked = chosen.name, chosen.purpose, chosen.round, chosen.format, chosen.out
    return _asking("covey_consent.commands.document", lambda command: command.document(*asked))


def _registry_evidence(chosen: argparse.Namespace) -> int:
    return _asking(
        "covey_consent.commands.evidence",
        lambda command: command.evidence(run=chosen.run_tests, as_json=chosen.json),
    )


def _registry_receipt(chosen: argparse.Namespace) -> int:
    receipt = _load("covey_consent.commands.receipt", "server")
    return 1 if receipt is None else receipt.check(chosen.file, chosen.key)


def _registry_breach_open(chosen: argparse.Namespace) -> int:
    breach = _load("covey_consent.commands.breach", "server")
    hit = chosen.at, chosen.purpose, chosen.round
    where = chosen.url, chosen.officer, chosen.nature
    return 1 if breach is None else breach.open_(*where, *hit, as_json=chosen.json)


def _registry_breach_list(chosen: argparse.Namespace) -> int:
    breach = _load("covey_consent.commands.breach", "server")
    return 1 if breach is None else breach.list_(chosen.url, chosen.officer, as_json=chosen.json)


def _registry_token(chosen: argparse.Namespace) -> int:
    token = _load("covey_consent.commands.token", "server")
    if token is None:
        return 1
    return int(token.mint(chosen.role, chosen.name, chosen.hours, chosen.subject))


def _registry_migrate(chosen: argparse.Namespace) -> int:
    return _operating(
        "covey_consent.commands.migrate", lambda it: it.migrate(check=chosen.check, sql=chosen.sql)
    )


def _registry_crash(chosen: argparse.Namespace) -> int:
    return _operating(
        "covey_consent.commands.crash", lambda it: it.crash(chosen.db, chosen.rounds, as_json=chosen.json)
    )


def _operating(module: str, act: Callable[[ModuleType], int]) -> int:
    """Act with a module of the registry's commands, whose errors are one line each."""
    loaded, errors = _load(module, "server"), _load("covey_consent.errors", "server")
    if loaded is None or errors is None:
        return 1
    try:
        return act(loaded)
    except (errors.ConsentRegistryError, ValueError, OSError) as error:
        return _fail(error, 1)


def _registry_pack(chosen: argparse.Namespace) -> int:
    asked = chosen.out, chosen.since, chosen.subject
    return _serving("covey_consent.commands.pack", lambda command: command.pack(*asked))


def _drill_tamper(chosen: argparse.Namespace) -> int:
    drill = _load("covey_consent.commands.drill", "server")
    return 1 if drill is None else int(drill.drill_tamper(chosen.json))


def _drill_erase(chosen: argparse.Namespace) -> int:
    return _operating(
        "covey_consent.drills.erase", lambda it: it.run(chosen.people, chosen.db, as_json=chosen.json)
    )


def _drill_withdraw(chosen: argparse.Namespace) -> int:
    return _measure("covey_simulations.drills.withdraw", chosen, ("subjects",))


def _witness(chosen: argparse.Namespace) -> int:
    where = chosen.host, chosen.port, chosen.name, chosen.folder
    return _serving("covey_consent.witness", lambda witness: witness.serve(*where, chosen.log))


def _witness_key(chosen: argparse.Namespace) -> int:
    where = chosen.name, chosen.folder
    return _serving("covey_consent.witness", lambda witness: print(witness.verifier_key(*where).vkey))


def _serving(module: str, act: Callable[[ModuleType], object]) -> int:
    """Act with a module that serves, whose errors are one line each."""
    serving = _load(module, "server")
    if serving is None:
        return 1
    try:
        act(serving)
    except (serving.ConsentRegistryError, ValueError, OSError) as error:
        return _fail(error, 1)
    return 0


def _asking(module: str, act: Callable[[ModuleType], int]) -> int:
    """Act with a command's module: 2 for what cannot be done as asked, 1 for what failed."""
    command = _load(module, "server")
    if command is None:
        return 1
    try:
        return act(command)
    except command.ConsentRegistryError as error:
        return _fail(error, 2 if error.status < 500 else 1)
    except (ValueError, OSError) as error:
        return _fail(error, 1)


def _judge(chosen: argparse.Namespace) -> int:
    from covey_privacy import fork
    from covey_privacy.errors import PeerError

    try:
        key = _public_key(chosen.key)
        verdict = fork.check_evidence(_unhexed(chosen.evidence.read_bytes()), key)
    except ValueError as error:
        return _fail(error, 2)
    except (PeerError, OSError) as error:
        return _fail(error, 1)
    name = verdict.name.lower()
    print(json.dumps({"verdict": name, "says": verdict.value}) if chosen.json else f"{name}: {verdict.value}")
    return {"consistent": 0, "forked": 3, "open": 4}[name]


def _public_key(text: str) -> bytes:
    key = bytes.fromhex(text) if re.fullmatch("[0-9a-f]{64}", text) else b""
    if not key:
        raise ValueError(f"--key is {text[:80]!r}; the registry's public key was expected, 64 hex digits")
    return key


def _unhexed(data: bytes) -> bytes:
    """Return evidence as it is: an export gives it in hex, which raw evidence never looks like."""
    text = data.strip()
    return bytes.fromhex(text.decode()) if re.fullmatch(b"([0-9a-f]{2})+", text) else data


def _version(chosen: argparse.Namespace) -> int:
    number = version("covey")
    print(json.dumps({"covey": number}) if chosen.json else f"covey {number}")
    return 0


def _load(module: str, extra: str) -> ModuleType | None:
    """Return the module, None after saying which extra it takes."""
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        _fail(f"{error.name} is missing; this command takes an extra: pip install 'covey[{extra}]'", 1)
        return None


def _fail(why: object, status: int) -> int:
    line = " ".join(str(why).split())
    print(f"covey: {line}", file=sys.stderr)
    return status


if __name__ == "__main__":
    sys.exit(main())
