"""A lean route answers, and refuses, as FastAPI's own serving of the same function does."""

import inspect
from typing import Annotated, Literal

import pytest
from fastapi import APIRouter, Cookie, Depends, FastAPI, Header, Query, Request, Response
from fastapi.testclient import TestClient
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from covey_consent.api import problems
from covey_consent.api.http import add_routes
from covey_consent.api.lean import lean
from covey_consent.errors import DeniedError

Word = Annotated[str, StringConstraints(pattern="^[a-z]+$")]


class Yes(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    state: Literal["granted"]
    version: int


class No(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    state: Literal["refused"]


Said = Annotated[Yes | No, Field(discriminator="state")]


async def path(request: Request, shop_tag: Annotated[str, Header(min_length=2)] = "none") -> str:
    return f"{request.method} {shop_tag}"


async def guard(at: Annotated[str, Depends(path)], who: Annotated[str, Header()]) -> str:
    if who == "nobody":
        raise DeniedError("nobody may")
    return f"{who} {at}"


async def say(
    word: Word,
    said: Said,
    who: Annotated[str, Depends(guard)],
    key: Annotated[str | None, Header(alias="Idempotency-Key", max_length=5)] = None,
    size: Annotated[int, Query(ge=0)] = 7,
) -> Response:
    return Response(f"{word} {said!r} {who} {key} {size}", 201)


async def ask(word: Word, who: Annotated[str, Depends(guard)], size: int = 7) -> Response:
    return Response(f"{word} {who} {size}")


def marked(endpoint):
    """Return the function as another, marked to be served leanly."""

    async def again(**values):
        return await endpoint(**values)

    again.__signature__ = inspect.signature(endpoint)
    again.__annotations__ = endpoint.__annotations__
    return lean(again)


@pytest.fixture(scope="module")
def http():
    app, router = FastAPI(), APIRouter()
    for kind, made in (("plain", lambda endpoint: endpoint), ("lean", marked)):
        router.post(f"/{kind}/{{word}}")(made(say))
        router.get(f"/{kind}/{{word}}")(made(ask))
    add_routes(app, router)
    problems.install(app)
    with TestClient(app, raise_server_exceptions=False) as client:
        yield client


YES = b'{"state":"granted","version":1}'
JSON = {"content-type": "application/json"}

ASKED = {
    "a yes": ("POST", "/a", {"who": "me"} | JSON, YES),
    "a no": ("POST", "/a", {"who": "me"} | JSON, b'{"state":"refused"}'),
    "a key": ("POST", "/a", {"who": "me", "idempotency-key": "k"} | JSON, YES),
    "a query": ("POST", "/a?size=9", {"who": "me"} | JSON, YES),
    "a suffix": ("POST", "/a", {"who": "me", "content-type": "application/ld+json; charset=utf-8"}, YES),
    "a long key": ("POST", "/a", {"who": "me", "idempotency-key": "k" * 6} | JSON, YES),
    "a word in capitals": ("POST", "/A", {"who": "me"} | JSON, YES),
    "a negative size": ("POST", "/a?size=-1", {"who": "me"} | JSON, YES),
    "a size that is none": ("GET", "/a?size=x", {"who": "me"}, None),
    "nobody": ("POST", "/a", {"who": "nobody"} | JSON, YES),
    "no who": ("POST", "/a", JSON, YES),
    "a short tag": ("GET", "/a", {"who": "me", "shop-tag": "t"}, None),
    "a short tag of nobody": ("GET", "/a", {"who": "nobody", "shop-tag": "t"}, None),
    "no body": ("POST", "/a", {"who": "me"}, None),
    "another state": ("POST", "/a", {"who": "me"} | JSON, b'{"state":"objected"}'),
    "a field too many": ("POST", "/a", {"who": "me"} | JSON, b'{"state":"refused","version":1}'),
    "a list": ("POST", "/a", {"who": "me"} | JSON, b"[]"),
    "null": ("POST", "/a", {"who": "me"} | JSON, b"null"),
    "half a body": ("POST", "/a", {"who": "me"} | JSON, b'{"state":'),
    "half a character": ("POST", "/a", {"who": "me"} | JSON, b'{"state":"\xc3"}'),
    "a NUL": ("POST", "/a", {"who": "me"} | JSON, b'{"state":"\\u0000"}'),
    "NaN": ("POST", "/a", {"who": "me"} | JSON, b'{"state":"granted","version":NaN}'),
    "a text": ("POST", "/a", {"who": "me", "content-type": "text/plain"}, YES),
    "no media type": ("POST", "/a", {"who": "me"}, YES),
    "a form": ("POST", "/a", {"who": "me", "content-type": "application/x-www-form-urlencoded"}, b"a=b"),
    "another method": ("PUT", "/a", {"who": "me"} | JSON, YES),
    "a tag": ("GET", "/a", {"who": "me", "shop-tag": "blue"}, None),
    "a question": ("GET", "/a", {"who": "me"}, None),
}


@pytest.mark.parametrize("asked", ASKED)
def test_it_answers_as_the_plain_route(http, asked):
    method, path, headers, body = ASKED[asked]
    plain, served = (
        http.request(method, f"/{kind}{path}", headers=headers, content=body) for kind in ("plain", "lean")
    )
    assert served.status_code == plain.status_code
    assert served.text == plain.text
    assert served.status_code < 500


@pytest.mark.parametrize("kind", ["plain", "lean"])
def test_who_leaves_in_the_middle_of_a_body_is_no_failure_of_the_server(http, kind):
    parts = iter([{"type": "http.request", "body": YES[:9], "more_body": True}, {"type": "http.disconnect"}])
    answered = []

    async def receive():
        return next(parts)

    async def send(message):
        answered.append(message)

    scope = {
        "type": "http", "method": "POST", "path": f"/{kind}/a", "query_string": b"", "root_path": "",
        "headers": [(b"who", b"me"), (b"content-type", b"application/json")],
    }  # fmt: skip
    http.portal.call(http.app, scope, receive, send)
    assert answered[0]["status"] == 400


def test_the_comparison_shows_both_answers_and_refusals(http):
    seen = {http.request(m, f"/lean{p}", headers=h, content=b).status_code for m, p, h, b in ASKED.values()}
    assert seen == {200, 201, 403, 405, 415, 422}


async def crumbs(crumb: Annotated[str, Cookie()]) -> Response:
    return Response(crumb)


async def headed(response: Response) -> Response:
    return response


def at_once(word: str) -> Response:
    return Response(word)


async def needy(word: Annotated[Response, Depends(at_once)]) -> Response:
    return word


@pytest.mark.parametrize("endpoint", [crumbs, headed, at_once, needy])
def test_what_asks_for_more_is_refused_when_the_routes_are_made(endpoint):
    router = APIRouter()
    router.get("/greedy")(lean(endpoint))
    with pytest.raises(TypeError, match="serve it by FastAPI"):
        add_routes(FastAPI(), router)
