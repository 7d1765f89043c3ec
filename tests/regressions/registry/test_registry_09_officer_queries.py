"""What an officer looks up: who allowed a purpose at a date, people, notices, rounds, deadlines, reasons."""

import csv
import io
import json

import httpx
import pytest
from covey import main

from covey_consent.access.roles import Role
from covey_consent.commands import lookups, notice
from covey_consent.notices import files
from covey_consent.storage.csv_tables import table
from covey_simulations.benchmarks.process import serving

DAY = 86400


def person(shop) -> str:
    return shop.http.post("/v1/subjects", json={}, headers=shop.as_(Role.SERVICE)).json()["subject"]


def say(shop, subject: str, state: str, purpose: str = "train", role: Role = Role.SUBJECT, **headers) -> str:
    text = shop.notices()[purpose].text("en").digest.hex()
    yes = {"notice_version": 1, "language": "en", "text_sha256": text, "method": "toggle"}
    body = {"purpose": purpose, "state": state} | (yes if state == "granted" else {})
    own = shop.as_(role, "olga", subject if role is Role.SUBJECT else None)
    answer = shop.http.post(f"/v1/subjects/{subject}/consents", json=body, headers=own | headers)
    assert answer.status_code == 201, answer.text
    return answer.json()["event"]


def everyone(shop, path: str, **params) -> list[dict]:
    items, place = [], {}
    while True:
        answer = shop.http.get(path, params=params | place, headers=shop.as_(Role.OFFICER, "olga"))
        assert answer.status_code == 200, answer.text
        items += answer.json()["items"]
        if answer.json()["next"] is None:
            return items
        place = {"cursor": answer.json()["next"]}


def moment(shop) -> str:
    from datetime import UTC, datetime

    return datetime.fromtimestamp(shop.clock.now, UTC).isoformat()


def logged(shop, operation: str) -> list[dict]:
    rows = shop.http.get("/v1/access-log", headers=shop.as_(Role.ADMIN)).json()["items"]
    return [row for row in rows if row["operation"] == operation]


ALLOWING = "/v1/purposes/train/subjects"


def test_officer_queries(shop, problem):
    """Everyone who allowed a purpose at a date, in pages, by JSON and CSV; with a reason, and logged."""
    people = [person(shop) for _ in range(5)]
    events = {subject: say(shop, subject, "granted") for subject in people[:4]}
    before = moment(shop)
    shop.clock.now += DAY
    say(shop, people[0], "withdrawn")
    own = shop.as_(Role.SUBJECT, subject=people[1]) | {"if-match": "*"}
    put = shop.http.put(f"/v1/subjects/{people[1]}/restriction", json={"restricted": True}, headers=own)
    assert put.status_code == 200
    say(shop, people[4], "granted")
    then = everyone(shop, ALLOWING, at=before, limit=2)
    assert [one["subject"] for one in then] == sorted(people[:4])
    assert {one["subject"]: one["event"] for one in then} == events
    assert {one["notice"] for one in then} == {"1.0.0"}
    assert [one["subject"] for one in everyone(shop, ALLOWING, limit=1)] == sorted(people[2:])
    assert len(everyone(shop, "/v1/purposes/core/subjects")) == 4, (
        "a contract's purpose: all but the restricted"
    )
    problem(shop.http.get(ALLOWING, headers=shop.as_(Role.OFFICER, reason=None)), 422)
    problem(shop.http.get(ALLOWING, headers=shop.as_(Role.SERVICE)), 403)
    problem(shop.http.get("/v1/purposes/none/subjects", headers=shop.as_(Role.OFFICER)), 404)
    assert {(row["name"], row["reason"]) for row in logged(shop, "list_allowing")} >= {("olga", "a test")}
    answer = shop.http.get(ALLOWING, params={"format": "csv", "limit": 2}, headers=shop.as_(Role.OFFICER))
    assert answer.headers["content-type"].startswith("text/csv")
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert [row["subject"] for row in rows] <= sorted(people[2:])
    assert answer.headers["covey-next"]


def test_a_page_in_time_holds_the_time_of_its_first(shop):
    people = sorted(person(shop) for _ in range(3))
    for subject in people:
        say(shop, subject, "granted")
    headers = shop.as_(Role.OFFICER)
    first = shop.http.get(ALLOWING, params={"limit": 1}, headers=headers).json()
    shop.clock.now += 10
    say(shop, people[2], "withdrawn")
    rest = shop.http.get(ALLOWING, params={"cursor": first["next"]}, headers=headers).json()
    assert [one["subject"] for one in rest["items"]] == people[1:]


def test_people_are_found_by_prefix_and_by_the_shop_s_reference(shop, problem, stored):
    people = [person(shop) for _ in range(3)]
    phone = shop.stranger()
    path = f"/v1/subjects/{people[0]}"
    service, officer = shop.as_(Role.SERVICE), shop.as_(Role.OFFICER, "olga")
    assert shop.http.put(f"{path}/devices/{phone.device.hex()}", headers=service).status_code == 204
    known = {"reference": "customer 4711"}
    assert shop.http.put(f"{path}/reference", json=known, headers=service).status_code == 204
    other = shop.http.put(f"/v1/subjects/{people[1]}/reference", json=known, headers=service)
    assert "another person's" in problem(other, 409)

    def search(status: int = 200, **sought) -> list[dict]:
        answer = shop.http.post("/v1/subjects:search", json=sought, headers=officer)
        assert answer.status_code == status, answer.text
        return answer.json().get("items", [])

    (found,) = search(**known)
    assert found == {
        "subject": people[0], "devices": 1, "enrolled_at": int(shop.clock.now) // 3600 * 3600,
    }  # fmt: skip
    assert search(reference="customer 4712") == []
    assert [one["subject"] for one in search(prefix=people[1][:12])] == [people[1]]
    assert [one["subject"] for one in search(prefix=people[2])] == [people[2]]
    for wrong in ({}, {"prefix": "5f"}, {"prefix": "5f5f", "reference": "a"}, {"prefix": "%%%%"}):
        search(422, **wrong)
    assert [row["subject"] for row in logged(shop, "search")][-2:] == [None, people[0]]
    assert shop.http.post("/v1/subjects:search", content=b"", headers=officer).status_code == 422
    assert b"customer 4711" not in stored()


def test_the_text_of_an_old_notice_version(shop, problem):
    old = shop.http.get("/v1/notices/train").json()
    new = json.loads(files.packaged()["train"].model_dump_json())
    new["version"] = "1.1.0"
    new["texts"]["en"]["text"] += "\n\nOne more sentence."
    published = shop.publish(new)
    assert published.status_code == 201, published.text
    assert shop.http.get("/v1/notices/train").json()["version"] == "1.1.0"
    assert shop.http.get("/v1/notices/train/versions/1.0.0").json() == old
    chinese = shop.http.get("/v1/notices/train/versions/1.0.0", params={"language": "zh"}).json()
    assert chinese["language"] == "zh"
    problem(shop.http.get("/v1/notices/train/versions/9.0.0"), 404)
    problem(shop.http.get("/v1/notices/train/versions/one"), 422)


def test_rounds_are_listed_with_their_epsilon(shop):
    for _ in range(2):
        shop.grant(shop.phone(), "analytics", "personalize")
    issuer = shop.issuer("analytics", "personalize")
    terms = [shop.manifest(issuer, round_id=f"round-{n}", epsilon=n / 4) for n in (1, 2, 3)]
    digests = [shop.announce(each) for each in terms]
    assert shop.post(
        "/v1/rounds/round-2/evidence", shop.evidence(terms[1], digests[1], "aborted: few")
    ).is_success
    found = everyone(shop, "/v1/rounds", limit=2)
    assert [(one["round_id"], one["epsilon"]) for one in found] == [
        ("round-1", 0.25), ("round-2", 0.5), ("round-3", 0.75),
    ]  # fmt: skip
    assert [one["outcome"] for one in found] == ["", "aborted: few", ""]
    answer = shop.http.get("/v1/rounds", params={"format": "csv"}, headers=shop.as_(Role.AUDITOR))
    assert [row["epsilon"] for row in csv.DictReader(io.StringIO(answer.text))] == ["0.25", "0.5", "0.75"]


def test_requests_due_soon_and_as_csv(shop):
    subject = person(shop)

    def ask(words: str) -> str:
        own, body = shop.as_(Role.SUBJECT, subject=subject), {"kind": "erasure", "words": words}
        return shop.http.post("/v1/rights", json=body, headers=own).json()["id"]

    late = ask("=HYPERLINK(1)")
    shop.clock.now += 26 * DAY
    soon = ask("soon")
    shop.clock.now += 6 * DAY
    new = ask("new")
    shop.clock.now += 20 * DAY

    def listed(**params) -> list[str]:
        return [one["id"] for one in everyone(shop, "/v1/rights", **params)]

    assert listed() == [late, soon, new]
    assert listed(overdue=True) == [late]
    assert listed(due_within=7) == [soon]
    assert listed(due_within=30) == [soon, new]
    assert listed(due_within=7, overdue=True) == [late, soon]
    answer = shop.http.get("/v1/rights", params={"format": "csv"}, headers=shop.as_(Role.OFFICER))
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert [row["id"] for row in rows] == [late, soon, new]
    assert rows[0]["words"] == "'=HYPERLINK(1)", "no formula"
    assert "steps" not in rows[0]


def test_the_reason_of_a_withdrawal_on_someone_s_behalf(shop, stored):
    subject = person(shop)
    say(shop, subject, "granted")
    event = say(shop, subject, "withdrawn", role=Role.OFFICER, **{"covey-reason": "letter%20of%203%20May"})
    for headers in (shop.as_(Role.OFFICER), shop.as_(Role.SUBJECT, subject=subject)):
        past = shop.http.get(f"/v1/subjects/{subject}/events", headers=headers).json()["items"]
        assert [(one["state"], one["reason"]) for one in past] == [
            ("granted", None), ("withdrawn", "letter of 3 May"),
        ]  # fmt: skip
        assert past[1]["event"] == event
    with shop.http.app.state.registry.store.session.begin() as session:
        from covey_consent.rights import personal_data_rows

        deleted = personal_data_rows.erase(session, [subject]).deleted
    assert deleted["event_reasons"] == 1


@pytest.mark.parametrize("begin", ["=", "+", "-", "@", "\t", "\r", "\n", " =", "＝"])
def test_no_cell_is_a_formula(begin):
    (row,) = csv.reader(io.StringIO(table(["a"], [{"a": f"{begin}1+1"}], header=False)))
    assert row == [f"'{begin}1+1"]
    assert table(["a", "b", "c"], [{"a": -1.5, "b": None, "c": ["x", "y"]}]) == "a,b,c\r\n-1.5,,x; y\r\n"


@pytest.fixture(scope="module")
def url(tmp_path_factory):
    folder = tmp_path_factory.mktemp("registry")
    variables = {
        "COVEY_REGISTRY_DATABASE_URL": f"sqlite:///{folder}/registry.db",
        "COVEY_REGISTRY_KEY_FILE": str(folder / "registry.key"),
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, value in variables.items():
            patch.setenv(name, value)
        with serving(["covey", "registry", "serve"], "/livez") as url:
            yield url


def test_the_commands_ask_a_served_registry(url, capsys):
    from covey_consent.access.roles import Caller
    from covey_consent.access.tokens import Tokens
    from covey_consent.settings import Settings
    from covey_consent.storage import key_file

    settings = Settings()
    import time

    tokens = Tokens(key_file.load_or_create(settings.key_file), settings.origin)
    service = tokens.mint(Caller(Role.SERVICE, "shop"), int(time.time()), 60)
    with httpx.Client(base_url=url, headers={"authorization": f"Bearer {service}"}) as http:
        subject = http.post("/v1/subjects", json={}).json()["subject"]
        http.put(f"/v1/subjects/{subject}/reference", json={"reference": "c1"}).raise_for_status()
    who = ["--url", url, "--officer", "olga"]
    why = ["--reason", "a test"]

    def run(*words: str) -> str:
        assert main(["registry", *words]) == 0, capsys.readouterr().err
        return capsys.readouterr().out

    assert json.loads(run("allowed", "core", *who, *why, "--json"))["subject"] == subject
    assert run("allowed", "train", *who, *why, "--at", "2027-01-15") == "nothing was found\n"
    assert run("allowed", "train", *who, *why, "--csv") == "subject,event,notice,allowed_at,expires_at\r\n"
    assert json.loads(run("find", "--reference", "c1", *who, *why, "--json"))["subject"] == subject
    assert subject in run("find", "--prefix", subject[:6], *who, *why)
    assert run("history", subject, *who, *why) == "nothing was found\n"
    assert run("rounds", *who, "--csv").startswith("round_id,query,purpose")
    assert run("requests", "--overdue", "--due-within", "7", *who, *why, "--csv").startswith(
        "id,subject,kind"
    )
    text = run("notice", "text", "train", "--version", "1.0.0", "--url", url)
    assert "train 1.0.0" in text
    assert json.loads(run("notice", "text", "train", "--version", "1.0.0", "--url", url, "--json"))["digest"]


def test_the_commands_say_in_a_line_what_is_wrong(url, capsys, tmp_path):
    olga = {"url": url, "officer": "olga", "reason": "a test"}
    assert lookups.list_allowed("train", "soon", **olga) == 2
    assert lookups.list_allowed("none", **olga) == 1
    assert lookups.list_rounds(url="http://127.0.0.1:9", officer="olga") == 1
    assert notice.show_text("train", "9.0.0", "en", url) == 1
    assert len(capsys.readouterr().err.splitlines()) == 4


@pytest.mark.parametrize("command", ["allowed", "find", "history", "rounds", "requests"])
def test_help_shows_an_example(command, capsys):
    with pytest.raises(SystemExit):
        main(["registry", command, "--help"])
    assert f"covey registry {command}" in capsys.readouterr().out.replace("usage: covey registry", "")
