import base64

import pytest

from covey_privacy.checkpoint import Checkpoint, open_note, sign_checkpoint
from covey_privacy.errors import MisuseError, ServerError
from covey_privacy.merkle import EMPTY, Tree, leaf_hash
from covey_privacy.note import COSIGNATURE, ED25519, VerifierKey, parse
from covey_privacy.signatures import SigningKey
from covey_privacy.split_view import LogVerdict, check_evidence
from covey_privacy.witness import (
    AddCheckpoint,
    Cosigned,
    Refused,
    Witness,
    WitnessPolicy,
    cosign,
    cosigned_at,
    parse_request,
)

# A checkpoint of a Certificate Transparency log, cosigned by four public witnesses on 2026-05-23: from
# tlog-scales, tests/test_signing.py. The first signature is of a type that is unknown here.
ARCHE = """\
arche2025h1.staging.ct.transparency.dev
1432088532
U7WM79jrzyhGZ5/GUBTpM7NzwdyfFx61t3RovgcC4Ro=

— arche2025h1.staging.ct.transparency.dev zTM8sQAAAZ5W0WdjBAMARjBEAiBjW5IQf9pvsYLfQFX6hoGREPMHbdQ3urbllzal\
ApkptQIgIpwtEroeW2BXaHAI4kJXFbon5Ch9MNL5zRNZ55lvGt0=
— arche2025h1.staging.ct.transparency.dev ui8GwCF1+kWqZrxGdhj4aX3gcw7XUlXQQabg/27lefwhUkzbC3NygNI75MdhL1bf\
TW9g8Ei59RA23oHP7Ry1k3ZFWwQ=
— transparency.dev/DEV:witness-little-garden 2AQqhwAAAABqEiEgzgFIqqhbUoDwjMWE6UP8nd8/KYTzwZ2rhIgcqoXHAwVkj\
Zr4AscylP3v7sEodkRAErumC2q44vdgJY096st5BQ==
— witness1.smartit.nu/witness1 pIyCDwAAAABqEiEghIp82KWebrw7/oHQwlTAm3g2RKS4+eebl8eO0WH+/iEcxZ75W3u5hNI7TOQ\
tmJbqmNWVuE0tgh0XwzdZsDsUAQ==
— remora.n621.de 2net5wAAAABqEiEgPlfF3V06o0Y+fHM+J5J9s27wgxxcOVSpZ/2g/KSiXCg9DEZI+aVCIobWX9sXTynk5XeU/zZ0W\
BxtqB0DrAWfBw==
— witness.stagemole.eu Z/euoAAAAABqEiEgw0i+7g2ENfDAWHmtRzCfKTHSDwYDJA2NmKeGi9Y8FtEyOUvVr+AJmIY/2TUFucgKi7l\
I7cUiOvKFYe/TmN9DAg==
"""
ARCHE_KEY = VerifierKey.parse(
    "arche2025h1.staging.ct.transparency.dev+ba2f06c0+AU0vHmlGCS/PdN8b2OaGmKprLI8HKM+dJ472xgFYh15f"
)
ARCHE_TIME = 1779573024
WITNESSES = tuple(
    VerifierKey.parse(vkey)
    for vkey in (
        "transparency.dev/DEV:witness-little-garden+d8042a87+BCtusOxINQNUTN5Oj8HObRkh2yHf/MwYaGX4CPdiVEPM",
        "witness1.smartit.nu/witness1+a48c820f+BPSFWg9G6KPiO7QPryYO5Xq4oYJJ+kAvLKLSimDhoxMO",
        "remora.n621.de+da77ade7+BOvN63jn/bLvkieywe8R6UYAtVtNbZpXh34x7onlmtw2",
        "witness.stagemole.eu+67f7aea0+BEqSG3yu9YrmcM3BHvQYTxwFj3uSWakQepafafpUqklv",
    )
)

# filippo.io/torchwood, internal/witness/witness_test.go: a log, and two requests that a witness grants.
SIGSUM = "sigsum.org/v1/tree/4d6d8825a6bb689d459628312889dfbb0bcd41b5211d9e1ce768b0ff0309e562"
SIGSUM_KEY = bytes.fromhex("ffdc2d4d98e4124d3feaf788c0c2f9abfd796083d1f0495437f302ec79cf100f")
FIRST = f"""\
old 0

{SIGSUM}
1
KgAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=

— {SIGSUM} UgIom7fPZTqpxWWhyjWduBvTvGVqsokMbqTArsQilegKoFBJQjUFAmQ0+YeSPM3wfUQMFSzVnnNuWRTYrajXpNUbIQY=
""".encode()
SECOND = f"""\
old 1
KgEAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=
+fUDV+k970B4I3uKrqJM4aP1lloPZP8mvr2Z4wRw2LI=
KgQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=

{SIGSUM}
5
QrtXrQZCCvpIgsSmOsah7HdICzMLLyDfxToMql9WTjY=

— {SIGSUM} UgIomw/EOJmWi0i1FQsOj+etB7F8IccFam/jgd6wzRns4QPVmyEZtdvl1U2KEmLOZ/ASRcWJi0tW90dJWAShei7sDww=
""".encode()

LOG_KEY, KEY = SigningKey(b"\1" * 32), SigningKey(b"\2" * 32)
ORIGIN, NAME = "covey.example/log", "witness.example/w1"
OWN = VerifierKey(NAME, COSIGNATURE, KEY.public)
NOW = 1_800_000_000
WITNESS = Witness(NAME, KEY, {ORIGIN: LOG_KEY.public, SIGSUM: SIGSUM_KEY})


def tree(size, changed=None):
    return Tree([leaf_hash(b"other" if i == changed else str(i).encode()) for i in range(size)])


def note(log, size=None, key=LOG_KEY, origin=ORIGIN):
    size = len(log) if size is None else size
    return sign_checkpoint(Checkpoint(origin, size, log.root(size)), key)


def ask(old, proof, shown, seen=""):
    return WITNESS.add_checkpoint(AddCheckpoint(old, proof, shown), seen, NOW)


def cosigned_by(*keys, time=NOW):
    shown = note(tree(3))
    return shown + "".join(cosign(shown, f"w{i}.example", key, time) for i, key in enumerate(keys))


def test_a_public_logs_checkpoint_and_its_witnesses():
    assert open_note(ARCHE, ARCHE_KEY.public).size == 1_432_088_532
    assert [cosigned_at(parse(ARCHE), witness) for witness in WITNESSES] == [ARCHE_TIME] * 4
    WitnessPolicy(WITNESSES, least=4, age=60).check(ARCHE, ARCHE_TIME + 60)


def test_a_public_cosignature_is_over_every_bit():
    line = next(line for line in ARCHE.splitlines() if line.startswith("— remora"))
    text = ARCHE.partition("\n\n")[0]
    head, _, encoded = line.rpartition(" ")
    blob = base64.b64decode(encoded)
    for bit in range(32, 8 * len(blob)):
        changed = bytearray(blob)
        changed[bit // 8] ^= 1 << bit % 8
        bad = f"{text}\n\n{head} {base64.b64encode(changed).decode()}\n"
        with pytest.raises(ServerError, match="not good"):
            cosigned_at(parse(bad), WITNESSES[2])
    for change in (ARCHE.replace("1432088532", "1432088533"), ARCHE.replace("U7WM", "U7WN")):
        with pytest.raises(ServerError, match="not good"):
            cosigned_at(parse(change), WITNESSES[2])


def test_the_specifications_example():
    """C2SP tlog-cosignature gives no keys: the form of its line, and the time it signs."""
    blob = (
        "jWbPPwAAAABkGFDLEZMHwSRaJNiIDoe9DYn/zXcrtPHeolMI5OWXEhZCB9dlrDJsX3b2oyin1nPZqhf5nNo0xUe+mbIUBkBI"
        "fZ+qnA=="
    )
    text = "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n"
    ((_, key_id, signature),) = parse(f"{text}\n— witness.example.com/w1 {blob}\n").lines
    signed = []

    def record(_key, message, _signature):
        signed.append(message.decode())
        return True

    class Example(VerifierKey):
        id = key_id

    witness = Example("witness.example.com/w1", COSIGNATURE, bytes(32))
    assert len(signature) == 72
    assert cosigned_at(parse(f"{text}\n— witness.example.com/w1 {blob}\n"), witness, record) == 1679315147
    assert signed == [f"cosignature/v1\ntime 1679315147\n{text}"]


def test_a_cosignature_is_read_again():
    shown = note(tree(3))
    for time in (0, NOW, 2**63 - 1):
        assert cosigned_at(parse(shown + cosign(shown, NAME, KEY, time)), OWN) == time
    both = shown + cosign(shown, NAME, KEY, NOW) + cosign(shown, NAME, KEY, NOW - 9)
    assert cosigned_at(parse(both), OWN) == NOW
    assert cosigned_at(parse(shown), OWN) is None
    for time in (-1, 2**63):
        with pytest.raises(MisuseError):
            cosign(shown, NAME, KEY, time)


def test_a_time_beyond_the_last_is_refused():
    shown, time = note(tree(3)), 2**63
    signature = KEY.sign(f"cosignature/v1\ntime {time}\n{parse(shown).text}".encode())
    with pytest.raises(ServerError, match="not good"):
        cosigned_at(parse(shown + OWN.line(time.to_bytes(8, "big") + signature)), OWN)


def test_a_logs_signature_is_no_cosignature_and_no_other_way_round():
    shown = note(tree(3))
    same = VerifierKey(ORIGIN, COSIGNATURE, LOG_KEY.public)
    assert cosigned_at(parse(shown), same) is None
    text, _, _ = shown.partition("\n\n")
    with pytest.raises(ServerError, match="not signed"):
        open_note(f"{text}\n\n{cosign(shown, ORIGIN, LOG_KEY, NOW)}", LOG_KEY.public)
    for signature in (bytes(72), bytes(71), b"\xff" * 72, LOG_KEY.sign(text.encode())):
        with pytest.raises(ServerError, match="not good"):
            cosigned_at(parse(shown + same.line(signature)), same)


KEYS = [SigningKey(bytes([i]) * 32) for i in range(3, 6)]
NAMED = tuple(VerifierKey(f"w{i}.example", COSIGNATURE, key.public) for i, key in enumerate(KEYS))


@pytest.mark.parametrize("least", [1, 2, 3])
@pytest.mark.parametrize("count", [0, 1, 2, 3])
def test_enough_witnesses(count, least):
    policy, shown = WitnessPolicy(NAMED, least, age=100), cosigned_by(*KEYS[:count])
    for now in (NOW - 100, NOW, NOW + 100):
        if count >= least:
            policy.check(shown, now)
        else:
            with pytest.raises(ServerError, match=f"{count} of 3 witnesses.*{least} are needed"):
                policy.check(shown, now)
    for now in (NOW - 101, NOW + 101):
        with pytest.raises(ServerError, match="0 of 3"):
            policy.check(shown, now)


def test_a_witness_counts_once():
    shown = cosigned_by(KEYS[0])
    again = shown + cosign(shown, "w0.example", KEYS[0], NOW + 1) + cosign(shown, "other", KEYS[0], NOW)
    with pytest.raises(ServerError, match="1 of 3"):
        WitnessPolicy(NAMED, 2, 100).check(again, NOW)


@pytest.mark.parametrize(
    ("witnesses", "least", "age"),
    [
        (NAMED, 0, 1),
        (NAMED, 4, 1),
        (NAMED, 1, -1),
        ((), 0, 1),
        ((*NAMED, VerifierKey("again.example", COSIGNATURE, KEYS[0].public)), 1, 1),
        ((VerifierKey("plain.example", ED25519, KEYS[0].public),), 1, 1),
    ],
)
def test_what_is_no_policy(witnesses, least, age):
    with pytest.raises(MisuseError):
        WitnessPolicy(witnesses, least, age)


def test_published_requests_are_granted():
    first, second = parse_request(FIRST), parse_request(SECOND)
    assert (first.body, second.body) == (FIRST, SECOND)
    answer = WITNESS.add_checkpoint(first, "", NOW)
    assert isinstance(answer, Cosigned)
    assert cosigned_at(parse(answer.seen + answer.line), OWN) == NOW
    later = WITNESS.add_checkpoint(second, answer.seen, NOW)
    assert isinstance(later, Cosigned)
    # The slower of two requests from one size, as torchwood's TestRace.
    assert WITNESS.add_checkpoint(second, later.seen, NOW) == Refused(
        409, "another size was cosigned last", "5\n"
    )


def test_more_than_63_hashes_are_refused():
    """As torchwood's TestTooManyProofs."""
    hashes = b"KgEAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n" * 64
    with pytest.raises(ServerError, match="63"):
        parse_request(FIRST.replace(b"old 0\n", b"old 0\n" + hashes))


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"old 0\n\n",
        FIRST.replace(b"old 0", b"old 00"),
        FIRST.replace(b"old 0", b"old -0"),
        FIRST.replace(b"old 0", b"old  0"),
        FIRST.replace(b"old 0", b"0"),
        FIRST.replace(b"old 0", b"old x"),
        FIRST.replace(b"old 0\n", b"old 0\r\n"),
        FIRST.replace(b"old 0\n", b"old 0\nKgEA\n"),
        FIRST.replace(b"old 0\n", b"old 0\nx\n"),
        FIRST.replace(b"old 0\n", b""),
        FIRST.replace(b"\n1\n", b"\n01\n"),
        FIRST + b"\xff",
        FIRST[:-1],
        b"a" * 2**20,
    ],
)
def test_what_is_no_request(body):
    with pytest.raises(ServerError):
        parse_request(body)


LEAF = leaf_hash(b"0")


# As torchwood's TestZeroSize.
@pytest.mark.parametrize(
    ("known", "old", "size", "root", "proof", "status"),
    [
        (0, 0, 0, EMPTY, (), 200),
        (0, 0, 0, LEAF, (), 422),
        (0, 0, 0, bytes(32), (), 422),
        (0, 0, 0, EMPTY, (LEAF,), 422),
        (0, 0, 1, LEAF, (), 200),
        (0, 0, 1, LEAF, (LEAF,), 422),
        (1, 0, 1, LEAF, (LEAF,), 409),
        (1, 1, 0, EMPTY, (), 400),
    ],
)
def test_sizes_of_zero(known, old, size, root, proof, status):
    seen = note(tree(1)) if known else ""
    answer = ask(old, proof, sign_checkpoint(Checkpoint(ORIGIN, size, root), LOG_KEY), seen)
    assert getattr(answer, "status", 200) == status
    if status == 200:
        assert isinstance(ask(size, (), answer.seen, answer.seen), Cosigned)


def test_an_unknown_log_and_a_forged_head_are_refused():
    log = tree(5)
    assert ask(0, (), note(log, origin="other.example/log")).status == 404
    assert ask(0, (), note(log, key=KEY)).status == 403
    with pytest.raises(MisuseError):
        ask(3, log.consistency(3), note(log), seen=note(log, 3, origin="other.example/log"))


def test_a_log_that_grows_is_cosigned_and_a_fork_is_kept():
    log, other = tree(9), tree(9, changed=1)
    seen = note(log, 6)
    good = ask(6, log.consistency(6), note(log), seen)
    assert good == Cosigned(cosign(note(log), NAME, KEY, NOW), note(log))
    forked = ask(6, other.consistency(6), note(other), seen)
    assert forked.status == 422
    assert check_evidence(forked.evidence, LOG_KEY.public) is LogVerdict.FORKED
    same = ask(9, (), note(other), note(log))
    assert (same.status, same.body) == (409, "9\n")
    assert check_evidence(same.evidence, LOG_KEY.public) is LogVerdict.FORKED
    wrong = ask(6, log.consistency(5), note(log), seen)
    assert wrong.status == 422
    assert check_evidence(wrong.evidence, LOG_KEY.public) is LogVerdict.OPEN
