"""The decryptor on the command line: reads the arguments and hands over to `covey_server.decryptor`."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from covey import Commands, command, fail, load
from covey_registry import port

_PINNED = """\
The key is in {file}; keep it secret, and keep a copy of this one file elsewhere.
Its public half, which the shop pins in the site document, among the `keys` of your organisation, with the
address of this decryptor at the same place of its `urls` (covey_privacy.site_document.Organisation):
{public}"""


def add(commands: Commands) -> None:
    """Add the decryptor's commands."""
    decryptor = command(
        commands,
        "decryptor",
        "an organisation's seat on the committees that open sums",
        "covey decryptor keygen --key decryptor.key",
    )
    actions = decryptor.add_subparsers(required=True, metavar="ACTION")
    keygen = command(
        actions,
        "keygen",
        "make a key in a file that its owner alone can read, and print its public half, which shops pin",
        "covey decryptor keygen --key decryptor.key",
    )
    keygen.add_argument("--force", action="store_true", help="replace the key in the file, for good")
    form = keygen.add_mutually_exclusive_group()
    form.add_argument("--hex", action="store_true", help="print the public key alone, in hex")
    form.add_argument("--json", action="store_true", help="for a program to read")
    keygen.set_defaults(run=_keygen)
    serve = command(
        actions,
        "serve",
        "serve seats, checks and openings over HTTP, with a page at / for whoever runs it",
        "covey decryptor serve --key decryptor.key --sites sites --state state --port 8720",
    )
    serve.add_argument(
        "--sites", type=Path, required=True, metavar="FOLDER", help="one .toml file for each shop served"
    )
    serve.add_argument(
        "--state",
        type=Path,
        required=True,
        metavar="FOLDER",
        help="keeps what was done in which round; no secret; for this process alone",
    )
    serve.add_argument("--host", default="127.0.0.1", help="address to listen on, default 127.0.0.1")
    serve.add_argument("--port", type=port, default=8720, help="port to listen on, default 8720")
    serve.add_argument(
        "--restored",
        action="store_true",
        help="once, where the state was lost or comes from a backup: no seat in rounds of the next 48 hours",
    )
    serve.set_defaults(run=_serve)
    for action in (keygen, serve):
        action.add_argument("--key", type=Path, required=True, metavar="FILE", help="the file of the key")


def _keygen(chosen: argparse.Namespace) -> int:
    from covey_server import operator_keys
    from covey_server.decryptor.state import mark_unused
    from covey_server.errors import ConfigError

    try:
        public = operator_keys.make(chosen.key, replace=chosen.force).public.hex()
        mark_unused(chosen.key)
    except ConfigError as error:
        return fail(error, 2)
    if chosen.json:
        print(json.dumps({"key": public, "file": str(chosen.key)}))
    else:
        print(public if chosen.hex else _PINNED.format(file=chosen.key, public=public))
    return 0


def _serve(chosen: argparse.Namespace) -> int:
    server = load("covey_server.decryptor.serve", "decryptor")
    if server is None:
        return 1
    try:
        server.serve(
            chosen.key, chosen.sites, chosen.state, chosen.host, chosen.port,
            tell=lambda address: print(f"The decryptor answers at {address}", flush=True),
            restored=chosen.restored,
        )  # fmt: skip
    except server.ConfigError as error:
        return fail(error, 2)
    except server.DecryptorError as error:
        return fail(error, 1)
    return 0
