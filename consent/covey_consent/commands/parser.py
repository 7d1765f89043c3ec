"""The options and help of `covey registry`, `witness` and `certificate print`.

Those that ask a registry that is served are in `served_parser`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from covey_consent.commands import served_parser
from covey_consent.errors import ConsentRegistryError
from covey_privacy.command_line import (
    JSON,
    KEY,
    CommandError,
    CommandGroup,
    address,
    choice,
    exclusive,
    flag,
    option,
    path,
    text,
    whole,
)
from covey_privacy.commands.parser import add_certificate_options


@contextmanager
def registry_errors() -> Iterator[None]:
    """Report what cannot be done as asked with exit status 2, what failed with 1."""
    try:
        yield
    except ConsentRegistryError as error:
        raise CommandError(error, 2 if error.status < 500 else 1) from error
    except ValueError as error:
        from covey_consent.settings import in_words

        raise CommandError(in_words(error), 1) from error


def add_registry(covey: CommandGroup) -> CommandGroup:
    """Add `covey registry`."""
    example = "covey registry serve --port 8700"
    registry = covey.group(
        "registry", "the consent registry", example, extra="server", errors=registry_errors
    )
    registry.command(
        "serve",
        "serve the registry over HTTP; COVEY_REGISTRY_* variables configure it",
        "COVEY_REGISTRY_OPERATOR=<hex public key> covey registry serve --port 8700",
        address(8700),
        flag(
            "--demo",
            "for trying out: a registry that is forgotten when it ends; prints what an app pins, as Python",
        ),
        run="covey_consent.commands.serve:serve",
    )
    registry.command(
        "key",
        "print the public key of the registry, whose log it signs: name+id+key, as every command takes it",
        "LOG_KEY=$(covey registry key)",
        flag("--hex", "the key alone in hex, as apps pin it", dest="as_hex"),
        run="covey_consent.commands.serve:show_key",
    )
    _add_receipt(registry)
    registry.command(
        "import",
        "bring a person's export from a registry whose key is pinned in COVEY_REGISTRY_IMPORTS_FROM there; "
        "COVEY_REGISTRY_TOKEN is an admin's access token",
        "covey registry import covey-export.zip --key <hex public key of the registry that made it>",
        path("file", "FILE", "the export, a zip"),
        text("--key", "HEX", "public key of the registry that made it, 64 hex digits", required=True),
        served_parser.URL,
        run="covey_consent.commands.imports:import_",
    )
    _add_retention(registry)
    served_parser.add_clock(registry)
    served_parser.add_notice(registry)
    _add_documents(registry)
    _add_tokens(registry)
    served_parser.add_breach(registry)
    served_parser.add_lookups(registry)
    _add_database(registry)
    return registry


def _add_receipt(registry: CommandGroup) -> None:
    example = "covey registry receipt verify receipt.jwt --key $LOG_KEY"
    registry.group("receipt", "receipts of consent", example).command(
        "verify",
        "say what a signed receipt shows, without the network; exits with 1 where it does not hold",
        example,
        path("file", "FILE", "the signed receipt"),
        text("--key", "KEY", KEY, required=True),
        run="covey_consent.commands.receipt:check",
    )


def _add_retention(registry: CommandGroup) -> None:
    example = "covey registry retention run --now +1200d --dry-run"
    later = "delete today what will be over N days from now, such as +400d"
    registry.group("retention", "how long things are kept", example).command(
        "run",
        "delete what was kept for long enough; a registry that serves does so itself, every hour",
        example,
        text("--now", "+Nd", later, dest="later"),
        flag("--dry-run", "only count it; works beside a registry", dest="dry"),
        JSON,
        run="covey_consent.commands.retention:run",
    )


def _add_documents(registry: CommandGroup) -> None:
    names, formats = ["ropa", "dpia", "dossier", "pipl-audit", "dsa", "toms"], ["json", "md", "html", "csv"]
    registry.command(
        "document",
        "make a document that the law asks for, from the registry's database",
        "covey registry document dpia --purpose train --format html --out dpia.html",
        choice("name", names, "which document"),
        text("--purpose", "P", "the purpose that a dpia is about"),
        text("--round", "R", "the round that a dossier is about", dest="round_id"),
        choice("--format", formats, "default md", dest="written_as", default="md"),
        path("--out", "FILE", "write it there instead of printing it"),
        run="covey_consent.commands.document:document",
    )
    registry.command(
        "evidence",
        "print which articles of law are shown by which tests; exits with 1 when one did not pass",
        "covey registry evidence --run --json",
        flag("--run", "run the tests first; takes a checkout", dest="run_tests"),
        JSON,
        run="covey_consent.commands.evidence:show_evidence",
    )


def _add_tokens(registry: CommandGroup) -> None:
    roles = ("admin", "auditor", "officer", "operator", "service", "subject")
    registry.command(
        "token",
        "print an access token under the registry's own key",
        "covey registry token --role officer --name alice --hours 8",
        choice("--role", roles, "what its bearer is to the registry", required=True),
        option("--name", "by which the access log knows them", required=True),
        text("--hours", "H", "how long it holds, default 8", type=float, default=8),
        text("--subject", "ID", "for the role subject: whose records are theirs"),
        run="covey_consent.commands.token:mint",
    )
    registry.command(
        "revoke",
        "end an access token, or all that a role and name have; run it where the key file is",
        "covey registry revoke --role officer --name alice",
        text("--token", "ID", "the token's id, or the token itself"),
        choice("--role", roles, "with --name: whose tokens end, all that they have"),
        option("--name", "by which the access log knows them"),
        served_parser.URL,
        run="covey_consent.commands.token:revoke",
    )


def _add_database(registry: CommandGroup) -> None:
    registry.command(
        "migrate",
        "bring the database to this Covey's revision; stop the registry and back it up before",
        "COVEY_REGISTRY_DATABASE_URL=postgresql://host/covey covey registry migrate --check",
        exclusive(
            flag("--check", "only say whether it is there; else exits with 1"),
            flag("--sql", "only print the statements"),
        ),
        run="covey_consent.commands.migrate:migrate",
    )
    registry.command(
        "pack",
        "write what the registry can show into one file, which verify.py inside it checks offline",
        "covey registry pack --out pack.zip --subject <pseudonym>",
        path("--out", "FILE", "where the pack is to go", required=True),
        text("--since", "ENTRY", "first log entry wanted, default 0: all", type=whole(0), default=0),
        text("--subject", "ID", "add this person's records, with what opens them"),
        run="covey_consent.commands.pack:pack",
    )


def add_witness(covey: CommandGroup) -> CommandGroup:
    """Add `covey witness serve` and `key`."""
    example = "covey witness key --name witness.example/w1 --folder w1"
    witness = covey.group("witness", "a witness of logs", example, extra="server", errors=registry_errors)
    name = option("--name", "the name it signs with, an address without https://", required=True)
    folder = path("--folder", "DIR", "keeps its key and the heads it cosigned", required=True)
    witness.command(
        "serve",
        "cosign the heads of logs over HTTP, each once it continues the one before",
        "covey witness serve --name witness.example/w1 --folder w1 --log $(covey registry key)",
        text(
            "--log",
            "KEY",
            "a registry's key with its log's name, as `covey registry key` prints it; repeatable",
            dest="logs",
            required=True,
            action="append",
        ),
        address(8710),
        name,
        folder,
        run="covey_consent.commands.serve:serve_witness",
    )
    witness.command(
        "key",
        "print the witness's key, as registries and phones want it",
        example,
        name,
        folder,
        run="covey_consent.commands.serve:show_witness_key",
    )
    return witness


def add_certificate_page(certificate: CommandGroup) -> None:
    """Add `covey certificate print`."""
    replace(certificate, extra="server", errors=registry_errors).command(
        "print",
        "write one page to print, in English and Chinese, of a certificate that holds",
        "covey certificate print mine.cert --site shop.site --operator $OPERATOR --out page.html",
        path("--out", "PAGE", "the page to write", required=True),
        add_certificate_options,
        run="covey_consent.commands.receipt:print_certificate",
    )
