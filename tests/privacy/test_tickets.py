import json
import os
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from covey_privacy import blind_rsa, tickets, wire
from covey_privacy.errors import PeerError, ServerError
from covey_privacy.signatures import SigningKey, open_signed, sign, verify
from covey_privacy.ticket_signer import TicketSigner, generate_private_keys
from covey_privacy.tickets import IssuerKey, Role


@pytest.fixture(scope="module")
def issuing():
    """An issuer of two slots."""
    return TicketSigner.from_private_keys(
        ("analytics", "personalize"), 17_504, generate_private_keys(slots=2)
    )


@pytest.fixture(scope="module")
def issuer_keys(issuing):
    return issuing.keys


@pytest.fixture(scope="module")
def pending(issuer_keys):
    return tickets.request(issuer_keys)


@pytest.fixture(scope="module")
def answers(issuing, pending):
    return issuing.sign([each.blinded for each in pending])


@pytest.fixture(scope="module")
def keys(issuer_keys, pending, answers):
    return tickets.receive(issuer_keys, pending, answers)


@pytest.fixture(scope="module")
def signer():
    return blind_rsa.Signer(blind_rsa.generate())


def test_a_batch_has_one_ticket_of_each_role_and_slot_in_order(issuer_keys, keys):
    order = [(each.role, each.slot) for each in issuer_keys]
    assert order == [(Role.CONTRIBUTE, 1), (Role.CONTRIBUTE, 2), (Role.VOLUNTEER, 1), (Role.VOLUNTEER, 2)]
    assert len({key.ticket.round_key for key in keys}) == issuer_keys.batch == 4
    for issuer, key in zip(issuer_keys, keys, strict=True):
        key.ticket.check(issuer)
        assert SigningKey(key.secret).public == key.ticket.round_key


def test_a_ticket_is_good_for_its_own_role_and_slot_alone(issuer_keys, keys):
    for issuer, key in zip(issuer_keys, keys, strict=True):
        for other in issuer_keys:
            if other != issuer:
                says = f"not signed for .* role {other.role.name.lower()}, slot {other.slot}$"
                with pytest.raises(PeerError, match=says):
                    key.ticket.check(other)


def test_the_signer_sees_nothing_of_what_is_shown(pending, answers, keys):
    for asked, answer, key in zip(pending, answers, keys, strict=True):
        for part in (key.ticket.round_key, key.ticket.prefix, key.ticket.signature):
            assert part not in asked.blinded + answer


def test_tickets_of_another_issuer_or_changed_ones_are_refused(signer, issuer_keys, keys):
    other = IssuerKey(("train",), 17_504, Role.CONTRIBUTE, 1, signer.public)
    with pytest.raises(PeerError, match="train"):
        keys[0].ticket.check(other)
    stolen = replace(keys[0].ticket, round_key=SigningKey(os.urandom(32)).public)
    with pytest.raises(PeerError):
        stolen.check(issuer_keys.key_for(Role.CONTRIBUTE, 1))


def test_wrong_answers_are_refused(issuer_keys, pending, answers):
    with pytest.raises(PeerError, match="4 tickets were asked for and 3 answered"):
        tickets.receive(issuer_keys, pending, answers[:3])
    swapped = (answers[0], answers[1], answers[3], answers[2])
    with pytest.raises(PeerError, match=r"role volunteer, slot 1: .* does not verify"):
        tickets.receive(issuer_keys, pending, swapped)
    with pytest.raises(PeerError, match=r"role volunteer, slot 2: .* bytes"):
        tickets.receive(issuer_keys, pending, [*answers[:3], answers[3][:-1]])


@pytest.mark.parametrize("count", [0, 3, 5])
def test_the_issuer_signs_whole_batches_alone(issuing, pending, count):
    blinded = [each.blinded for each in (*pending, *pending)][:count]
    with pytest.raises(PeerError, match=f"a batch is 4 tickets, .*; {count} were asked for"):
        issuing.sign(blinded)


def test_there_are_no_other_slots_than_those_of_the_keys(issuer_keys):
    for slot in (0, 3):
        with pytest.raises(ServerError, match=f"slot {slot} was named; .* have slots 1 to 2"):
            issuer_keys.key_for(Role.VOLUNTEER, slot)


def test_a_key_stands_for_one_role_and_slot(issuer_keys):
    """Else one person had two tickets for one round, or one person's two tickets could be linked."""
    first, second = issuer_keys.contribute
    for changes in (
        {"contribute": (first, first)},
        {"volunteer": (second, issuer_keys.volunteer[0])},
        {"volunteer": issuer_keys.volunteer[:1]},
    ):
        with pytest.raises(PeerError, match="one for each role and slot was expected"):
            replace(issuer_keys, **changes).require_sound()
    issuer_keys.require_sound()


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
