import dataclasses
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import rfc8785
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from joserfc import jws
from joserfc.util import urlsafe_b64encode

from covey_consent.access.tokens import jwk, public_key_jwk
from covey_consent.errors import DamageError, RequestError
from covey_consent.receipts import signed_receipts
from covey_consent.receipts.schema_27560 import MOST_RECORDS, Receipt
from covey_consent.receipts.signed_receipts import verify
from covey_privacy import checkpoint
from covey_privacy.checkpoint import Checkpoint
from covey_privacy.note import ED25519, VerifierKey
from covey_privacy.signatures import SigningKey

AT = 1_800_000_000_123
ROOT = Path(__file__).parents[3]
OTHER = SigningKey(bytes(32))

OFFLINE = """
import socket, sys
def refuse(*args, **options):
    raise AssertionError("the network was asked")
socket.socket.connect = socket.create_connection = socket.getaddrinfo = refuse
import covey
sys.exit(covey.main(sys.argv[1:]))
"""


def sealed(key: SigningKey, payload: bytes, **header: str) -> bytes:
    """Sign anything as a receipt is signed."""
    pair = jwk(key)
    plain = {"alg": "Ed25519", "kid": pair.thumbprint(), "typ": signed_receipts.TYPE}
    return jws.serialize_compact(
        {**plain, **header}, payload, pair, registry=signed_receipts._REGISTRY
    ).encode()


def edited(registrar, edit) -> bytes:
    """Return a receipt that was edited and then signed by the registry's own key."""
    plain = json.loads(signed_receipts.canonical(registrar.receipt()))
    edit(plain["dpv:hasRecordOfActivity"][0])
    return sealed(registrar.key, rfc8785.dumps(plain))


@pytest.mark.compliance("GDPR 7(1)", "a receipt shows who agreed to which words, and that the log holds it")
def test_a_receipt_shows_who_agreed_to_what_and_where_the_log_has_it(registrar):
    shown = str(verify(registrar.signed(), registrar.key.public))
    assert "subject 5e5e" in shown
    assert "granted 'train' on notice 1.0.0 at 2027-01-15T08:00:00.123Z" in shown
    assert shown.endswith("entry 3 of 6 in the log covey.test/log")
    assert "\n" not in shown


def test_a_receipt_over_several_events_shows_each(registrar):
    events = [registrar.record(), registrar.record("personalize", "zh", state="withdrawn")]
    verified = verify(registrar.signed(*events), registrar.key.public)
    assert len(verified.places) == 2
    assert "withdrawn 'personalize'" in str(verified)


def test_a_receipt_over_as_many_events_as_it_takes_is_signed_and_verified(registrar):
    signed = registrar.signed(*[registrar.record(at=AT + place) for place in range(MOST_RECORDS)])
    assert len(signed) > 500_000
    assert len(verify(signed, registrar.key.public).places) == MOST_RECORDS


def test_until_the_log_has_it_the_registrys_promise_stands_in(registrar):
    record = registrar.record()
    case = registrar.case(record, registrar.promised(record))
    receipt = registrar.receipt().model_copy(
        update={
            "has_record_of_activity": (
                registrar.receipt().has_record_of_activity[0].model_copy(update={"evidence": case.evidence}),
            )
        }
    )
    signed = signed_receipts.sign(receipt, registrar.key)
    assert "promised to the log covey.test/log by 2027-01-15T09:00:00.123Z" in str(
        verify(signed, registrar.key.public)
    )


def test_the_header_names_the_key_and_what_is_signed_and_the_payload_is_canonical(registrar):
    opened = jws.deserialize_compact(
        registrar.signed(), public_key_jwk(registrar.key.public), ["Ed25519"]
    )  # any JOSE library reads it
    assert opened.headers()["typ"] == "covey-receipt+jwt"
    assert opened.payload == rfc8785.dumps(json.loads(opened.payload))


@pytest.mark.slow
def test_no_flipped_byte_goes_unnoticed(registrar):
    signed = registrar.signed()
    for place in range(len(signed)):
        flipped = bytearray(signed)
        flipped[place] ^= 1 << place % 8
        with pytest.raises(RequestError):
            verify(bytes(flipped), registrar.key.public)


@settings(deadline=None, max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.integers(0, 2**32), flip=st.integers(1, 255))
def test_no_byte_can_be_another(registrar, place, flip):
    signed = bytearray(registrar.signed())
    signed[place % len(signed)] ^= flip
    with pytest.raises(RequestError):
        verify(bytes(signed), registrar.key.public)


def test_the_signatures_spare_bits_and_the_files_edges_are_not_free(registrar):
    signed = registrar.signed()
    for last in set(range(256)) - {signed[-1]}:
        with pytest.raises(RequestError):
            verify(signed[:-1] + bytes([last]), registrar.key.public)
    for around in (signed + b"\n", signed + b"=", b" " + signed, signed + b".", signed[:-1], b""):
        with pytest.raises(RequestError):
            verify(around, registrar.key.public)


def test_another_key_is_refused(registrar):
    with pytest.raises(RequestError, match="not signed by the registry's key"):
        verify(registrar.signed(), OTHER.public)


@pytest.mark.parametrize("header", [{"typ": "JWT"}, {"kid": "another"}, {"cty": "json"}])
def test_a_signature_made_for_something_else_is_refused(registrar, header):
    signed = sealed(registrar.key, signed_receipts.canonical(registrar.receipt()), **header)
    with pytest.raises(RequestError):
        verify(signed, registrar.key.public)


def test_an_unsigned_token_is_refused(registrar):
    header = urlsafe_b64encode(b'{"alg":"none"}').decode()
    payload = urlsafe_b64encode(signed_receipts.canonical(registrar.receipt())).decode()
    with pytest.raises(RequestError):
        verify(f"{header}.{payload}.".encode(), registrar.key.public)


@pytest.mark.parametrize(
    "payload",
    [b"", b"null", b"[]", b'{"a":1,"a":2}', b"\xff", b"{}", b"[" * 100_000],
    ids=["empty", "null", "list", "twice", "no text", "nothing", "deep"],
)
def test_what_is_no_receipt_is_refused_also_under_the_right_key(registrar, payload):
    with pytest.raises(RequestError, match="schema"):
        verify(sealed(registrar.key, payload), registrar.key.public)


def test_a_receipt_that_two_readers_could_read_differently_is_refused(registrar):
    spaced = json.dumps(json.loads(signed_receipts.canonical(registrar.receipt()))).encode()
    with pytest.raises(RequestError, match="canonical"):
        verify(sealed(registrar.key, spaced), registrar.key.public)


def test_a_receipt_beyond_the_limit_is_not_looked_at(registrar):
    with pytest.raises(RequestError, match="at most"):
        verify(bytes(signed_receipts.LIMIT + 1), registrar.key.public)


def put(*path_and_value):
    *path, last, value = path_and_value

    def edit(record):
        for step in path:
            record = record[step]
        record[last] = value

    return edit


@pytest.mark.parametrize(
    ("edit", "found"),
    [
        (put("dpv:hasDataSubject", "dct:identifier", "6f" * 16), "the subject"),
        (put("dpv:hasConsentStatus", 0, "@type", "dpv:ConsentWithdrawn"), "the event"),
        (put("dpv:hasConsentStatus", 0, "dpv:isIndicatedAtTime", "2027-01-15T08:00:00.124Z"), "the event"),
        (put("dpv:hasConsentStatus", 0, "dpv:isIndicatedBy", "dpv:GuardianOfDataSubject"), "the event"),
        (put("dpv:hasConsentStatus", 0, "dpv:hasDuration", "@type", "dpv:UntilTimeDuration"), "the event"),
        (put("dpv:hasProcess", 0, "dct:identifier", "marketing"), "the purpose"),
        (put("dpv:hasNotice", 0, "dct:description", "We sell your data."), "the notice's text"),
        (put("dpv:hasNotice", 0, "schema:version", "2.0.0"), "the notice's version"),
        (put("dct:identifier", "11111111-6a2d-4c58-9d0e-2f7a51c4e9b1"), "its id"),
        (put("covey:evidence", "record", "state", "withdrawn"), "the event"),
        (put("covey:evidence", "record", "state", "sold"), "unknown state"),
        (put("covey:evidence", "record", "method", "pre-ticked"), "the event"),
        (put("covey:evidence", "salt", "00" * 32), "inclusion proof"),
        (put("covey:evidence", "index", 2), "inclusion proof"),
        (put("covey:evidence", "size", 7), "at size 7"),
        (put("covey:evidence", "proof", 0, "00" * 32), "inclusion proof"),
        (put("covey:evidence", "proof", []), "shorter than the tree"),
        (put("covey:evidence", "record", "registry", "other.test/log"), "inclusion proof"),
        (put("@context", {"dpv": "https://evil.example#"}), "schema"),
    ],
)
def test_an_untrue_receipt_is_found_also_when_the_registry_itself_signs_it(registrar, edit, found):
    with pytest.raises(RequestError, match=found):
        verify(edited(registrar, edit), registrar.key.public)


def test_a_context_with_other_meanings_is_refused(registrar):
    plain = json.loads(signed_receipts.canonical(registrar.receipt()))
    plain["@context"]["dpv:hasPurpose"] = "https://evil.example/refuses"
    with pytest.raises(RequestError, match="another meaning"):
        verify(sealed(registrar.key, rfc8785.dumps(plain)), registrar.key.public)


def test_a_checkpoint_or_promise_of_another_key_or_record_is_refused(registrar):
    record = registrar.record()
    (entry,) = registrar.receipt(record).has_record_of_activity
    stranger = dataclasses.replace(registrar, key=OTHER)
    other = dataclasses.replace(record, at=record.at + 1)
    foreign = registrar.promised(other).model_copy(update={"record": record})
    head = Checkpoint(
        "other.test/log", 6, checkpoint.open_note(entry.evidence.checkpoint, registrar.key.public).root
    )
    elsewhere = entry.evidence.model_copy(
        update={"checkpoint": checkpoint.sign_checkpoint(head, registrar.key)}
    )
    for evidence, found in (
        (stranger.published(record), "not signed by its key"),
        (stranger.promised(record), "not signed by the registry"),
        (foreign, "of another log or record"),
        (elsewhere, "the checkpoint is of 'other.test/log'"),
    ):
        untrue = entry.model_copy(update={"evidence": evidence})
        receipt = registrar.receipt().model_copy(update={"has_record_of_activity": (untrue,)})
        with pytest.raises(RequestError, match=found):
            verify(signed_receipts.sign(receipt, registrar.key), registrar.key.public)


def test_a_receipt_survives_other_words_in_a_later_release(registrar, monkeypatch):
    signed = registrar.signed()
    monkeypatch.setattr("covey_consent.receipts.labels._load", lambda: {"en": {}})
    assert verify(signed, registrar.key.public)
    assert isinstance(signed_receipts.open_receipt(signed, registrar.key.public), Receipt)


@pytest.fixture
def offline():
    """Run `covey` in a process that has no network."""

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        alone = ["unshare", "-rn"]
        if (
            shutil.which("unshare") is None
            or subprocess.run([*alone, "true"], capture_output=True).returncode
        ):
            alone = []
        command = [*alone, sys.executable, "-c", OFFLINE, *arguments]
        return subprocess.run(
            command, cwd=ROOT, env={**os.environ}, capture_output=True, text=True, timeout=60
        )

    return run


@pytest.mark.slow
def test_the_command_verifies_without_the_network_and_says_so_in_one_line(registrar, tmp_path, offline):
    file, key = tmp_path / "receipt.jwt", registrar.key.public.hex()
    signed = registrar.signed()
    file.write_bytes(signed)
    done = offline("registry", "receipt", "verify", str(file), "--key", key)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("receipt 7d1f3a52")
    assert done.stdout.count("\n") == 1
    file.write_bytes(signed[:4000] + bytes([signed[4000] ^ 1]) + signed[4001:])
    refused = offline("registry", "receipt", "verify", str(file), "--key", key)
    assert refused.returncode == 1
    assert refused.stdout.startswith("the receipt is refused:")
    assert refused.stdout.count("\n") == 1


def test_the_command_takes_the_key_as_it_is_printed_or_in_hex(registrar, tmp_path, capsys):
    from covey_consent.commands import receipt

    tmp_path.joinpath("receipt.jwt").write_bytes(registrar.signed())
    public = registrar.key.public
    for key in (public.hex(), VerifierKey("covey.test/log", ED25519, public).vkey):
        assert receipt.check(tmp_path / "receipt.jwt", key) == 0
        assert capsys.readouterr().out.startswith("receipt 7d1f3a52")


@pytest.mark.parametrize(
    ("file", "key"), [("missing.jwt", "00" * 32), ("receipt.jwt", "beef"), ("receipt.jwt", "é")]
)
def test_the_command_refuses_what_it_cannot_use(registrar, tmp_path, capsys, file, key):
    from covey_consent.commands import receipt

    tmp_path.joinpath("receipt.jwt").write_bytes(registrar.signed())
    assert receipt.check(tmp_path / file, key) == 1
    assert capsys.readouterr().out.startswith("the receipt is refused:")


def test_what_was_said_without_a_notice_is_checked_offline(registrar):
    for purpose, state in (("partner", "objected"), ("*", "restricted"), ("*", "lifted")):
        shown = str(verify(registrar.signed(registrar.unshown(purpose, state)), registrar.key.public))
        assert f"{state} {purpose!r} at 2027" in shown


@pytest.mark.parametrize(
    ("purpose", "edit"),
    [
        ("partner", lambda entry: entry["dpv:hasProcess"][0].update({"dct:identifier": "train"})),
        ("partner", lambda entry: entry.pop("dpv:hasProcess")),
        ("partner", lambda entry: entry["dpv:hasDataSubject"].update({"dct:identifier": "6f" * 16})),
        ("*", lambda entry: entry["dpv:hasConsentStatus"][0].update({"@type": "covey:RestrictionLifted"})),
        ("*", lambda entry: entry["covey:evidence"]["record"].update({"state": "lifted"})),
    ],
)
def test_an_edited_record_without_a_notice_is_found_out(registrar, purpose, edit):
    state = "restricted" if purpose == "*" else "objected"
    plain = json.loads(signed_receipts.canonical(registrar.receipt(registrar.unshown(purpose, state))))
    edit(plain["dpv:hasRecordOfActivity"][0])
    with pytest.raises(RequestError):
        verify(sealed(registrar.key, rfc8785.dumps(plain)), registrar.key.public)


def test_a_yes_is_never_without_its_notice(registrar):
    with pytest.raises(DamageError, match="notice that is not kept"):
        registrar.receipt(registrar.unshown("partner", "granted"))
    plain = json.loads(signed_receipts.canonical(registrar.receipt(registrar.unshown("partner", "objected"))))
    (entry,) = plain["dpv:hasRecordOfActivity"]
    record = registrar.unshown("partner", "granted")
    entry["covey:evidence"] = registrar.published(record).model_dump(mode="json")
    entry["dpv:hasConsentStatus"][0]["@type"] = "dpv:ConsentGiven"
    with pytest.raises(RequestError, match="the notice"):
        verify(sealed(registrar.key, rfc8785.dumps(plain)), registrar.key.public)


def test_a_receipt_without_a_notice_claims_no_27560(registrar):
    plain = json.loads(signed_receipts.canonical(registrar.receipt(registrar.unshown("partner", "objected"))))
    plain["dct:conformsTo"] = "https://w3id.org/dpv/schema/dpv-27560#receipt-eu-gdpr"
    with pytest.raises(RequestError, match="asks for a notice"):
        verify(sealed(registrar.key, rfc8785.dumps(plain)), registrar.key.public)
