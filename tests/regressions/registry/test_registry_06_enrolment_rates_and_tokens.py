"""Enrolment: a batch counts each of its people, and where the shop has accounts it takes a token."""

import hashlib
from contextlib import contextmanager

import httpx

from covey_consent.access.roles import Role
from covey_privacy import wire
from covey_privacy.registry_messages import Batch
from covey_privacy.signatures import SigningKey
from covey_sdk.registry_client import RegistryClient
from covey_sdk.trust import Trust


def crowd(shop, count: int) -> bytes:
    """Return a batch that enrols so many new devices."""
    phones = [shop.stranger() for _ in range(count)]
    return wire.encode(Batch(tuple(p.enrolment() for p in phones), tuple(p.device for p in phones)))


def people(shop) -> int:
    from sqlalchemy import func, select

    from covey_consent.storage.models import Subject

    with shop.http.app.state.registry.store.session() as session:
        return session.scalar(select(func.count()).select_from(Subject))


def test_enrolment_rates_and_tokens(shop, problem):
    """8,600 people from one address in two requests: 1,000 an hour is what the shipped settings allow."""
    keys = [SigningKey(hashlib.sha256(b"flood %d" % n).digest()) for n in range(4300)]
    phones = [type(shop.stranger())(shop.clock, key) for key in keys]
    batch = Batch(tuple(p.enrolment() for p in phones), tuple(p.device for p in phones))
    answer = shop.post("/v1/enrolments", wire.encode(batch))
    assert "smaller batches" in problem(answer, 429)
    assert people(shop) == 0


def test_each_person_of_a_batch_counts(opened, problem):
    with opened(rate_enrolments="10/hour") as shop:
        assert shop.post("/v1/enrolments", crowd(shop, 6)).status_code == 204
        answer = shop.post("/v1/enrolments", crowd(shop, 5))
        assert problem(answer, 429)
        assert 0 < int(answer.headers["retry-after"]) <= 3600
        assert shop.post("/v1/enrolments", crowd(shop, 4)).status_code == 204, (
            "what was refused is not counted"
        )
        problem(shop.post("/v1/enrolments", crowd(shop, 1)), 429)
        assert people(shop) == 10
        assert shop.post("/v1/enrolments", crowd(shop, 20), **shop.as_(Role.SERVICE)).status_code == 204


def test_each_decision_of_a_batch_counts(opened, problem):
    with opened(rate_address="10/hour") as shop:
        phone = shop.phone()
        notice = shop.notices()["train"]
        some = [phone.decision(notice, at=shop.clock.ms + n) for n in range(9)]
        problem(shop.post("/v1/decisions", phone.batch(*some)), 429)
        assert shop.post("/v1/decisions", phone.batch(*some[:6])).status_code == 204


def test_where_a_token_is_needed_a_device_is_its_person_s(opened, problem):
    with opened(enrolment_needs_token=True) as shop:
        phone = shop.stranger()
        enrolment = phone.batch(phone.enrolment())
        problem(shop.post("/v1/enrolments", enrolment), 401)
        problem(shop.post("/v1/enrolments", enrolment, authorization="Bearer a.b.c"), 401)
        problem(shop.post("/v1/enrolments", enrolment, **shop.as_(Role.OFFICER)), 403)
        problem(shop.post("/v1/enrolments", enrolment, **shop.as_(Role.SUBJECT, subject="0" * 32)), 404)
        made = [shop.http.post("/v1/subjects", json={}, headers=shop.as_(Role.SERVICE)) for _ in range(2)]
        one, other = (answer.json()["subject"] for answer in made)
        own = shop.as_(Role.SUBJECT, subject=one)
        assert [shop.post("/v1/enrolments", enrolment, **own).status_code for _ in range(2)] == [204, 204]
        problem(shop.post("/v1/enrolments", enrolment, **shop.as_(Role.SUBJECT, subject=other)), 409)
        second = shop.stranger()
        assert shop.post("/v1/enrolments", second.batch(second.enrolment()), **own).status_code == 204
        shop.grant(phone, "train")
        assert shop.choices(second)["train"] == "granted", "both phones are one person's"
        assert people(shop) == 2
        gone = shop.http.delete(f"/v1/subjects/{one}/devices/{phone.device.hex()}", headers=own)
        assert gone.status_code == 204
        problem(shop.post("/v1/enrolments", enrolment, **own), 403)


def test_the_app_sends_its_token_with_the_enrolment_alone(opened):
    with opened(enrolment_needs_token=True) as shop:
        one = shop.http.post("/v1/subjects", json={}, headers=shop.as_(Role.SERVICE)).json()["subject"]
        token = shop.as_(Role.SUBJECT, subject=one)["authorization"].removeprefix("Bearer ")
        phone, sent = shop.stranger(), []

        @contextmanager
        def way():
            def carry(request: httpx.Request) -> httpx.Response:
                sent.append((request.url.path, "authorization" in request.headers))
                answer = shop.http.request(
                    request.method, request.url.path, content=request.content, headers=request.headers
                )
                return httpx.Response(answer.status_code, content=answer.content)

            with httpx.Client(transport=httpx.MockTransport(carry), base_url="http://registry") as client:
                trust = Trust(shop.operator.public, shop.registry.public, "covey.test/log")
                yield RegistryClient(client, trust, enrolment_token=token)

        with way() as registry:
            registry.enrol(Batch((phone.enrolment(),), (phone.device,)))
            registry.decide(Batch((phone.decision(shop.notices()["train"]),), (phone.device,)))
        assert sent == [("/v1/enrolments", True), ("/v1/decisions", False)]
