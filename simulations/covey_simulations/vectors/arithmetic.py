"""Test vectors of what rounds are computed with: streams, the ring, pads, shares, and the shape rule.

Used by `vectors`. Elements are written as words of 32 bits, little-endian, in hexadecimal: the first eight,
and SHA-256 of all. Numbers of 32 bytes, such as keys, are big-endian.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import astuple, replace
from itertools import count, pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from covey_privacy.errors import MisuseError, PeerError, ServerError
from covey_privacy.secagg import ntt, pads
from covey_privacy.secagg.contribution import require_sampled
from covey_privacy.secagg.field import Elements, Q, derive, keystream, multiply, to_bytes, uniform_elements
from covey_privacy.secagg.packed_shamir import interpolation
from covey_privacy.secagg.shape import (
    RING_SIZE,
    Band,
    Shape,
    bands,
    choose_shape,
    integrity_proved,
    require_shape,
    standing_shape,
)
from covey_privacy.secagg.tail_bounds import answer_bound, corrupt_bound, corrupt_phones
from covey_privacy.secagg.terms import RoundTerms, digest_of_fields

Json = dict[str, Any]
Words = NDArray[np.uint32]

_SEARCHED = 2051
"""Words of a stream that are searched for rejected ones: a share of a standing committee, long vector."""
_LENGTHS = (1, 2047, 2048, 2049, 4100)
_EDGES = (0, 1, 63, 64, 65, 127, 128, 129, 255, 256, 65_535, 65_536, Q // 2, Q - 129, Q - 65, Q - 64, Q - 1)
"""Values of y at which rounding and planes change."""
_SHAPES = (
    standing_shape(),
    standing_shape(9, 3),
    choose_shape(20, 0, 0),
    choose_shape(24, 1, 0),
    choose_shape(21, 0, 0, packing=18),
    choose_shape(900, 50, 0.3),
)
_COUNTS = (
    (1000, 900, 0.3), (1000, 900, 0.5), (1000, 500, 0.3), (1000, 500, 0.5), (2469, 2222, 0.3),
    (2469, 2222, 0.5), (10_000, 9000, 0.3), (10_000, 9000, 0.5), (10_000, 5000, 0.3), (10_000, 5000, 0.5),
    (100, 40, 0.3), (400, 400, 0.29),
)  # fmt: skip
"""Phones with tickets, volunteers, lost: those of docs/protocol.md first, at gamma = 0.05."""
_NOISES = ((2048, 10, 0), (2049, 4, 4096), (2049, 3, 4096), (9000, 100, 5e5))
"""Length, most members, and the noise's standard deviation in steps."""


def make_streams(old: Json) -> Json:
    """Return streams with rejected words. Keys are searched for where the old file has none."""
    keys = old.get("keys") or _find_keys()
    cases = []
    for name, key, wanted in _stream_cases(keys):
        cases.append(
            {
                "case": name,
                "key": key,
                "count": wanted,
                "rejected": [place for place in _rejected(bytes.fromhex(key)) if place <= wanted],
                "elements": _words(uniform_elements(bytes.fromhex(key), wanted)),
            }
        )
    return {"keys": keys, "streams": cases}


def make_arithmetic(_: Json) -> Json:
    """Return inputs and results of the arithmetic."""
    return {
        "ring": _ring(),
        "pads": [_pad(length) for length in _LENGTHS],
        "errors": [_error(length) for length in (1, 2049)],
        "packing": [_packing(drop) for drop in (0, 7, 8, pads.MOST_DROP)],
        "drops": [_drop(*each) for each in _NOISES],
        "shares": [_shares(shape) for shape in _SHAPES],
        "bounds": [_bounds(*each) for each in _COUNTS],
        "sampled": [_sampled_corrupt(*each) for each in ((500, 2**63 - 1), (500, 2**60), (50, 2**62))],
        "bands": [
            {"sizes": list(sizes), "corrupt": corrupt, "lost": lost, "bands": _bands(sizes, corrupt, lost)}
            for sizes, corrupt, lost in (((400, 600, 900), 20, 0.3), ((900, 901), 50, 0.5))
        ],
        "integrity": [
            [*astuple(shape), answers, corrected, integrity_proved(shape, answers, corrected)]
            for shape in _SHAPES[:4]
            for answers in (shape.threshold, shape.threshold + shape.privacy, shape.members)
            for corrected in (0, 1)
        ],
        "sampling": _sampling(),
    }


def _find_keys() -> dict[str, str]:
    """Return the least keys whose streams have certain words. It takes half a minute: q itself is rare."""
    wanted: dict[str, Callable[[Words, list[int]], bool]] = {
        "front": lambda _, rejected: rejected[:1] == [0],
        "middle": lambda _, rejected: len(rejected) == 1 and 40 <= rejected[0] < 60,
        "several": lambda _, rejected: len(rejected) >= 4,
        "adjacent": lambda _, rejected: any(b == a + 1 for a, b in pairwise(rejected)),
        "q": lambda words, _: bool(np.any(words == Q)),
        "q - 1": lambda words, _: bool(np.any(words == Q - 1)),
    }
    found: dict[str, str] = {}
    for number in count():
        words = _words_of(number.to_bytes(32))
        if int(words.max()) >= Q - 1:
            rejected: list[int] = np.flatnonzero(words >= Q).tolist()
            for name in [name for name, holds in wanted.items() if holds(words, rejected)]:
                found[name] = number.to_bytes(32).hex()
                del wanted[name]
            if not wanted:
                break
    return found


def _stream_cases(keys: dict[str, str]) -> Iterator[tuple[str, str, int]]:
    """Yield names, keys and how many elements are read: up to a rejected word, or with it."""
    middle = _rejected(bytes.fromhex(keys["middle"]))[0]
    adjacent = _rejected(bytes.fromhex(keys["adjacent"]))
    first = next(a for a, b in pairwise(adjacent) if b == a + 1)
    yield "front", keys["front"], 1
    yield "front", keys["front"], 12
    yield "middle", keys["middle"], 2 * middle
    yield "first word not needed", keys["middle"], middle
    yield "last word needed", keys["middle"], middle + 1
    yield "several", keys["several"], _SEARCHED
    yield "first two words not needed", keys["adjacent"], first
    yield "last word needed and the next", keys["adjacent"], first + 1
    yield "last two words needed", keys["adjacent"], first + 2
    yield "longer than one ring element", keys["adjacent"], 3 * RING_SIZE
    yield "a word that is q", keys["q"], _SEARCHED
    yield "a word that is q - 1", keys["q - 1"], _SEARCHED


def _rejected(key: bytes) -> list[int]:
    """Return the places of the words that are not below q, of the first `_SEARCHED`."""
    places: list[int] = np.flatnonzero(_words_of(key) >= Q).tolist()
    return places


def _words_of(key: bytes) -> Words:
    return np.frombuffer(keystream(key, 4 * _SEARCHED), "<u4") & np.uint32(0x7FFFFFFF)


def _key(label: str) -> bytes:
    return hashlib.sha256(b"covey/2/vector " + label.encode()).digest()


def _words(elements: Elements) -> Json:
    data = to_bytes(elements)
    return {"count": elements.size, "first": data[:32].hex(), "sha256": hashlib.sha256(data).hexdigest()}


def _ring() -> Json:
    """X, whose transform is the powers of psi in their order; a polynomial; and a product."""
    one, other = _key("polynomial"), _key("other polynomial")
    x = np.zeros((1, RING_SIZE), np.int64)
    x[0, 1] = 1
    polynomials = np.stack([uniform_elements(one, RING_SIZE), uniform_elements(other, RING_SIZE)])
    values = ntt.forward(polynomials)
    product = ntt.backward(multiply(values[:1], values[1:]))
    digest = _key("digest")
    return {
        "transform_of_x": _words(ntt.forward(x)[0]),
        "keys": [one.hex(), other.hex()],
        "polynomials": [_words(each) for each in polynomials],
        "transforms": [_words(each) for each in values],
        "product": _words(product[0]),
        "digest": digest.hex(),
        "factors": _words(uniform_elements(derive(digest, b"covey/2/ring"), 2 * RING_SIZE)),
    }


def _pad(length: int) -> Json:
    digest, key = _key("digest"), _key(f"seed {length}")
    seed = uniform_elements(key, RING_SIZE)
    padded = pads.pad(digest, seed, length)
    return {"length": length, "digest": digest.hex(), "seed_key": key.hex(), "pad": _words(padded)}


def _error(length: int) -> Json:
    key = _key("errors")
    errors = pads.errors(key, length)
    return {
        "length": length,
        "key": key.hex(),
        "first": errors[:8].tolist(),
        "sha256": hashlib.sha256(to_bytes(errors % Q)).hexdigest(),
    }


def _packing(drop: int) -> Json:
    """The edges packed, and what the sum of one, two or three such vectors is read as."""
    entries = np.array(_EDGES, np.int64)
    packed = pads.pack(entries, drop)
    total, sums = pads.VectorSum(len(entries), drop), []
    for _ in range(3):
        total.add(packed)
        sums.append(total.total().tolist())
    return {"drop": drop, "entries": entries.tolist(), "packed": packed.hex(), "sums": sums}


def _drop(length: int, most: int, steps: float) -> Json:
    return {
        "length": length,
        "most": most,
        "steps": float(steps),
        "drop": pads.choose_drop(length, most, steps),
        "error_variance": pads.error_variance(most, pads.choose_drop(length, most, steps)),
    }


def _shares(shape: Shape) -> Json:
    """The matrix from the shares of 1 to R to the secrets (at -1 to -rho) and the shares of R + 1 to m."""
    secrets = range(-1, -shape.packing - 1, -1)
    rest = range(shape.threshold + 1, shape.members + 1)
    matrix = interpolation(tuple(range(1, shape.threshold + 1)), (*secrets, *rest))
    return {"shape": list(astuple(shape)), "matrix": _words(matrix.reshape(-1)), "rows": len(matrix)}


def _bounds(issued: int, volunteers: int, lost: float, gamma: float = 0.05) -> Json:
    """K; the least shape, or null, and whether others beside it are sound; c and a for a committee of 108."""
    corrupt = corrupt_phones(gamma, issued)
    members = min(108, volunteers)
    try:
        shape = choose_shape(volunteers, corrupt, lost)
    except MisuseError:
        shape = None
    beside = _beside(shape) if shape else ()
    return {
        "gamma": gamma,
        "issued": issued,
        "volunteers": volunteers,
        "lost": lost,
        "corrupt": corrupt,
        "shape": shape and list(astuple(shape)),
        "beside": [[*astuple(each), _is_sound(each, volunteers, corrupt, lost)] for each in beside],
        "members": members,
        "corrupt_bound": corrupt_bound(volunteers, corrupt, members),
        "answer_bound": answer_bound(volunteers, lost, members),
    }


def _beside(shape: Shape) -> Iterator[Shape]:
    """Yield shapes that differ from `shape` by one in one number."""
    for name in ("members", "privacy", "packing", "corrects"):
        for step in (-1, 1):
            changed: dict[str, Any] = {name: max(0, getattr(shape, name) + step)}
            yield replace(shape, **changed)


def _is_sound(shape: Shape, volunteers: int, corrupt: int, lost: float) -> bool:
    try:
        require_shape(shape, volunteers, corrupt, lost)
    except ServerError:
        return False
    return True


def _sampled_corrupt(corrupt: int, limit: int) -> Json:
    """K where a round samples by a limit."""
    admitted = corrupt_phones(0.05, 20 * corrupt, (limit + 1) / 2**64)
    return {"corrupt": corrupt, "limit": limit, "admitted": admitted}


def _bands(sizes: tuple[int, ...], corrupt: int, lost: float) -> list[list[int]]:
    found: list[Band] = list(bands(sizes, corrupt, lost))
    return [[each.least_volunteers, each.most_volunteers, *astuple(each.shape)] for each in found]


def _sampling() -> Json:
    """The number of a round key: it takes part with a limit as large, and not with one that is smaller."""
    context, round_key = _key("context"), _key("round key")
    number = int.from_bytes(digest_of_fields(b"covey/2/sample", context, round_key)[:8])
    terms = RoundTerms(1, 0, 0.0, 1, 0, 0.0, 0.0, 1, (), None, (), bytes(32), number)
    require_sampled(terms, context, round_key)
    try:
        require_sampled(replace(terms, sample=number - 1), context, round_key)
    except PeerError:
        return {"context": context.hex(), "round_key": round_key.hex(), "least_limit": number}
    raise MisuseError("a limit below a round key's sampling number admits it")
