"""`Device.certificate`: a phone's own part, over whole rounds, and registries that cheat.

One history is played for all tests of this module. Phones 0 and 4 take part in both rounds, 1 withdraws while
the first is open, 2 after it, and 3 while the second is open: its retraction gets lost.
"""

from __future__ import annotations

import dataclasses
import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from typing import Any

import covey
import httpx
import pytest
from one_message_site import MemorySteps, Site
from registry_players import WITNESS, WITNESS_KEY
from sqlalchemy import select

from covey_consent.rounds.tables import IncludedSet
from covey_consent.storage.models import LoggedRound
from covey_privacy import wire
from covey_privacy.certificate import AbsentSince, Participated, open_certificate, verify_certificate
from covey_privacy.checkpoint import open_note
from covey_privacy.checkpoint import sign_checkpoint as sign_checkpoint
from covey_privacy.evidence import CONTEXT, Evidence
from covey_privacy.note import parse
from covey_privacy.protocol_rules import Rule
from covey_privacy.registry_messages import LEAF_CONSENT, LEAF_EVIDENCE, LEAF_ROSTER, Entries
from covey_privacy.secagg.leaves import LeafSet
from covey_privacy.secagg.messages import FINAL, LEAF_SIZE, SetHead, unpack_leaves
from covey_privacy.secagg.notary_messages import RoundEntries, RoundEntry, SetLeaves
from covey_privacy.signatures import Signed, SigningKey, sign
from covey_privacy.split_view import LogVerdict, check_evidence
from covey_privacy.witness import cosign
from covey_sdk import (
    CertificateError,
    Device,
    EventError,
    RegistryClient,
    RegistryError,
    RegistryForkError,
    registry_client,
    registry_http,
)
from covey_sdk.round_records import read_joined

PHONES = 5
DECISIONS = 300
"""Logged before the first round and between the two, each: the run begins within a tile."""
Cheat = Callable[[str, bytes], bytes | None]
"""What a registry answers in place of an honest answer to a path, None for 404."""


class CheatingSite(Site):
    """A site whose registry answers phones as a test says, and keeps what they asked."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        self.cheat: Cheat = lambda _path, answer: answer
        self.seen: list[httpx.Request] = []
        self.bytes = 0
        super().__init__(*arguments, **options)

    def _carry(self, request: httpx.Request) -> httpx.Response:
        self.seen.append(request)
        answer = super()._carry(request)
        path = request.url.path
        if answer.status_code == httpx.codes.NOT_FOUND and path.startswith("/v1/sets/"):
            # Stands in until the registry serves this route.
            answer = self._set(bytes.fromhex(path.removeprefix("/v1/sets/")))
        if answer.status_code != httpx.codes.OK:
            return answer
        body = self.cheat(path, answer.content)
        self.bytes += len(body or b"")
        return httpx.Response(404) if body is None else httpx.Response(200, content=body)

    def _set(self, root: bytes) -> httpx.Response:
        with self.consent.store.session() as session:
            for packed in session.scalars(select(IncludedSet.leaves)):
                if LeafSet(unpack_leaves(packed)).root == root:
                    return httpx.Response(200, content=wire.encode(SetLeaves(packed)))
        return httpx.Response(404)

    @property
    def consent(self) -> Any:
        """The registry's own objects."""
        return self.http.app.state.registry

    def append(self, kind: bytes, *bodies: bytes) -> int:
        """Log entries of a kind and wait for the witness; return the first one's place."""
        logged = self.consent.log.write_blocking(
            lambda session: self.consent.log.append_all(session, kind, list(bodies))
        )
        self.wait_for_witness()
        return logged[0]

    def wait_for_witness(self) -> str:
        end = time.monotonic() + 20
        while WITNESS_KEY.name not in (note := self.http.get("/v1/log/checkpoint").text):
            assert time.monotonic() < end, "no cosignature came"
            time.sleep(0.01)
        return note

    @contextmanager
    def cheating(self, cheat: Cheat) -> Iterator[None]:
        self.cheat = cheat
        try:
            yield
        finally:
            self.cheat = lambda _path, answer: answer

    def play(self, number: int, device: Device | None = None) -> None:
        """Play a round; a device withdraws while contributions are taken."""
        runner = self.runner(number)
        wait, waiting = runner.wait_until, [device] if device else []

        def withdraw(at: int) -> None:
            while waiting:
                waiting.pop().withdraw("analytics")
            wait(at)

        runner.wait_until = withdraw
        runner.run()
        assert not waiting
        self.wait_for_witness()

    def conclude(self, round_id: str) -> None:
        """Log some evidence of a round, as its operator signed it."""
        with self.consent.store.session() as session:
            manifest = session.get_one(LoggedRound, round_id).digest
        fields = dict.fromkeys((each.name for each in dataclasses.fields(Evidence)), 0) | {
            "round_id": round_id, "query": "q1", "purposes": ("analytics",), "profile": "test",
            "manifest": manifest, "denials": "<10", "committees": (), "complaints": (), "outcome": "released",
            "code_version": "0", "integrity_proved": True, "shared_operator": False, "release": b"\1" * 32,
            **dict.fromkeys(("model", "included", "final", "annex", "proofs"), bytes(32)),
            **dict.fromkeys(("norm", "sigma", "epsilon", "epsilon_so_far", "delta"), 1.0),
        }  # fmt: skip
        signed = sign(CONTEXT, Evidence(**fields), self.operator)
        index = self.append(LEAF_EVIDENCE, signed)

        def keep(session: Any) -> None:
            known = session.get_one(LoggedRound, round_id)
            known.evidence, known.evidence_index = signed, index

        self.consent.store.write_blocking(keep)

    def verify(self, data: bytes) -> Participated | AbsentSince:
        return verify_certificate(data, self.operator.public, self.document.log_view)


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Iterator[CheatingSite]:
    with ExitStack() as stack, pytest.MonkeyPatch.context() as patch:
        site = CheatingSite(tmp_path_factory.mktemp("own"), stack, patch, phones=PHONES)
        site.append(LEAF_CONSENT, *(bytes([1]) * 90 for _ in range(DECISIONS)))
        site.play(1, site.devices[1])
        site.devices[2].sync()
        site.devices[2].withdraw("analytics")
        site.conclude("round-1")
        site.append(LEAF_CONSENT, *(bytes([2]) * 90 for _ in range(DECISIONS)))
        with pytest.MonkeyPatch.context() as lost:
            lost.setattr(RegistryClient, "retract", lose)
            site.play(2, site.devices[3])
        yield site


@pytest.fixture
def small(tmp_path, monkeypatch) -> Iterator[CheatingSite]:
    with ExitStack() as stack:
        yield CheatingSite(tmp_path, stack, monkeypatch, phones=4)


def lose(*_: object) -> None:
    raise RegistryError("the line broke")


def leaving(device: Device) -> int:
    (withdrawal,) = device.withdrawals()
    return withdrawal.at


@pytest.fixture
def absence(site) -> Callable[[], bytes]:
    """Certify the absence of the phone that withdrew after the first round."""
    return lambda: site.devices[2].certificate(since=leaving(site.devices[2]))


@pytest.fixture
def participation(site) -> Callable[[], bytes]:
    """Certify that the first phone was in the first round."""
    return lambda: site.devices[0].certificate("round-1")


@pytest.fixture
def refused(site) -> Callable[..., RegistryError]:
    """Cheat, and return the error by which a certificate is refused."""

    def refused(certify: Callable[[], bytes], cheat: Cheat) -> RegistryError:
        with site.cheating(cheat), pytest.raises(RegistryError) as error:
            certify()
        assert site.verify(certify()), "the honest registry is believed again"
        return error.value

    return refused


def test_a_contribution_is_certified_with_the_evidence_of_its_round(site, participation):
    found = site.verify(participation())
    assert isinstance(found, Participated)
    assert found.manifest.round_id == "round-1"
    assert found.round_key == read_joined(site.devices[0].store, "round-1").leaf.round_key
    assert found.contributions == PHONES - 1
    assert found.release == b"\1" * 32
    assert site.verify(site.devices[4].certificate("round-2")).release is None


def test_who_took_part_before_it_withdrew_can_certify_both(site, absence):
    """The contribution of before stays in its sum; what is absent since are the keys held then."""
    device = site.devices[2]
    joined = site.verify(device.certificate("round-1"))
    assert joined.round_key not in site.verify(absence()).round_keys


@pytest.mark.parametrize(("phone", "rounds"), [(1, 2), (2, 1)], ids=["retracted", "withdrew after"])
def test_no_set_since_a_withdrawal_holds_a_key_of_the_phone(site, phone, rounds):
    device = site.devices[phone]
    (withdrawal,) = device.withdrawals()
    found = site.verify(device.certificate(since=withdrawal.at))
    assert isinstance(found, AbsentSince)
    assert (found.rounds, found.sets) == (rounds, 2 * rounds)
    assert len(found.round_keys) == withdrawal.keys == (3 if phone == 1 else 2)
    assert "analytics" in withdrawal.purposes
    joined = read_joined(device.store, "round-1").leaf.round_key
    assert (joined in found.round_keys) == (phone == 1)
    assert found.until.size == int(parse(site.wait_for_witness()).text.split("\n")[1])


def test_the_command_verifies_both(site, participation, absence, tmp_path, capsys):
    (tmp_path / "shop.site").write_bytes(site.signed)
    for certify, kind in ((participation, "participation"), (absence, "absence")):
        (tmp_path / "mine.cert").write_bytes(certify())
        status = covey.main(
            ["certificate", "verify", str(tmp_path / "mine.cert"), "--site", str(tmp_path / "shop.site"),
             "--operator", site.operator.public.hex(), "--json"]
        )  # fmt: skip
        assert status == 0
        assert json.loads(capsys.readouterr().out)["kind"] == kind


def test_requests_name_neither_the_device_nor_a_round_key(site, participation, absence):
    site.seen.clear()
    data = participation() + absence()
    assert {each.method for each in site.seen} == {"GET"}
    keys = {site.devices[0].key.public, site.devices[2].key.public}
    keys |= {claim.round_key for claim in open_certificate(absence()).absence.claims}
    keys.add(read_joined(site.devices[0].store, "round-1").leaf.round_key)
    for request in site.seen:
        sent = f"{request.url} {request.headers}".lower()
        assert not request.content
        assert "authorization" not in sent
        assert "cookie" not in sent
        assert not any(key.hex() in sent for key in keys)
    assert data


def test_a_request_does_not_tell_where_the_run_begins(site, absence):
    site.seen.clear()
    data = absence()
    starts = [int(each.url.params["start"]) for each in site.seen if each.url.path == "/v1/log/entries"]
    since = int(open_certificate(data).absence.since.split("\n")[1])
    assert since % 256
    assert starts == [since - since % 256]
    assert not any(each.url.path.startswith("/tile/0/") for each in site.seen)


def test_the_bytes_that_a_phone_reads(site, participation, absence, capsys):
    for certify, most in ((participation, 20_000), (absence, 50_000)):
        site.bytes = 0
        begun = time.perf_counter()
        data = certify()
        seconds = time.perf_counter() - begun
        with capsys.disabled():
            sys.stdout.write(f"\n{site.bytes} bytes read, {len(data)} of the file, {1000 * seconds:.0f} ms\n")
        assert site.bytes < most


def test_a_long_run_is_read_in_pages(site, absence, monkeypatch):
    monkeypatch.setattr(registry_client, "PAGE_ENTRIES", 100)
    site.seen.clear()
    site.verify(absence())
    starts = [int(each.url.params["start"]) for each in site.seen if each.url.path == "/v1/log/entries"]
    assert len(starts) > 3
    assert starts == list(range(starts[0], starts[0] + 100 * len(starts), 100))


def test_what_can_be_certified_of_nothing(site, tmp_path):
    first, retracted = site.devices[0], site.devices[1]
    for arguments in (("round-1", 1), (None, None)):
        with pytest.raises(EventError, match="one of the two"):
            first.certificate(arguments[0], since=arguments[1])
    with pytest.raises(EventError, match="since"):
        first.certificate(since="yesterday")
    with pytest.raises(EventError, match="round_id"):
        first.certificate(7)
    with pytest.raises(CertificateError, match="no contribution to round 'round-2'"):
        site.devices[2].certificate("round-2")
    with pytest.raises(CertificateError, match="no contribution to round 'round-9'"):
        first.certificate("round-9")
    with pytest.raises(CertificateError, match="not in the final set of round 'round-1'"):
        retracted.certificate("round-1")
    with pytest.raises(CertificateError, match="no claims of a withdrawal"):
        first.certificate(since=1)
    assert first.withdrawals() == ()


def test_an_app_without_witnesses_certifies_nothing(site, monkeypatch):
    trust = dataclasses.replace(site.trust, policy=None)
    for device, what in ((site.devices[0], {"round_id": "round-1"}), (site.devices[2], {"since": 1})):
        monkeypatch.setattr(device, "trust", trust)
        with pytest.raises(CertificateError, match="pins no witness"):
            device.certificate(**what)


def test_a_set_that_holds_a_withdrawn_key_is_named(site):
    device = site.devices[3]
    with pytest.raises(RegistryError, match=r"^absence cannot .* 'round-2'") as error:
        device.certificate(since=leaving(device))
    assert error.value.rule == Rule.WITHDRAWN_KEY
    assert site.verify(device.certificate("round-2"))


def on(start: str, change: Callable[[bytes], bytes | None]) -> Cheat:
    """Cheat about paths that start so."""
    return lambda path, answer: change(answer) if path.startswith(start) else answer


def changed(cls: type, **changes: Callable[[Any], Any]) -> Callable[[bytes], bytes]:
    """Change fields of an answer."""

    def change(answer: bytes) -> bytes:
        message = wire.decode(cls, answer)
        return wire.encode(
            dataclasses.replace(message, **{name: to(getattr(message, name)) for name, to in changes.items()})
        )

    return change


def resigned(entry: bytes) -> bytes:
    """Sign a logged statement of a round's with another key."""
    signed = wire.decode(Signed, entry)
    return wire.encode(dataclasses.replace(signed, signature=bytes(64)))


SETS = {
    "altered": changed(SetLeaves, leaves=lambda packed: packed[:-1] + bytes([packed[-1] ^ 1])),
    "one missing": changed(SetLeaves, leaves=lambda packed: packed[LEAF_SIZE:]),
    "one twice": changed(SetLeaves, leaves=lambda packed: packed[:LEAF_SIZE] + packed),
    "hidden": lambda _: None,
}


@pytest.mark.parametrize("cheat", SETS)
def test_leaves_that_are_not_the_sets_are_refused(refused, participation, absence, cheat):
    served = on("/v1/sets/", SETS[cheat])
    assert refused(participation, served).rule == Rule.LEAVES
    assert refused(absence, served).rule == (Rule.EVERY_SET if cheat == "hidden" else Rule.LEAVES)


def is_head(entry: bytes) -> bool:
    return entry[:1] == b"S"


def instead(entries: tuple[bytes, ...], other: bytes) -> tuple[bytes, ...]:
    return tuple(other if is_head(entry) else entry for entry in entries)


ENTRIES = {
    "a set as a decision": lambda all_: instead(all_, LEAF_CONSENT + bytes(9)),
    "a decision altered": lambda all_: (*all_[:-20], all_[-20] + b"x", *all_[-19:]),
    "none": lambda _: (),
    "more than asked for": lambda all_: (*all_, all_[0]),
    "the first left out": lambda all_: all_[1:],
}


@pytest.mark.parametrize("cheat", ENTRIES)
def test_entries_that_are_not_the_logs_are_refused(site, absence, cheat):
    """They are refused before any set of theirs is asked for."""
    site.seen.clear()
    shown = on("/v1/log/entries", changed(Entries, entries=ENTRIES[cheat]))
    with site.cheating(shown), pytest.raises(RegistryError) as error:
        absence()
    assert error.value.rule == Rule.LOG_INCLUSION
    assert not any(each.url.path.startswith("/v1/sets/") for each in site.seen)


LOGGED = {
    "a roster of an earlier version": (LEAF_ROSTER + b"x", Rule.LOG_ENTRY),
    "no statement of a round's": (b"S" + b"x", Rule.LOG_ENTRY),
}


@pytest.mark.parametrize("entry", LOGGED)
def test_entries_in_which_a_set_could_hide_are_refused(small, entry):
    device = small.devices[0]
    device.withdraw("analytics")
    logged, rule = LOGGED[entry]
    assert small.verify(device.certificate(since=leaving(device))).sets == 0
    small.append(logged[:1], logged[1:])
    with pytest.raises(RegistryError) as error:
        device.certificate(since=leaving(device))
    assert error.value.rule == rule


def test_notes_that_are_not_the_newest_are_refused(site, refused, participation, absence):
    plain = site.consent.log.head.note
    for certify in (participation, absence):
        assert refused(certify, on("/v1/log/checkpoint", lambda _: plain.encode())).rule == Rule.WITNESSES
        for garbage, rule in ((b"\xff", Rule.NOTE_FORM), (b"x", Rule.NOTE_FORM)):
            assert refused(certify, on("/v1/log/checkpoint", lambda _, g=garbage: g)).rule == rule


def test_an_older_checkpoint_than_the_phone_saw_is_refused(site, refused):
    device = site.devices[4]
    older = device.log.note
    site.append(LEAF_CONSENT, b"one more")
    device.sync()
    error = refused(lambda: device.certificate("round-1"), on("/v1/log/checkpoint", lambda _: older.encode()))
    assert error.rule == Rule.LOG_CONSISTENCY
    assert device.evidence() == ()


def test_a_fork_is_refused_and_its_evidence_kept(small):
    """The registry signs another log of the size that the phone saw, and the witness cosigns it."""
    small.play(1)
    device = small.devices[0]
    device.sync()
    seen = open_note(device.log.note, small.registry_key.public)
    forged = sign_checkpoint(dataclasses.replace(seen, root=bytes(32)), small.registry_key)
    forged += cosign(forged, WITNESS_KEY.name, WITNESS, int(small.clock.seconds()))
    with small.cheating(on("/v1/log/checkpoint", lambda _: forged.encode())):
        with pytest.raises(RegistryForkError) as error:
            device.certificate("round-1")
        assert error.value.rule == Rule.LOG_CONSISTENCY
    assert device.evidence() == (error.value.evidence,)
    assert check_evidence(error.value.evidence, small.registry_key.public) is LogVerdict.FORKED
    with pytest.raises(RegistryForkError, match="believed no more"):
        device.certificate("round-1")


def test_a_checkpoint_that_was_cosigned_long_ago_is_refused(site, participation, monkeypatch):
    later = site.clock.now + timedelta(hours=2)
    monkeypatch.setattr(site.devices[0].clock, "now", lambda: later)
    with pytest.raises(RegistryError) as error:
        participation()
    assert error.value.rule == Rule.WITNESSES


def test_tiles_that_are_not_the_logs_are_refused(site, refused, participation, absence):
    def flip(data: bytes) -> bytes:
        return bytes([data[0] ^ 1]) + data[1:]

    for certify, rule in ((participation, Rule.LOG_CONSISTENCY), (absence, Rule.LOG_INCLUSION)):
        assert refused(certify, on("/tile/1/", flip)).rule == rule
        assert refused(certify, on("/tile/", lambda data: data[1:])).rule == Rule.LOG_TILE
    assert refused(participation, on("/tile/0/001", flip)).rule in (Rule.LOG_INCLUSION, Rule.LOG_CONSISTENCY)


def test_what_is_shown_of_a_round_is_refused_where_it_is_not_the_rounds(site, refused, participation):
    other = wire.decode(RoundEntries, site.http.get("/v1/rounds/round-2").content)

    def rule(**changes: Callable[[Any], Any]) -> Rule | None:
        return refused(participation, on("/v1/rounds/", changed(RoundEntries, **changes))).rule

    def each_entry(change: Callable[[RoundEntry], RoundEntry]) -> Rule | None:
        return rule(entries=lambda entries: tuple(map(change, entries)))

    assert rule(manifest=lambda _: other.manifest, index=lambda _: other.index) == Rule.DOCUMENT_CONTENT
    assert each_entry(lambda each: dataclasses.replace(each, index=each.index - 1)) == Rule.LOG_INCLUSION
    assert each_entry(lambda each: dataclasses.replace(each, index=10**6)) == Rule.LOG_INCLUSION
    assert rule(index=lambda index: index + 1) == Rule.LOG_INCLUSION
    assert each_entry(lambda each: RoundEntry(each.index, resigned(each.signed))) == Rule.HEAD_SIGNATURE
    assert each_entry(lambda each: RoundEntry(each.index, b"x")) == Rule.LOG_ENTRY
    assert rule(evidence=lambda each: RoundEntry(each.index, resigned(each.signed))) == Rule.LOG_INCLUSION
    assert rule(evidence=lambda each: RoundEntry(each.index - 1, each.signed)) == Rule.LOG_INCLUSION


def test_another_rounds_final_set_is_refused(site, refused):
    """Phone 0 is in both: a leaf of the other round's set is not the one that it sent in this."""
    other = wire.decode(RoundEntries, site.http.get("/v1/rounds/round-2").content)
    shown = on("/v1/rounds/round-1", changed(RoundEntries, entries=lambda _: other.entries))
    with site.cheating(shown), pytest.raises(CertificateError, match="not in the final set"):
        site.devices[0].certificate("round-1")


def test_another_leaf_under_the_own_key_is_refused(site, participation, monkeypatch):
    device = site.devices[0]
    joined = read_joined(device.store, "round-1")
    sent = dataclasses.replace(joined, leaf=dataclasses.replace(joined.leaf, body=bytes(32)))
    monkeypatch.setattr("covey_sdk.certificates.read_joined", lambda *_: sent)
    with pytest.raises(RegistryError, match="another contribution under this phone's round key") as error:
        participation()
    assert error.value.rule == Rule.LEAVES


def test_answers_are_bounded(site, participation, absence):
    def long(most: int) -> Callable[[bytes], bytes]:
        return lambda _: bytes(most + 1)

    bounds = {
        "/v1/sets/": registry_client.SET_BYTES,
        "/v1/rounds/": registry_client.ROUND_BYTES,
        "/v1/log/entries": registry_client.PAGE_BYTES,
        "/v1/log/checkpoint": registry_http.MOST_BYTES,
        "/tile/": registry_http.MOST_BYTES,
    }
    for path, most in bounds.items():
        certify = absence if path == "/v1/log/entries" else participation
        with site.cheating(on(path, long(most))), pytest.raises(RegistryError, match=f"than {most} bytes"):
            certify()


def test_a_log_that_grew_too_much_is_not_read(site, absence, monkeypatch):
    monkeypatch.setattr("covey_sdk.certificates.MOST_ENTRIES", 100)
    with pytest.raises(CertificateError, match="takes 100"):
        absence()
    monkeypatch.undo()
    monkeypatch.setattr(wire, "MESSAGE_LIMIT", 1000)
    with pytest.raises(CertificateError, match="longer than the 1000 bytes"):
        absence()


def test_a_round_without_a_final_set_is_certified_later(small):
    steps = MemorySteps()
    steps.stop_after = "included"
    with pytest.raises(KeyboardInterrupt):
        small.runner(steps=steps).run()
    small.wait_for_witness()
    with pytest.raises(CertificateError, match="no final set of round 'round-1' yet"):
        small.devices[0].certificate("round-1")
    steps.stop_after = ""
    small.runner(steps=steps).run()
    small.wait_for_witness()
    data = small.devices[0].certificate("round-1")
    assert small.verify(data).contributions == 4


def test_a_set_of_another_key_than_the_registrys_is_no_final_set(small):
    """A head that somebody else signed is refused, also where the log of the registry holds it."""
    small.play(1)
    shown = wire.decode(RoundEntries, small.http.get("/v1/rounds/round-1").content)
    head = wire.decode(SetHead, wire.decode(Signed, shown.entries[-1].signed).body)
    forged = sign(FINAL, head, SigningKey(b"f" * 32))
    index = small.append(b"S", forged)
    cheat = changed(RoundEntries, entries=lambda entries: (*entries[:-1], RoundEntry(index, forged)))
    with small.cheating(on("/v1/rounds/", cheat)), pytest.raises(RegistryError) as error:
        small.devices[0].certificate("round-1")
    assert error.value.rule == Rule.HEAD_SIGNATURE
