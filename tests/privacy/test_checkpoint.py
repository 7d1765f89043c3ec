import os

import pytest

from covey_privacy.checkpoint import Checkpoint, open_note, sign_checkpoint
from covey_privacy.errors import MisuseError, ServerError
from covey_privacy.note import ED25519, MOST_SIGNATURES, VerifierKey
from covey_privacy.signatures import SigningKey

KEY = SigningKey(os.urandom(32))
HEAD = Checkpoint("covey.example/log", 42, bytes(range(32)))


def test_a_note_says_what_was_signed():
    note = sign_checkpoint(HEAD, KEY)
    assert open_note(note, KEY.public) == HEAD
    text = "covey.example/log\n42\nAAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n"
    assert note.startswith(f"{text}\n— covey.example/log ")


@pytest.mark.parametrize(
    "change",
    [
        lambda note: note.replace("\n42\n", "\n43\n"),
        lambda note: note.replace("covey.example", "other.example"),
        lambda note: note.replace("AAEC", "AAED"),
        lambda note: note.partition("\n\n")[0] + "\n\n",
        lambda note: note[:60],
        lambda note: "",
        lambda note: note + "x" * 5000,
        lambda note: sign_checkpoint(HEAD, SigningKey(bytes(32))),
    ],
)
def test_a_changed_note_is_not_believed(change):
    with pytest.raises(ServerError):
        open_note(change(sign_checkpoint(HEAD, KEY)), KEY.public)


def signed(text, origin="covey.example/log"):
    """A note over any text, with the log's own good signature."""
    line = VerifierKey(origin, ED25519, KEY.public).line(KEY.sign(text.encode()))
    return f"{text}\n{line}"


@pytest.mark.parametrize(
    "size", ["042", "+42", " 42", "4_2", "-1", "", "\u0664\u0662", str(2**63), "9" * 5000]
)
def test_a_size_is_written_in_one_way(size):
    with pytest.raises(ServerError):
        open_note(signed(HEAD.text.replace("42", size)), KEY.public)


@pytest.mark.parametrize(
    "text",
    [
        "covey.example/log\n42\n",
        "covey.example/log\n42\nAAEC\n",
        HEAD.text.replace("h8=", "h9="),
        HEAD.text + "\n",
        HEAD.text + "\nmore\n",
        HEAD.text.replace("covey.example/log", "covey example"),
        HEAD.text.replace("covey.example/log", ""),
    ],
)
def test_a_signed_text_that_is_no_checkpoint(text):
    with pytest.raises(ServerError):
        open_note(signed(text), KEY.public)


def test_extension_lines_are_signed_and_passed_over():
    note = signed(HEAD.text + "extended\n")
    assert open_note(note, KEY.public) == HEAD
    with pytest.raises(ServerError, match="not signed"):
        open_note(note.replace("extended", "Extended"), KEY.public)


def test_every_flipped_bit_is_refused():
    note = sign_checkpoint(HEAD, KEY).encode()
    for bit in range(8 * len(note)):
        changed = bytearray(note)
        changed[bit // 8] ^= 1 << bit % 8
        with pytest.raises(ServerError):
            open_note(changed.decode(errors="surrogateescape"), KEY.public)


def test_the_logs_signature_stands_among_others():
    strangers = [VerifierKey(f"w{i}.example", 0xFF, bytes(i)).line(bytes(64)) for i in range(MOST_SIGNATURES)]
    text, _, own = sign_checkpoint(HEAD, KEY).partition("\n\n")
    below = "".join([*strangers[:7], own, *strangers[7:-1]])
    assert open_note(f"{text}\n\n{below}", KEY.public) == HEAD
    with pytest.raises(ServerError):
        open_note(f"{text}\n\n{below}{strangers[-1]}", KEY.public)
    with pytest.raises(ServerError, match="not signed"):
        open_note(f"{text}\n\n{''.join(strangers)}", KEY.public)


def test_a_bad_signature_of_the_log_spoils_the_note():
    """signed-note: where a known key's line does not verify, the whole note is rejected."""
    bad = VerifierKey(HEAD.origin, ED25519, KEY.public).line(bytes(64))
    with pytest.raises(ServerError, match="not signed"):
        open_note(sign_checkpoint(HEAD, KEY) + bad, KEY.public)


def test_an_origin_is_a_keys_name():
    with pytest.raises(MisuseError):
        sign_checkpoint(Checkpoint("a log", 1, bytes(32)), KEY)


def test_a_witness_may_sign_below():
    note = sign_checkpoint(HEAD, KEY) + sign_checkpoint(HEAD, SigningKey(bytes(32))).partition("\n\n")[2]
    assert open_note(note, KEY.public) == HEAD
