"""What all bodies together may hold, and when it is free again."""

import asyncio

import pytest
from starlette.exceptions import HTTPException
from starlette.requests import Request

from covey_server.decryptor.bodies import Bodies


def request(*chunks):
    said = [{"type": "http.request", "body": chunk, "more_body": True} for chunk in chunks]
    said.append({"type": "http.request", "body": b"", "more_body": False})
    messages = iter(said)

    async def receive():
        return next(messages)

    return Request({"type": "http", "method": "POST", "headers": []}, receive)


def refused(status, bodies, asked, limit):
    async def read():
        async with bodies.read(asked, limit):
            pytest.fail("it was read")

    with pytest.raises(HTTPException) as caught:
        asyncio.run(read())
    assert caught.value.status_code == status


def test_bodies_count_together_until_they_are_answered():
    bodies = Bodies(100)

    async def play():
        async with bodies.read(request(b"a" * 60), 100) as first:
            assert first == b"a" * 60
            with pytest.raises(HTTPException) as caught:
                async with bodies.read(request(b"b" * 20, b"b" * 21), 100):
                    pytest.fail("it was read")
            assert caught.value.status_code == 503
            async with bodies.read(request(b"c" * 40), 100) as third:
                assert len(third) == 40
        async with bodies.read(request(b"d" * 50, b"d" * 50), 100) as last:
            assert len(last) == 100

    asyncio.run(play())


def test_a_body_is_refused_one_byte_above_its_limit_and_counts_no_more():
    bodies = Bodies(100)
    for _ in range(3):
        refused(413, bodies, request(b"x" * 50, b"x" * 11), 60)
    refused(503, bodies, request(b"x" * 101), 1000)
