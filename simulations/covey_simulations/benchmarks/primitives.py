"""What the primitives of a round cost by themselves: the floor that no implementation on them goes below."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from covey_privacy import blind_rsa
from covey_privacy.secagg import masks, ring, shamir
from covey_privacy.secagg.shamir import SHARE_LENGTH
from covey_privacy.signatures import SigningKey, verify
from covey_simulations.benchmarks.cohort import Cohort
from covey_simulations.benchmarks.stopwatch import cost

_INFO = bytes(52)
"""As long as the HKDF infos of a round."""


def client(cohort: Cohort, degree: int) -> dict[str, float]:
    """Return the seconds that a device with `degree` neighbours spends in each primitive."""
    manifest, clients = cohort.terms.manifest, len(cohort.keys)
    threshold, height = cohort.terms.graph(clients)[1], (clients - 1).bit_length()
    key, ticket = SigningKey(os.urandom(32)), cohort.keys[0].ticket
    signed, message, vector = (
        key.sign(_INFO),
        ticket.prefix + ticket.round_key,
        np.zeros(manifest.length, "u4"),
    )
    calls: dict[str, tuple[int, Callable[[], object]]] = {
        "x25519": (2 * degree + 2, _exchange()),
        "hkdf": (3 * degree + 1, lambda: masks.derive(bytes(32), _INFO)),
        "aes_gcm": (2 * degree, lambda: masks.seal(bytes(32), bytes(2 * SHARE_LENGTH), _INFO)),
        "ed25519_sign": (2, lambda: key.sign(_INFO)),
        "ed25519_verify": (degree + threshold + 1, lambda: verify(key.public, _INFO, signed)),
        "rsa_verify": (
            degree,
            lambda: blind_rsa.verify(cohort.terms.issuer.key, message, ticket.signature),
        ),
        "shamir": (1, lambda: shamir.split(bytes(64), threshold, degree, os.urandom)),
        "sha256": ((degree + 1) * (height + 1), lambda: hashlib.sha256(bytes(65)).digest()),
        "keystream": (degree + 1, keystream(manifest.length)),
        "add": (degree + 1, lambda: np.add(vector, vector, out=vector)),
        "pack": (1, lambda: ring.pack(vector, manifest.bits)),
    }
    return {name: count * cost(call) for name, (count, call) in calls.items()}


def keystream(length: int) -> Callable[[], object]:
    """Return what makes one bare AES-256-CTR keystream of `length` 32-bit words."""
    zeros, out = bytes(4 * length), bytearray(4 * length)

    def run() -> object:
        return Cipher(algorithms.AES(zeros[:32]), modes.CTR(zeros[:16])).encryptor().update_into(zeros, out)

    return run


def masking(length: int, streams: int = 20) -> dict[str, float]:
    """Return the seconds that one mask takes to be made and added, and its keystream alone."""
    vector, keys = np.zeros(length, np.uint32), [os.urandom(32) for _ in range(streams)]
    masked = cost(lambda: masks.add_streams(vector, keys), calls=20) / streams
    bare = cost(keystream(length))
    return {"mask_seconds": masked, "keystream_seconds": bare, "mask_over_keystream": masked / bare}


def _exchange() -> Callable[[], object]:
    pair, peer = masks.KeyPair(os.urandom(32)), masks.KeyPair(os.urandom(32)).public
    return lambda: pair.exchange(peer)
