"""An operator's file of its site, in TOML, as it is written by hand; `covey site sign` signs what it says.

version = 1                       # a document replaces those of smaller versions
name = "shop.example"
profile = "production"            # whose floors phones keep
registry = "5d0c..."              # the registry's public key, 64 hex digits: `covey registry key`
registry_url = "https://registry.shop.example"
origin = "registry.shop.example/log"
witnesses = ["witness.example+1a2b3c4d+BA..."]
least_witnesses = 1
witness_seconds = 86400
gateways = ["https://gateway.shop.example"]

[[organisations]]                 # whose decryptors sit on standing committees
name = "consumers.example"
keys = ["8f1c..."]                # `covey decryptor keygen` prints it
urls = ["https://decryptor.consumers.example"]
"""

from __future__ import annotations

import dataclasses
import tomllib
from pathlib import Path
from typing import Any

from covey_privacy import wire
from covey_privacy.errors import PrivacyError
from covey_privacy.floors import profile
from covey_privacy.site_document import Organisation, SiteDocument
from covey_server.errors import ConfigError

_LIMIT = 2**20


def read_site_file(path: Path) -> SiteDocument:
    """Return what the file says. Raises ConfigError where no site document can be made of it."""
    try:
        with path.open("rb") as file:
            text = file.read(_LIMIT + 1)
        if len(text) > _LIMIT:
            raise ConfigError(f"{path} has more than {_LIMIT} bytes; a site's file is short")
        stated = tomllib.loads(text.decode())
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise ConfigError(f"{path} is no TOML: {error}") from None
    try:
        profile(_taken(stated, "profile", str))
        organisations = tuple(map(_organisation, _taken(stated, "organisations", list, [])))
        document = SiteDocument(
            version=_taken(stated, "version", int),
            name=_taken(stated, "name", str),
            profile=stated["profile"],
            registry=_key(_taken(stated, "registry", str), "registry"),
            registry_url=_taken(stated, "registry_url", str, ""),
            origin=_taken(stated, "origin", str),
            witnesses=tuple(_taken(stated, "witnesses", list, [])),
            least_witnesses=_taken(stated, "least_witnesses", int, 0),
            witness_seconds=_taken(stated, "witness_seconds", int, 0),
            gateways=tuple(_taken(stated, "gateways", list, [])),
            organisations=organisations,
        )
        _require_known(stated, SiteDocument)
        return wire.decode(SiteDocument, wire.encode(document))  # The bounds of every field.
    except (PrivacyError, ConfigError, TypeError, ValueError) as error:
        raise ConfigError(f"{path}: {error}") from None


def _organisation(stated: Any) -> Organisation:
    if not isinstance(stated, dict):
        raise ConfigError("[[organisations]] is to be a list of tables")
    _require_known(stated, Organisation)
    name = _taken(stated, "name", str)
    keys = tuple(_key(key, f"organisation {name}") for key in _taken(stated, "keys", list))
    return Organisation(name, keys, tuple(_taken(stated, "urls", list)))


def _taken(stated: dict[str, Any], name: str, kind: type, default: Any = None) -> Any:
    """Return a field of its kind, or the default where there is one."""
    value = stated.get(name, default)
    if type(value) is not kind:
        raise ConfigError(f"{name} is to be given, as {kind.__name__}")
    return value


def _key(text: Any, whose: str) -> bytes:
    try:
        key = bytes.fromhex(text)
    except (TypeError, ValueError):
        key = b""
    if len(key) != 32:
        raise ConfigError(f"the key of {whose} is to be 64 hex digits")
    return key


def _require_known(stated: dict[str, Any], cls: type) -> None:
    known = {field.name for field in dataclasses.fields(cls)}
    unknown = sorted(set(stated) - known)
    if unknown:
        raise ConfigError(f"{unknown[0]!r} is unknown; {', '.join(sorted(known))} are known")
