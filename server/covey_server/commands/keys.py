"""`covey operator` and `covey decryptor keygen`: keys in files, printed by their public half."""

from __future__ import annotations

import json
from pathlib import Path

from covey_privacy.command_line import exit_statuses
from covey_server import operator_keys
from covey_server.decryptor.state import mark_unused
from covey_server.errors import ConfigError

_PINNED = """\
The key is in {file}; keep it secret, and keep a copy of this one file elsewhere.
Its public half, which the shop pins in the site document, among the `keys` of your organisation, with the
address of this decryptor at the same place of its `urls` (covey_privacy.site_document.Organisation):
{public}"""


@exit_statuses({ConfigError: 2})
def make_operator_key(file: Path, force: bool, as_hex: bool, as_json: bool) -> None:
    """Make the operator's key, and print its public half."""
    operator_keys.make(file, replace=force)
    show_operator_key(file, as_hex, as_json)


@exit_statuses({ConfigError: 2})
def show_operator_key(file: Path, as_hex: bool, as_json: bool) -> None:
    """Print the public half of the operator's key."""
    public = operator_keys.read(file).public.hex()
    if as_json:
        print(json.dumps({"operator": public, "file": str(file)}))
    else:
        print(public if as_hex else f"COVEY_REGISTRY_OPERATOR={public}")


@exit_statuses({ConfigError: 2})
def make_decryptor_key(key_file: Path, force: bool, as_hex: bool, as_json: bool) -> None:
    """Make a decryptor's key, and print its public half."""
    public = operator_keys.make(key_file, replace=force).public.hex()
    mark_unused(key_file)
    if as_json:
        print(json.dumps({"key": public, "file": str(key_file)}))
    else:
        print(public if as_hex else _PINNED.format(file=key_file, public=public))
