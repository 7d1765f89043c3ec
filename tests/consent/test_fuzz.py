"""Requests that nobody would think of: no operation fails, or answers what its document does not say."""

from pathlib import Path

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from schemathesis.checks import CHECKS, load_all_checks
from test_authorisation import GUARDED

from covey_consent.access.roles import Role
from covey_consent.api.media import CBOR, ZIP
from covey_consent.app import create_app
from covey_privacy import merkle
from covey_privacy.registry_messages import GRANTED

pytestmark = pytest.mark.slow

SEED, EXAMPLES = 1, 20

schemathesis.openapi.media_type(CBOR, st.binary(max_size=400))
schemathesis.openapi.media_type(ZIP, st.binary(max_size=400))
load_all_checks()
CHECKED = CHECKS.get_by_names([
    "not_a_server_error", "status_code_conformance", "content_type_conformance",
    "response_schema_conformance", "response_headers_conformance",
])  # fmt: skip

SCHEMA = schemathesis.openapi.from_dict(create_app().openapi())
OPERATIONS = {one.ok().label: one.ok() for one in SCHEMA.get_all_operations()}
CALLS = [(label, role) for label in OPERATIONS for role in (None, *sorted(GUARDED.get(label, ())))]

bounded = settings(
    max_examples=EXAMPLES, database=None, deadline=None, phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)  # fmt: skip


@pytest.fixture
def database_url(tmp_path: Path) -> str:
    """The URL of a database without a row: on SQLite alone, for the statements are the same on any."""
    return f"sqlite:///{tmp_path}/registry.db"


@pytest.fixture
def known(shop) -> dict[str, str]:
    """What exists, by the parameter of a path that names it; and by an address, what is below it."""

    def make(path: str, role: Role, body: dict, key: str) -> str:
        answer = shop.http.post(path, json=body, headers=shop.as_(role, subject=subject))
        assert answer.status_code == 201, answer.text
        return answer.json()[key]

    subject = None
    subject = make("/v1/subjects", Role.SERVICE, {"country": "DE"}, "subject")
    notice = shop.notices()["train"]
    said = {
        "purpose": "train", "state": GRANTED, "notice_version": notice.version, "language": "en",
        "text_sha256": notice.text("en").digest.hex(), "method": "toggle",
    }  # fmt: skip
    recipient = {"name": "Mail", "url": "https://mail.example/covey", "purposes": ["marketing"]}
    paper = {"purpose": "health", "kind": "dpia", "document_sha256": "ab" * 32, "valid_until": 1830000000}
    return {
        "subject": subject,
        "purpose": "train",
        "purposes": "train",
        "text_sha256": notice.text("en").digest.hex(),
        "epoch": str(shop.clock.epoch),
        "leaf": merkle.leaf_hash(shop.entries()[0]).hex(),
        "event": make(f"/v1/subjects/{subject}/consents", Role.SUBJECT, said, "event"),
        "assessment": make("/v1/assessments", Role.OFFICER, paper, "id"),
        "/v1/rights": make("/v1/rights", Role.SUBJECT, {"kind": "access"}, "id"),
        "/v1/recipients": make("/v1/recipients", Role.ADMIN, recipient, "id"),
        "/v1/breaches": make("/v1/breaches", Role.OFFICER, {}, "id"),
    }


@pytest.mark.parametrize(("label", "role"), CALLS, ids=[f"{label} {role}" for label, role in CALLS])
def test_whatever_is_asked_is_answered_as_the_document_says(shop, known, label, role):
    operation = OPERATIONS[label]
    cases = st.one_of(*(operation.as_strategy(mode) for mode in schemathesis.GenerationMode))

    @seed(SEED)
    @bounded
    @given(cases, st.booleans(), st.booleans())
    def ask(case, of_what_exists, as_in_the_example):
        if of_what_exists:
            place(case, known)
        if as_in_the_example:
            say(case, known)
        answer = send(shop, case, token(shop, role, known["subject"]))
        assert role is None or answer.status_code != 401, answer.text
        case.validate_response(answer, checks=CHECKED)

    ask()


def place(case: schemathesis.Case, known: dict[str, str]) -> None:
    """Let the case name what exists."""
    names = {**known, "id_": known.get("/".join(case.operation.path.split("/")[:3]))}
    for parameters in (case.path_parameters, case.query):
        for name in parameters.keys() & names.keys():
            parameters[name] = names[name] or parameters[name]


def say(case: schemathesis.Case, known: dict[str, str]) -> None:
    """Let the case say in its body what the document's example says, of what exists."""
    media = case.operation.definition.raw.get("requestBody", {}).get("content", {}).get("application/json")
    if media:
        own = {name: value for name, value in known.items() if name in media["example"] and name != "purpose"}
        case.body, case.media_type = {**media["example"], **own}, "application/json"


def token(shop, role: Role | None, subject: str) -> dict[str, str]:
    return {} if role is None else shop.as_(role, role.value, subject)


def send(shop, case: schemathesis.Case, headers: dict[str, str]):
    prepared = requests.Request(**case.as_transport_kwargs("http://testserver")).prepare()
    prepared.headers.update(headers)
    return shop.http.request(
        prepared.method, prepared.url, content=prepared.body, headers=dict(prepared.headers)
    )


@pytest.mark.parametrize("path", ["/v1/enrolments", "/v1/decisions", "/v1/sync", "/v1/tickets"])
def test_a_spoilt_message_is_refused_and_nothing_else(shop, problem, path):
    """Bytes cut out of a message, put in or turned over: random ones are no CBOR and do not come far."""
    phone = shop.phone()
    message = {
        "/v1/enrolments": shop.stranger().enrolment(),
        "/v1/decisions": phone.decision(shop.notices()["train"]),
    }.get(path, phone.sync())
    whole = phone.batch(message) if path in ("/v1/enrolments", "/v1/decisions") else message

    @seed(SEED)
    @settings(bounded, max_examples=200)
    @given(st.integers(0, len(whole) - 1), st.integers(0, 3), st.binary(max_size=3))
    def ask(start, length, put):
        spoilt = whole[:start] + put + whole[start + length :]
        if spoilt != whole:
            answer = shop.post(path, spoilt)
            assert 400 <= answer.status_code < 500, (start, length, put)
            problem(answer, answer.status_code)

    ask()
