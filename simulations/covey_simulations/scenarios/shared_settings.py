"""What all processes of one simulation share: addresses, pinned keys, the clock, the seed.

It stands in one small file in the simulation's folder, beside the phones' stores.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path

from covey_privacy.site_document import SiteDocument, open_site
from covey_sdk import Trust

ORIGIN = "covey.example/log"

CANDIDATES = "candidates.json"
"""The shop's items in its public order, the same for everyone."""

_FILE = "world.json"
SITE = "site.signed"
"""The file of the signed site document."""


@dataclass(frozen=True)
class SharedSettings:
    """A simulation: its folder, with the site document in it, and the operator's public key (hex).

    Epochs are counted from 1970 on.
    """

    folder: Path
    operator_key: str
    profile: str
    seed: int
    households: tuple[int, ...]
    epoch_seconds: int

    @property
    def signed_site(self) -> bytes:
        """The signed site document."""
        return (self.folder / SITE).read_bytes()

    @cached_property
    def site(self) -> SiteDocument:
        """The site: its registry, witnesses and organisations."""
        return open_site(self.signed_site, bytes.fromhex(self.operator_key))

    @cached_property
    def trust(self) -> Trust:
        """What every phone pins."""
        return Trust.of_site(bytes.fromhex(self.operator_key), self.signed_site)

    @property
    def registry_url(self) -> str:
        """Where the registry answers."""
        return self.site.registry_url

    @property
    def orders(self) -> Path:
        """The folder of the shop's orders."""
        return self.folder / "orders"

    @property
    def phones(self) -> Path:
        """The folder of the phones' stores and keys."""
        return self.folder / "phones"

    @property
    def public(self) -> Path:
        """The folder of what the shop publishes: a file for each document, by its name."""
        return self.folder / "public"

    def candidates(self) -> list[str]:
        """Return the shop's items in its public order."""
        items: list[str] = json.loads((self.public / CANDIDATES).read_text("utf-8"))
        return items

    def save(self) -> None:
        """Write the world down, all or nothing."""
        fields = {**asdict(self), "folder": str(self.folder)}
        draft = self.folder / f"{_FILE}.new"
        draft.write_text(json.dumps(fields), "utf-8")
        draft.replace(self.folder / _FILE)

    @classmethod
    def load(cls, folder: Path) -> SharedSettings:
        """Return the world of a folder."""
        fields = json.loads((folder / _FILE).read_text("utf-8"))
        return cls(**{**fields, "folder": folder, "households": tuple(fields["households"])})
