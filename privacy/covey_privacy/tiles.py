"""Tiles of the transparency log as of C2SP tlog-tiles: up to 256 hashes of one height, as static files.

The hashes of a tile at level l stand at height 8 l of the tree; a partial tile is the right edge of its
level. Entries are served beside them, in bundles. Whoever reads tiles passes in what fetches them.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from covey_privacy.errors import MisuseError, PeerError, ServerError
from covey_privacy.merkle import (
    EMPTY,
    Node,
    Proof,
    Tree,
    head,
    prove_consistency,
    prove_inclusion,
    verify_consistency,
    verify_inclusion,
)
from covey_privacy.protocol_rules import Rule

WIDTH = 256
HEIGHT = 8
MOST_LEVELS = 64

ENTRY_LIMIT = 2**16 - 1
"""An entry's bytes at most."""

ENTRIES = "entries"

_PATH = re.compile(r"tile/(entries|[1-5]?\d|6[0-3])/((?:x\d{3}/){0,5}\d{3})(?:\.p/(\d{1,3}))?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Tile:
    """A tile's place: its level (None for a bundle of entries), index and width (256 when full)."""

    level: int | None
    index: int
    width: int = WIDTH

    @property
    def path(self) -> str:
        """Where the tile is served, below the log's prefix."""
        level = ENTRIES if self.level is None else self.level
        partial = f".p/{self.width}" if self.width < WIDTH else ""
        return f"tile/{level}/{_digits(self.index)}{partial}"

    @property
    def first(self) -> int:
        """The place of the tile's first hash or entry in its level."""
        return self.index * WIDTH

    @property
    def full(self) -> Tile:
        """The full tile at this place, which may be served when the partial one is gone."""
        return replace(self, width=WIDTH)


Fetch = Callable[[Tile], bytes]
"""`fetch(tile)`: the tile's bytes, or those of the full tile at its place."""


def parse_path(path: str) -> Tile:
    """Return the tile that a path names. Raises PeerError when it names none."""
    match = _PATH.fullmatch(path)
    tile = _tile(*match.groups()) if match else None
    # A tile has one path: no needless zeros, no empty tile, no partial one of full width.
    if tile is None or not tile.width or tile.path != path:
        raise PeerError(
            f"{path[:100]!r} is no tile's path: tile/<level or entries>/<index>[.p/<width>]",
            rule=Rule.LOG_TILE,
        )
    return tile


def tile_of(level: int | None, index: int, size: int) -> Tile:
    """Return the tile as a log of `size` leaves has it. Raises MisuseError where it has none."""
    width = min(WIDTH, (size >> HEIGHT * (level or 0)) - index * WIDTH)
    if index < 0 or width < 1 or (level or 0) >= MOST_LEVELS:
        raise MisuseError(f"a log of {size} leaves has no tile {index} at level {level}")
    return Tile(level, index, width)


def tiles_of_log(size: int) -> Iterator[Tile]:
    """Yield every tile of a log of `size` leaves, level by level, the partial one of each level last."""
    level = 0
    while hashes := size >> HEIGHT * level:
        for index in range(-(-hashes // WIDTH)):
            yield tile_of(level, index, size)
        level += 1


def tiles_of_inclusion(index: int, size: int) -> tuple[Tile, ...]:
    """Return the tiles that prove leaf `index` in a log of `size` leaves: what `Reader.inclusion` fetches."""
    return _touched(size, lambda node: (prove_inclusion(node, index, size), node(0, index)))


def tiles_of_consistency(old: int, size: int) -> tuple[Tile, ...]:
    """Return the tiles that prove what the log was at size `old`: what `Reader.consistency` fetches."""
    return _touched(size, lambda node: (prove_consistency(node, old, size), head(node, 0, old)))


def encode_tile(tree: Tree, tile: Tile) -> bytes:
    """Return the tile's bytes, 32 for each hash."""
    if tile.level is None:
        raise MisuseError("a tree has no entries: encode_bundle makes their bundles")
    height = tile.level * HEIGHT
    return b"".join(tree.node(height, place) for place in range(tile.first, tile.first + tile.width))


def decode_tile(tile: Tile, data: bytes) -> tuple[bytes, ...]:
    """Return the tile's hashes, out of its bytes or the full tile's. Raises ServerError."""
    step = len(EMPTY)
    if len(data) not in (tile.width * step, WIDTH * step):
        raise ServerError(
            f"{tile.path} has {tile.width * step} bytes; {len(data)} arrived", rule=Rule.LOG_TILE
        )
    return tuple(data[place : place + step] for place in range(0, tile.width * step, step))


def encode_bundle(entries: Sequence[bytes]) -> bytes:
    """Return the bundle of 1 to 256 entries, each behind its length in two bytes."""
    if not 1 <= len(entries) <= WIDTH or any(len(entry) > ENTRY_LIMIT for entry in entries):
        raise MisuseError(f"a bundle holds 1 to {WIDTH} entries of at most {ENTRY_LIMIT} bytes")
    return b"".join(struct.pack(">H", len(entry)) + entry for entry in entries)


def decode_bundle(tile: Tile, data: bytes) -> tuple[bytes, ...]:
    """Return the bundle's entries, out of its bytes or the full bundle's. Raises ServerError."""
    entries: list[bytes] = []
    place = 0
    while place < len(data) and len(entries) < WIDTH:
        end = place + 2 + int.from_bytes(data[place : place + 2], "big")
        entries.append(data[place + 2 : end])
        place = end
    if place != len(data) or len(entries) not in (tile.width, WIDTH):
        raise ServerError(
            f"{tile.path} is to hold {tile.width} entries behind their lengths; it does not",
            rule=Rule.LOG_TILE,
        )
    return tuple(entries[: tile.width])


class Reader:
    """Proofs from the tiles of a log whose signed head is (size, root).

    What it returns has been held against that head: it raises ServerError where the tiles do not give it.
    Tiles are fetched once and kept, 8 KiB each.
    """

    def __init__(self, size: int, root: bytes, fetch: Fetch) -> None:
        self.size = size
        self._root = root
        self._fetch = fetch
        self._tiles: dict[Tile, tuple[bytes, ...]] = {}

    def leaf(self, index: int) -> bytes:
        """Return the hash of leaf `index`."""
        self.inclusion(index)
        return self.node(0, index)

    def root(self, size: int) -> bytes:
        """Return the head of the first `size` leaves."""
        self.consistency(size)
        return head(self.node, 0, size)

    def inclusion(self, index: int) -> Proof:
        """Return the proof of leaf `index`."""
        proof = prove_inclusion(self.node, index, self.size)
        verify_inclusion(self.node(0, index), index, self.size, proof, self._root)
        return proof

    def consistency(self, old: int) -> Proof:
        """Return the proof that the first `old` leaves begin the log."""
        proof = prove_consistency(self.node, old, self.size)
        if old:
            verify_consistency(old, head(self.node, 0, old), self.size, self._root, proof)
        return proof

    def node(self, height: int, index: int) -> bytes:
        """Return the head of a complete subtree (`merkle.Node`), not held against the log's head."""
        tile, start, end = _place(height, index, self.size)
        if tile not in self._tiles:
            self._tiles[tile] = decode_tile(tile, self._fetch(tile))
        return Tree(self._tiles[tile][start:end]).root()


def _place(height: int, index: int, size: int) -> tuple[Tile, int, int]:
    """Return the tile that holds the node, and between which of its hashes."""
    level, up = divmod(height, HEIGHT)
    number, start = divmod(index << up, WIDTH)
    return tile_of(level, number, size), start, start + (1 << up)


def _touched(size: int, prove: Callable[[Node], object]) -> tuple[Tile, ...]:
    """Return the tiles that a proof's nodes lie in, in the order it asks for them."""
    tiles: dict[Tile, None] = {}

    def node(height: int, index: int) -> bytes:
        tiles[_place(height, index, size)[0]] = None
        return EMPTY

    prove(node)
    return tuple(tiles)


def _tile(level: str, index: str, width: str | None) -> Tile:
    number = int(index.replace("/", "").replace("x", ""))
    return Tile(None if level == ENTRIES else int(level), number, int(width or WIDTH))


def _digits(index: int) -> str:
    """Return the index in groups of three digits, all but the last behind an x."""
    digits = f"{index:03d}"
    digits = digits.zfill(-(-len(digits) // 3) * 3)
    groups = [digits[place : place + 3] for place in range(0, len(digits), 3)]
    return "/".join([*(f"x{group}" for group in groups[:-1]), groups[-1]])
