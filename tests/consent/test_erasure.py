"""Erasure: all of a person goes in one write, and the log and everyone else stay."""

import json

import pytest
from joserfc import jws
from joserfc.errors import BadSignatureError
from sqlalchemy import insert, select

from covey_consent.access.idempotency import KeptAnswer
from covey_consent.access.roles import Role
from covey_consent.access.tokens import jwk
from covey_consent.recipients.register import Notification
from covey_consent.rights import personal_data_rows
from covey_consent.rights.erasure import CERTIFICATE_TYPE, Erasure, vacuum_if_erased
from covey_consent.rights.tables import Tombstone
from covey_consent.storage.models import Base, Subject
from covey_simulations.commands import erase as erase_command


def person(shop, **facts):
    answer = shop.http.post("/v1/subjects", json=facts, headers=shop.as_(Role.SERVICE))
    return answer.json()["subject"]


def with_phone(shop):
    """Return a person, and the phone that speaks for them."""
    subject, phone = person(shop), shop.stranger()
    path = f"/v1/subjects/{subject}/devices/{phone.device.hex()}"
    assert shop.http.put(path, headers=shop.as_(Role.SERVICE)).status_code == 204
    return subject, phone


def erased(shop, subject):
    """Have the person erased at their own request; return its id and the officer's answer."""
    own = shop.as_(Role.SUBJECT, "app", subject)
    id_ = shop.http.post("/v1/rights", json={"kind": "erasure"}, headers=own).json()["id"]
    officer = shop.as_(Role.OFFICER, "olga") | {"if-match": "*"}
    for step in ("start", "fulfil"):
        answer = shop.http.post(f"/v1/rights/{id_}/steps", json={"step": step}, headers=officer)
        assert answer.status_code == 200, answer.text
    return id_, answer.json()


def rows(shop, subject):
    with shop.http.app.state.registry.store.session() as session:
        return {
            table.name: len(personal_data_rows.rows(session, table, subject))
            for table in personal_data_rows.tables()
        }


def places(shop, name):
    """Return every column of every table in which a pseudonym stands, alone or among words."""
    texts = {name.encode(), bytes.fromhex(name)}
    found = set()
    with shop.http.app.state.registry.store.session() as session:
        for table in Base.metadata.sorted_tables:
            for row in session.execute(select(table)).mappings():
                cells = {column: value for column, value in row.items() if isinstance(value, str | bytes)}
                for column, value in cells.items():
                    raw = value.encode() if isinstance(value, str) else value
                    found |= {f"{table.name}.{column}" for text in texts if text in raw}
    return found


def done(shop, headers, steps, **said):
    """Have a request taken as far as the steps go; each is an officer's who says whom it is about."""
    id_ = shop.http.post("/v1/rights", json=said, headers=headers).json()["id"]
    officer = shop.as_(Role.OFFICER, "olga") | {"if-match": "*"}
    for step, reason in steps:
        answer = shop.http.post(
            f"/v1/rights/{id_}/steps", json={"step": step, "reason": reason}, headers=officer
        )
        assert answer.is_success, answer.text
    return id_


def answered(shop, subject):
    """Keep the answer to who made the person known: it is under nobody's name, and has theirs in it."""
    body = b'{"subject": "%s"}' % subject.encode()
    kept = KeptAnswer(
        key=b"k" * 32,
        request=bytes(32),
        subject=None,
        status=201,
        body=body,
        expires_at=int(shop.clock.now) + 86400,
    )
    with shop.http.app.state.registry.store.session.begin() as session:
        session.add(kept)


def lived(shop):
    """Return a guardian after a rich life, their ward, and the phone that speaks for the guardian."""
    said = {"name": "Mail", "url": "https://mail.invalid/", "purposes": ["train"]}
    assert shop.http.post("/v1/recipients", json=said, headers=shop.as_(Role.ADMIN)).status_code == 201
    guardian, phone = with_phone(shop)
    answered(shop, guardian)
    ward = person(shop, country="DE", birth_year=2020)
    changes = {"guardian": guardian}
    done(
        shop, shop.as_(Role.SUBJECT, "app", ward),
        [("start", f"asked by {guardian} on the phone"), ("fulfil", "")],
        kind="rectification", words=f"my guardian is {guardian}", changes=changes,
    )  # fmt: skip
    own = shop.as_(Role.SUBJECT, "app", guardian)
    notice = shop.notices()["train"]
    text = notice.text("en").digest.hex()
    yes = {
        "purpose": "train", "state": "granted", "notice_version": notice.version, "language": "en",
        "text_sha256": text, "method": "toggle",
    }  # fmt: skip
    for subject in (ward, guardian):
        answer = shop.http.post(f"/v1/subjects/{subject}/consents", json=yes, headers=own)
        assert answer.is_success, answer.text
    shop.tickets(phone, shop.issuer("train"))
    receipt = shop.http.get(f"/v1/receipts/{answer.json()['event']}.json", headers=own)
    assert receipt.status_code == 200
    shown = {
        "subject": guardian, "purpose": "train", "version": notice.semver, "language": "en",
        "text_digest": text, "place": "dialog", "at": shop.clock.ms,
    }  # fmt: skip
    assert shop.http.post("/v1/served", json=shown, headers=own).status_code == 201
    done(shop, own, [], kind="access", words=f"I am {guardian}")
    for subject in (ward, guardian):
        looked = shop.as_(Role.OFFICER, reason=f"{guardian} called about a receipt")
        assert shop.http.get(f"/v1/subjects/{subject}/consents", headers=looked).status_code == 200
    breach = {"scope": {}, "account": {"nature": f"the receipt of {guardian} was seen by others"}}
    assert shop.http.post("/v1/breaches", json=breach, headers=shop.as_(Role.OFFICER)).status_code == 201
    shop.clock.now += 1
    shop.withdraw(phone, "train")
    return guardian, ward, phone


def filled(shop, subject):
    """Put a row of the person's into every table that says whose its rows are and has none of them yet."""
    registry = shop.http.app.state.registry
    with registry.store.session.begin() as session:
        for table in personal_data_rows.tables():
            if not personal_data_rows.rows(session, table, subject):
                session.execute(insert(table).values(_row(table, subject, session)))


def _row(table, subject, session):
    """Return a row with something of the right kind in every column that needs it."""
    row = {}
    for column in table.columns:
        key = next(iter(column.foreign_keys), None)
        if column.name == personal_data_rows.COLUMN:
            row[column.name] = subject
        elif key is not None and not column.nullable:
            row[column.name] = session.scalar(select(key.column).limit(1))
        elif not column.nullable and column.name != "id":
            row[column.name] = {int: 1, str: "x", bytes: b"x" * 32, bool: False}[column.type.python_type]
        elif column.name == "id" and column.type.python_type is str:
            row[column.name] = "x"
    return row


@pytest.mark.compliance("GDPR 17", "no table keeps a row of who was erased; the others' rows stay")
def test_no_table_keeps_a_row_of_who_was_erased(shop):
    (anna, phone), (ben, other) = with_phone(shop), with_phone(shop)
    for one in (phone, other):
        shop.grant(one, "train", "analytics")
        shop.tickets(one, shop.issuer("train"))
    for subject in (anna, ben):
        own = shop.as_(Role.SUBJECT, "app", subject)
        changes = {"kind": "rectification", "changes": {"country": "DE"}}
        id_ = shop.http.post("/v1/rights", json=changes, headers=own).json()["id"]
        for step in ("start", "fulfil"):
            headers = shop.as_(Role.OFFICER) | {"if-match": "*"}
            assert shop.http.post(f"/v1/rights/{id_}/steps", json={"step": step}, headers=headers).is_success
    said = {"name": "Mail", "url": "https://mail.invalid/", "purposes": ["train"]}
    assert shop.http.post("/v1/recipients", json=said, headers=shop.as_(Role.ADMIN)).status_code == 201
    shop.clock.now += 1
    for one in (phone, other):
        shop.withdraw(one, "train")
    filled(shop, anna)
    assert all(rows(shop, anna).values()), "the test has to reach every table"
    before = rows(shop, ben)
    head = shop.checkpoint()
    id_, answer = erased(shop, anna)
    assert answer["state"] == "fulfilled"
    assert not any(rows(shop, anna).values())
    assert rows(shop, ben) == before
    assert shop.checkpoint().size >= head.size
    assert shop.root_of_entries() == shop.checkpoint().root
    assert shop.choices(other) == {"analytics": "granted", "train": "withdrawn"}
    assert shop.post("/v1/sync", phone.sync()).status_code == 404
    for path in (f"/v1/subjects/{anna}/consents", f"/v1/rights/{id_}"):
        assert shop.http.get(path, headers=shop.as_(Role.OFFICER)).status_code == 404


@pytest.mark.compliance("GDPR 17", "after a rich life no column of any table names who was erased")
def test_no_column_names_who_was_erased(shop):
    guardian, ward, _ = lived(shop)
    at = {place.partition(".")[0] for place in places(shop, guardian)}
    assert at >= {
        "access_log", "attribute_changes", "breach_steps", "breaches", "devices", "events", "choices",
        "idempotent_answers", "issuances", "notifications", "rights_requests", "rights_steps", "served",
        "subject_keys", "subjects",
    }  # fmt: skip
    asked = rows(shop, ward)
    erased(shop, guardian)
    assert places(shop, guardian) == set()
    assert rows(shop, ward) == asked
    own = shop.as_(Role.SUBJECT, "app", ward)
    path = f"/v1/subjects/{ward}/attributes"
    assert shop.http.get(path, headers=own).json()["guardian"] is None


@pytest.mark.compliance("GDPR 17", "a child and a guardian are erased each alone: the other's choices stay")
@pytest.mark.parametrize("whose", ["guardian", "ward"])
def test_who_is_erased_takes_nobody_with_them(shop, whose):
    guardian, ward, _ = lived(shop)
    gone, stays = (guardian, ward) if whose == "guardian" else (ward, guardian)
    events = f"/v1/subjects/{stays}/events"
    said = shop.http.get(events, headers=shop.as_(Role.AUDITOR)).json()
    erased(shop, gone)
    assert shop.http.get(events, headers=shop.as_(Role.AUDITOR)).json() == said
    verdict = shop.http.get(f"/v1/subjects/{stays}/decisions/train", headers=shop.as_(Role.SERVICE)).json()
    assert verdict["verdict"] == ("allowed" if stays == ward else "withdrawn")
    assert places(shop, gone) == set()


def test_every_table_that_may_hold_words_is_searched_for_a_name():
    every = {table.name for table in Base.metadata.sorted_tables}
    assert every >= personal_data_rows.WORDLESS
    # A new table is searched unless it is named as one that takes no word from anyone.
    assert every - personal_data_rows.WORDLESS == {
        "access_log", "assessments", "attribute_changes", "breach_steps", "breaches", "ended_epochs",
        "erasure_steps", "event_reasons", "idempotent_answers", "notice_proposals", "recipients",
        "revocations", "rights_requests", "rights_steps",
    }  # fmt: skip


def test_an_access_log_forgets_why_as_well_as_whom(shop):
    guardian, ward, _ = lived(shop)
    id_, _ = erased(shop, guardian)
    log = shop.http.get("/v1/access-log", headers=shop.as_(Role.AUDITOR)).json()["items"]
    looked = [(one["subject"], one["reason"]) for one in log if one["operation"] == "view"]
    assert sorted(looked, key=str) == sorted(
        [(ward, "[erased] called about a receipt"), (id_, None)], key=str
    )


def test_an_erased_registry_opens_again(opened):
    with opened() as shop:
        subject, phone = with_phone(shop)
        shop.grant(phone, "train")
        erased(shop, subject)
    with opened() as shop:
        assert shop.root_of_entries() == shop.checkpoint().root
        assert shop.post("/v1/sync", phone.sync()).status_code == 404


def test_a_phone_that_was_erased_enrols_as_somebody_new(shop):
    subject, phone = with_phone(shop)
    shop.grant(phone, "train")
    assert shop.choices(phone) == {"train": "granted"}
    erased(shop, subject)
    assert shop.post("/v1/enrolments", phone.batch(phone.enrolment())).status_code == 204
    assert shop.choices(phone) == {}


def test_half_an_erasure_is_none(shop, monkeypatch):
    subject, phone = with_phone(shop)
    shop.grant(phone, "train")
    before = rows(shop, subject)
    own, officer = shop.as_(Role.SUBJECT, "app", subject), shop.as_(Role.OFFICER) | {"if-match": "*"}
    id_ = shop.http.post("/v1/rights", json={"kind": "erasure"}, headers=own).json()["id"]
    path = f"/v1/rights/{id_}/steps"
    assert shop.http.post(path, json={"step": "start"}, headers=officer).status_code == 200
    certify = Erasure.certify

    def fail(*_):
        raise OSError("the disk is full")

    monkeypatch.setattr(Erasure, "certify", fail)
    assert shop.http.post(path, json={"step": "fulfil"}, headers=officer).status_code == 500
    kept = rows(shop, subject)
    assert {name: kept[name] for name in ("events", "choices", "devices", "subject_keys")} == {
        name: before[name] for name in ("events", "choices", "devices", "subject_keys")
    }
    assert shop.choices(phone) == {"train": "granted"}
    monkeypatch.setattr(Erasure, "certify", certify)
    assert shop.http.post(path, json={"step": "fulfil"}, headers=officer).status_code == 200


def test_a_wards_row_forgets_its_guardian(shop):
    guardian = person(shop)
    child = person(shop, birth_year=2020, guardian=guardian)
    erased(shop, guardian)
    with shop.http.app.state.registry.store.session() as session:
        assert session.get(Subject, child).guardian is None


def test_a_certificate_says_what_was_destroyed_and_claims_no_more(shop):
    subject, phone = with_phone(shop)
    shop.grant(phone, "train")
    looked = shop.as_(Role.OFFICER, reason="request 17")
    assert shop.http.get(f"/v1/subjects/{subject}/consents", headers=looked).status_code == 200
    kept = rows(shop, subject)
    id_, _ = erased(shop, subject)
    answer = shop.http.get(f"/v1/erasures/{id_}").json()
    key = jwk(shop.http.app.state.registry.key)
    opened = jws.deserialize_compact(answer["certificate"].encode(), key, ["Ed25519"])
    assert opened.headers()["typ"] == CERTIFICATE_TYPE
    claims = json.loads(opened.payload)
    assert claims == answer["claims"]
    assert claims["jti"] == id_
    assert claims["key_destroyed"] is True
    assert claims["rows"]["events"] == kept["events"] == 1
    assert claims["blanked"] == {"access_log": kept["access_log"] + 2}
    assert not claims["rows"].keys() & claims["blanked"].keys()
    assert f"All {sum(claims['rows'].values())} rows" in claims["words"]["en"]["destroyed"]
    assert claims["iat"] % 3600 == 0
    assert claims["backups_until"] - claims["iat"] == 30 * 86400 + 3600
    for language in ("en", "zh"):
        words = claims["words"][language]
        assert len(words["stays"]) == 7
        assert len(words["not_claimed"]) == 2
        assert "$" not in json.dumps(words)
        assert f"{claims['epsilon']:g}" in words["not_claimed"][0]
        assert f" {kept['access_log'] + 2} " in words["stays"][0]
    assert subject not in json.dumps(claims)
    assert phone.device.hex() not in json.dumps(claims)
    head, body, signature = answer["certificate"].split(".")
    with pytest.raises(BadSignatureError):
        jws.deserialize_compact(f"{head}.{body[:-2]}AA.{signature}".encode(), key, ["Ed25519"])


def test_who_was_not_erased_has_no_certificate(shop):
    subject, _ = with_phone(shop)
    own = shop.as_(Role.SUBJECT, "app", subject)
    id_ = shop.http.post("/v1/rights", json={"kind": "erasure"}, headers=own).json()["id"]
    assert shop.http.get(f"/v1/erasures/{id_}").status_code == 404


def test_a_recipients_letter_outlives_the_person_without_their_name(shop):
    said = {"name": "Mail", "url": "https://mail.invalid/", "purposes": ["train"]}
    assert shop.http.post("/v1/recipients", json=said, headers=shop.as_(Role.ADMIN)).status_code == 201
    subject, phone = with_phone(shop)
    shop.grant(phone, "train")
    shop.withdraw(phone, "train")
    erased(shop, subject)
    with shop.http.app.state.registry.store.session() as session:
        (letter,) = session.scalars(select(Notification))
    assert letter.event == "subject.erased"
    assert letter.subject is None
    assert subject.encode() not in letter.body


def test_the_files_are_rebuilt_once_after_an_erasure(shop):
    registry = shop.http.app.state.registry
    portal = shop.http.portal
    assert portal.call(vacuum_if_erased, registry.store) is False
    subject, _ = with_phone(shop)
    erased(shop, subject)
    portal.call(vacuum_if_erased, registry.store)
    with registry.store.session() as session:
        assert [one.purged for one in session.scalars(select(Tombstone))] == [True]
    assert portal.call(vacuum_if_erased, registry.store) is False


@pytest.mark.compliance(
    "GDPR 17", "after a rich life 0 traces of an erased person are in the database's bytes"
)
@pytest.mark.compliance("PIPL 47", "of an erased person 0 traces are left in the database's bytes")
def test_the_drill_finds_nothing_of_an_erased_person(capsys):
    assert erase_command.erase(12, as_json=True) == 0
    outcome = json.loads(capsys.readouterr().out)
    assert outcome["passed"] is True
    assert outcome["before"] > 0
    assert outcome["after"] == 0
    assert outcome["log_verifies"]
    assert outcome["others_decide_alike"]
    # Every table of theirs had something of the person in it.
    assert [name for name, count in outcome["rows"].items() if not count] == []


def test_the_drill_notices_what_a_database_left_in_its_files(monkeypatch, capsys):
    monkeypatch.setattr("covey_consent.storage.store.purge", lambda engine: None)
    assert erase_command.erase(12) == 1
    assert "THE DRILL FAILED" in capsys.readouterr().out


def test_the_drill_notices_a_name_among_words(monkeypatch, capsys):
    monkeypatch.setattr(personal_data_rows, "_unname", lambda *_: 0)
    assert erase_command.erase(3) == 1
    assert "THE DRILL FAILED" in capsys.readouterr().out


def test_the_drill_refuses_a_database_that_is_in_use(opened, capsys):
    with opened() as shop:
        url = shop.http.app.state.registry.settings.database_url
    assert erase_command.erase(2, url) == 2
    assert "an empty database" in capsys.readouterr().err


@pytest.mark.parametrize("new_url", ["postgresql"], indirect=True)
def test_the_drill_searches_a_dump_of_postgresql_and_empties_the_database(new_url, capsys):
    for people in (6, 2):
        assert erase_command.erase(people, new_url, as_json=True) == 0
        outcome = json.loads(capsys.readouterr().out)
        assert outcome["before"] > 0
        assert outcome["after"] == 0
