"""The shops that a decryptor serves: one TOML file each, with the signed site document beside it.

operator = "8f1c..."         # the operator's public key, 64 hex digits
document = "shop.site"       # the site document that the operator signed

[floors]                     # optional; what is left out comes from the document's profile
purposes = ["analytics"]
least_set = 500
most_epsilon = 1.0
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from covey_privacy.errors import MisuseError, PrivacyError
from covey_privacy.floors import profile
from covey_privacy.secagg.keys import verify
from covey_privacy.secagg.log_entries import LogView
from covey_privacy.signatures import DOCUMENT_LIMIT
from covey_privacy.site_document import SiteDocument, open_site
from covey_server.decryptor.floors import Floors, read_floors
from covey_server.errors import ConfigError

_FILE_LIMIT = 2**16


@dataclass(frozen=True, slots=True)
class Site:
    """One shop: its operator's public key, the document that the operator signed, and the floors."""

    operator: bytes
    document: SiteDocument
    floors: Floors
    log: LogView


def read_sites(folder: Path, key: bytes) -> tuple[Site, ...]:
    """Return the shops of the folder's `.toml` files.

    Args:
        key: this decryptor's public key; every site document must pin it.

    Raises:
        ConfigError: there is none, or one cannot be used; the message names the file.
    """
    files = sorted(folder.glob("*.toml"))
    if not files:
        raise ConfigError(f"{folder} has no .toml file of a shop to serve; docs/decryptor.md shows one")
    sites: list[Site] = []
    for file in files:
        try:
            sites.append(_read_site(file, key))
        except (ConfigError, PrivacyError, ValueError) as error:
            raise ConfigError(f"{file}: {error}") from None
        except OSError as error:
            raise ConfigError(f"{error.filename} cannot be read: {error.strerror}") from None
    if len({site.operator for site in sites}) < len(sites):
        raise ConfigError(f"two files in {folder} name one operator; keep the newer site document alone")
    return tuple(sites)


def _read_site(file: Path, key: bytes) -> Site:
    stated = tomllib.loads(_read(file, _FILE_LIMIT).decode())
    unknown = set(stated) - {"operator", "document", "floors"}
    if unknown:
        raise ConfigError(f"{sorted(unknown)[0]!r} is unknown; operator, document and [floors] are known")
    operator = stated.get("operator")
    if not isinstance(operator, str) or not re.fullmatch("[0-9a-f]{64}", operator):
        raise ConfigError("operator is to be the operator's public key, 64 hex digits")
    named = stated.get("document")
    if not isinstance(named, str) or Path(named).name != named:
        raise ConfigError("document is to name the file of the site document, in the same folder")
    floors: Any = stated.get("floors", {})
    if not isinstance(floors, dict):
        raise ConfigError("[floors] is to be a table")
    signed = _read(file.with_name(named), DOCUMENT_LIMIT)
    document = open_site(signed, bytes.fromhex(operator), verify)
    if key not in document.organisation_keys:
        raise ConfigError(
            f"the site document of {document.name} does not pin this decryptor's key {key.hex()}; ask the "
            "shop for a document that does"
        )
    return Site(
        bytes.fromhex(operator), document, read_floors(floors, profile(document.profile)), _log(document)
    )


def _log(document: SiteDocument) -> LogView:
    try:
        return document.log_view
    except MisuseError as error:
        raise ConfigError(f"the site document of {document.name} cannot be used: {error}") from None


def _read(path: Path, limit: int) -> bytes:
    with path.open("rb") as file:
        data = file.read(limit + 1)
    if len(data) > limit:
        raise ConfigError(f"{path.name} has more than {limit} bytes")
    return data
