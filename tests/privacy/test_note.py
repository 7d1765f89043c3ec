import re

import pytest

from covey_privacy.errors import MisuseError, ServerError
from covey_privacy.note import COSIGNATURE, ED25519, LIMIT, MOST_SIGNATURES, VerifierKey, parse, public_key
from covey_privacy.signatures import verify

# The example of C2SP signed-note, with its key.
EXAMPLE_KEY = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k"
EXAMPLE = (
    "This is an example message.\n\n— example.com/foo "
    "Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n"
)


def test_the_specifications_example():
    key, note = VerifierKey.parse(EXAMPLE_KEY), parse(EXAMPLE)
    assert (key.name, key.algorithm, key.vkey) == ("example.com/foo", ED25519, EXAMPLE_KEY)
    (signature,) = note.signatures(key)
    assert verify(key.public, note.text.encode(), signature)


def test_a_registrys_key_is_read_as_it_is_printed_and_in_hex():
    key = VerifierKey.parse(EXAMPLE_KEY).public
    assert public_key(EXAMPLE_KEY) == public_key(key.hex()) == public_key(key.hex().upper()) == key


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "64 hex digits"),
        ("beef", "'beef' is no registry's public key: what `covey registry key` prints was expected"),
        ("00" * 33, "64 hex digits"),
        ("é" * 64, "64 hex digits"),
        (EXAMPLE_KEY.replace("530d", "530e"), "the id of the key"),
        (EXAMPLE_KEY[:-4], "an Ed25519 key has 32 bytes"),
        (VerifierKey("w.example/1", COSIGNATURE, bytes(32)).vkey, "it is a witness's"),
    ],
)
def test_what_is_no_registrys_key_is_refused(text, says):
    with pytest.raises(MisuseError, match=re.escape(says)):
        public_key(text)


def test_a_text_with_empty_lines_ends_at_the_last():
    # The other example of C2SP signed-note.
    poem = (
        "Ognuno sta solo sul cuor della terra\ntrafitto da un raggio di sole:\n\ned è subito sera.\n\n"
        "— quasimodo.example/salvatore NnugSzTjtVAewIS+Z/iJhUPeFDkO/5QQ2i5ddnGITLlC+EhfLW9oJKONrMouFSQU0xMc"
        "Xxj99ihAQwaqP3ZekRwNtIc=\n"
    )
    note = parse(poem)
    assert note.text.endswith("sole:\n\ned è subito sera.\n")
    assert [name for name, _, _ in note.lines] == ["quasimodo.example/salvatore"]


def test_signatures_count_by_name_and_id():
    key, note = VerifierKey.parse(EXAMPLE_KEY), parse(EXAMPLE)
    assert not note.signatures(VerifierKey("example.com/bar", ED25519, key.public))
    assert not note.signatures(VerifierKey("example.com/foo", COSIGNATURE, key.public))
    assert not note.signatures(VerifierKey("example.com/foo", ED25519, bytes(32)))
    assert not parse(EXAMPLE.replace("— example.com/foo", "— example.com/bar")).signatures(key)


LINE = EXAMPLE.partition("\n\n")[2]


@pytest.mark.parametrize(
    "change",
    [
        EXAMPLE[:-1],
        EXAMPLE + "\n",
        EXAMPLE + "— example.com/foo \n",
        EXAMPLE + "— example.com/foo AAAAAA==\n",
        EXAMPLE + "— exa+mple AAAAAAAA\n",
        EXAMPLE + "— exa\u2003mple AAAAAAAA\n",
        EXAMPLE + "—  AAAAAAAA\n",
        EXAMPLE + "- example AAAAAAAA\n",
        EXAMPLE.replace("QM=\n", "QN=\n"),
        EXAMPLE.replace("QM=\n", "QM==\n"),
        EXAMPLE.replace("example message", "example\tmessage"),
        EXAMPLE.replace("example message", "example\rmessage"),
        EXAMPLE.replace("example message", "example\ud800message"),
        EXAMPLE + LINE * MOST_SIGNATURES,
        "a" * LIMIT + EXAMPLE,
        "\n" + LINE,
        "",
    ],
)
def test_what_is_no_signed_note(change):
    with pytest.raises(ServerError):
        parse(change)


def test_sixteen_signatures_are_taken():
    assert len(parse(EXAMPLE + LINE * (MOST_SIGNATURES - 1)).lines) == 16


@pytest.mark.parametrize(
    "vkey",
    [
        "example.com/foo",
        EXAMPLE_KEY.replace("530d903a", "530d903b"),
        EXAMPLE_KEY.replace("530d903a", "530D903A"),
        EXAMPLE_KEY.replace("foo", "bar"),
        EXAMPLE_KEY[:-4],
        EXAMPLE_KEY + "=",
        "+00000000+AQ==",
    ],
)
def test_what_is_no_verifier_key(vkey):
    with pytest.raises(MisuseError):
        VerifierKey.parse(vkey)
