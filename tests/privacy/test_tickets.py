import json
import os
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from covey_privacy import blind_rsa, tickets, wire
from covey_privacy.errors import PeerError
from covey_privacy.signatures import SigningKey, open_signed, sign, verify
from covey_privacy.tickets import IssuerKey


@pytest.fixture(scope="module")
def signer():
    return blind_rsa.Signer(blind_rsa.generate())


@pytest.fixture(scope="module")
def issuer(signer):
    return IssuerKey(("analytics", "personalize"), 17_504, signer.public)


def test_a_batch_is_signed_blindly_and_checked_by_anyone(signer, issuer):
    pending = tickets.request(issuer, 3)
    keys = tickets.receive(issuer, pending, [signer.blind_sign(p.blinded) for p in pending])
    assert len({key.ticket.round_key for key in keys}) == 3
    for key in keys:
        key.ticket.check(issuer)
        assert SigningKey(key.secret).public == key.ticket.round_key


def test_the_signer_sees_nothing_of_what_is_shown(signer, issuer):
    (pending,) = tickets.request(issuer, 1)
    answer = signer.blind_sign(pending.blinded)
    (key,) = tickets.receive(issuer, [pending], [answer])
    seen = pending.blinded + answer
    for part in (key.ticket.round_key, key.ticket.prefix, key.ticket.signature):
        assert part not in seen


def test_tickets_of_another_key_or_changed_ones_are_refused(signer, issuer):
    (pending,) = tickets.request(issuer, 1)
    (key,) = tickets.receive(issuer, [pending], [signer.blind_sign(pending.blinded)])
    other = IssuerKey(("train",), 17_504, blind_rsa.Signer(blind_rsa.generate()).public)
    with pytest.raises(PeerError, match="train"):
        key.ticket.check(other)
    stolen = tickets.Ticket(SigningKey(os.urandom(32)).public, key.ticket.prefix, key.ticket.signature)
    with pytest.raises(PeerError):
        stolen.check(issuer)


def test_wrong_answers_are_refused(signer, issuer):
    pending = tickets.request(issuer, 2)
    good = [signer.blind_sign(p.blinded) for p in pending]
    with pytest.raises(PeerError, match="2 tickets"):
        tickets.receive(issuer, pending, good[:1])
    with pytest.raises(PeerError, match="does not verify"):
        tickets.receive(issuer, pending, good[::-1])
    with pytest.raises(PeerError, match="bytes"):
        tickets.receive(issuer, pending, [good[0], good[1][:-1]])


@pytest.mark.parametrize("value", [0, "n", "p", "over"])
def test_the_signer_checks_what_it_is_given(value):
    key = blind_rsa.generate()
    numbers = key.private_numbers()
    n = numbers.public_numbers.n
    z = {0: 0, "n": n, "p": numbers.p, "over": 2**2048 - 1}[value]
    with pytest.raises(PeerError, match="unit below"):
        blind_rsa.Signer(key).blind_sign(z.to_bytes(256))


@pytest.mark.parametrize("key", [b"", b"not a key", SigningKey(bytes(32)).public])
def test_keys_that_are_no_issuer_keys(key):
    with pytest.raises(PeerError, match="issuer key"):
        blind_rsa.blind(key, b"message")


def test_python_integers_sign_as_gmpy2_does(signer, monkeypatch):
    prepared = blind_rsa.prepare(b"message")
    blinded, inverse = blind_rsa.blind(signer.public, prepared)
    quick = signer.blind_sign(blinded)
    plain = blind_rsa._Arithmetic(pow, pow, lambda r, n: pow(r, -1, n))
    monkeypatch.setattr(blind_rsa, "_arithmetic", lambda: plain)
    assert signer.blind_sign(blinded) == quick
    assert blind_rsa.verify(
        signer.public, prepared, blind_rsa.finalize(signer.public, prepared, quick, inverse)
    )


VECTORS = Path(os.environ.get("COVEY_TEST_DATA", "")) / "vectors" / "rfc9474-blind-rsa.json"


@pytest.mark.skipif(not VECTORS.is_file(), reason="COVEY_TEST_DATA holds no vectors/rfc9474-blind-rsa.json")
def test_the_vectors_of_rfc_9474():
    """Appendix A, with the RFC's salt and inverse: encoding, blinding, blind and final signature."""
    cases = [case for case in json.loads(VECTORS.read_text("utf-8")) if int(case["sLen"], 0) == 48]
    assert cases
    for case in cases:
        p, q, n, e, d = (int(case[name], 16) for name in "pqned")
        prepared, salt = bytes.fromhex(case["input_msg"]), bytes.fromhex(case["salt"])
        encoded = int.from_bytes(blind_rsa.emsa_pss_encode(prepared, n.bit_length() - 1, salt))
        inverse = int(case["inv"], 16)
        blinded = encoded * pow(pow(inverse, -1, n), e, n) % n
        assert blinded == int(case["blinded_msg"], 16)
        public = rsa.RSAPublicNumbers(e, n)
        private = rsa.RSAPrivateNumbers(p, q, d, d % (p - 1), d % (q - 1), pow(q, -1, p), public)
        rfc = blind_rsa.Signer(private.private_key())
        answer = rfc.blind_sign(blinded.to_bytes(n.bit_length() // 8))
        assert answer.hex() == case["blind_sig"]
        assert blind_rsa.finalize(rfc.public, prepared, answer, inverse).hex() == case["sig"]


def test_a_signature_for_one_context_is_none_for_another():
    key = SigningKey(os.urandom(32))
    data = sign("notice", tickets.Ticket(bytes(32), bytes(32), bytes(256)), key)
    assert open_signed(tickets.Ticket, "notice", data, key.public).prefix == bytes(32)
    with pytest.raises(PeerError, match="not signed by the registry"):
        open_signed(tickets.Ticket, "manifest", data, key.public, signer="registry")


def test_a_flipped_bit_breaks_a_signed_message():
    key = SigningKey(os.urandom(32))
    data = bytearray(sign("notice", tickets.Ticket(bytes(32), bytes(32), bytes(256)), key))
    data[40] ^= 1
    with pytest.raises(PeerError):
        open_signed(tickets.Ticket, "notice", bytes(data), key.public)
    assert not verify(key.public, b"message", bytes(64))
    assert wire.encode(tickets.Ticket(bytes(32), bytes(32), bytes(256)))
