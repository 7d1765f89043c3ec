"""The registry's log read as tiles over HTTP, as a monitor reads it that knows nothing but tlog-tiles."""

import asyncio

import httpx
import pytest

from covey_consent.app import create_app
from covey_consent.settings import Settings
from covey_consent.storage.key_file import load_or_create
from covey_consent.storage.store import Store
from covey_consent.transparency.log import Log
from covey_privacy import wire
from covey_privacy.checkpoint import open_note
from covey_privacy.errors import ServerError
from covey_privacy.merkle import leaf_hash
from covey_privacy.registry_messages import LEAF_NOTICE, ConsistencyProof, Inclusion
from covey_privacy.tiles import Reader, decode_bundle, decode_tile, tile_of, tiles_of_log
from covey_simulations.scenarios import loopback

ORIGIN = "covey.test/log"
SIZE = 523


def fill(url, key):
    """Leave a log that has a full tile of tiles' hashes and a partial one."""

    async def run():
        store = Store.open(url, durable=False)
        log = Log(store, ORIGIN, key)
        log.open()
        await log.write(lambda session: [log.append(session, LEAF_NOTICE, b"%d" % i) for i in range(SIZE)])
        await store.close()

    asyncio.run(run())


@pytest.fixture(scope="module")
def http(tmp_path_factory):
    folder = tmp_path_factory.mktemp("registry")
    settings = Settings(
        database_url=f"sqlite:///{folder}/registry.db", key_file=folder / "registry.key", origin=ORIGIN
    )
    fill(settings.database_url, load_or_create(settings.key_file))
    app = create_app(settings, clock=lambda: 1.8e9, durable=False)
    with loopback.serve_in_thread(app, "registry") as url, httpx.Client(base_url=url) as http:
        http.key = load_or_create(settings.key_file).public
        yield http


@pytest.fixture
def head(http):
    return open_note(http.get("/checkpoint").text, http.key)


def fetch(http):
    return lambda tile: http.get(f"/{tile.path}").raise_for_status().content


def test_tiles_give_every_inclusion_proof_that_the_registry_gives(http, head):
    reader = Reader(head.size, head.root, fetch(http))
    for index in range(head.size):
        answer = http.get(f"/v1/log/inclusion/{reader.leaf(index).hex()}", params={"size": head.size})
        given = wire.decode(Inclusion, answer.content)
        assert (given.index, given.proof) == (index, reader.inclusion(index))


def test_tiles_give_every_consistency_proof_that_the_registry_gives(http, head):
    reader = Reader(head.size, head.root, fetch(http))
    for old in range(head.size + 1):
        answer = http.get("/v1/log/consistency", params={"old": old, "size": head.size})
        assert wire.decode(ConsistencyProof, answer.content).proof == reader.consistency(old)


def test_bundles_hold_the_entries_behind_the_leaves(http, head):
    reader = Reader(head.size, head.root, fetch(http))
    for index in range(-(-head.size // 256)):
        bundle = tile_of(None, index, head.size)
        for place, entry in enumerate(decode_bundle(bundle, fetch(http)(bundle)), 256 * index):
            assert leaf_hash(entry) == reader.leaf(place)


def test_a_tile_that_was_changed_is_refused(http, head):
    def broken(tile):
        data = bytearray(fetch(http)(tile))
        data[40] ^= tile.level == 0
        return bytes(data)

    with pytest.raises(ServerError, match="inclusion proof fails"):
        Reader(head.size, head.root, broken).inclusion(1)


def test_a_tile_never_changes_and_says_so(http, head):
    for tile in tiles_of_log(head.size):
        answer = http.get(f"/{tile.path}")
        assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
        assert answer.headers["content-type"] == "application/octet-stream"
        assert len(decode_tile(tile, answer.content)) == tile.width
    assert http.get("/tile/0/000.p/3").content == http.get("/tile/0/000").content[:96]
    assert http.get("/checkpoint").headers["cache-control"] == "no-cache"
    assert http.get("/checkpoint").headers["content-type"] == "text/plain; charset=utf-8"


def test_what_is_beyond_the_head_or_no_tile_is_not_found(http, head):
    width = head.size % 256
    paths = ["0/003", f"0/002.p/{width + 1}", "0/002", "1/000.p/3", "1/000", "2/000.p/1", "63/000.p/1"]
    paths += [f"entries/002.p/{width + 1}", "entries/003", "0/x999/x999/x999/x999/x999/999"]
    paths += ["0/000.p/256", "0/000.p/0", "0/0", "64/000", "", "0/000/", "entries", "0/../checkpoint"]
    assert {path: http.get(f"/tile/{path}").status_code for path in paths} == dict.fromkeys(paths, 404)
    assert http.get(f"/tile/0/002.p/{width}").status_code == 200
