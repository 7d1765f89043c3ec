"""The site document on the command line: what apps, decryptors and auditors pin of one shop."""

from __future__ import annotations

import argparse
import dataclasses
import json
from pathlib import Path
from typing import Any

from covey import Commands, command, fail

PUBLIC_KEY = 32
"""Bytes of a public key."""


def add(commands: Commands) -> None:
    """Add the commands of the site document."""
    site = command(
        commands,
        "site",
        "the signed document of a shop's addresses and keys, which apps pin",
        "covey site sign site.toml --key operator.key --out shop.site",
    )
    actions = site.add_subparsers(required=True, metavar="ACTION")
    sign = command(
        actions,
        "sign",
        "sign what a TOML file says of the site, with the operator's key",
        "covey site sign site.toml --key operator.key --out shop.site",
    )
    sign.add_argument("file", type=Path, metavar="FILE", help="the site's file; docs/decryptor.md shows one")
    sign.add_argument("--key", type=Path, required=True, metavar="FILE", help="the operator's key")
    sign.add_argument("--out", type=Path, required=True, metavar="FILE", help="where the document goes")
    sign.set_defaults(run=_sign)
    show = command(
        actions,
        "show",
        "check a site document's signature and print what it pins",
        "covey site show shop.site --operator 3b6a27bc...",
    )
    show.add_argument("file", type=Path, metavar="FILE", help="the signed document")
    show.add_argument("--operator", required=True, metavar="HEX", help="the operator's public key")
    show.add_argument("--json", action="store_true", help="for a program to read")
    show.set_defaults(run=_show)


def _sign(chosen: argparse.Namespace) -> int:
    from covey_privacy.errors import PrivacyError
    from covey_privacy.site_document import sign_site
    from covey_server import operator_keys, site_file
    from covey_server.errors import ConfigError

    try:
        document = site_file.read_site_file(chosen.file)
        key = operator_keys.read(chosen.key)
        signed = sign_site(document, key)
    except (ConfigError, PrivacyError) as error:
        return fail(error, 2)
    draft = chosen.out.with_name(f"{chosen.out.name}.new")
    draft.write_bytes(signed)
    draft.replace(chosen.out)
    print(f"{chosen.out}: version {document.version} of {document.name}, signed by {key.public.hex()}")
    return 0


def _show(chosen: argparse.Namespace) -> int:
    from covey_privacy.errors import PrivacyError
    from covey_privacy.site_document import open_site

    try:
        operator = bytes.fromhex(chosen.operator)
    except ValueError:
        operator = b""
    if len(operator) != PUBLIC_KEY:
        return fail("--operator takes the operator's public key, 64 hex digits", 2)
    try:
        document = open_site(chosen.file.read_bytes(), operator)
    except PrivacyError as error:
        return fail(error, 1)
    told: dict[str, Any] = _plain(dataclasses.asdict(document))
    if chosen.json:
        print(json.dumps(told, indent=1))
        return 0
    print(f"{document.name}, version {document.version}: profile {document.profile}")
    print(f"registry {document.registry.hex()} at {document.registry_url or 'no address'}")
    witnesses = f"{document.least_witnesses} of {len(document.witnesses)} witnesses"
    print(f"log {document.origin}, cosigned by {witnesses}")
    for each in document.organisations:
        for key, url in zip(each.keys, each.urls, strict=True):
            print(f"decryptor of {each.name}: {key.hex()} at {url}")
    return 0


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _plain(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return value.hex() if isinstance(value, bytes) else value
