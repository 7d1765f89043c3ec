import json
import threading
from typing import Annotated

import pytest
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import func, select

from covey_consent.access.access_log import Access
from covey_consent.access.idempotency import KEEP_SECONDS, KeptAnswer
from covey_consent.access.roles import Caller, Role
from covey_consent.api.authorization import needs
from covey_consent.api.openapi import operations
from covey_consent.api.request_headers import OnceOnly, answer
from covey_consent.app import create_app
from covey_consent.errors import ConflictError
from covey_consent.notices import files
from covey_consent.rights import personal_data_rows


class Wish(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: Annotated[str, Field(max_length=50)]


class Made(BaseModel):
    number: int


def count(session, table) -> int:
    return session.scalar(select(func.count()).select_from(table)) or 0


def rows(shop, table) -> int:
    with shop.http.app.state.registry.store.session() as session:
        return count(session, table)


class Works:
    """What making does: it adds a row, and can be told to wait or to fail after that."""

    def __init__(self) -> None:
        self.entered, self.go = threading.Event(), threading.Event()
        self.go.set()
        self.fails = False

    def make(self, session, name: str) -> Made:
        # Dated ahead: upkeep deletes old rows.
        session.add(Access(at=2**40, role="", name=name, operation="make", subject=None, reason=None))
        session.flush()
        self.entered.set()
        assert self.go.wait(10)
        if self.fails:
            raise ConflictError("it stands against it")
        return answer(Made(number=count(session, Access)))


@pytest.fixture
def works() -> Works:
    return Works()


def with_route(shop, works):
    @shop.http.app.post("/toys", status_code=201)
    async def make(
        wish: Wish, caller: Annotated[Caller, needs(Role.SERVICE, Role.SUBJECT)], once: OnceOnly
    ) -> Made:
        return await once.create(caller, works.make, wish.name)

    return shop


TOKENS = {}
"""One token for each caller of a registry: the answer to a request is kept for the token that sent it."""


def post(shop, key: str | None, name: str = "a", who: str = "one", role=Role.SERVICE, subject=None):
    caller = Caller(role, who, subject)
    mint = shop.http.app.state.registry.tokens.mint
    token = TOKENS.setdefault((shop.registry.public, caller), mint(caller, int(shop.clock.now), 48 * 3600))
    headers = {"authorization": f"Bearer {token}"} | ({} if key is None else {"idempotency-key": key})
    return shop.http.post("/toys", json={"name": name}, headers=headers)


def test_the_same_key_creates_once_and_gets_the_same_answer(shop, works):
    with_route(shop, works)
    first, again = post(shop, "k"), post(shop, "k")
    assert (first.status_code, again.status_code) == (201, 201)
    assert first.json() == again.json() == {"number": 1}
    assert "idempotent-replayed" not in first.headers
    assert again.headers["idempotent-replayed"] == "true"
    assert rows(shop, Access) == 1


def test_without_a_key_each_request_creates(shop, works):
    with_route(shop, works)
    assert [post(shop, None).json()["number"] for _ in range(2)] == [1, 2]
    assert rows(shop, KeptAnswer) == 0


def test_a_key_is_its_caller_s_own(shop, works):
    with_route(shop, works)
    answers = [
        post(shop, "k", who="one"),
        post(shop, "k", who="two"),
        post(shop, "k", role=Role.SUBJECT, who="one", subject="5f" * 16),
        post(shop, "k", role=Role.SUBJECT, who="one", subject="a0" * 16),
    ]
    assert [answer.json()["number"] for answer in answers] == [1, 2, 3, 4]


def test_another_body_under_the_same_key_is_refused(shop, works, problem):
    with_route(shop, works)
    post(shop, "k", "a")
    assert "another body" in problem(post(shop, "k", "b"), 422)
    assert rows(shop, Access) == 1


def test_while_the_first_is_answered_the_second_is_told_to_wait(shop, works, problem):
    with_route(shop, works)
    works.go.clear()
    answers = []
    first = threading.Thread(target=lambda: answers.append(post(shop, "k")))
    first.start()
    assert works.entered.wait(10)
    assert "being answered" in problem(post(shop, "k"), 409)
    works.go.set()
    first.join()
    assert answers[0].status_code == 201
    assert post(shop, "k").json() == answers[0].json()


def test_what_fails_leaves_neither_effect_nor_answer(shop, works, problem):
    with_route(shop, works)
    works.fails = True
    problem(post(shop, "k"), 409)
    assert (rows(shop, Access), rows(shop, KeptAnswer)) == (0, 0)
    works.fails = False
    assert post(shop, "k").json() == {"number": 1}


def test_an_answer_that_cannot_be_kept_undoes_its_effect(shop, works, monkeypatch):
    with_route(shop, works)
    monkeypatch.setattr("covey_consent.access.idempotency.KeptAnswer.__init__", lambda *_, **__: 1 / 0)
    assert post(shop, "k").status_code == 500
    monkeypatch.undo()
    assert (rows(shop, Access), rows(shop, KeptAnswer)) == (0, 0)


def test_an_answer_outlives_a_restart_and_is_forgotten_after_a_day(opened, works):
    with opened() as shop:
        first = post(with_route(shop, works), "k")
    with opened(token_hours=48) as shop:
        again = post(with_route(shop, works), "k")
        assert again.json() == first.json()
        shop.clock.now += KEEP_SECONDS
        assert post(shop, "k").json() == {"number": 2}
        assert rows(shop, KeptAnswer) == 1


def test_a_key_has_a_bounded_length(shop, works, problem):
    with_route(shop, works)
    problem(post(shop, "k" * 256), 422)
    problem(post(shop, ""), 422)


def test_what_is_kept_about_a_person_carries_their_pseudonym(shop, works):
    with_route(shop, works)
    post(shop, "k", role=Role.SUBJECT, subject="5f" * 16)
    with shop.http.app.state.registry.store.session() as session:
        assert session.scalars(select(KeptAnswer.subject)).all() == ["5f" * 16]


def creating(shop, subject):
    """Return for each operation that creates its address, who may ask, and two different bodies."""
    file, other = (json.loads(files.packaged()[name].model_dump_json()) for name in ("marketing", "train"))
    for changed in (file, other):
        changed["version"], changed["texts"]["en"]["title"] = "1.1.0", "Other words"
    text = shop.notices()["analytics"].text("en").digest.hex()
    shown = {
        "subject": subject, "purpose": "analytics", "version": "1.0.0", "language": "en",
        "text_digest": text, "place": "dialog", "at": shop.clock.ms,
    }  # fmt: skip
    paper = {"purpose": "health", "kind": "dpia", "document_sha256": "ab" * 32, "valid_until": 1830000000}
    mail = {"name": "Mail", "url": "https://mail.example/covey", "purposes": ["marketing"]}
    no = {"purpose": "train", "state": "refused"}
    return {
        "create": ("/v1/subjects", Role.SERVICE, {}, {"country": "DE"}),
        "decide": (f"/v1/subjects/{subject}/consents", Role.SUBJECT, no, no | {"purpose": "analytics"}),
        "serve": ("/v1/served", Role.SUBJECT, shown, shown | {"place": "settings"}),
        "publish": ("/v1/notices", Role.ADMIN, file, other),
        "propose": ("/v1/assessments", Role.OFFICER, paper, paper | {"kind": "pipia"}),
        "ask": ("/v1/rights", Role.SUBJECT, {"kind": "erasure"}, {"kind": "access"}),
        "add_recipient": ("/v1/recipients", Role.ADMIN, mail, mail | {"name": "Post"}),
        "revoke": ("/v1/revocations", Role.ADMIN, {"token": "a"}, {"token": "b"}),
        "open_breach": ("/v1/breaches", Role.OFFICER, {}, {"account": {"nature": "theft"}}),
    }


def created(shop) -> str:
    return shop.http.post("/v1/subjects", json={}, headers=shop.as_(Role.SERVICE)).json()["subject"]


CREATING = sorted(
    operation["operationId"]
    for _, operation in operations(create_app().openapi())
    if "201" in operation["responses"] and operation["operationId"] != "import_person"
)
"""An import's body is no JSON: tests/consent/test_imports.py has its test."""


@pytest.mark.parametrize("name", CREATING)
def test_every_request_that_creates_is_answered_once(shop, problem, name):
    subject = created(shop)
    path, role, body, other = creating(shop, subject)[name]
    if name == "publish":  # Another person proposed it before: the second one puts it in force.
        assert shop.http.post(path, json=body, headers=shop.as_(role, "author")).status_code == 202
    headers = shop.as_(role, subject=subject) | {"idempotency-key": "k"}
    first, again = (shop.http.post(path, json=body, headers=headers) for _ in range(2))
    assert (first.status_code, again.status_code) == (201, 201), first.text
    assert first.json() == again.json()
    assert again.headers["idempotent-replayed"] == "true"
    assert rows(shop, KeptAnswer) == 1
    problem(shop.http.post(path, json=other, headers=headers), 422)
    another = headers | {"idempotency-key": "l"}
    expected = 202 if name == "publish" else 201
    assert shop.http.post(path, json=other, headers=another).status_code == expected


@pytest.mark.compliance("GDPR 17", "what is kept of answers about a person is erased with them")
@pytest.mark.parametrize("name", ["create", "decide", "serve", "ask"])
def test_an_answer_about_a_person_is_erased_with_them(shop, name):
    subject = created(shop)
    path, role, body, _ = creating(shop, subject)[name]
    headers = shop.as_(role, subject=subject) | {"idempotency-key": "k"}
    about = shop.http.post(path, json=body, headers=headers).json().get("subject", subject)
    with shop.http.app.state.registry.store.session.begin() as session:
        assert session.scalars(select(KeptAnswer.subject)).all() == [about]
        personal_data_rows.erase(session, {about})
    assert rows(shop, KeptAnswer) == 0


def test_what_is_shown_once_is_not_kept_in_the_clear(shop, stored):
    path, role, body, _ = creating(shop, created(shop))["add_recipient"]
    secret = shop.http.post(path, json=body, headers=shop.as_(role) | {"idempotency-key": "k"}).json()[
        "secret"
    ]
    assert secret.encode() not in stored()


def test_old_answers_are_forgotten_though_nobody_asks(shop):
    shop.http.post("/v1/subjects", json={}, headers=shop.as_(Role.SERVICE) | {"idempotency-key": "k"})
    registry = shop.http.app.state.registry
    shop.clock.now += KEEP_SECONDS - 1
    shop.http.portal.call(registry.upkeep.once)
    assert rows(shop, KeptAnswer) == 1
    shop.clock.now += 1
    shop.http.portal.call(registry.upkeep.once)
    assert rows(shop, KeptAnswer) == 0
