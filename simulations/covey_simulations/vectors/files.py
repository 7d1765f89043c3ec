"""Test vectors of secure aggregation in one message: whole rounds from given secrets, streams and arithmetic.

    python -m covey_simulations.vectors.files tests/vectors/one-message          # compare
    python -m covey_simulations.vectors.files tests/vectors/one-message --write  # make anew

A file of a round has four parts.

`given` holds every secret: the issuers' RSA keys (PKCS #8 in DER), the Ed25519 secrets of registry and
witness, the draw's nonce, a seed for each organisation, volunteer and phone, and the phones' vectors. `terms`
are the encoded `RoundTerms`; their SHA-256 stands for the manifest's digest. `log` names log and witness, and
says when every message comes and how old a cosignature may be. The random bytes of a party are SHAKE-256 of
"covey/2/vector" and its seed, handed out from the front in the order in which the protocol needs them:

- phone: round key; prefix, PSS salt and blinding factor of its ticket (256 bytes, and again while they are no
  number below the modulus); salt of the message; for a long vector the key of its errors;
- volunteer: round key, prefix, PSS salt and blinding factor as a phone; box key; 64 bytes for each dispute;
- organisation: signing key, box key.

`faults` are those of dealers that cheat, as [phone, kind of committee, decryptor, part]. The first word of
the polynomials' values at a decryptor of 1 to R is one more than in its "stream"; or the first word of a
sealed "share" is one more, or, as an "element", q more; or the lowest bit of a "box" is flipped in its last
byte. The vector stays as it would be without. `retracted` phones retract instead of contributing, `absent`
decryptors do not open, and `wrong` ones add one to the first word of their sums.

`messages` are all messages in order, `log` the entries of the registry's log, `result` the coordinator's.
`derived` are intermediate values, and each phone's proof that it is in the final set or not in it.

`refused` are altered messages, each tried in the place of the honest one, whose place in `messages` is given,
or after it, where it says so; with the blame and the rule that it is refused for. A decryptor that is shown
bad shares answers with complaints instead. `flipped` is the offset of a byte whose lowest bit is flipped.
"""

from __future__ import annotations

import hashlib
import json
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from covey_privacy import blind_rsa, wire
from covey_privacy.secagg.field import Q, uniform_elements
from covey_privacy.secagg.shape import Band, Shape, choose_shape, standing_shape
from covey_privacy.secagg.terms import RoundTerms
from covey_privacy.signatures import SigningKey
from covey_simulations.scenarios.in_process_round import NOW, ORIGIN, WITNESS
from covey_simulations.vectors.arithmetic import make_arithmetic, make_streams
from covey_simulations.vectors.rounds import Json, RandomTape, VectorRound


@dataclass(frozen=True, slots=True)
class VectorPlan:
    """What a round's vector is made of: see the module's text, and `RoundTerms`."""

    phones: int
    length: int
    standing: Shape | None = None
    drawn: Shape | None = None
    volunteers: int = 0
    issued: int = 0
    gamma: float = 0.0
    drop: int = 0
    faults: tuple[tuple[int, str, int, str], ...] = ()
    retracted: tuple[int, ...] = ()
    absent: tuple[tuple[str, int], ...] = ()
    wrong: tuple[tuple[str, int], ...] = ()
    bits_only: bool = False


STEPS = 4096.0
"""The noise of long vectors: three bear d = 8, four d = 7."""

ROUNDS = {
    "standing": VectorPlan(
        phones=4, length=12, standing=standing_shape(), retracted=(3,), absent=(("standing", 3),)
    ),
    "drawn": VectorPlan(phones=3, length=40, drawn=choose_shape(20, 0, 0), volunteers=20),
    "drawn-disputes": VectorPlan(
        phones=8,
        length=20,
        drawn=choose_shape(24, 1, 0),
        volunteers=24,
        issued=24,
        gamma=0.05,
        faults=(
            (1, "drawn", 20, "box"),
            (3, "drawn", 19, "share"),
            (4, "drawn", 5, "stream"),
            (5, "drawn", 19, "box"),
            (5, "drawn", 20, "share"),
            (6, "drawn", 20, "element"),
        ),
        wrong=(("drawn", 7),),
    ),
    "both": VectorPlan(
        phones=4,
        length=17,
        standing=standing_shape(),
        drawn=choose_shape(20, 0, 0),
        volunteers=20,
        faults=((2, "standing", 4, "share"),),
    ),
    "standing-long": VectorPlan(
        phones=4, length=4100, standing=standing_shape(), drop=7, wrong=(("standing", 2),), bits_only=True
    ),
    "both-long": VectorPlan(
        phones=3,
        length=2049,
        standing=standing_shape(),
        drawn=choose_shape(21, 0, 0, packing=18),
        volunteers=21,
        drop=8,
        bits_only=True,
    ),
}
"""Rounds by name. In `drawn-disputes`, T = 2 complaints exclude phone 5, and disputes the other cheats.

16 divides neither 40, 20 nor 17, and 18 does not divide 2,048.
"""


def draw_secrets(name: str) -> Json:
    """Return the `given` part of a new vector. The issuers' keys are random, all else comes from the name."""
    plan = ROUNDS[name]
    roles = ("contribute", "volunteer") if plan.drawn else ("contribute",)
    seats = plan.standing.members if plan.standing else 0
    organisations = [_seed(name, "organisation", place) for place in range(seats)]
    nonce = bytes.fromhex(_seed(name, "nonce"))
    signers = [SigningKey(RandomTape(bytes.fromhex(seed))(32)).public for seed in organisations]
    bands = (Band(1, 2**32 - 1, plan.drawn),) if plan.drawn else ()
    terms = RoundTerms(
        plan.length, plan.drop, STEPS, 1, plan.issued, plan.gamma, 0.0, plan.phones, tuple(signers),
        plan.standing, bands, hashlib.sha256(nonce).digest(),
    )  # fmt: skip
    return {
        "terms": wire.encode(terms).hex(),
        "issuers": {role: _rsa_key() for role in roles},
        "registry": _seed(name, "registry"),
        "witness": _seed(name, "witness"),
        "log": {"origin": ORIGIN, "witness": WITNESS, "now": NOW, "age": 3600},
        "nonce": nonce.hex(),
        "organisations": organisations,
        "volunteers": [_seed(name, "volunteer", place) for place in range(plan.volunteers)],
        "phones": [_seed(name, "phone", place) for place in range(plan.phones)],
        "vectors": _vectors(name, plan),
        "faults": [list(each) for each in plan.faults],
        "retracted": list(plan.retracted),
        "absent": [list(each) for each in plan.absent],
        "wrong": [list(each) for each in plan.wrong],
        "bits_only": plan.bits_only,
    }


def play_round(name: str, old: Json) -> Json:
    """Return a round's vector, from the `given` part of the old one where there is one."""
    given = old.get("given") or draw_secrets(name)
    return {"given": given, **VectorRound(given).play()}


FILES: dict[str, Callable[[Json], Json]] = {
    **{name: partial(play_round, name) for name in ROUNDS},
    "streams": make_streams,
    "arithmetic": make_arithmetic,
}
"""What makes each file anew from what it held before."""


def main(arguments: list[str]) -> int:
    """Compare the vectors in a folder with what the code makes now, or write them."""
    folder, *write = arguments or ["tests/vectors/one-message"]
    wrong = [name for name in FILES if not _is_same(Path(folder) / f"{name}.json", name, bool(write))]
    for name in wrong:
        sys.stderr.write(f"{name}: the code makes other bytes than the vector\n")
    return 1 if wrong else 0


def _is_same(path: Path, name: str, write: bool) -> bool:
    old: Json = json.loads(path.read_text("utf-8")) if path.exists() else {}
    new = FILES[name](old)
    if write:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(_format(new), "utf-8")
    return write or old == new


def _format(vector: Json) -> str:
    """Return JSON with each list of numbers on one line."""
    text = json.dumps(vector, indent=1) + "\n"
    return re.sub(r"\[(?:[\s\d.,-]|true|false)+\]", lambda found: " ".join(found[0].split()), text)


def _seed(*labels: object) -> str:
    return hashlib.sha256(" ".join(map(str, labels)).encode()).hexdigest()


def _rsa_key() -> str:
    return blind_rsa.generate().private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption()).hex()


def _vectors(name: str, plan: VectorPlan) -> list[list[int]]:
    """Return vectors whose first two sums are the greatest and the least: q / 2 less a margin for errors."""
    words = uniform_elements(hashlib.sha256(name.encode()).digest(), plan.phones * plan.length)
    drawn = (words % 100_001 - 50_000).reshape(plan.phones, plan.length)
    most = Q // 2 - (10_000 if plan.drop else 0)
    excluded = {*plan.retracted, *(fault[0] for fault in plan.faults)}
    kept = [place for place in range(plan.phones) if place not in excluded]
    for entry, sign in enumerate((1, -1)):
        drawn[:, entry] = sign * np.abs(drawn[:, entry])
        drawn[kept[0], entry] += sign * most - drawn[kept, entry].sum()
    vectors: list[list[int]] = drawn.tolist()
    return vectors


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
