"""The grammar in docs/ is the code's, and says of a message what the code's reader says."""

import dataclasses
import functools
import re
from pathlib import Path
from typing import Annotated, get_args, get_origin, get_type_hints

import cbor2
import pytest
from cddl_verifier import Validator

from covey_privacy import (
    catalogue_document,
    cddl,
    certificate,
    evidence,
    manifest,
    registry_messages,
    release,
    signatures,
    tickets,
    wire,
)
from covey_privacy.errors import PeerError
from covey_privacy.field_types import Range, Records, Size
from covey_privacy.fixed_records import is_message
from covey_privacy.secagg import equality_proof, leaves, shape, terms
from covey_privacy.secagg import messages as secagg
from covey_privacy.signatures import SigningKey, sign

ROOT = Path(__file__).parents[2]
GRAMMAR = ROOT / "docs" / "protocol.cddl"
ONE_MESSAGE = ROOT / "docs" / "one-message.cddl"
CLASSES = [
    *((cls, GRAMMAR) for cls in (*cddl.ROUND, *cddl.REGISTRY)),
    *((cls, ONE_MESSAGE) for cls in (*cddl.SECAGG, tickets.Ticket)),
]


@functools.cache
def grammar(path: Path) -> Validator:
    return Validator(path)


def conforms(rule: str, data: bytes, path: Path = GRAMMAR) -> bool:
    return bool(grammar(path).validate(data, root_type=rule))


def least(hint):
    """The smallest value that a hint admits."""
    if hint is bool:
        return True
    if is_message(hint):
        hints = get_type_hints(hint, include_extras=True)
        return hint(*[least(hints[field.name]) for field in dataclasses.fields(hint)])
    if get_origin(hint) is not Annotated:
        return None if type(None) in get_args(hint) else hint(0)
    inner, bound = get_args(hint)
    if isinstance(bound, Range):
        return inner(bound.least)
    if get_origin(inner) is tuple:
        return (least(get_args(inner)[0]),) * bound.least
    return inner(bound.least) if inner is bytes else "x" * bound.least


def plain(message: object) -> list:
    return cbor2.loads(wire.encode(message))


def reads(cls: type, data: bytes) -> bool:
    try:
        wire.decode(cls, data)
    except PeerError:
        return False
    return True


def test_the_page_has_the_grammar_of_the_code(tmp_path, capsys):
    assert cddl.main([str(GRAMMAR)]) == 0
    assert cddl.main([]) == 0
    assert capsys.readouterr().out == GRAMMAR.read_text("utf-8")
    other = tmp_path / "other.cddl"
    other.write_text(GRAMMAR.read_text("utf-8").replace("round_id: name", "round_id: u32", 1), "utf-8")
    assert cddl.main([str(other)]) == 1
    assert "not the messages' grammar" in capsys.readouterr().err
    assert cddl.main([str(other), "--write"]) == 0
    assert other.read_bytes() == GRAMMAR.read_bytes()


def test_each_page_has_its_own_grammar(tmp_path):
    """The file's name says which."""
    assert cddl.main([str(ONE_MESSAGE)]) == 0
    other = tmp_path / ONE_MESSAGE.name
    other.write_bytes(GRAMMAR.read_bytes())
    assert cddl.main([str(other)]) == 1
    assert cddl.main([str(other), "--write"]) == 0
    assert other.read_bytes() == ONE_MESSAGE.read_bytes() != GRAMMAR.read_bytes()


OWN = {"SignedSets", "IssuerKey", "Pending", "RoundKey", "RoundInfo", "Participated", "AbsentSince"}
"""Values that stay in one process: keys of a phone, what is known of a round, what a certificate proves."""
SOURCES = {
    GRAMMAR: (registry_messages, evidence, catalogue_document, manifest, release, signatures, tickets),
    ONE_MESSAGE: (certificate, equality_proof, leaves, secagg, shape, terms),
}


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.stem)
def test_no_message_is_left_out(path):
    """A ticket travels in messages of secure aggregation alone."""
    told = path.read_text("utf-8")
    for source in SOURCES[path]:
        own = [cls for cls in vars(source).values() if is_message(cls) and cls.__module__ == source.__name__]
        names = {cls.__name__ for cls in own} - OWN - ({"Ticket"} if path is GRAMMAR else set())
        assert {
            name for name in names if not re.search(rf"^({name} =|; A record of {name}:)", told, re.M)
        } == set()


WRONG = [None, True, -1, 2**32, 2**64, "", "x" * 600_000, b"", bytes(31), [], [None], 0.5]


def is_in_steps(kinds: tuple) -> bool:
    """Say whether a field's length is a multiple of something, which the grammar leaves to a comment."""
    return any(isinstance(kind, Records) or (isinstance(kind, Size) and kind.step > 1) for kind in kinds)


@pytest.mark.parametrize(
    ("cls", "path"), CLASSES, ids=[f"{path.stem}-{cls.__name__}" for cls, path in CLASSES]
)
def test_grammar_and_reader_agree_on_the_form_of_every_field(cls, path):
    whole = plain(least(cls))
    hints = get_type_hints(cls, include_extras=True)
    judged = []
    for place, field in enumerate(dataclasses.fields(cls)):
        hint = hints[field.name]
        kinds = get_args(hint) or (hint,)
        for wrong in WRONG:
            # What the grammar leaves to a comment: whole numbers for floats, bytes that are no whole records.
            if (hint is float and type(wrong) is int) or (float in kinds and wrong == 2**32):
                continue
            if is_in_steps(kinds) and wrong == bytes(31):
                continue
            data = cbor2.dumps([*whole[:place], wrong, *whole[place + 1 :]], canonical=True)
            judged.append((field.name, str(wrong)[:20], reads(cls, data), conforms(cls.__name__, data, path)))
    assert reads(cls, wire.encode(least(cls)))
    assert conforms(cls.__name__, wire.encode(least(cls)), path)
    assert [each for each in judged if each[2] != each[3]] == []
    assert any(not each[2] for each in judged)


@pytest.mark.parametrize("cls", cddl.SIGNED, ids=lambda cls: cls.__name__)
def test_a_signed_message_holds_what_it_says(cls):
    context, _ = cddl.SIGNED[cls]
    rule = f"Signed{cls.__name__}"
    assert conforms(rule, sign(context, least(cls), SigningKey(bytes(32))))
    assert not conforms(rule, sign(context, least(registry_messages.LogIndex), SigningKey(bytes(32))))


SECAGG_SIGNED = [(cls, context) for cls, (contexts, _) in cddl.SECAGG_SIGNED.items() for context in contexts]


@pytest.mark.parametrize(
    ("cls", "context"), SECAGG_SIGNED, ids=[f"{cls.__name__}-{context}" for cls, context in SECAGG_SIGNED]
)
def test_what_the_registry_signs_in_a_round_holds_what_it_says(cls, context):
    rule = f"Signed{cls.__name__}"
    assert conforms(rule, sign(context, least(cls), SigningKey(bytes(32))), ONE_MESSAGE)
    assert not conforms(rule, sign(context, least(secagg.Seat), SigningKey(bytes(32))), ONE_MESSAGE)
    assert f'"{context}"' in ONE_MESSAGE.read_text("utf-8")
