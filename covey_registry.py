"""The registry on the command line: reads the arguments and hands over to `covey_consent`."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

from covey import KEY, Commands, command, fail, load, measure

PORTS = 65535
"""The last TCP port; the system reads a greater number as another port, and does not say so."""


def whole(least: int, most: int = 2**31 - 1) -> Callable[[str], int]:
    """Return what reads an option's whole number of at least `least` and at most `most`, for argparse."""

    def read(text: str) -> int:
        if not re.fullmatch("-?[0-9]{1,20}", text) or not least <= int(text) <= most:
            raise argparse.ArgumentTypeError(
                f"{text[:40]!r}; a whole number, {least} to {most}, was expected"
            )
        return int(text)

    return read


port = whole(0, PORTS)
"""Reads a TCP port; 0 is any that is free."""


def add(commands: Commands) -> None:
    """Add the registry's and the witness's commands."""
    _add_registry(commands)
    _add_witness(commands)


def _add_registry(commands: Commands) -> None:
    registry = command(commands, "registry", "the consent registry", "covey registry serve --port 8700")
    actions = registry.add_subparsers(required=True, metavar="ACTION")
    serve = command(
        actions,
        "serve",
        "serve the registry over HTTP; COVEY_REGISTRY_* variables configure it",
        "COVEY_REGISTRY_OPERATOR=<hex public key> covey registry serve --port 8700",
    )
    serve.add_argument("--host", default="127.0.0.1", help="address to listen on, default 127.0.0.1")
    serve.add_argument("--port", type=port, default=8700, help="port to listen on, default 8700")
    serve.add_argument(
        "--demo",
        action="store_true",
        help="for trying out: a registry that is forgotten when it ends; prints what an app pins, as Python",
    )
    serve.set_defaults(run=_serve)
    key = command(
        actions,
        "key",
        "print the public key of the registry, whose log it signs: name+id+key, as every command takes it",
        "LOG_KEY=$(covey registry key)",
    )
    key.add_argument("--hex", action="store_true", help="the key alone in hex, as apps pin it")
    key.set_defaults(run=_key)
    _add_receipt(actions)
    _add_import(actions)
    _add_retention(actions)
    _add_clock(actions)
    _add_notice(actions)
    _add_document(actions)
    _add_evidence(actions)
    _add_token(actions)
    _add_breach(actions)
    _add_queries(actions)
    _add_database(actions)
    _add_pack(actions)
    _add_drills(actions)


def _add_notice(actions: Commands) -> None:
    notice = command(
        actions, "notice", "the notices that people are shown", "covey registry notice lint notices/"
    )
    deeds = notice.add_subparsers(required=True, metavar="DEED")
    lint = command(
        deeds,
        "lint",
        "list what notices lack under GDPR and PIPL; exits with 1 when something is missing",
        "COVEY_REGISTRY_CONTROLLER=controller.toml covey registry notice lint notices/",
    )
    publish = command(
        deeds,
        "publish",
        "put a notice in force at a running registry; COVEY_REGISTRY_TOKEN is an admin's access token",
        "covey registry notice publish notices/celebrate.toml --url http://127.0.0.1:8700",
    )
    show = command(
        deeds,
        "show",
        "print the notice of a purpose as Covey has it, or one to fill in",
        "covey registry notice show marketing --out notices/marketing.toml",
    )
    show.add_argument("purpose", metavar="PURPOSE", help="the purpose that it is about")
    show.add_argument("--out", type=Path, metavar="FILE", help="a new file to write it to")
    show.set_defaults(run=_show)
    text = command(
        deeds,
        "text",
        "print the text of any version of a notice that was ever in force at a running registry",
        "covey registry notice text train --version 1.0.0 --language zh",
    )
    text.add_argument("purpose", metavar="PURPOSE", help="the purpose that it is about")
    text.add_argument("--version", required=True, metavar="V", help="such as 1.0.0")
    text.add_argument("--language", default="en", metavar="L", help="default en")
    text.add_argument("--url", default="http://127.0.0.1:8700", help="where the registry serves")
    text.add_argument("--json", action="store_true", help="for a program to read")
    text.set_defaults(run=_notice_text)
    for deed in (lint, publish):
        deed.add_argument("path", metavar="NOTICE", help="a notice file, or a packaged notice's purpose")
    publish.add_argument("--url", default="http://127.0.0.1:8700", help="where the registry serves")
    lint.set_defaults(run=_lint)
    publish.set_defaults(run=_publish)


def _add_document(actions: Commands) -> None:
    document = command(
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
    document.set_defaults(run=_document)


def _add_evidence(actions: Commands) -> None:
    evidence = command(
        actions,
        "evidence",
        "print which articles of law are shown by which tests; exits with 1 when one did not pass",
        "covey registry evidence --run --json",
    )
    evidence.add_argument(
        "--run", action="store_true", dest="run_tests", help="run the tests first; takes a checkout"
    )
    evidence.add_argument("--json", action="store_true", help="for a program to read")
    evidence.set_defaults(run=_evidence)


def _add_receipt(actions: Commands) -> None:
    example = "covey registry receipt verify receipt.jwt --key $LOG_KEY"
    receipt = command(actions, "receipt", "receipts of consent", example)
    verify = command(
        receipt.add_subparsers(required=True, metavar="ACTION"),
        "verify",
        "say what a signed receipt shows, without the network; exits with 1 where it does not hold",
        example,
    )
    verify.add_argument("file", type=Path, metavar="FILE", help="the signed receipt")
    verify.add_argument("--key", required=True, metavar="KEY", help=KEY)
    verify.set_defaults(run=_receipt)


def _add_import(actions: Commands) -> None:
    taken = command(
        actions,
        "import",
        "bring a person's export from a registry whose key is pinned in COVEY_REGISTRY_IMPORTS_FROM there; "
        "COVEY_REGISTRY_TOKEN is an admin's access token",
        "covey registry import covey-export.zip --key <hex public key of the registry that made it>",
    )
    taken.add_argument("file", type=Path, metavar="FILE", help="the export, a zip")
    taken.add_argument(
        "--key", required=True, metavar="HEX", help="public key of the registry that made it, 64 hex digits"
    )
    taken.add_argument("--url", default="http://127.0.0.1:8700", help="where the registry serves")
    taken.set_defaults(run=_import)


def _add_retention(actions: Commands) -> None:
    example = "covey registry retention run --now +1200d --dry-run"
    retention = command(actions, "retention", "how long things are kept", example)
    run = command(
        retention.add_subparsers(required=True, metavar="ACTION"),
        "run",
        "delete what was kept for long enough; a registry that serves does so itself, every hour",
        example,
    )
    run.add_argument(
        "--now", metavar="+Nd", help="delete today what will be over N days from now, such as +400d"
    )
    run.add_argument("--dry-run", action="store_true", help="only count it; works beside a registry")
    run.add_argument("--json", action="store_true", help="for a program to read")
    run.set_defaults(run=_retention)


def _add_clock(actions: Commands) -> None:
    clock = command(
        actions,
        "clock",
        "the clock of a registry that is being served: after a jump nothing expires until it is confirmed",
        "covey registry clock show",
    )
    named = clock.add_subparsers(required=True, metavar="ACTION")
    show = command(
        named,
        "show",
        "say whether the registry trusts its clock; exits with 3 while it does not",
        "covey registry clock show",
    )
    confirm = command(
        named,
        "confirm",
        "confirm the time; COVEY_REGISTRY_TOKEN is an admin's access token",
        "covey registry clock confirm --time 2027-01-15T08:00Z",
    )
    confirm.add_argument(
        "--time",
        required=True,
        metavar="TIME",
        help="the time now by another machine's clock (ISO 8601, UTC)",
    )
    for one in (show, confirm):
        one.add_argument("--url", default="http://127.0.0.1:8700", help="where the registry serves")
    show.set_defaults(run=_clock_show)
    confirm.set_defaults(run=_clock_confirm)


def _add_breach(actions: Commands) -> None:
    example = "covey registry breach open --officer olga --nature 'a backup was copied'"
    breach = command(actions, "breach", "the breach register of a registry that is being served", example)
    named = breach.add_subparsers(required=True, metavar="ACTION")
    opened = command(named, "open", "open a breach: its clock runs from its detection", example)
    opened.add_argument("--nature", required=True, metavar="WORDS", help="what happened, as far as is known")
    opened.add_argument("--at", metavar="TIME", help="when it was detected (ISO 8601, UTC), default now")
    opened.add_argument("--purpose", action="append", default=[], help="a purpose that was hit; repeatable")
    opened.add_argument("--round", action="append", default=[], help="a round that was hit; repeatable")
    opened.add_argument("--since", metavar="TIME", help="records from then on were hit, default all")
    opened.add_argument("--until", metavar="TIME", help="records up to then were hit, default all")
    listed = command(
        named, "list", "list breaches with their clocks", "covey registry breach list --officer olga"
    )
    for one in (opened, listed):
        one.add_argument("--officer", required=True, metavar="NAME", help="in whose name, for the records")
        one.add_argument("--url", default="http://127.0.0.1:8700", help="where the registry is served")
        one.add_argument("--json", action="store_true", help="print JSON, for a program to read")
    opened.set_defaults(run=_breach_open)
    listed.set_defaults(run=_breach_list)


def _add_queries(actions: Commands) -> None:
    allowed = command(
        actions,
        "allowed",
        "list everyone who allowed a purpose at a date",
        "covey registry allowed train --at 2027-01-15 --officer olga --reason 'audit 7' --csv > allowed.csv",
    )
    allowed.add_argument("purpose", metavar="PURPOSE", help="the purpose")
    allowed.add_argument("--at", metavar="TIME", help="ISO 8601, UTC where it names no zone; default now")
    found = command(
        actions,
        "find",
        "find people by the begin of their pseudonym, or by the reference that the shop gave",
        "covey registry find --reference 'customer 4711' --officer olga --reason 'request 17'",
    )
    by = found.add_mutually_exclusive_group(required=True)
    by.add_argument("--prefix", metavar="HEX", help="the first 4 or more digits of a pseudonym")
    by.add_argument("--reference", metavar="TEXT", help="by which the shop knows the person")
    history = command(
        actions,
        "history",
        "list everything that a person said or that was said for them, with an officer's reasons",
        "covey registry history 5f0c2a7d9be14c3f8a6d1e90b7c4a2f1 --officer olga --reason 'request 17'",
    )
    history.add_argument("subject", metavar="PSEUDONYM", help="32 hex digits")
    rounds = command(
        actions, "rounds", "list every round with its epsilon", "covey registry rounds --officer olga --csv"
    )
    requests = command(
        actions,
        "requests",
        "list people's requests",
        "covey registry requests --due-within 7 --overdue --officer olga --reason 'weekly look' --csv",
    )
    requests.add_argument("--overdue", action="store_true", help="those whose answer is late")
    requests.add_argument("--due-within", type=int, metavar="DAYS", help="open ones that are due by then")
    runs = (
        (allowed, lambda it, chosen: it.allowed(chosen.purpose, chosen.at)),
        (found, lambda it, chosen: it.find(chosen.prefix, chosen.reference)),
        (history, lambda it, chosen: it.history(chosen.subject)),
        (rounds, lambda it, _: it.rounds()),
        (requests, lambda it, chosen: it.requests(overdue=chosen.overdue, due_within=chosen.due_within)),
    )
    for one, ask in runs:
        one.add_argument("--officer", required=True, metavar="NAME", help="in whose name, for the access log")
        if one is not rounds:
            one.add_argument("--reason", required=True, metavar="WHY", help="for the access log")
        one.add_argument("--url", default="http://127.0.0.1:8700", help="where the registry is served")
        written = one.add_mutually_exclusive_group()
        written.add_argument("--json", action="store_true", help="print JSON, for a program to read")
        written.add_argument("--csv", action="store_true", help="print CSV, for a spreadsheet")
        one.set_defaults(run=partial(_query, ask))


def _add_token(actions: Commands) -> None:
    token = command(
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
    token.set_defaults(run=_token)
    revoke = command(
        actions,
        "revoke",
        "end an access token, or all that a role and name have; run it where the key file is",
        "covey registry revoke --role officer --name alice",
    )
    revoke.add_argument("--token", metavar="ID", help="the token's id, or the token itself")
    revoke.add_argument("--role", choices=roles, help="with --name: whose tokens end, all that they have")
    revoke.add_argument("--name", help="by which the access log knows them")
    revoke.add_argument("--url", default="http://127.0.0.1:8700", help="where the registry serves")
    revoke.set_defaults(run=_revoke)


def _add_database(actions: Commands) -> None:
    migrate = command(
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
    migrate.set_defaults(run=_migrate)


def _add_pack(actions: Commands) -> None:
    pack = command(
        actions,
        "pack",
        "write what the registry can show into one file, which verify.py inside it checks offline",
        "covey registry pack --out pack.zip --subject <pseudonym>",
    )
    pack.add_argument("--out", type=Path, required=True, metavar="FILE", help="where the pack is to go")
    pack.add_argument(
        "--since", type=whole(0), default=0, metavar="ENTRY", help="first log entry wanted, default 0: all"
    )
    pack.add_argument("--subject", metavar="ID", help="add this person's records, with what opens them")
    pack.set_defaults(run=_pack)


def _add_drills(actions: Commands) -> None:
    drill = command(
        actions, "drill", "play what must hold, on a registry of its own", "covey registry drill withdraw"
    )
    drills = drill.add_subparsers(required=True, metavar="DRILL")
    crash = command(
        drills,
        "crash",
        "kill the registry while phones decide, start it again, and look for what was acknowledged",
        "covey registry drill crash --rounds 5 --db postgresql://host/empty --json",
    )
    crash.add_argument(
        "--db", metavar="URL", help="an empty database, emptied in the end; default a file that goes"
    )
    crash.add_argument("--rounds", type=int, default=5, metavar="N", help="crashes, default 5")
    crash.set_defaults(run=_crash)
    tamper = command(
        drills,
        "tamper",
        "change a log behind everyone's back and show who finds out; 0 when all did who should",
        "covey registry drill tamper --json",
    )
    tamper.set_defaults(run=_tamper)
    withdraw = command(
        drills,
        "withdraw",
        "how long a withdrawal takes to have effect; exits with 1 where anything still got through",
        "covey registry drill withdraw --subjects 200 --json",
    )
    withdraw.add_argument(
        "--subjects", type=int, default=200, metavar="N", help="people who withdraw, default 200"
    )
    withdraw.set_defaults(run=_withdraw)
    erase = command(
        drills,
        "erase",
        "erase a person, then look for them in every byte of the database; exits with 1 where one is left",
        "covey registry drill erase --db postgresql://host/empty --json",
    )
    erase.add_argument("--people", type=whole(1), default=20, metavar="N", help="people, default 20")
    erase.add_argument("--db", metavar="URL", help="an empty database; default a file that goes")
    erase.set_defaults(run=_erase)
    for each in (crash, tamper, withdraw, erase):
        each.add_argument("--json", action="store_true", help="for a program to read")


def _add_witness(commands: Commands) -> None:
    witness = command(
        commands, "witness", "a witness of logs", "covey witness key --name witness.example/w1 --folder w1"
    )
    actions = witness.add_subparsers(required=True, metavar="ACTION")
    serve = command(
        actions,
        "serve",
        "cosign the heads of logs over HTTP, each once it continues the one before",
        "covey witness serve --name witness.example/w1 --folder w1 --log $(covey registry key)",
    )
    serve.add_argument(
        "--log",
        required=True,
        action="append",
        metavar="KEY",
        help="a registry's key with its log's name, as `covey registry key` prints it; repeatable",
    )
    serve.add_argument("--host", default="127.0.0.1", help="address to listen on, default 127.0.0.1")
    serve.add_argument("--port", type=port, default=8710, help="port to listen on, default 8710")
    serve.set_defaults(run=_witness)
    key = command(
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


def _serve(chosen: argparse.Namespace) -> int:
    if chosen.demo:
        return _with(
            "covey_consent.operations.trial",
            lambda trial: trial.serve(chosen.host, chosen.port, _tell_values),
        )
    return _with(
        "covey_consent.operations.serve",
        lambda registry: registry.serve(chosen.host, chosen.port, tell=_tell("registry")),
    )


def _tell_values(address: str, operator: bytes, registry: bytes) -> None:
    """Print what an app pins, as Python, all of it at once."""
    lines = (
        "# FOR TRYING OUT ONLY: these keys and all decisions are gone when this registry ends.",
        f'OPERATOR = bytes.fromhex("{operator.hex()}")',
        f'REGISTRY = bytes.fromhex("{registry.hex()}")',
        f'URL = "{address}"',
    )
    print("\n".join(lines), flush=True)


def _tell(what: str) -> Callable[[str], None]:
    """Return what prints where a server answers; at once, also into a pipe or a file."""
    return lambda address: print(f"The {what} answers at {address}", flush=True)


def _key(chosen: argparse.Namespace) -> int:
    def show(registry: ModuleType) -> None:
        key = registry.verifier_key()
        print(key.public.hex() if chosen.hex else key.vkey)

    return _with("covey_consent.operations.serve", show)


def _document(chosen: argparse.Namespace) -> int:
    asked = chosen.name, chosen.purpose, chosen.round, chosen.format, chosen.out
    return _with("covey_consent.commands.document", lambda command: command.document(*asked))


def _evidence(chosen: argparse.Namespace) -> int:
    asked = {"run": chosen.run_tests, "as_json": chosen.json}
    return _with("covey_consent.commands.evidence", lambda command: command.evidence(**asked))


def _receipt(chosen: argparse.Namespace) -> int:
    return _with("covey_consent.commands.receipt", lambda command: command.check(chosen.file, chosen.key))


def _import(chosen: argparse.Namespace) -> int:
    return _with("covey_consent.commands.imports", lambda it: it.import_(chosen.file, chosen.key, chosen.url))


def _retention(chosen: argparse.Namespace) -> int:
    asked = {"dry": chosen.dry_run, "as_json": chosen.json}
    return _with("covey_consent.commands.retention", lambda it: it.run(chosen.now, **asked))


def _clock_show(chosen: argparse.Namespace) -> int:
    return _with("covey_consent.commands.clock", lambda it: it.show(chosen.url))


def _clock_confirm(chosen: argparse.Namespace) -> int:
    return _with("covey_consent.commands.clock", lambda it: it.confirm(chosen.url, chosen.time))


def _show(chosen: argparse.Namespace) -> int:
    return _with("covey_consent.commands.notice", lambda command: command.show(chosen.purpose, chosen.out))


def _lint(chosen: argparse.Namespace) -> int:
    return _with("covey_consent.commands.notice", lambda command: command.lint(chosen.path))


def _publish(chosen: argparse.Namespace) -> int:
    return _with("covey_consent.commands.notice", lambda command: command.publish(chosen.path, chosen.url))


def _breach_open(chosen: argparse.Namespace) -> int:
    what = chosen.nature, chosen.at, chosen.purpose, chosen.round, chosen.since, chosen.until
    return _with(
        "covey_consent.commands.breach",
        lambda it: it.open_(chosen.url, chosen.officer, *what, as_json=chosen.json),
    )


def _breach_list(chosen: argparse.Namespace) -> int:
    return _with(
        "covey_consent.commands.breach", lambda it: it.list_(chosen.url, chosen.officer, as_json=chosen.json)
    )


def _query(ask: Callable[[Any, argparse.Namespace], int], chosen: argparse.Namespace) -> int:
    written_as = "json" if chosen.json else "csv" if chosen.csv else "text"
    who = chosen.url, chosen.officer, getattr(chosen, "reason", "the list of rounds"), written_as
    return _with("covey_consent.commands.queries", lambda it: ask(it.Officer(*who), chosen))


def _notice_text(chosen: argparse.Namespace) -> int:
    what = chosen.url, chosen.purpose, chosen.version, chosen.language
    return _with("covey_consent.commands.queries", lambda it: it.notice_text(*what, as_json=chosen.json))


def _token(chosen: argparse.Namespace) -> int:
    asked = chosen.role, chosen.name, chosen.hours, chosen.subject
    return _with("covey_consent.commands.token", lambda command: command.mint(*asked))


def _revoke(chosen: argparse.Namespace) -> int:
    asked = chosen.url, chosen.token, chosen.role, chosen.name
    return _with("covey_consent.commands.token", lambda command: command.revoke(*asked))


def _migrate(chosen: argparse.Namespace) -> int:
    return _with(
        "covey_consent.commands.migrate", lambda command: command.migrate(check=chosen.check, sql=chosen.sql)
    )


def _pack(chosen: argparse.Namespace) -> int:
    return _with(
        "covey_consent.commands.pack", lambda command: command.pack(chosen.out, chosen.since, chosen.subject)
    )


def _crash(chosen: argparse.Namespace) -> int:
    return _with(
        "covey_simulations.commands.crash", lambda it: it.crash(chosen.db, chosen.rounds, as_json=chosen.json)
    )


def _tamper(chosen: argparse.Namespace) -> int:
    return _with("covey_simulations.commands.tamper", lambda command: command.tamper(chosen.json))


def _erase(chosen: argparse.Namespace) -> int:
    return _with(
        "covey_simulations.commands.erase", lambda it: it.erase(chosen.people, chosen.db, as_json=chosen.json)
    )


def _withdraw(chosen: argparse.Namespace) -> int:
    return measure("covey_simulations.drills.withdraw", chosen, ("subjects",))


def _witness(chosen: argparse.Namespace) -> int:
    where = chosen.host, chosen.port, chosen.name, chosen.folder
    return _with(
        "covey_consent.witness.witness",
        lambda witness: witness.serve(*where, chosen.log, tell=_tell("witness")),
    )


def _witness_key(chosen: argparse.Namespace) -> int:
    where = chosen.name, chosen.folder
    return _with("covey_consent.witness.witness", lambda witness: print(witness.verifier_key(*where).vkey))


def _with(module: str, act: Callable[[ModuleType], int | None]) -> int:
    """Act with a module of a command: 2 for what cannot be done as asked, 1 for what failed."""
    loaded, errors = load(module, "server"), load("covey_consent.errors", "server")
    if loaded is None or errors is None:
        return 1
    try:
        return act(loaded) or 0
    except errors.ConsentRegistryError as error:
        return fail(error, 2 if error.status < 500 else 1)
    except ValueError as error:
        settings = load("covey_consent.settings", "server")
        return fail(settings.in_words(error) if settings else error, 1)
    except OSError as error:
        return fail(error, 1)
