"""What all processes of one simulation share: addresses, pinned keys, the clock, the seed.

It stands in one small file in the simulation's folder, beside the phones' stores.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from covey_sdk import Trust

ORIGIN = "covey.example/log"

CANDIDATES = "candidates.json"
"""The shop's items in its public order, the same for everyone."""

_FILE = "world.json"


@dataclass(frozen=True, slots=True)
class World:
    """A simulation: where its registry is, whom its phones trust (hex), how far off its clock runs.

    Epochs are counted from 1970 on.
    """

    folder: Path
    registry_url: str
    registry_key: str
    operator_key: str
    profile: str
    shift: float
    seed: int
    households: tuple[int, ...]
    epoch_seconds: int

    @property
    def trust(self) -> Trust:
        """The keys that every phone pins."""
        return Trust(bytes.fromhex(self.operator_key), bytes.fromhex(self.registry_key), ORIGIN)

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

    def forward(self, seconds: float) -> World:
        """Return the world with time gone by."""
        return replace(self, shift=self.shift + seconds)

    def save(self) -> None:
        """Write the world down, all or nothing."""
        fields = {**asdict(self), "folder": str(self.folder)}
        draft = self.folder / f"{_FILE}.new"
        draft.write_text(json.dumps(fields), "utf-8")
        draft.replace(self.folder / _FILE)

    @classmethod
    def load(cls, folder: Path) -> World:
        """Return the world of a folder."""
        fields = json.loads((folder / _FILE).read_text("utf-8"))
        return cls(**{**fields, "folder": folder, "households": tuple(fields["households"])})
