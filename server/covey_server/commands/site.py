"""`covey site`: what apps, decryptors and auditors pin of one shop, in a signed document."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

from covey_privacy.command_line import CommandError, exit_statuses
from covey_privacy.errors import PrivacyError
from covey_privacy.site_document import open_site, sign_site
from covey_server import operator_keys, site_file
from covey_server.errors import ConfigError

PUBLIC_KEY = 32
"""Bytes of a public key."""


@exit_statuses({ConfigError: 2, PrivacyError: 2})
def sign(file: Path, key: Path, out: Path) -> None:
    """Sign what the site's file says with the operator's key, and write the document to `out`."""
    document, operator = site_file.read_site_file(file), operator_keys.read(key)
    signed = sign_site(document, operator)
    draft = out.with_name(f"{out.name}.new")
    draft.write_bytes(signed)
    draft.replace(out)
    print(f"{out}: version {document.version} of {document.name}, signed by {operator.public.hex()}")


@exit_statuses({PrivacyError: 1})
def show(file: Path, operator: str, as_json: bool) -> None:
    """Check a document under the operator's public key, in hex, and print what it pins."""
    try:
        public = bytes.fromhex(operator)
    except ValueError:
        public = b""
    if len(public) != PUBLIC_KEY:
        raise CommandError("--operator takes the operator's public key, 64 hex digits", 2)
    document = open_site(file.read_bytes(), public)
    if as_json:
        print(json.dumps(_with_hex(dataclasses.asdict(document)), indent=1))
        return
    print(f"{document.name}, version {document.version}: profile {document.profile}")
    print(f"registry {document.registry.hex()} at {document.registry_url or 'no address'}")
    witnesses = f"{document.least_witnesses} of {len(document.witnesses)} witnesses"
    print(f"log {document.origin}, cosigned by {witnesses}")
    for each in document.organisations:
        for key, url in zip(each.keys, each.urls, strict=True):
            print(f"decryptor of {each.name}: {key.hex()} at {url}")


def _with_hex(value: Any) -> Any:
    """Return JSON values, bytes among them in hex."""
    if isinstance(value, dict):
        return {name: _with_hex(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_with_hex(each) for each in value]
    return value.hex() if isinstance(value, bytes) else value
