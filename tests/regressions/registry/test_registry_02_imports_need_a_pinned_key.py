"""An import counts where the operator pinned the key of the registry that signed it, and is marked as one."""

import csv
import hashlib
import io
import json
import zipfile

import pytest
from joserfc import jws

from covey_consent.access.roles import Role
from covey_consent.access.tokens import ALGORITHM, jwk
from covey_consent.api.media import ZIP
from covey_consent.decisions.records import Record, commit
from covey_consent.receipts import signed_receipts
from covey_consent.rights.export import FORMAT
from covey_privacy.inclusion_promise import consent_leaf
from covey_privacy.signatures import SigningKey

PERSON = "5f" * 16


def export(key: SigningKey, notice, purpose: str = "train") -> bytes:
    """Make an export as anyone can with a key of their own: a person who allowed a purpose."""
    text = notice.text("en")
    said = {
        "purpose": purpose, "state": "granted", "actor": "subject", "method": "toggle",
        "notice": notice.semver, "language": "en", "text": text.digest.hex(), "at": 1_799_999_000_000,
        "expires": 0,
    }  # fmt: skip
    person = {"subject": PERSON, "country": "DE", "birth_year": 1990, "guardian": None}
    files = {
        "consents.json": json.dumps([{"record": said, "signed": ""}]).encode(),
        "tables/subjects.json": json.dumps([person]).encode(),
        "tables/devices.json": b"[]",
    }
    digests = {name: hashlib.sha256(data).hexdigest() for name, data in files.items()}
    manifest = json.dumps({"format": FORMAT, "subject": PERSON, "files": digests}).encode()
    signature = jws.serialize_compact({"alg": ALGORITHM}, manifest, jwk(key), [ALGORITHM])
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        for name, content in (files | {"manifest.json": manifest, "manifest.jws": signature}).items():
            archive.writestr(name, content)
    return data.getvalue()


def imported(shop, data: bytes, **params: str):
    headers = shop.as_(Role.ADMIN) | {"content-type": ZIP}
    return shop.http.post("/v1/imports", params=params, content=data, headers=headers)


def verdict(shop, purpose: str = "train") -> str:
    path = f"/v1/subjects/{PERSON}/decisions/{purpose}"
    return shop.http.get(path, headers=shop.as_(Role.SERVICE)).json().get("verdict", "nobody")


def test_imports_need_a_pinned_key(shop, problem):
    """An admin makes a key, signs a person's yes with it, and imports that: it is refused in one line."""
    key = SigningKey(hashlib.sha256(b"made a minute ago").digest())
    said = problem(imported(shop, export(key, shop.notices()["train"]), key=key.public.hex()), 403)
    assert "COVEY_REGISTRY_IMPORTS_FROM" in said
    assert verdict(shop) == "nobody"


def test_the_key_parameter_only_selects_among_the_pinned_ones(opened, problem):
    pinned, own = (SigningKey(hashlib.sha256(seed).digest()) for seed in (b"pinned", b"own"))
    with opened(imports_from=[pinned.public.hex()]) as shop:
        notice = shop.notices()["train"]
        problem(imported(shop, export(own, notice), key=own.public.hex()), 403)
        problem(imported(shop, export(own, notice), key=pinned.public.hex()), 403)
        assert verdict(shop) == "nobody"
        assert imported(shop, export(pinned, notice), key=pinned.public.hex()).status_code == 201
        assert verdict(shop) == "allowed"


def test_without_pinned_keys_nothing_of_an_import_is_read(shop, problem):
    said = problem(imported(shop, b"no zip", key="00" * 32), 403)
    assert said == problem(imported(shop, b"", key="11" * 32), 403)


@pytest.fixture
def brought(opened):
    """A registry with an imported yes and one that the person gives there, and who signed the import."""
    source = SigningKey(hashlib.sha256(b"pinned").digest())
    with opened(imports_from=[source.public.hex()]) as shop:
        notices = shop.notices()
        data = export(source, notices["train"])
        assert imported(shop, data, key=source.public.hex()).status_code == 201
        text = notices["analytics"].text("en").digest.hex()
        said = {
            "purpose": "analytics", "state": "granted", "notice_version": notices["analytics"].version,
            "language": "en", "text_sha256": text, "method": "toggle",
        }  # fmt: skip
        own = shop.as_(Role.SUBJECT, subject=PERSON)
        path = f"/v1/subjects/{PERSON}/consents"
        assert shop.http.post(path, json=said, headers=own).status_code == 201
        yield shop, source.public.hex(), own


def events(shop, own) -> dict[str, dict]:
    found = shop.http.get(f"/v1/subjects/{PERSON}/events", headers=own).json()["items"]
    return {event["purpose"]: event for event in found}


def test_an_imported_event_is_marked_in_the_record(brought):
    shop, source, own = brought
    assert {purpose: event["source"] for purpose, event in events(shop, own).items()} == {
        "train": source, "analytics": "",
    }  # fmt: skip
    id_ = shop.http.post("/v1/rights", json={"kind": "access"}, headers=own).json()["id"]
    data = shop.http.get(f"/v1/rights/{id_}/export", headers=own).content
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        records = [one["record"] for one in json.loads(archive.read("consents.json"))]
        rows = list(csv.DictReader(archive.read("tables/events.csv").decode("utf-8-sig").splitlines()))
    assert {one["purpose"]: one["source"] for one in records} == {"train": source, "analytics": ""}
    assert {row["purpose"]: row["source"] for row in rows} == {"train": source, "analytics": ""}


def test_an_imported_event_is_marked_in_its_receipt(brought):
    shop, source, own = brought
    for purpose, mark in (("train", source), ("analytics", None)):
        path = f"/v1/receipts/{events(shop, own)[purpose]['event']}"
        receipt = shop.http.get(f"{path}.json", headers=own).json()
        (record,) = receipt["dpv:hasRecordOfActivity"]
        (status,) = record["dpv:hasConsentStatus"]
        assert status.get("covey:importedFrom") == mark
        page = shop.http.get(f"{path}.html", headers=own).text
        assert (source in page) == (mark is not None)
        verified = signed_receipts.verify(
            shop.http.get(f"{path}.jwt", headers=own).content, shop.registry.public
        )
        assert (f"imported from registry {source}" in str(verified)) == (mark is not None)


def test_the_log_commits_to_the_mark(brought):
    """The leaf of an imported event cannot be opened as that of an event that was said here."""
    shop, source, own = brought
    shop.clock.now += 3600
    shop.http.portal.call(shop.http.app.state.registry.promises.publish)
    own = shop.as_(Role.SUBJECT, subject=PERSON)
    event = events(shop, own)["train"]["event"]
    (shown,) = shop.http.get(f"/v1/receipts/{event}.json", headers=own).json()["dpv:hasRecordOfActivity"]
    record, salt = Record(**shown["covey:evidence"]["record"]), bytes.fromhex(shown["covey:evidence"]["salt"])
    assert record.source == source
    unmarked = Record(**shown["covey:evidence"]["record"] | {"source": ""})
    log = shop.http.app.state.registry.log
    assert log.find(consent_leaf(commit(salt, record))) is not None
    assert log.find(consent_leaf(commit(salt, unmarked))) is None
