"""What the pages say that a lying phone and a registry can do, done; and that the pages say it."""

from __future__ import annotations

import hashlib
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
from secagg_rounds import contribute, issuers, players, vectors

from covey_models import QUERIES
from covey_privacy import wire
from covey_privacy.dp import Skellam, noise_share
from covey_privacy.dp.encoding import Encoding
from covey_privacy.secagg import messages
from covey_privacy.secagg.field import Q
from covey_privacy.secagg.keys import verify
from covey_privacy.secagg.terms import digest_of_fields
from covey_privacy.signatures import Signed, SigningKey, to_sign
from covey_server.plan import Size, fit_plan

__all__ = ["issuers", "players"]
ROOT = Path(__file__).parents[3]
Q1 = QUERIES["q1"]


def page(name: str) -> str:
    return " ".join((ROOT / name).read_text("utf-8").split())


def test_stated_limits_are_true():
    """The pages no longer promise what nothing enforces, and say what is true instead."""
    protocol, threats, secagg = map(page, ("docs/protocol.md", "docs/threats.md", "docs/one-message.md"))
    every = "".join(page(str(path)) for path in (ROOT / "docs").glob("*.md")) + page("README.md")
    for false in (
        "poison within its norm",
        "It has spent its ticket each time",
        "nobody chooses who is whose",
    ):
        assert false not in every, f"a page still says {false!r}"
    assert "**nothing checks a norm**: one device moved a count from 15 to 316" in protocol
    assert "nobody is named" in threats
    assert "every phone has charged its odometer for good" in threats
    assert "**Sampling can be influenced.**" in secagg


def test_one_phone_moves_a_released_count_by_hundreds():
    people, honest = 400, 341
    (step,) = fit_plan([Size(Q1.id, Q1.length, Q1.norm)], 1.4, people, 1e-6).steps
    encoding = Encoding(Q1.length, Q1.norm, step.scale, step.bits, bytes(32))
    noise, total = Skellam(noise_share(step.sigma, step.scale, honest)), np.zeros(encoding.padded, np.int64)
    truth = np.array([120, 80, 60, 40, 40, 20, 24, 15])
    for segment in np.repeat(np.arange(8), truth):
        total += encoding.encode(np.eye(8)[segment]) + noise.sample(encoding.padded)
    lie = replace(encoding, norm=400.0).encode(np.array([-100, 0, 0, 0, 0, 0, 0, 300.0]))
    vector = encoding.decode(encoding.to_ring(total + lie))
    sd = step.sigma * (people / honest) ** 0.5
    Q1.require_sane(vector, people, sd)
    *_, released = Q1.release(vector, sd).values()
    assert released is not None
    assert released > 250


def test_random_numbers_in_place_of_a_vector_spoil_the_sum_and_name_nobody(players):
    played, given = players("standing"), vectors(12, 40)
    lie = np.frombuffer(os.urandom(4 * 40), "<u4").astype(np.int64) % Q - Q // 2
    contribute(played, np.vstack([lie, given[1:]]))
    played.include()
    played.check()
    played.finalize()
    request = played.open_request()
    for decryptor in played.decryptors.values():
        played.aggregator.opened(decryptor.open(request, 1_790_000_000))
    result = played.aggregator.conclude()
    assert result.members == 12
    assert result.integrity_proved
    assert played.aggregator.state.result.vector.tolist() != given.sum(axis=0).tolist()


P, ORDER = 2**255 - 19, 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, -1, P) % P
BASE_Y = 4 * pow(5, -1, P) % P


def _added(one, other):
    """Add two points of edwards25519 in extended coordinates (RFC 8032, 5.1.4)."""
    (x1, y1, z1, t1), (x2, y2, z2, t2) = one, other
    a, b = (y1 - x1) * (y2 - x2) % P, (y1 + x1) * (y2 + x2) % P
    c, d = t1 * 2 * D * t2 % P, z1 * 2 * z2 % P
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % P, g * h % P, f * g % P, e * h % P


def _times(scalar):
    """Return the base point's multiple, encoded."""
    square = (BASE_Y * BASE_Y - 1) * pow(D * BASE_Y * BASE_Y + 1, -1, P) % P
    x = pow(square, (P + 3) // 8, P)
    if (x * x - square) % P:
        x = x * pow(2, (P - 1) // 4, P) % P
    x = P - x if x % 2 else x
    total, point = (0, 1, 1, 0), (x, BASE_Y, 1, x * BASE_Y % P)
    while scalar:
        total = _added(total, point) if scalar & 1 else total
        point, scalar = _added(point, point), scalar >> 1
    inverse = pow(total[2], -1, P)
    return (total[1] * inverse % P | (total[0] * inverse % P & 1) << 255).to_bytes(32, "little")


def _another_signature(seed, public, message):
    """Sign with a nonce of the signer's choice, where RFC 8032 derives it."""
    digest = hashlib.sha512(seed).digest()
    secret = int.from_bytes(digest[:32], "little") & ((1 << 254) - 8) | (1 << 254)
    nonce = int.from_bytes(os.urandom(64), "little") % ORDER
    point = _times(nonce)
    challenge = int.from_bytes(hashlib.sha512(point + public + message).digest(), "little") % ORDER
    return point + ((nonce + challenge * secret) % ORDER).to_bytes(32, "little")


def test_a_registry_can_choose_among_many_signatures_of_one_draw():
    """Signatures decide whom a round samples, and who is drawn where the registry knows the nonce."""
    seed, round_key = os.urandom(32), os.urandom(32)
    key, draw = SigningKey(seed), messages.Draw(bytes(32), bytes(32), bytes(32), bytes(32))
    body = wire.encode(draw)
    message = to_sign(messages.DRAW, body)
    signatures = [key.sign(message), *(_another_signature(seed, key.public, message) for _ in range(3))]
    assert all(verify(key.public, message, signature) for signature in signatures)
    drawn = [hashlib.sha256(wire.encode(Signed(body, signature))).digest() for signature in signatures]
    contexts = [digest_of_fields(b"covey/2/context", bytes(32), b"\x02" + evidence) for evidence in drawn]
    assert len({digest_of_fields(b"covey/2/sample", context, round_key)[:8] for context in contexts}) == 4
