"""Imports: a person takes their choices from one registry to another (GDPR Art. 20)."""

import io
import json
import zipfile
from contextlib import suppress

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_rights import PURPOSES, ask, me, person, verdicts

from covey_consent.access.roles import Role
from covey_consent.api.media import ZIP
from covey_consent.commands import imports as command
from covey_consent.commands.client import TOKEN
from covey_consent.errors import DeniedError, RequestError
from covey_consent.rights import imports
from covey_consent.storage import key_file
from covey_privacy.registry_messages import GRANTED


@pytest.fixture
def pinned(tmp_path):
    """The public keys of both registries, whose key files are there before either opens."""
    files = (tmp_path / "registry.key", tmp_path / "other.key")
    return [key_file.load_or_create(file).public.hex() for file in files]


@pytest.fixture
def shop(opened, pinned):
    with opened(imports_from=pinned) as shop:
        yield shop


@pytest.fixture
def other(opened, pinned, tmp_path):
    """Another registry, on SQLite, with a key of its own."""
    elsewhere = {"database_url": f"sqlite:///{tmp_path}/other.db", "key_file": tmp_path / "other.key"}
    with opened(**elsewhere, origin="other.test/log", imports_from=pinned) as other:
        yield other


def exported(shop, subject):
    id_ = ask(shop, me(shop, subject), kind="portability")["id"]
    answer = shop.http.get(f"/v1/rights/{id_}/export", headers=me(shop, subject))
    assert answer.status_code == 200
    return answer.content


def imported(shop, data, key, status=201, **more):
    headers = shop.as_(Role.ADMIN) | {"content-type": ZIP} | more
    answer = shop.http.post("/v1/imports", params={"key": key.hex()}, content=data, headers=headers)
    assert answer.status_code == status, answer.text
    return answer.json()


def files(data):
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def packed(content, method=zipfile.ZIP_DEFLATED):
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", method) as archive:
        for name, file in content.items():
            archive.writestr(name, file)
    return data.getvalue()


def is_unknown(shop, subject, phone):
    path = f"/v1/subjects/{subject}/consents"
    assert shop.http.get(path, headers=shop.as_(Role.AUDITOR)).status_code == 404
    assert shop.post("/v1/sync", phone.sync()).status_code == 404


def decided(shop):
    """Return a person who said yes, no, objected, and left the rest; and their phone."""
    phone = shop.stranger()
    subject = person(shop, phone, country="DE", birth_year=1990)
    shop.grant(phone, "train", "analytics", "personalize")
    shop.clock.now += 1
    shop.withdraw(phone, "analytics")
    ask(shop, me(shop, subject), kind="objection", purpose="marketing")
    return subject, phone


@pytest.mark.compliance(
    "GDPR 20", "over HTTP an export imported elsewhere decides the same for every purpose"
)
def test_an_imported_person_decides_the_same(shop, other):
    subject, phone = decided(other)
    before = verdicts(other, subject)
    assert set(before.values()) == {"allowed", "withdrawn", "objected", "undecided"}
    assert before.keys() == set(PURPOSES)
    data = exported(other, subject)
    assert imported(shop, data, other.registry.public) == {
        "subject": subject, "devices": 1, "consents": 5, "guardian": "none",
    }  # fmt: skip
    assert verdicts(shop, subject) == before
    assert shop.choices(phone)["train"] == GRANTED
    imported(shop, data, other.registry.public, 409)
    ask(other, me(other, subject), kind="restriction")
    ask(shop, me(shop, subject), kind="erasure")
    assert verdicts(shop, subject) == before


@pytest.mark.compliance(
    "GDPR 20", "a restriction moves with the person, and is lifted with a statement alone"
)
def test_an_import_is_answered_once(shop, other):
    subject, _ = decided(shop)
    data, once = exported(shop, subject), {"idempotency-key": "k"} | other.as_(Role.ADMIN)
    first = imported(other, data, shop.registry.public, **once)
    assert imported(other, data, shop.registry.public, **once) == first
    imported(other, data, shop.registry.public, status=409)
    imported(other, data[:-1], shop.registry.public, status=422, **once)


def test_a_restriction_comes_along(shop, other):
    subject, _ = decided(other)
    ask(other, me(other, subject), kind="restriction")
    imported(shop, exported(other, subject), other.registry.public)
    assert set(verdicts(shop, subject).values()) == {"restricted"}
    path, officer = f"/v1/subjects/{subject}/restriction", shop.as_(Role.OFFICER) | {"if-match": "*"}
    assert shop.http.put(path, json={"restricted": False}, headers=officer).status_code == 422
    told = {"restricted": False, "told": "by letter"}
    assert shop.http.put(path, json=told, headers=officer).status_code == 200
    assert "restricted" not in verdicts(shop, subject).values()


def test_a_guardian_is_linked_where_they_came_before(shop, other):
    guardian = person(other)
    first, second = (person(other, country="DE", birth_year=2020, guardian=guardian) for _ in range(2))
    key = other.registry.public
    assert imported(shop, exported(other, first), key)["guardian"] == "lost"
    assert imported(shop, exported(other, guardian), key)["guardian"] == "none"
    assert imported(shop, exported(other, second), key)["guardian"] == "linked"
    for child, linked in ((first, None), (second, guardian)):
        attributes = shop.http.get(f"/v1/subjects/{child}/attributes", headers=me(shop, child)).json()
        assert attributes["guardian"] == linked


@pytest.mark.compliance("GDPR 20", "what another key signed, or a byte changed in, is refused as a whole")
def test_only_what_was_signed_is_imported(shop, other):
    subject, phone = decided(other)
    data = exported(other, subject)
    key = other.registry.public
    imported(shop, data, shop.registry.public, 403)
    content = files(data)
    for name, file in content.items():
        forged = {**content, name: file[:-1] + bytes([file[-1] ^ 1])}
        assert imported(shop, packed(forged), key, 403)["detail"]
    for broken in (b"", b"PK", data[: len(data) // 2], packed(content, zipfile.ZIP_LZMA)):
        imported(shop, broken, key, 422)
    is_unknown(shop, subject, phone)
    imported(shop, data, key)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_flipped_byte_is_refused_or_changes_nothing(shop):
    subject, _ = decided(shop)
    data = exported(shop, subject)
    whole = imports.read_export(data, shop.registry.public)

    @settings(
        max_examples=200, deadline=None, database=None, derandomize=True,
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(st.integers(0, len(data) - 1), st.integers(1, 255))
    def holds(place, flip):
        flipped = bytearray(data)
        flipped[place] ^= flip
        with suppress(DeniedError, RequestError):
            assert imports.read_export(bytes(flipped), shop.registry.public) == whole

    holds()


@pytest.mark.slow
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_what_is_too_large_is_refused(shop, problem):
    subject, _ = decided(shop)
    content = files(exported(shop, subject))
    bomb = packed({**content, "manifest.json": bytes(imports.LIMIT + 1)})
    assert len(bomb) < 2**17
    assert "longer" in imported(shop, bomb, shop.registry.public, 422)["detail"]
    many = packed(content | {f"bomb/{n}": bytes(imports.LIMIT) for n in range(5)})
    assert "together" in imported(shop, many, shop.registry.public, 422)["detail"]
    crowd = packed(content | {f"tables/{n}": b"" for n in range(300)})
    assert "files" in imported(shop, crowd, shop.registry.public, 422)["detail"]
    imported(shop, bytes(imports.LIMIT + 1), shop.registry.public, 413)
    headers = shop.as_(Role.ADMIN)
    long = shop.http.post("/v1/imports", params={"key": "0" * 64}, content=bytes(2**20 + 1), headers=headers)
    problem(long, 415)


def test_an_import_that_fails_leaves_nothing(shop, other):
    subject, phone = decided(other)
    data = exported(other, subject)
    assert shop.post("/v1/enrolments", phone.batch(phone.enrolment())).status_code == 204
    imported(shop, data, other.registry.public, 409)
    path = f"/v1/subjects/{subject}/consents"
    assert shop.http.get(path, headers=shop.as_(Role.AUDITOR)).status_code == 404
    assert shop.choices(phone) == {}


@pytest.mark.slow
def test_where_keys_are_pinned_no_other_is_taken(opened, other):
    subject, phone = decided(other)
    data = exported(other, subject)
    with opened(imports_from=["ab" * 32]) as shop:
        assert "IMPORTS_FROM" in imported(shop, data, other.registry.public, 403)["detail"]
        is_unknown(shop, subject, phone)
    with opened(imports_from=["ab" * 32, other.registry.public.hex()]) as shop:
        imported(shop, data, other.registry.public)


@pytest.mark.slow
def test_the_command_imports(shop, other, tmp_path, monkeypatch, capsys):
    subject, _ = decided(other)
    file, key = tmp_path / "export.zip", other.registry.public.hex()
    file.write_bytes(exported(other, subject))
    monkeypatch.delenv(TOKEN, raising=False)
    assert command.import_(file, key, "http://registry") == 2
    monkeypatch.setenv(TOKEN, shop.as_(Role.ADMIN)["authorization"].removeprefix("Bearer "))
    monkeypatch.setattr(httpx, "post", lambda url, timeout, **sent: shop.http.post(url, **sent))
    assert command.import_(tmp_path / "none.zip", key, "http://registry") == 2
    assert command.import_(file, "00" * 32, "http://registry") == 1
    assert "IMPORTS_FROM" in capsys.readouterr().out
    assert command.import_(file, key, "http://registry") == 0
    assert f"{subject}: 5 events and 1 devices imported" in capsys.readouterr().out
    assert json.dumps(verdicts(shop, subject)) == json.dumps(verdicts(other, subject))
