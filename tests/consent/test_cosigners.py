"""What a registry does with what witnesses answer: only their own good cosignatures are shown."""

import asyncio
import functools

import httpx
import pytest
from pydantic import ValidationError

from covey_consent.settings import Settings, WitnessAt
from covey_consent.storage.store import Store
from covey_consent.transparency import cosigners
from covey_consent.transparency.cosigners import Cosigner, Cosigners
from covey_consent.transparency.log import Log
from covey_privacy import wire
from covey_privacy.checkpoint import MOST_LEAVES, Checkpoint, head, sign_checkpoint
from covey_privacy.errors import ServerError
from covey_privacy.merkle import leaf_hash, verify_inclusion
from covey_privacy.note import COSIGNATURE, ED25519, VerifierKey, parse
from covey_privacy.registry_messages import LEAF_NOTICE, Synced
from covey_privacy.signatures import SigningKey
from covey_privacy.witness import Witness, cosign, cosigned_at, parse_request

KEY = SigningKey(b"\1" * 32)
LOG = SigningKey(b"\2" * 32)
NAME, ORIGIN = "witness.test/1", "covey.test/log"
VKEY = VerifierKey(NAME, COSIGNATURE, KEY.public)
AT = WitnessAt(vkey=VKEY.vkey, url="http://witness/below/")


class Asked:
    """A witness that answers as it should, or with what is `given`."""

    def __init__(self, given=None):
        self.given, self.seen, self.requests, self.time = given, "", [], 7

    def __call__(self, request):
        below = "/below" if request.url.host == "witness" else ""
        assert request.url.path == f"{below}/add-checkpoint"
        self.requests.append(parse_request(request.content))
        if self.given is not None:
            return self.given(self.requests[-1].note)
        answer = Witness(NAME, KEY, {ORIGIN: LOG.public}).add_checkpoint(
            self.requests[-1], self.seen, self.time
        )
        if hasattr(answer, "line"):
            self.seen = answer.seen
            return httpx.Response(200, text=answer.line)
        return httpx.Response(answer.status, text=answer.body)


@pytest.fixture
def play(tmp_path):
    """Play a scene with a log of its own and a way to this witness."""

    def play(asked, scene, entries=3):
        async def run():
            store = Store.open(f"sqlite:///{tmp_path}/log.db", durable=False)
            log = Log(store, ORIGIN, LOG)
            await grow(log, entries)
            async with httpx.AsyncClient(transport=httpx.MockTransport(asked)) as client:
                try:
                    return await scene(log, Cosigner(AT, log, client))
                finally:
                    await store.close()

        return asyncio.run(run())

    return play


async def grow(log, entries=1):
    await log.write(lambda session: [log.append(session, LEAF_NOTICE, b"body") for _ in range(entries)])


def test_each_head_is_cosigned_with_the_proof_from_the_last_one(play):
    asked = Asked()

    async def scene(log, cosigner):
        for _ in range(2):
            await cosigner.cosign()
            assert cosigned_at(parse(log.note), VKEY) == 7
            assert log.since(1)[0] == log.note
            await grow(log, 4)
            assert cosigned_at(parse(log.note), VKEY) is None

    play(asked, scene)
    assert [request.old for request in asked.requests] == [0, 3]


def test_a_head_that_was_published_a_moment_ago_is_not_shown_before_it_is_cosigned(play):
    asked = Asked()

    async def scene(log, cosigner):
        await cosigner.cosign()
        settled = log.head.size
        await grow(log, 4)
        note, proof = log.since(1, settled)
        assert cosigned_at(parse(note), VKEY) == 7
        assert log.cosigned_note(settled) == note
        assert proof == log.proof(1, settled)
        # Whoever asked after it was published, or saw it before, is shown it without the cosignature.
        assert log.since(1, log.head.size)[0] == log.note
        assert log.since(log.head.size, settled)[0] == log.note
        assert log.cosigned_note(log.head.size) == log.note

    play(asked, scene)


def cosignature(head, time):
    return max(parse(head.note + cosign(head.note, NAME, KEY, time)).signatures(VKEY))


def test_a_head_that_is_cosigned_while_a_newer_one_is_published_is_shown(play):
    async def scene(log, _cosigner):
        older = log.head
        signature = cosignature(older, 7)
        await grow(log, 4)
        await log.cosign(older, VKEY, signature)
        assert cosigned_at(parse(log.cosigned_note(older.size)), VKEY) == 7
        newer = log.head
        await log.cosign(newer, VKEY, cosignature(newer, 8))
        await log.cosign(older, VKEY, signature)
        assert cosigned_at(parse(log.cosigned_note(older.size)), VKEY) == 8

    play(Asked(), scene)


def test_an_unchanged_head_is_cosigned_anew_and_the_older_signature_goes(play):
    asked = Asked()

    async def scene(log, cosigner):
        await cosigner.cosign()
        asked.time = 8
        await cosigner.cosign()
        assert cosigned_at(parse(log.note), VKEY) == 8
        assert len(parse(log.note).lines) == 2

    play(asked, scene)


def test_a_registry_that_restarted_learns_how_far_the_witness_is(play):
    asked = Asked()

    async def scene(log, cosigner):
        await cosigner.cosign()
        await grow(log)
        await Cosigner(AT, log, cosigner._client).cosign()
        assert cosigned_at(parse(log.note), VKEY) == 7

    play(asked, scene)
    assert [request.old for request in asked.requests] == [0, 0, 3]


def test_a_signature_on_a_head_that_is_no_longer_the_newest_is_dropped(play):
    async def scene(log, cosigner):
        head = log.head
        await grow(log)
        await log.cosign(log.head, VKEY, bytes(72))
        shown = log.note
        await log.cosign(head, VKEY, bytes(72))
        assert log.note == shown

    play(Asked(), scene)


def test_an_entry_is_shown_under_a_cosigned_note_while_a_newer_head_waits_for_its_own(play):
    async def scene(log, cosigner):
        leaf = leaf_hash(LEAF_NOTICE + b"0")
        await log.write(lambda session: log.append(session, LEAF_NOTICE, b"0"))
        assert (await log.witnessed(leaf))[0] == log.note
        await cosigner.cosign()
        cosigned, place = await log.witnessed(leaf)
        await log.write(lambda session: log.append(session, LEAF_NOTICE, b"1"))
        assert await log.witnessed(leaf) == (cosigned, place)
        assert cosigned_at(parse(cosigned), VKEY) == 7
        verify_inclusion(leaf, place.index, place.size, place.proof, head(parse(cosigned)).root)
        note, newer = await log.witnessed(leaf_hash(LEAF_NOTICE + b"1"))
        assert (note, newer.size) == (log.note, 5)

    play(Asked(), scene)


STRANGER = SigningKey(b"\3" * 32)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (lambda note: httpx.Response(200, text=cosign(note, NAME, STRANGER, 7)), "no signature of the key"),
        (lambda note: httpx.Response(200, text=VKEY.line(bytes(72))), "is not good"),
        (lambda note: httpx.Response(200, text="hello"), "not a signed note"),
        (lambda note: httpx.Response(200, text=""), "no signature of the key"),
        (lambda note: httpx.Response(200, content=bytes(2**15)), "longer than"),
        (lambda note: httpx.Response(409, text="4\n"), "old backup"),
        (lambda note: httpx.Response(409, text="1" * 5000), "old backup"),
        (lambda note: httpx.Response(409, text="0\n"), "answered 409"),
        (lambda note: httpx.Response(302, headers={"location": "http://elsewhere/"}), "answered 302"),
    ],
)
def test_what_is_no_good_cosignature_is_not_shown(play, given, says):
    async def scene(log, cosigner):
        plain = log.note
        with pytest.raises(ServerError, match=says):
            await cosigner.cosign()
        assert log.note == plain

    play(Asked(given), scene)


def test_a_witness_that_fails_is_asked_again(play, monkeypatch, caplog):
    monkeypatch.setattr(cosigners, "RETRY_SECONDS", 0.01)
    asked = Asked(lambda note: httpx.Response(503))

    async def scene(log, cosigner):
        following = asyncio.create_task(cosigner.follow(1.0, 3600.0))
        while not asked.requests:
            await asyncio.sleep(0.001)
        asked.given = None
        while cosigned_at(parse(log.note), VKEY) is None:
            await asyncio.sleep(0.001)
        following.cancel()
        await asyncio.wait([following])

    play(asked, scene)
    assert f"no cosignature of {NAME}: it answered 503" in caplog.text


def test_a_new_head_is_cosigned_as_it_is_published(play):
    async def scene(log, cosigner):
        following = asyncio.create_task(cosigner.follow(1.0, 3600.0))
        for _ in range(3):
            await grow(log)
            while cosigned_at(parse(log.note), VKEY) is None:
                await asyncio.sleep(0.001)
        following.cancel()
        await asyncio.wait([following])

    play(Asked(), scene)


@pytest.mark.parametrize(
    "witness",
    [
        {"vkey": "w+00000000+AA==", "url": "http://w"},
        {"vkey": VerifierKey(NAME, ED25519, KEY.public).vkey, "url": "http://w"},
        {"vkey": VKEY.vkey, "url": "ftp://w"},
        {"vkey": VKEY.vkey, "url": "http://w?a=b"},
    ],
)
def test_a_witness_that_cannot_be_one_is_refused_at_the_start(witness):
    with pytest.raises(ValidationError):
        Settings(witnesses=[witness])


def test_a_note_with_every_cosignature_is_as_short_as_phones_take():
    keys = [VerifierKey(f"{n}" + "w" * 201, COSIGNATURE, KEY.public) for n in range(9)]
    asked = [{"vkey": key.vkey, "url": "http://w"} for key in keys]
    settings = Settings(origin="o" * 200, witnesses=asked[:8])
    note = sign_checkpoint(Checkpoint(settings.origin, MOST_LEAVES, bytes(32)), LOG)
    note += "".join(witness.key.line(bytes(72)) for witness in settings.witnesses)
    wire.decode(Synced, wire.encode(Synced(0, (), note, (), bytes(32))))
    with pytest.raises(ValidationError):
        Settings(witnesses=asked)
    with pytest.raises(ValidationError):
        Settings(witnesses=[{**asked[0], "vkey": "w" + asked[0]["vkey"]}])


def test_an_operator_waits_for_who_answers_and_for_a_silent_one_once(tmp_path, monkeypatch):
    """Announcing a round returns with the head cosigned, so that phones that want it so may join."""
    asked = {"good": Asked(), "late": Asked()}
    silent = asyncio.Event()

    async def carry(request):
        await asyncio.sleep(0.01)
        if request.url.host == "late" and silent.is_set():
            await asyncio.sleep(3600)
        return asked[request.url.host](request)

    async def settled(log, witnesses):
        await grow(log)
        start = asyncio.get_running_loop().time()
        await witnesses.settle()
        assert cosigned_at(parse(log.note), VKEY) == 7
        return asyncio.get_running_loop().time() - start

    async def run():
        store = Store.open(f"sqlite:///{tmp_path}/log.db", durable=False)
        log = Log(store, ORIGIN, LOG)
        await grow(log)
        known = [WitnessAt(vkey=VKEY.vkey, url=f"http://{host}") for host in asked]
        witnesses = Cosigners(log, known, 1.0, 3600.0)
        gathering = asyncio.create_task(witnesses.gather())
        while not all(each.seen for each in asked.values()):
            await asyncio.sleep(0.001)
        await asyncio.sleep(0.1)
        took = [await settled(log, witnesses)]
        silent.set()
        took += [await settled(log, witnesses), await settled(log, witnesses)]
        gathering.cancel()
        await asyncio.wait([gathering])
        await store.close()
        return took

    through = functools.partial(httpx.AsyncClient, transport=httpx.MockTransport(carry))
    monkeypatch.setattr(httpx, "AsyncClient", through)
    first, once, then = asyncio.run(run())
    assert max(first, then) < 0.9 < once < 5
