import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from covey_privacy.errors import MisuseError, PeerError, ServerError
from covey_privacy.merkle import Tree, leaf_hash
from covey_privacy.tiles import (
    Reader,
    Tile,
    decode_bundle,
    decode_tile,
    encode_bundle,
    encode_tile,
    parse_path,
    tile_of,
    tiles_of_consistency,
    tiles_of_inclusion,
    tiles_of_log,
)

LOG = Tree([leaf_hash(str(i).encode()) for i in range(66_000)])
SIZES = st.one_of(st.integers(1, 1100), st.sampled_from([65_535, 65_536, 65_537, 65_792, 66_000]))


class Server:
    """The tiles of LOG; `change` may alter what is served of one of them."""

    def __init__(self, change=lambda tile, data: data):
        self.served = []
        self.change = change

    def __call__(self, tile):
        self.served.append(tile)
        return self.change(tile, encode_tile(LOG, tile))


# The cases of transparency-dev/tessera, api/layout/paths_test.go.
@pytest.mark.parametrize(
    ("path", "tile"),
    [
        ("tile/0/x001/x234/067", Tile(0, 1234067)),
        ("tile/0/x001/x234/067.p/89", Tile(0, 1234067, 89)),
        ("tile/63/x999/x999/x999/x999/x999/999.p/255", Tile(63, 999_999_999_999_999_999, 255)),
        ("tile/0/001", Tile(0, 1)),
        ("tile/1/000.p/4", Tile(1, 0, 4)),
        ("tile/15/x123/x456/789", Tile(15, 123_456_789)),
        ("tile/entries/x123/x456/x789/000", Tile(None, 123_456_789_000)),
        ("tile/entries/255.p/253", Tile(None, 255, 253)),
    ],
)
def test_paths(path, tile):
    assert tile.path == path
    assert parse_path(path) == tile


@pytest.mark.parametrize(
    "path",
    [
        "0/x001/x234/067.p/", "0/x001/x234/067.p", "0/x001/x234/", "0/x001/x234", "0/x001/", "0/x001",
        "1/x001/.p/abc", "64/x001/002", "-1/x001/002", "abc/x001/002", "8/001/002", "8/x001/0002",
        "8/x001/-002", "8/x001/002.p/256", "63/x999/x999/x999/x999/x999/x999/999.p/255",
        "0/x000/001", "00/001", "0/001.p/0", "0/001.p/01", "0/001.p/300",
        "0/00\u0661", "0/001\n", "entries", "",
    ],
)  # fmt: skip
def test_what_is_no_path(path):
    with pytest.raises(PeerError):
        parse_path(f"tile/{path}")


def test_the_tiles_of_the_specifications_examples():
    tiles = list(tiles_of_log(70_000))
    counts = [sum(tile.level == level for tile in tiles) for level in range(3)]
    assert counts == [274, 2, 1]
    assert [tile for tile in tiles if tile.width < 256] == [Tile(0, 273, 112), Tile(1, 1, 17), Tile(2, 0, 1)]
    assert list(tiles_of_log(256)) == [Tile(0, 0), Tile(1, 0, 1)]
    assert not list(tiles_of_log(0))


@given(st.integers(0, 2**40), st.integers(0, 6), st.integers(0, 2**40))
def test_a_tile_is_a_logs_own_or_refused(size, level, index):
    try:
        tile = tile_of(level, index, size)
    except MisuseError:
        assert index * 256 >= size >> 8 * level
    else:
        assert tile.index * 256 + tile.width <= size >> 8 * level
        assert parse_path(tile.path) == tile


@settings(deadline=None)
@given(SIZES, st.data())
def test_tiles_give_the_trees_own_proofs(size, data):
    index = data.draw(st.integers(0, size - 1))
    old = data.draw(st.integers(0, size))
    reader = Reader(size, LOG.root(size), Server())
    assert reader.leaf(index) == LOG.node(0, index)
    assert reader.root(old) == LOG.root(old)
    assert reader.inclusion(index) == LOG.inclusion(index, size)
    assert reader.consistency(old) == LOG.consistency(old, size)


@settings(deadline=None)
@given(SIZES, st.data())
def test_a_proofs_tiles_are_known_beforehand_and_the_logs(size, data):
    index = data.draw(st.integers(0, size - 1))
    old = data.draw(st.integers(0, size))
    server = Server()
    Reader(size, LOG.root(size), server).inclusion(index)
    assert set(server.served) == set(tiles_of_inclusion(index, size)) <= set(tiles_of_log(size))
    assert len(server.served) == len(set(server.served))
    server = Server()
    Reader(size, LOG.root(size), server).consistency(old)
    assert set(server.served) == set(tiles_of_consistency(old, size)) <= set(tiles_of_log(size))


@settings(deadline=None, max_examples=60)
@given(SIZES, st.data())
def test_a_flipped_bit_is_refused_or_was_not_read(size, data):
    index = data.draw(st.integers(0, size - 1))
    bad = data.draw(st.sampled_from(tiles_of_inclusion(index, size)))
    bit = data.draw(st.integers(0, bad.width * 256 - 1))

    def flip(tile, hashes):
        return flipped(hashes, bit) if tile == bad else hashes

    reader = Reader(size, LOG.root(size), Server(flip))
    # Of an upper tile the hash above the leaf is what the tiles below are to give: nobody reads it.
    above = bad.level > 0 and bad.index * 256 + bit // 256 == index >> 8 * bad.level
    if above:
        assert reader.inclusion(index) == LOG.inclusion(index, size)
    else:
        with pytest.raises(ServerError):
            reader.inclusion(index)


def test_every_flipped_bit_under_an_old_head_is_refused():
    size, old = 7, 5
    for bit in range(size * 256):
        reader = Reader(size, LOG.root(size), Server(lambda _, data, bit=bit: flipped(data, bit)))
        with pytest.raises(ServerError):
            reader.root(old)


def test_a_full_tile_stands_for_a_partial_one():
    server = Server()
    reader = Reader(300, LOG.root(300), lambda tile: server(tile.full if tile.level == 0 else tile))
    assert reader.inclusion(299) == LOG.inclusion(299, 300)
    assert Tile(0, 1) in server.served


@pytest.mark.parametrize("size", [0, 31, 33, 12 * 32, 255 * 32, 257 * 32])
def test_a_tile_of_another_length_is_refused(size):
    with pytest.raises(ServerError, match=r"tile/0/000\.p/13"):
        decode_tile(Tile(0, 0, 13), bytes(size))


def test_a_tree_has_its_own_tiles_only():
    with pytest.raises(MisuseError):
        encode_tile(LOG, Tile(0, 257, 256))
    with pytest.raises(MisuseError):
        encode_tile(LOG, Tile(None, 0))
    with pytest.raises(MisuseError):
        tile_of(0, -1, 10)


ENTRIES = st.lists(st.binary(max_size=300), min_size=1, max_size=256)


@given(ENTRIES)
def test_bundles(entries):
    bundle = encode_bundle(entries)
    assert decode_bundle(Tile(None, 0, len(entries)), bundle) == tuple(entries)
    for width in (len(entries) - 1, len(entries) + 1):
        if 1 <= width <= 256 and len(entries) < 256:
            with pytest.raises(ServerError):
                decode_bundle(Tile(None, 0, width), bundle)
    for broken in (bundle[:-1], bundle + b"\0", b"\xff" + bundle):
        with pytest.raises(ServerError):
            decode_bundle(Tile(None, 0, len(entries)), broken)


def test_a_bundles_bytes():
    assert encode_bundle([b"", b"ab"]) == b"\0\0\0\2ab"
    full = encode_bundle([bytes([i]) for i in range(256)])
    assert decode_bundle(Tile(None, 3, 2), full) == (b"\0", b"\1")
    longest = bytes(65_535)
    assert decode_bundle(Tile(None, 0, 1), encode_bundle([longest])) == (longest,)
    for bad in ([], [b""] * 257, [longest + b"\0"]):
        with pytest.raises(MisuseError):
            encode_bundle(bad)


def test_a_log_is_rebuilt_of_its_lowest_tiles():
    lowest = [tile for tile in tiles_of_log(1000) if tile.level == 0]
    leaves = itertools.chain.from_iterable(decode_tile(tile, encode_tile(LOG, tile)) for tile in lowest)
    assert Tree(tuple(leaves)).root() == LOG.root(1000)


def flipped(data, bit):
    changed = bytearray(data)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)
