"""The grammar in docs/ is the code's, and says of a message what the code's reader says."""

import dataclasses
import functools
import json
import re
from pathlib import Path
from typing import Annotated, get_args, get_origin, get_type_hints

import cbor2
import pytest
from cddl_verifier import Validator

from covey_privacy import cddl, consent, evidence, listing, manifest, release, signatures, tickets, wire
from covey_privacy.bounds import Range, Records
from covey_privacy.errors import PeerError
from covey_privacy.five_phases import messages, roster
from covey_privacy.manifest import Manifest
from covey_privacy.records import is_message
from covey_privacy.signatures import SigningKey, sign

ROOT = Path(__file__).parents[2]
GRAMMAR = ROOT / "docs" / "protocol.cddl"
VECTORS = sorted((ROOT / "tests" / "vectors").glob("*.json"))
CLASSES = [*cddl.ROUND, *cddl.REGISTRY]
TOLD = {
    "share": messages.RosterView,
    "mask": messages.Parcels,
    "agree": messages.Survivors,
    "open": messages.Agreements,
}
SAID = {
    "share": messages.Parcels,
    "mask": messages.MaskedVector,
    "agree": messages.Agreement,
    "open": messages.Openings,
}


@functools.cache
def grammar() -> Validator:
    return Validator(GRAMMAR)


def conforms(rule: str, data: bytes) -> bool:
    return bool(grammar().validate(data, root_type=rule))


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


OWN = {"Pending", "RoundKey"}
"""What a phone keeps of its tickets and shows nobody."""


def test_no_message_is_left_out():
    sources = (consent, evidence, listing, manifest, messages, release, roster, signatures, tickets)
    told = GRAMMAR.read_text("utf-8")
    for source in sources:
        own = [cls for cls in vars(source).values() if is_message(cls) and cls.__module__ == source.__name__]
        names = {cls.__name__ for cls in own} - OWN
        assert {
            name for name in names if not re.search(rf"^({name} =|; A record of {name}:)", told, re.M)
        } == set()


@pytest.mark.parametrize("path", VECTORS, ids=lambda path: path.stem)
def test_every_message_of_a_frozen_round_conforms_and_is_no_other(path):
    vector = json.loads(path.read_text("utf-8"))
    found = [(Manifest, vector["given"]["manifest"])]
    found += [(roster.Advert, advert) for advert in vector["played"]["adverts"]]
    for step in TOLD:
        for _, told, said in vector["played"][step]:
            found += [(TOLD[step], told), (SAID[step], said)]
    for cls, data in found:
        whole = bytes.fromhex(data)
        assert conforms(cls.__name__, whole)
        assert not conforms(cls.__name__, cbor2.dumps(cbor2.loads(whole)[:-1]))
        assert not conforms(cls.__name__, cbor2.dumps([*cbor2.loads(whole), 0]))


WRONG = [None, True, -1, 2**32, 2**64, "", "x" * 600_000, b"", bytes(31), [], [None], 0.5]


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)
def test_grammar_and_reader_agree_on_the_form_of_every_field(cls):
    whole = plain(least(cls))
    hints = get_type_hints(cls, include_extras=True)
    judged = []
    for place, field in enumerate(dataclasses.fields(cls)):
        hint = hints[field.name]
        kinds = get_args(hint) or (hint,)
        for wrong in WRONG:
            # What the grammar leaves to a comment: whole numbers for floats, bytes that are no whole records.
            if hint is float and type(wrong) is int:
                continue
            if any(isinstance(kind, Records) for kind in kinds) and wrong == bytes(31):
                continue
            data = cbor2.dumps([*whole[:place], wrong, *whole[place + 1 :]], canonical=True)
            judged.append((field.name, str(wrong)[:20], reads(cls, data), conforms(cls.__name__, data)))
    assert reads(cls, wire.encode(least(cls)))
    assert conforms(cls.__name__, wire.encode(least(cls)))
    assert [each for each in judged if each[2] != each[3]] == []
    assert any(not each[2] for each in judged)


@pytest.mark.parametrize("cls", cddl.SIGNED, ids=lambda cls: cls.__name__)
def test_a_signed_message_holds_what_it_says(cls):
    context, _ = cddl.SIGNED[cls]
    rule = f"Signed{cls.__name__}"
    assert conforms(rule, sign(context, least(cls), SigningKey(bytes(32))))
    assert not conforms(rule, sign(context, least(messages.Agreement), SigningKey(bytes(32))))
