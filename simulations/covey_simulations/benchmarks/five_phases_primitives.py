"""What the primitives of a round cost by themselves: the floor that no implementation on them goes below.

They are sampled while the round is played, because a shared machine changes its pace from one second to the
next, and some calls at a time, because reading the clock costs as much as the quickest of them.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Mapping

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from covey_privacy import blind_rsa
from covey_privacy.five_phases import masks, ring, shamir
from covey_privacy.five_phases.shamir import SHARE_LENGTH
from covey_privacy.signatures import SigningKey, verify
from covey_simulations.benchmarks.five_phases_cohort import Cohort
from covey_simulations.benchmarks.stopwatch import Stopwatch

WARM, CALLS = 10, 40
"""Calls of a primitive before those that are timed together: a device calls it often in a row, too."""

Call = Callable[[], object]

_INFO = bytes(52)
"""As long as the HKDF infos of a round."""


class Primitives:
    """The primitives that a device of `cohort` with `degree` neighbours calls, and one whole mask."""

    def __init__(self, cohort: Cohort, degree: int) -> None:
        self._counts = _counts(cohort, degree)
        vector = np.zeros(cohort.terms.manifest.length, np.uint32)
        mask = {"mask": lambda: masks.add_streams(vector, [_INFO[:32]])}
        self._calls: Mapping[str, Call] = {**_calls(cohort, degree), **mask}
        self._watch = Stopwatch()

    def sample(self) -> None:
        """Time some calls of each."""
        for name, call in self._calls.items():
            for _ in range(WARM):
                call()
            with self._watch(name):
                for _ in range(CALLS):
                    call()

    def client(self) -> dict[str, float]:
        """Return the seconds that a device spends in each primitive during one round."""
        return {name: count * self._cost(name) for name, count in self._counts.items()}

    def masking(self) -> dict[str, float]:
        """Return the seconds of one mask, made and added, and of its bare keystream."""
        mask, keystream = self._cost("mask"), self._cost("keystream")
        return {"mask_seconds": mask, "keystream_seconds": keystream, "mask_over_keystream": mask / keystream}

    def _cost(self, name: str) -> float:
        return self._watch.medians()[name] / CALLS


def _counts(cohort: Cohort, degree: int) -> dict[str, int]:
    """Return how often a device calls each primitive; of the neighbours' agreements it checks t."""
    clients = len(cohort.keys)
    threshold, height = cohort.terms.graph(clients)[1], (clients - 1).bit_length()
    return {
        "x25519": 2 * degree + 2,
        "hkdf": 3 * degree + 1,
        "aes_gcm": 2 * degree,
        "ed25519_sign": 2,
        "ed25519_verify": degree + threshold + 1,
        "rsa_verify": degree,
        "shamir": 1,
        "sha256": (degree + 1) * (height + 1),
        "keystream": degree + 1,
        "add": degree + 1,
        "pack": 1,
    }


def _calls(cohort: Cohort, degree: int) -> dict[str, Call]:
    manifest, ticket = cohort.terms.manifest, cohort.keys[0].ticket
    key, pair = SigningKey(os.urandom(32)), masks.KeyPair(os.urandom(32))
    peer, threshold = masks.KeyPair(os.urandom(32)).public, cohort.terms.graph(len(cohort.keys))[1]
    issuer, message = cohort.terms.issuer.key, ticket.prefix + ticket.round_key
    signed, vector = key.sign(_INFO), np.zeros(manifest.length, np.uint32)
    return {
        "x25519": lambda: pair.exchange(peer),
        "hkdf": lambda: masks.derive(bytes(32), _INFO),
        "aes_gcm": lambda: masks.seal(bytes(32), bytes(2 * SHARE_LENGTH), _INFO),
        "ed25519_sign": lambda: key.sign(_INFO),
        "ed25519_verify": lambda: verify(key.public, _INFO, signed),
        "rsa_verify": lambda: blind_rsa.verify(issuer, message, ticket.signature),
        "shamir": lambda: shamir.split(bytes(64), threshold, degree, os.urandom),
        "sha256": lambda: hashlib.sha256(bytes(65)).digest(),
        "keystream": _keystream(manifest.length),
        "add": lambda: np.add(vector, vector, out=vector),
        "pack": lambda: ring.pack(vector, manifest.bits),
    }


def _keystream(length: int) -> Call:
    """Return what makes one bare AES-256-CTR keystream of `length` 32-bit words."""
    zeros, out = bytes(4 * length), bytearray(4 * length)

    def run() -> object:
        return Cipher(algorithms.AES(_INFO[:32]), modes.CTR(_INFO[:16])).encryptor().update_into(zeros, out)

    return run
