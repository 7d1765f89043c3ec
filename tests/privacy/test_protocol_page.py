"""docs/protocol.md and docs/primitives.md are what the code does, and every page's links lead somewhere."""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
import os
import re
import tomllib
from pathlib import Path

import numpy as np
import pytest
import second_primitives
from cryptography.hazmat.primitives.serialization import load_der_public_key

from covey_consent.app import create_app
from covey_privacy import (
    blind_rsa,
    cddl,
    certificate,
    errors,
    evidence,
    manifest,
    protocol_rules,
    registry_messages,
    sealed_figures,
    site_document,
    wire,
)
from covey_privacy import tickets as tickets_module
from covey_privacy.dp import Encoding
from covey_privacy.protocol_rules import Rule
from covey_privacy.round_files import RoundFiles
from covey_privacy.secagg import log_entries, notary_messages
from covey_privacy.secagg.terms import RoundTerms
from covey_privacy.ticket_signer import TicketSigner, generate_private_keys
from covey_server import node_messages
from covey_server.decryptor import messages as decryptor_messages
from covey_server.round_result import _denial

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGE = (DOCS / "protocol.md").read_text("utf-8")
WORDS = " ".join(PAGE.split())
PRIMITIVES = (DOCS / "primitives.md").read_text("utf-8")
SECAGG = (DOCS / "one-message.md").read_text("utf-8")
PAGES = sorted([*DOCS.rglob("*.md"), *ROOT.glob("*.md")])


def tables(text):
    """Every table: its header's cells, and those of its rows."""
    for table in re.findall(r"(?:^\|.*\n)+", text, re.M):
        head, _, *rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in table.splitlines()]
        yield head, rows


def section(heading, page=PAGE):
    """What stands under a heading, up to the next one."""
    parts = re.split(rf"^#+ {re.escape(heading)}\n", page, flags=re.M)
    assert len(parts) == 2, f"the page has {len(parts) - 1} sections {heading!r}"
    return re.split(r"^#+ ", parts[1], flags=re.M)[0]


def rows_of(heading, first, page=PAGE):
    """The rows of the table under a heading whose first column has that name."""
    (found,) = [rows for head, rows in tables(section(heading, page)) if head[0] == first]
    return found


def quoted(text):
    return re.findall(r"`([^`]+)`", text)


@pytest.fixture(scope="module")
def issuer_keys():
    return TicketSigner.from_private_keys(
        ("analytics", "personalize"), 17_504, generate_private_keys(slots=2)
    ).keys


MESSAGES = (
    site_document.SiteDocument,
    site_document.Organisation,
    manifest.Manifest,
    manifest.Windows,
    manifest.Plan,
    manifest.Step,
    RoundFiles,
    evidence.Evidence,
    evidence.CommitteeEvidence,
    evidence.ComplaintCount,
    evidence.RoundProofs,
    sealed_figures.Annex,
)


@pytest.mark.parametrize("cls", MESSAGES, ids=lambda cls: cls.__name__)
def test_the_page_has_a_messages_fields_in_order(cls):
    told = [quoted(row[0])[0] for row in rows_of(f"`{cls.__name__}`", "field")]
    assert told == [field.name for field in dataclasses.fields(cls)]


def test_the_page_has_no_other_message():
    assert set(re.findall(r"^#+ `(\w+)`$", PAGE, re.M)) == {cls.__name__ for cls in MESSAGES}


def test_evidence_repeats_of_the_manifest_what_the_page_says():
    rows = rows_of("`Evidence`", "field")
    told = {quoted(name)[0] for name, what in rows if what == "as in the manifest"}
    assert told == set(evidence._REPEATED)


def test_the_page_has_every_rule_that_the_page_of_secure_sums_has_not():
    told = [quoted(row[0])[0] for row in rows_of("Errors and rules", "rule")]
    elsewhere = set(re.findall(r"`([a-z-]+)`", SECAGG)) & set(map(str, Rule))
    assert len(told) == len(set(told)) > 10
    assert set(told) == set(map(str, Rule)) - elsewhere


def test_the_page_says_of_a_rule_what_the_code_says():
    source = Path(protocol_rules.__file__).read_text("utf-8")
    said = dict(re.findall(r'"([a-z-]+)"  # (.+)', source))
    for name, what in rows_of("Errors and rules", "rule"):
        assert set(re.findall(r"\w{5,}", said[quoted(name)[0]])) <= set(re.findall(r"\w{5,}", what)), name


def test_the_pages_checks_name_rules_that_exist():
    named = {
        name for head, rows in tables(PAGE) if head[-1] == "rule" for row in rows for name in quoted(row[-1])
    }
    assert len(named) > 10
    assert named <= set(map(str, Rule))


def test_the_page_has_every_error():
    classes = {
        name
        for name, cls in vars(errors).items()
        if isinstance(cls, type) and issubclass(cls, errors.PrivacyError)
    }
    told = [quoted(row[0])[0] for row in rows_of("Errors and rules", "error")]
    assert {*told, "PrivacyError"} == classes


def test_outcomes_exchanges_and_denials_are_the_codes():
    outcomes = {evidence.RELEASED, evidence.WITHHELD, evidence.BURNT, evidence.ABORTED}
    assert {quoted(row[0])[0] for row in rows_of("Nodes and the coordinator", "outcome")} == outcomes
    assert quoted(dict(rows_of("`Evidence`", "field"))["`outcome`"]) == [
        evidence.RELEASED, evidence.WITHHELD, evidence.BURNT, evidence.ABORTED,
    ]  # fmt: skip
    told = [quoted(row[0])[0] for row in rows_of("Nodes and the coordinator", "exchange")]
    assert told == list(node_messages.EXCHANGES)
    figures = {quoted(row[0])[0] for row in rows_of("`Annex`", "field")}
    assert {_denial(rule) for rule in map(str, Rule)} <= figures


def test_kinds_of_log_entries_are_the_codes():
    kinds = {value.decode() for name, value in vars(registry_messages).items() if name.startswith("LEAF_")}
    kinds.add(log_entries.LEAF_SECAGG.decode())
    told = {quoted(row[2])[0] for row in rows_of("What is signed and what is logged", "document") if row[2]}
    assert told == kinds
    assert {quoted(row[0])[0] for row in rows_of("Trees", "kind", PRIMITIVES)} == kinds


def test_the_registry_serves_the_routes_of_the_page():
    served = {
        f"{method.upper()} {path}"
        for path, methods in create_app().openapi()["paths"].items()
        for method in methods
    }
    for page, heading, least in (
        (PAGE, "The registry, over HTTP", 15),
        (SECAGG, "The registry, over HTTP", 11),
    ):
        told = [quoted(row[0])[0] for row in rows_of(heading, "call", page)]
        assert len(told) >= least
        assert set(told) <= served


@pytest.mark.parametrize(
    "said",
    [
        f"`COVEY_REGISTRY_SLOTS`, 4, {tickets_module.MOST_SLOTS} at most",
        "`terms` and `windows` are given in every round",
        "a random nonce of 12 bytes",
    ],
)
def test_the_page_says(said):
    assert said in WORDS


def test_terms_and_other_fields_that_the_page_calls_equal_are_held_equal():
    assert "`length`, `honest` and `gamma` are those of the terms" in WORDS
    shared = {field.name for field in dataclasses.fields(RoundTerms)} & {
        field.name for field in dataclasses.fields(manifest.Manifest)
    }
    assert shared == {"length", "honest", "gamma"}


def test_the_page_of_primitives_has_every_context_of_a_signature():
    bare = {
        tickets_module.ISSUED, site_document.CONTEXT, certificate.CLAIM, decryptor_messages.CHECK,
        notary_messages.ROSTER_REQUEST, notary_messages.DRAW_REQUEST, notary_messages.INCLUSION_REQUEST,
        notary_messages.GRANT_REQUEST, notary_messages.EXCLUSION_REQUEST, "pack", "rules",
    }  # fmt: skip
    signed = bare | {context for context, _ in cddl.SIGNED.values()}
    told = [name for row in rows_of("Signatures", "context", PRIMITIVES) for name in quoted(row[0])]
    assert len(told) == len(set(told))
    assert set(told) == signed


@pytest.mark.parametrize("length", [1, 5, 1024, 1500])
@pytest.mark.parametrize("size", [0.0, 0.3, 40.0])
def test_the_second_encoder_is_the_codes(length, size):
    vector = np.random.Generator(np.random.PCG64(length)).standard_normal(length)
    vector *= size / np.linalg.norm(vector)
    encoding = Encoding(length, 2.0, 64.0, 31, b"s" * 32)

    def tape():
        drawn = itertools.count()
        return lambda count: hashlib.shake_256(b"%d" % next(drawn)).digest(count)

    mine = second_primitives.encode(vector.tolist(), 2.0, 64.0, b"s" * 32, tape())
    assert mine == encoding.encode(vector, tape()).tolist()


def test_the_second_ticket_request_is_the_codes(issuer_keys):
    """What a phone draws for a ticket, in which order, and the blinded message that it makes of it."""
    tape = os.urandom(2**14)

    def reader():
        place = iter(tape)
        return lambda count: bytes(itertools.islice(place, count))

    random = reader()
    (pending, *_) = tickets_module.request(issuer_keys, reader())
    numbers = load_der_public_key(next(iter(issuer_keys)).key).public_numbers()
    secret, prefix, salt, factor = (random(count) for count in (32, 32, 48, 256))
    while not 0 < int.from_bytes(factor) < numbers.n:
        factor = random(256)
    round_key = second_primitives.ed25519.Ed25519PrivateKey.from_private_bytes(secret).public_key()
    message = prefix + round_key.public_bytes_raw()
    blinded = second_primitives.emsa_pss(message, salt) * pow(int.from_bytes(factor), numbers.e, numbers.n)
    assert (pending.secret, pending.prefix) == (secret, prefix)
    assert int.from_bytes(pending.blinded) == blinded % numbers.n
    assert len(prefix) == blind_rsa.PREFIX_LENGTH


def test_the_digest_of_issuer_keys_is_the_pages(issuer_keys):
    assert issuer_keys.digest == hashlib.sha256(wire.encode(issuer_keys)).digest()
    order = [(each.role, each.slot) for each in issuer_keys]
    slots = range(1, issuer_keys.slots + 1)
    assert order == [(role, slot) for role in tickets_module.Role for slot in slots]


def slug(heading):
    """The anchor that GitHub gives a heading."""
    kept = re.sub(r"[^\w\- ]", "", heading.replace("`", "").lower())
    return kept.replace(" ", "-")


def anchors(page):
    return {slug(heading) for heading in re.findall(r"^#+ (.+)$", page.read_text("utf-8"), re.M)}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_of_a_page_leads_somewhere(page):
    text = re.sub(r"```.*?```", "", page.read_text("utf-8"), flags=re.DOTALL)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        path = (page.parent / name).resolve() if name else page
        assert path.exists(), target
        assert not anchor or anchor in anchors(path), target


GONE = re.compile(
    r"five.phase|survivor|unmask|countersign|\bDoor\b|\bdoor\b|registry-url|dropout|drop-out|pairwise|self-mask",
    re.I,
)
"""Words of a protocol that is gone. ADR 21 tells why it went, and the changelog that it did."""
TELLS_OF_IT = {"0021-secure-aggregation-in-one-message.md", "CHANGELOG.md"}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_no_page_speaks_of_the_protocol_that_is_gone(page):
    if page.name not in TELLS_OF_IT:
        assert GONE.findall(page.read_text("utf-8")) == []


def test_the_page_of_flower_has_every_setting_with_its_default():
    with (ROOT / "pyproject.toml").open("rb") as file:
        config = tomllib.load(file)["tool"]["flwr"]["app"]["config"]
    told = {
        quoted(row[0])[0]: row[2]
        for row in rows_of("Settings", "key", (DOCS / "flower.md").read_text("utf-8"))
    }
    assert list(told) == [*sorted(config, key=list(told).index)]
    plain = {key: cell.strip("`") for key, cell in told.items() if "simulat" not in cell}
    for key, cell in plain.items():
        value = config[key]
        if value == "":
            assert cell == "empty", key
        elif isinstance(value, bool):
            assert cell == str(value).lower(), key
        else:
            assert type(value)(cell) == value, key
