"""A server that lies to clients of Flower's SecAgg+ mod, in the messages that its workflow would send.

The mod claims honest clients and a server that keeps to the protocol; what is asked of it here is more.
"""

from __future__ import annotations

import importlib
import logging
import os
from collections.abc import Callable, Mapping
from importlib.metadata import version
from typing import Any

import numpy as np
from cryptography.fernet import InvalidToken
from cryptography.hazmat.primitives.asymmetric import ec
from flwr.app import ConfigRecord, Context, Message, RecordDict
from flwr.common import Code, FitRes, Status, ndarrays_to_parameters
from flwr.common.secure_aggregation.crypto.shamir import combine_shares, create_shares
from flwr.common.secure_aggregation.secaggplus_constants import RECORD_KEY_CONFIGS, Key, Stage
from flwr.common.secure_aggregation.secaggplus_utils import pseudo_rand_gen
from flwr.compat.common import recorddict_compat

from covey_server.flower import InProcessGrid

mod: Any = importlib.import_module("flwr.client.mod.secure_aggregation.secaggplus_mod")
VERSION = version("flwr")

CLIENTS, THRESHOLD = 6, 4
VICTIM = 1
MODULUS = 2**32

Configs = Mapping[str, Any]


def outcome(attack: Callable[[], object]) -> str:
    """Return whether the client answers an attack, and by which error it refuses where it does not."""
    try:
        attack()
    except (ValueError, KeyError, TypeError, IndexError, InvalidToken) as error:
        return f"refuses ({type(error).__name__})"
    return "**answers**"


class Client:
    """A client app behind Flower's mod; its update is a vector of ones."""

    def __init__(self, node: int) -> None:
        self.node = node
        self._context = Context(1, node, {}, RecordDict(), {})

    def ask(self, stage: str, configs: Configs) -> dict[str, Any]:
        """Return what the mod answers at a stage. It raises where it refuses."""
        content = RecordDict({RECORD_KEY_CONFIGS: ConfigRecord({Key.STAGE: stage, **configs})})
        message = InProcessGrid.message(content, self.node, "train", ttl=3600.0, group_id="")
        answer = mod.secaggplus_mod(message, self._context, _fit)
        return dict(answer.content.config_records[RECORD_KEY_CONFIGS])


def _fit(message: Message, _: Context) -> Message:
    result = FitRes(Status(Code.OK, ""), ndarrays_to_parameters([np.ones(3)]), 1, {})
    return Message(recorddict_compat.fitres_to_recorddict(result, keep_input=False), reply_to=message)


class FlowerRound:
    """A round up to some stage; `told` is what the victim is to be told next, honestly."""

    def __init__(self, until: str = Stage.SETUP, **changes: int) -> None:
        logging.getLogger("flwr").setLevel(logging.ERROR)
        self.clients = {node: Client(node) for node in range(1, CLIENTS + 1)}
        self._changes = changes
        told = dict.fromkeys(self.clients, self._setup())
        for stage, following in (
            (Stage.SETUP, self._keys),
            (Stage.SHARE_KEYS, _inboxes),
            (Stage.COLLECT_MASKED_VECTORS, self._lists),
        ):
            if stage == until:
                break
            told = following({node: client.ask(stage, told[node]) for node, client in self.clients.items()})
        self._stage, self.told = until, told[VICTIM]

    def tell(self, changes: Configs | None = None, stage: str | None = None) -> dict[str, Any]:
        """Return what the victim answers to the message with these changes."""
        return self.clients[VICTIM].ask(stage or self._stage, {**self.told, **(changes or {})})

    def _setup(self) -> Configs:
        plain = {
            Key.SAMPLE_NUMBER: CLIENTS, Key.SHARE_NUMBER: CLIENTS, Key.THRESHOLD: THRESHOLD,
            Key.CLIPPING_RANGE: 8.0, Key.TARGET_RANGE: 2**22, Key.MOD_RANGE: MODULUS, Key.MAX_WEIGHT: 1000.0,
        }  # fmt: skip
        return {**plain, **self._changes}

    def _keys(self, said: Mapping[int, Configs]) -> dict[int, Configs]:
        keys = {str(n): [each[Key.PUBLIC_KEY_1], each[Key.PUBLIC_KEY_2]] for n, each in said.items()}
        return dict.fromkeys(said, keys)

    def _lists(self, said: Mapping[int, Configs]) -> dict[int, Configs]:
        lists = {Key.ACTIVE_NODE_ID_LIST: list(said), Key.DEAD_NODE_ID_LIST: []}
        return dict.fromkeys(said, lists)


def _inboxes(said: Mapping[int, Configs]) -> dict[int, Configs]:
    """Return each node's ciphertexts with who sent them."""
    sent = [
        (node, to, ciphertext)
        for node, each in said.items()
        for to, ciphertext in zip(each[Key.DESTINATION_LIST], each[Key.CIPHERTEXT_LIST], strict=True)
    ]
    return {
        node: {
            Key.SOURCE_LIST: [source for source, to, _ in sent if to == node],
            Key.CIPHERTEXT_LIST: [ciphertext for _, to, ciphertext in sent if to == node],
        }
        for node in said
    }


def alive_and_dead() -> None:
    """Name every node alive and dead in one message."""
    everyone = list(range(1, CLIENTS + 1))
    answer = FlowerRound(Stage.UNMASK).tell({Key.DEAD_NODE_ID_LIST: everyone})
    if len(answer[Key.SHARE_LIST]) != 2 * CLIENTS:
        raise ValueError("it gave fewer shares than asked")


def second_unmask() -> None:
    """Ask to unmask again, over another set."""
    played = FlowerRound(Stage.UNMASK)
    played.tell()
    played.tell({Key.ACTIVE_NODE_ID_LIST: [1, 2, 3, 4], Key.DEAD_NODE_ID_LIST: [5, 6]})


def stage_again() -> None:
    """Ask for a stage again."""
    played = FlowerRound(Stage.SHARE_KEYS)
    played.tell()
    played.tell()


def unmask_first() -> None:
    """Ask to unmask before the vectors were sent."""
    FlowerRound(Stage.COLLECT_MASKED_VECTORS).tell(
        {Key.ACTIVE_NODE_ID_LIST: [1, 2, 3, 4, 5, 6], Key.DEAD_NODE_ID_LIST: []}, Stage.UNMASK
    )


def set_of_its_own() -> None:
    """Name two live nodes dead, the victim among them."""
    FlowerRound(Stage.UNMASK).tell({Key.ACTIVE_NODE_ID_LIST: [3, 4, 5, 6], Key.DEAD_NODE_ID_LIST: [1, 2]})


def few_survivors() -> None:
    """Name two survivors, far below the threshold."""
    FlowerRound(Stage.UNMASK).tell({Key.ACTIVE_NODE_ID_LIST: [1, 2], Key.DEAD_NODE_ID_LIST: [3, 4, 5, 6]})


def swapped_key() -> None:
    """Show keys of the server's where a neighbour's should be."""
    keys = [mod.public_key_to_bytes(mod.generate_key_pairs()[1]) for _ in range(2)]
    FlowerRound(Stage.SHARE_KEYS).tell({"2": keys})


def invented_peers() -> None:
    """All neighbours are the server's own."""
    peers = {
        str(n): [mod.public_key_to_bytes(mod.generate_key_pairs()[1]) for _ in range(2)] for n in range(2, 7)
    }
    FlowerRound(Stage.SHARE_KEYS).tell(peers)


def chosen_neighbours() -> None:
    """The server picks three of the five others, and no reason is asked for."""
    played = FlowerRound(Stage.SHARE_KEYS)
    played.told = {node: played.told[node] for node in ("1", "3", "4", "6")}
    played.tell()


def bad_point() -> None:
    """P-384 has no points of low order; a key of another curve comes nearest."""
    other = mod.public_key_to_bytes(ec.generate_private_key(ec.SECP256R1()).public_key())
    played = FlowerRound(Stage.SHARE_KEYS)
    played.tell({"2": [played.told["2"][0], other]})


def low_threshold() -> None:
    """Ask for shares of which two open a secret."""
    FlowerRound(Stage.SHARE_KEYS, **{Key.THRESHOLD: 2}).tell()


def tiny_cohort() -> None:
    """Name a cohort of two."""
    played = FlowerRound(Stage.SHARE_KEYS, **{Key.THRESHOLD: 2, Key.SHARE_NUMBER: 2})
    played.told = {node: played.told[node] for node in ("1", "2")}
    played.tell()


def _inbox(change: Any) -> None:
    played = FlowerRound(Stage.COLLECT_MASKED_VECTORS)
    sources, ciphertexts = change(played.told[Key.SOURCE_LIST], played.told[Key.CIPHERTEXT_LIST])
    played.tell({Key.SOURCE_LIST: sources, Key.CIPHERTEXT_LIST: ciphertexts})


def truncated_share() -> None:
    """Cut the inbox short."""
    _inbox(lambda sources, sealed: (sources, [sealed[0][:-4], *sealed[1:]]))


def duplicated_share() -> None:
    """Deliver one share twice."""
    _inbox(lambda sources, sealed: ([sources[0], *sources], [sealed[0], *sealed]))


def redirected_share() -> None:
    """Swap the shares of two senders."""
    _inbox(lambda sources, sealed: (sources, [sealed[1], sealed[0], *sealed[2:]]))


def few_shares() -> None:
    """Deliver one share."""
    _inbox(lambda sources, sealed: (sources[:1], sealed[:1]))


def wrong_share() -> str:
    """Return what the server's own function makes of shares of which one is wrong."""
    secret = os.urandom(32)
    shares = create_shares(secret, THRESHOLD, CLIENTS)
    wrong = shares[0][:4] + bytes(len(shares[0]) - 4)
    try:
        return "sum right" if combine_shares([wrong, *shares[1:]]) == secret else "fails, nobody blamed"
    except ValueError:
        return "fails, nobody blamed"


def folded_seed(seeds: tuple[bytes, bytes]) -> str:
    """Return whether two seeds whose 32-bit words have one exclusive or give one mask."""
    one, other = (pseudo_rand_gen(seed, MODULUS, [(64,)])[0] for seed in seeds)
    return "**one mask**" if np.array_equal(one, other) else "two masks"
