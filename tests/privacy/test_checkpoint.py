import os

import pytest

from covey_privacy.checkpoint import Checkpoint, open_note, sign
from covey_privacy.errors import ServerError
from covey_privacy.signatures import SigningKey

KEY = SigningKey(os.urandom(32))
HEAD = Checkpoint("covey.example/log", 42, bytes(range(32)))


def test_a_note_says_what_was_signed():
    note = sign(HEAD, KEY)
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
        lambda note: sign(HEAD, SigningKey(bytes(32))),
    ],
)
def test_a_changed_note_is_not_believed(change):
    with pytest.raises(ServerError):
        open_note(change(sign(HEAD, KEY)), KEY.public)


def test_a_witness_may_sign_below():
    note = sign(HEAD, KEY) + sign(HEAD, SigningKey(bytes(32))).partition("\n\n")[2]
    assert open_note(note, KEY.public) == HEAD
