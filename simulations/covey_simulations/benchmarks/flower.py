"""Flower's own SecAgg+ measured: what its client mod does for one device, and its workflow for the masks.

The functions are those that `secaggplus_mod` and `SecAggPlusWorkflow` call, with as many neighbours, shares
and entries as the round of Covey's beside which they are measured.
"""

from __future__ import annotations

import importlib
import logging
import os
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from flwr.app import ConfigRecord
from flwr.common import ndarrays_to_parameters
from flwr.common.secure_aggregation.crypto.shamir import combine_shares, create_shares
from flwr.common.secure_aggregation.ndarrays_arithmetic import parameters_addition, parameters_subtraction
from flwr.common.secure_aggregation.secaggplus_constants import Key
from flwr.common.secure_aggregation.secaggplus_utils import pseudo_rand_gen, share_keys_plaintext_concat

from covey_simulations.benchmarks.stopwatch import Stopwatch

mod: Any = importlib.import_module("flwr.client.mod.secure_aggregation.secaggplus_mod")
"""The module; the package shows a function under this name."""

MODULUS = 2**32
SERVED = 2
"""Survivors and dropped devices that the server's work is measured for; it is multiplied up from them."""


@dataclass
class Flower:
    """One device with `degree` neighbours that sends `length` entries, and the server that unmasks."""

    degree: int
    threshold: int
    length: int
    watch: Stopwatch = field(default_factory=Stopwatch)

    def client(self) -> dict[str, float]:
        """Return the seconds of a device's four stages."""
        logging.getLogger("flwr").setLevel(logging.ERROR)
        state = mod.SecAggPlusState(nid=0)
        with self.watch("advertise"):
            mod._setup(state, self._parameters())
        pairs = {nid: _key_pairs() for nid in range(1, self.degree + 1)}
        told = {str(nid): [pk1, pk2] for nid, (_, pk1, _, pk2) in pairs.items()}
        with self.watch("share"):
            mod._share_keys(state, ConfigRecord({"0": [state.pk1, state.pk2], **told}))
        inbox = self._inbox(state, list(pairs))
        vector = ndarrays_to_parameters([np.zeros(self.length)])
        with self.watch("mask"):
            mod._collect_masked_vectors(state, inbox, 1, vector)
        with self.watch("open"):
            mod._unmask(state, self._survivors(list(pairs)))
        return self.watch.medians()

    def server(self, survivors: int, dropped: int) -> dict[str, float]:
        """Return the seconds of removing the masks of so many devices, from a few that are measured."""
        masked = [np.zeros(self.length, np.int64)]
        seed, private = os.urandom(32), _key_pairs()
        seeds = create_shares(seed, self.threshold, self.degree + 1)
        keys = create_shares(private[0], self.threshold, self.degree + 1)
        peers = [_key_pairs()[1] for _ in range(self.degree)]
        for _ in range(SERVED):
            with self.watch("survivor"):
                mask = pseudo_rand_gen(combine_shares(seeds), MODULUS, [(self.length,)])
                parameters_subtraction(masked, mask)
            with self.watch("dropped"):
                secret = mod.bytes_to_private_key(combine_shares(keys))
                for peer in peers:
                    shared = mod.generate_shared_key(secret, mod.bytes_to_public_key(peer))
                    parameters_addition(masked, pseudo_rand_gen(shared, MODULUS, [(self.length,)]))
        each = self.watch.medians()
        return {"survivors": survivors * each["survivor"], "dropped": dropped * each["dropped"]}

    def _parameters(self) -> ConfigRecord:
        return ConfigRecord(
            {
                Key.SAMPLE_NUMBER: self.degree + 1,
                Key.SHARE_NUMBER: self.degree + 1,
                Key.THRESHOLD: self.threshold,
                Key.CLIPPING_RANGE: 8.0,
                Key.TARGET_RANGE: 2**22,
                Key.MOD_RANGE: MODULUS,
                Key.MAX_WEIGHT: 1000.0,
            }
        )

    def _inbox(self, state: Any, neighbours: list[int]) -> ConfigRecord:
        """Return what the neighbours would have sent: shares of the size of this device's own."""
        seed, key = state.rd_seed_share_dict[0], state.sk1_share_dict[0]
        sealed = [
            mod.encrypt(state.ss2_dict[nid], share_keys_plaintext_concat(nid, 0, seed, key))
            for nid in neighbours
        ]
        return ConfigRecord({Key.CIPHERTEXT_LIST: sealed, Key.SOURCE_LIST: neighbours})

    def _survivors(self, neighbours: list[int]) -> ConfigRecord:
        return ConfigRecord({Key.ACTIVE_NODE_ID_LIST: [0, *neighbours], Key.DEAD_NODE_ID_LIST: []})


def _key_pairs() -> tuple[bytes, bytes, bytes, bytes]:
    """Return (private, public, private, public) as Flower's clients send and share them."""
    return tuple(
        part
        for private, public in (mod.generate_key_pairs() for _ in range(2))
        for part in (mod.private_key_to_bytes(private), mod.public_key_to_bytes(public))
    )
