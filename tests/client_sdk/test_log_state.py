import json
from dataclasses import replace

import cbor2
import httpx
import pytest

from covey_consent.storage.key_file import load_or_create
from covey_privacy import wire
from covey_privacy.checkpoint import Checkpoint, head, sign_checkpoint
from covey_privacy.merkle import Tree, leaf_hash
from covey_privacy.note import COSIGNATURE, VerifierKey, parse
from covey_privacy.registry_messages import Entries, Sync, Synced
from covey_privacy.signatures import Signed, SigningKey, verify
from covey_privacy.split_view import LogVerdict, check_evidence, evidence
from covey_privacy.witness import WitnessPolicy, cosign
from covey_sdk import Device, RegistryClient, RegistryError, RegistryForkError, ledger
from covey_sdk.log_state import MOST_OPEN, LogState

ORIGIN = "covey.test/log"


@pytest.fixture
def key(shop, tmp_path):
    """The registry's own key, with which it lies."""
    return load_or_create(tmp_path / "registry.key")


@pytest.fixture
def shows(shop, key):
    """Let the registry show another log to whoever syncs, with that log's own proof; None: its own."""

    def shows(tree, origin=ORIGIN):
        def answer(asked, response):
            if tree is None or asked.url.path != "/v1/sync" or response.status_code != 200:
                return response
            old = wire.decode(Sync, wire.decode(Signed, asked.content).body).log_size
            note = sign_checkpoint(Checkpoint(origin, len(tree), tree.root()), key)
            proof = tree.consistency(old) if old < len(tree) else ()
            lie = replace(wire.decode(Synced, response.content), checkpoint=note, consistency=proof)
            return httpx.Response(200, content=wire.encode(lie))

        shop.answer = answer

    return shows


@pytest.fixture
def log_of(shop):
    """The registry's log with `more` leaves, all of it or its first `size`, with one leaf `changed`."""

    def log_of(more=0, size=None, changed=None):
        whole = head(parse(shop.http.get("/v1/log/checkpoint").text)).size
        page = shop.http.get("/v1/log/entries", params={"start": 0, "end": whole}).content
        leaves = [*map(leaf_hash, wire.decode(Entries, page).entries)][:size]
        leaves += [leaf_hash(b"more %d" % i) for i in range(more)]
        return Tree([bytes(32) if ix == changed else leaf for ix, leaf in enumerate(leaves)])

    return log_of


def verdicts(found, key):
    return [check_evidence(each, key.public) for each in found]


def test_the_note_seen_last_is_kept(device, opened, shop):
    note = device.log.note
    assert note == shop.http.get("/v1/log/checkpoint").text
    device.close()
    assert opened().log.note == note


@pytest.mark.parametrize("more", [0, 5])
def test_a_fork_is_refused_with_evidence_that_a_third_party_judges(device, shows, log_of, key, more):
    before = device.consents.checkpoint
    shows(log_of(more, changed=1))
    with pytest.raises(RegistryForkError, match="not shown to continue") as raised:
        device.sync()
    assert verdicts([raised.value.evidence], key) == [LogVerdict.FORKED]
    assert device.evidence() == (raised.value.evidence,)
    assert device.consents.checkpoint == before


def test_a_convicted_log_is_believed_no_more_and_the_owner_hears_of_it(
    device, opened, shows, log_of, clock, shop
):
    shows(log_of(5, changed=1))
    with pytest.raises(RegistryForkError):
        device.sync()
    shows(None)
    device.close()
    again = opened()
    clock.forward(days=6)
    shop.seen.clear()
    for act in (again.sync, lambda: again.ticket_fetcher().fetch(0, ("analytics",))):
        with pytest.raises(RegistryForkError, match="its key signed two heads") as raised:
            act()
        assert raised.value.evidence == again.evidence()[0]
    assert shop.seen == []
    held = json.loads(json.dumps(again.export()))
    assert held["evidence"] == [again.evidence()[0].hex()]
    (told,) = [entry for entry in again.ledger() if entry.kind == ledger.FORK]
    assert "contributes to nothing any more" in told.said_en
    assert "不再参与" in told.said_zh
    assert again.gate().allows("personalize")
    clock.forward(days=2)
    assert not again.gate().allows("personalize")


def test_a_no_reaches_a_convicted_registry_and_a_yes_never_counts(device, opened, shows, log_of, shop):
    shows(log_of(changed=1))
    with pytest.raises(RegistryForkError):
        device.sync()
    shows(None)
    device.withdraw("personalize")
    assert device.consents._state.read().unsent == ()
    assert shop.seen[-1].url.path == "/v1/decisions"
    with pytest.raises(RegistryForkError):
        device.grant("analytics")
    assert not device.gate().allows("analytics")


def test_a_log_that_was_rolled_back_has_yet_to_explain_itself(device, shows, log_of, key):
    shows(log_of(size=3))
    for _ in range(2):
        with pytest.raises(RegistryForkError, match="rolled back"):
            device.sync()
    assert verdicts(device.evidence(), key) == [LogVerdict.OPEN]
    assert [entry.said_en[:42] for entry in device.ledger() if entry.kind == ledger.FORK] == [
        "The consent registry showed a public log t"
    ]
    shows(None)
    device.sync()
    assert len(device.evidence()) == 1


def test_open_evidence_is_bounded_and_a_conviction_takes_its_place(device, shows, log_of, key):
    size = device.consents.checkpoint.size
    for less in range(1, size):
        shows(log_of(size=size - less))
        with pytest.raises(RegistryForkError):
            device.sync()
    for more in range(1, 12):
        log = log_of(more)
        other = sign_checkpoint(Checkpoint(ORIGIN, len(log), log.root()), key)
        device.log.accuse(evidence(device.log.note, other, ()), device.clock.now())
    assert verdicts(device.evidence(), key) == [LogVerdict.OPEN] * MOST_OPEN
    shows(log_of(5, changed=1))
    with pytest.raises(RegistryForkError):
        device.sync()
    assert verdicts(device.evidence(), key) == [LogVerdict.FORKED]


def test_a_note_of_another_log_is_no_evidence(device, shows, log_of):
    shows(log_of(), origin="other.test/log")
    with pytest.raises(RegistryError, match=r"the log is 'other\.test/log'") as raised:
        device.sync()
    assert not isinstance(raised.value, RegistryForkError)
    assert device.evidence() == ()


def test_evidence_against_a_key_that_is_pinned_no_more_stops_nothing(device, shows, log_of):
    shows(log_of(changed=1))
    with pytest.raises(RegistryForkError):
        device.sync()
    with pytest.raises(RegistryForkError):
        LogState(device.store, device.trust.registry).require_unforked()
    LogState(device.store, SigningKey(b"\1" * 32).public).require_unforked()


def test_the_log_of_a_new_key_is_held_against_the_head_seen_under_the_old(device, opened, shop):
    """docs/registry.md, Keys: a phone whose app pins another registry's key begins with a new store."""
    new, size = SigningKey(b"\1" * 32), device.consents.checkpoint.size
    tree = Tree([leaf_hash(b"new %d" % i) for i in range(size + 3)])

    def answer(asked, response):
        if asked.url.path != "/v1/sync" or response.status_code != 200:
            return response
        old = wire.decode(Sync, wire.decode(Signed, asked.content).body).log_size
        note = sign_checkpoint(Checkpoint(ORIGIN, len(tree), tree.root()), new)
        proof = tree.consistency(old) if old else ()
        told = replace(wire.decode(Synced, response.content), checkpoint=note, consistency=proof)
        return httpx.Response(200, content=wire.encode(told))

    shop.answer = answer
    trust = replace(shop.trust, registry=new.public)
    way = RegistryClient(shop.way()._http._client, trust)
    device.close()
    again = opened(trust=trust, registry=way)
    with pytest.raises(RegistryError, match="does not begin with the 6 leaves seen before"):
        again.sync()
    assert again.evidence() == ()


def written_before_notes_were_kept(device):
    """Leave the store as an SDK did that kept the head alone."""
    state = device.consents._state.read()
    choices = [[choice.purpose, choice.state, choice.notice_version] for choice in state.confirmed]
    said = [list(cbor2.loads(wire.encode(decision))) for decision in state.decisions]
    plain = [said, choices, [], state.synced_at, state.origin, state.log_size, state.log_root]
    device.store.put("consents", cbor2.dumps(plain, canonical=True))
    device.store.delete("log")
    device.close()


def test_a_store_that_holds_a_head_without_its_note_goes_on(device, opened, shop, clock):
    written_before_notes_were_kept(device)
    again = opened()
    assert again.log.note == ""
    assert again.gate().allows("personalize")
    again.sync()
    assert head(parse(again.log.note)) == again.consents.checkpoint


def test_without_the_note_a_fork_is_refused_and_leaves_no_evidence(device, opened, shows, log_of):
    written_before_notes_were_kept(device)
    again = opened()
    shows(log_of(5, changed=1))
    with pytest.raises(RegistryError, match="rewritten"):
        again.sync()
    assert again.evidence() == ()
    shows(log_of(5))
    again.sync()


def test_a_note_that_an_older_sdk_left_behind_accuses_nobody(device, shows, log_of):
    """An SDK that knows nothing of notes moved the head on; its note is of a smaller log."""
    stale = device.log.note
    shows(log_of(2))
    device.sync()
    device.log.see(stale)
    device.sync()
    assert device.evidence() == ()
    assert device.log.note != stale


WITNESSES = {f"witness.test/{n}": SigningKey(bytes([n]) * 32) for n in (1, 2, 3)}
POLICY = WitnessPolicy(
    tuple(VerifierKey(n, COSIGNATURE, k.public) for n, k in WITNESSES.items()), least=2, age=600
)


@pytest.fixture
def cosigned(shop, clock):
    """Let witnesses cosign the head that the registry shows, some seconds ago; return who then follows it."""

    def cosigned(**ago):
        def answer(asked, response):
            if asked.url.path != "/v1/sync" or response.status_code != 200:
                return response
            synced = wire.decode(Synced, response.content)
            now = int(clock.now.timestamp())
            lines = [
                cosign(synced.checkpoint, name, key, now - ago[name[-1]])
                for name, key in WITNESSES.items() if name[-1] in ago
            ]  # fmt: skip
            return httpx.Response(200, content=wire.encode(
                replace(synced, checkpoint=synced.checkpoint + "".join(lines))
            ))  # fmt: skip

        shop.answer = answer

    return cosigned


@pytest.fixture
def demanding(shop, opened):
    """A device that wants its heads witnessed, and how often it checked a signature."""
    checked = []

    def counting(*signed):
        checked.append(signed)
        return verify(*signed)

    trust = replace(shop.trust, policy=POLICY)
    device = opened(trust=trust, registry=RegistryClient(shop.way()._http._client, trust, counting))
    device.enrol()
    return device, checked


@pytest.mark.parametrize("ago", [{}, {"1": 0}, {"1": 0, "2": 601}, {"1": 0, "3": -601}])
def test_a_head_without_enough_fresh_cosignatures_is_refused(demanding, cosigned, ago):
    cosigned(**ago)
    with pytest.raises(RegistryError, match="of 3 witnesses cosigned the checkpoint within 600"):
        demanding[0].sync()
    assert demanding[0].log.note == ""


def test_a_head_that_enough_witnesses_cosigned_is_followed(demanding, cosigned):
    device, _ = demanding
    cosigned(**{"1": 600, "3": -600})
    device.sync()
    assert len(parse(device.log.note).lines) == 3


def test_a_note_is_verified_once(demanding, cosigned, clock):
    device, checked = demanding
    cosigned(**{"1": 0, "2": 0, "3": 0})
    device.sync()
    before = len(checked)
    device.sync()
    assert len(checked) == before
    clock.forward(minutes=1)
    device.sync()
    assert len(checked) == before + 3


def test_a_fork_is_told_before_missing_cosignatures(demanding, cosigned, shows, log_of):
    device, _ = demanding
    cosigned(**{"1": 0, "2": 0})
    device.sync()
    shows(log_of(5, changed=1))
    with pytest.raises(RegistryForkError):
        device.sync()


def test_a_registry_that_goes_on_from_an_old_backup_convicts_itself(running, tmp_path, path, clock):
    """Nothing is made up here: an operator forks the log by mistake, and the registry's answers prove it."""
    backup = tmp_path / "backup.db"

    def played(*sets):
        epoch = int(clock.now.timestamp()) // 86_400
        with (
            running() as shop,
            Device.open(path, bytes(32), trust=shop.trust, registry=shop.way(), clock=clock) as device,
        ):
            for purposes in sets:
                shop.http.get(f"/v1/issuers/{epoch}/{purposes}").raise_for_status()
            device.enrol()
            device.sync()

    played()
    backup.write_bytes((tmp_path / "registry.db").read_bytes())
    played("analytics")
    (tmp_path / "registry.db").write_bytes(backup.read_bytes())
    with pytest.raises(RegistryForkError) as raised:
        played("train", "analytics")
    key = load_or_create(tmp_path / "registry.key")
    assert check_evidence(raised.value.evidence, key.public) is LogVerdict.FORKED
