import hashlib
import hmac
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from joserfc import jws, jwt
from joserfc.jwk import ECKey, OctKey, OKPKey, RSAKey
from joserfc.util import urlsafe_b64encode

from covey_consent.access.authentication import TokenCache
from covey_consent.access.jwks import SET_BYTES, parse
from covey_consent.access.roles import Caller, Role
from covey_consent.access.tokens import Token, Tokens
from covey_consent.commands import token as command
from covey_consent.errors import TokenError
from covey_consent.settings import Settings
from covey_privacy.signatures import SigningKey

SQLITE_ALONE = True  # What these tests say does not rest on the database.

ISSUER, AUDIENCE = "https://login.shop.example", "covey-registry"
READ = "/v1/access-log"


def bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


class Provider:
    """An identity provider with one key of each kind that may sign."""

    def __init__(self, now: int) -> None:
        self.now = now
        self.keys = {
            "Ed25519": OKPKey.generate_key("Ed25519", {"kid": "ed"}),
            "EdDSA": OKPKey.generate_key("Ed25519", {"kid": "eddsa"}),
            "ES256": ECKey.generate_key("P-256", {"kid": "es"}),
            "RS256": RSAKey.generate_key(2048, {"kid": "rs"}),
            "PS256": RSAKey.generate_key(2048, {"kid": "ps"}),
        }

    @property
    def jwks(self) -> str:
        return json.dumps({"keys": [key.as_dict(private=False) for key in self.keys.values()]})

    def token(self, alg: str = "ES256", key=None, **claims) -> str:
        said = {
            "iss": ISSUER, "aud": AUDIENCE, "sub": "u-1", "role": "auditor",
            "iat": self.now, "exp": self.now + 600,
        }  # fmt: skip
        said = {name: value for name, value in {**said, **claims}.items() if value is not None}
        key = self.keys[alg] if key is None else key
        rules = jws.JWSRegistry(algorithms=[alg])
        rules.get_alg = lambda name: jws.JWSRegistry.algorithms[name]
        return jwt.encode({"alg": alg, "kid": key.kid or "none"}, said, key, registry=rules)


@pytest.fixture
def provider(clock) -> Provider:
    return Provider(int(clock.now))


@pytest.fixture
def trusting(opened, provider, tmp_path):
    jwks = tmp_path / "jwks.json"
    jwks.write_text(provider.jwks)

    def trusting(**changes):
        plain = {"idp_issuer": ISSUER, "idp_audience": AUDIENCE, "idp_jwks": str(jwks)}
        return opened(**{**plain, **changes})

    return trusting


def test_a_token_says_who_asks():
    tokens = Tokens(SigningKey(bytes(32)), "here")
    caller = Caller(Role.SUBJECT, "x", "5f" * 16)
    first, second = (tokens.open(tokens.mint(caller, 1000, 60), 1059) for _ in range(2))
    assert (first.caller, first.expires_at, first.issued_at, first.thumbprint) == (caller, 1060, 1000, None)
    assert first.id != second.id
    assert first.caller.credential == first.id


def test_an_expired_token_is_refused():
    tokens = Tokens(SigningKey(bytes(32)), "here")
    with pytest.raises(TokenError, match="expired"):
        tokens.open(tokens.mint(Caller(Role.ADMIN, "x"), 1000, 60), 1060)


def test_a_token_of_another_registry_is_refused(shop, problem):
    now = int(shop.clock.now)
    other = Tokens(SigningKey(b"o" * 32), "covey.test/log").mint(Caller(Role.ADMIN, "eve"), now, 60)
    elsewhere = Tokens(shop.registry, "covey.other/log").mint(Caller(Role.ADMIN, "eve"), now, 60)
    problem(shop.http.get(READ, headers=bearer(other)), 401)
    problem(shop.http.get(READ, headers=bearer(elsewhere)), 401)


def forged(key: OKPKey, header: dict, claims: dict, secret: bytes | None) -> str:
    """Sign the claims as no honest party would."""
    head, body = (urlsafe_b64encode(json.dumps(part).encode()).decode() for part in (header, claims))
    signature = b""
    if secret is not None:
        signature = hmac.digest(secret, f"{head}.{body}".encode(), hashlib.sha256)
    return f"{head}.{body}.{urlsafe_b64encode(signature).decode()}"


def test_no_signature_and_a_public_key_as_a_secret_are_refused(trusting, problem):
    with trusting() as shop:
        now, key = int(shop.clock.now), shop.http.app.state.registry.tokens
        ours = {"iss": "covey.test/log", "aud": "covey.test/log", "sub": "eve", "role": "admin"}
        theirs = {"iss": ISSUER, "aud": AUDIENCE, "sub": "eve", "role": "admin"}
        times = {"iat": now, "exp": now + 60}
        public = json.dumps(dict(key.public)).encode()
        raw = OKPKey.import_key(dict(key.public)).public_key.public_bytes_raw()
        for kid, claims in ((key.kid, ours), ("es", theirs), ("ed", theirs), (None, ours)):
            for alg, secret in (("none", None), ("None", None), ("HS256", public), ("HS256", raw)):
                header = {"alg": alg, "typ": "JWT"} | ({} if kid is None else {"kid": kid})
                answer = shop.http.get(READ, headers=bearer(forged(key, header, claims | times, secret)))
                problem(answer, 401)
                assert 'error="invalid_token"' in answer.headers["www-authenticate"]


@pytest.mark.parametrize("alg", ["Ed25519", "EdDSA", "ES256", "RS256", "PS256"])
def test_a_provider_signs_with_any_allowed_algorithm(trusting, provider, alg):
    with trusting() as shop:
        assert shop.http.get(READ, headers=bearer(provider.token(alg))).status_code == 200


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"aud": "another-service"}, "aud"),
        ({"aud": None}, "aud"),
        ({"iss": "https://login.elsewhere.example"}, "iss"),
        ({"exp": 1_799_999_699}, "expired"),
        ({"exp": None}, "exp"),
        ({"iat": 1_800_000_301}, "future"),
        ({"iat": None}, "iat"),
        ({"nbf": 1_800_000_301}, "not yet"),
        ({"sub": None}, "sub"),
        ({"role": "root"}, "0 of the registry's roles"),
        ({"role": ["auditor", "officer"]}, "2 of the registry's roles"),
        ({"role": {"auditor": 1}}, "0 of the registry's roles"),
        ({"cnf": {"x5t#S256": "abc"}}, "cnf.jkt"),
    ],
)
def test_a_provider_s_token_has_to_be_for_us_and_now(trusting, provider, problem, changes, says):
    with trusting() as shop:
        assert says in problem(shop.http.get(READ, headers=bearer(provider.token(**changes))), 401)


def test_clocks_may_differ_by_the_tolerance(trusting, provider):
    with trusting() as shop:
        now = provider.now
        for changes in ({"exp": now - 299}, {"iat": now + 300}, {"nbf": now + 300}):
            assert shop.http.get(READ, headers=bearer(provider.token(**changes))).status_code == 200
        shop.clock.now += 2
        late = shop.http.get(READ, headers=bearer(provider.token(exp=now - 299)))
        assert late.status_code == 401, "a token that was verified once still expires"


def test_a_provider_s_names_of_roles_are_the_operator_s_to_map(trusting, provider, problem):
    mapping = {"idp_role_claim": "realm_access.roles", "idp_roles": {"dpo": Role.AUDITOR}}
    with trusting(**mapping) as shop:
        named = provider.token(role=None, realm_access={"roles": ["staff", "dpo"]})
        assert shop.http.get(READ, headers=bearer(named)).status_code == 200
        unmapped = provider.token(role="auditor", realm_access={"roles": ["staff", "auditor"]})
        problem(shop.http.get(READ, headers=bearer(unmapped)), 401)


def test_a_key_that_the_provider_does_not_publish_signs_nothing(trusting, provider, problem):
    with trusting() as shop:
        stolen_name = ECKey.generate_key("P-256", {"kid": "es"})
        unknown = ECKey.generate_key("P-256", {"kid": "new"})
        for key in (stolen_name, unknown):
            problem(shop.http.get(READ, headers=bearer(provider.token("ES256", key))), 401)


def test_only_public_signing_keys_are_taken_from_a_set():
    good = ECKey.generate_key("P-256", {"kid": "good"})
    entries = [
        good.as_dict(private=False),
        OctKey.generate_key(256, {"kid": "secret"}).as_dict(private=True),
        {
            "kty": "RSA",
            "kid": "weak",
            "e": "AQAB",
            "n": urlsafe_b64encode(b"\xc1" + b"\x01" * 127).decode(),
        },
        {**ECKey.generate_key("P-256", {"kid": "enc"}).as_dict(private=False), "use": "enc"},
        {"kty": "EC", "kid": "broken", "crv": "P-256", "x": "AA", "y": "AA"},
        {"kty": "EC", "kid": "empty"},
        "none",
    ]
    assert {key for key in parse(json.dumps({"keys": entries}).encode()) if key} == {"good"}
    for broken in (b"[]", b"{}", b'{"keys": 1}', b"\xff"):
        with pytest.raises(ValueError):  # noqa: PT011
            parse(broken)


class Served:
    """A JWK set over HTTP that counts how often it is fetched."""

    def __init__(self) -> None:
        self.body, self.fetched = b"", 0
        served = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                served.fetched += 1
                self.send_response(200)
                self.end_headers()
                self.wfile.write(served.body)

            def log_message(self, *_args) -> None: ...

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/jwks"


@pytest.fixture
def served():
    served = Served()
    thread = threading.Thread(target=served.server.serve_forever)
    thread.start()
    yield served
    served.server.shutdown()
    served.server.server_close()
    thread.join()


def test_keys_are_fetched_anew_for_an_unknown_one_but_not_all_the_time(trusting, provider, served):
    served.body = provider.jwks.encode()
    with trusting(idp_jwks=served.url, idp_jwks_seconds=60) as shop:

        def ask(key: str, role: str = "auditor", **claims) -> int:
            token = provider.token(key, role=role, **claims)
            return shop.http.get(READ, headers=bearer(token)).status_code

        assert (ask("ES256"), ask("Ed25519"), served.fetched) == (200, 200, 1)
        provider.keys["ES256"] = ECKey.generate_key("P-256", {"kid": "rotated"})
        served.body = provider.jwks.encode()
        assert (ask("ES256"), served.fetched) == (401, 1), "too soon to ask again"
        shop.clock.now += 60
        assert (ask("ES256"), served.fetched) == (200, 2)


def test_keys_that_cannot_be_fetched_are_503_and_a_withdrawn_key_is_forgotten(trusting, provider, served):
    served.body = b"x" * (SET_BYTES + 1)
    with trusting(idp_jwks=served.url, idp_jwks_seconds=60) as shop:
        long = {"exp": provider.now + 90_000}
        assert shop.http.get(READ, headers=bearer(provider.token(**long))).status_code == 503
        served.body = provider.jwks.encode()
        shop.clock.now += 60
        withdrawn = bearer(provider.token("ES256", **long))
        assert shop.http.get(READ, headers=withdrawn).status_code == 200
        del provider.keys["ES256"]
        served.body = provider.jwks.encode()
        shop.clock.now += 3602
        assert shop.http.get(READ, headers=withdrawn).status_code == 401


def test_a_person_logs_in_by_the_identity_provider(trusting, provider, problem):
    """A claim says whose records a person's token opens; they see no one else's."""
    with trusting() as shop:
        own, other = (
            shop.http.post("/v1/subjects", json={}, headers=shop.as_(Role.SERVICE)).json()["subject"]
            for _ in range(2)
        )
        token = bearer(provider.token(role="subject", sub=own))
        assert shop.http.get(f"/v1/subjects/{own}/consents", headers=token).status_code == 200
        problem(shop.http.get(f"/v1/subjects/{other}/consents", headers=token), 403)
        for sub in ("u-1", own.upper(), own[:-1]):
            stranger = bearer(provider.token(role="subject", sub=sub))
            assert "pseudonym" in problem(
                shop.http.get(f"/v1/subjects/{own}/consents", headers=stranger), 401
            )
        strange = bearer(provider.token(sub="u\0"))
        assert "printable" in problem(shop.http.get(READ, headers=strange), 401)
    with trusting(idp_subject_claim="covey.subject") as shop:
        said = {"role": "subject", "covey": {"subject": own}}
        token = bearer(provider.token(**said))
        assert shop.http.get(f"/v1/subjects/{own}/consents", headers=token).status_code == 200
        problem(shop.http.get(f"/v1/subjects/{other}/consents", headers=token), 403)
        missing = bearer(provider.token(role="subject", sub=own))
        problem(shop.http.get(f"/v1/subjects/{own}/consents", headers=missing), 401)


def test_half_a_provider_is_no_setting():
    with pytest.raises(ValueError, match="all three"):
        Settings(idp_issuer=ISSUER)
    with pytest.raises(ValueError, match="https"):
        Settings(idp_issuer=ISSUER, idp_audience=AUDIENCE, idp_jwks="http://login.shop.example/jwks")


def test_a_service_s_token_is_verified_once_and_forgotten_when_it_expires(shop, monkeypatch):
    opened = []
    plain = Tokens.open
    monkeypatch.setattr(Tokens, "open", lambda self, *args: opened.append(1) or plain(self, *args))
    headers = shop.as_(Role.AUDITOR)
    for _ in range(5):
        assert shop.http.get(READ, headers=headers).status_code == 200
    assert len(opened) == 1
    shop.clock.now += 3600
    assert shop.http.get(READ, headers=headers).status_code == 401


def test_only_so_many_verified_tokens_are_kept():
    verified = TokenCache(limit=2)
    token = Token(Caller(Role.SERVICE, "x"), 10**10)
    for text in "abc":
        verified.keep(text, token, 0)
    assert [verified.get(text, 1) for text in "abc"] == [None, token, token]
    assert verified.get("b", 3600) is None, "verified anew within the hour"


HEADERS = (
    '"alg"', "[]", '["alg"]', "1", '{"alg":["none"]}', '{"alg":1}', '{"alg":null}', "[" * 300,
    '{"alg":"Ed25519","kid":7}', '{"alg":"Ed25519","kid":"KID"}', '{"alg":["Ed25519"],"kid":"KID"}',
    '{"alg":{},"kid":"KID"}', '{"alg":"Ed25519","kid":"KID","crit":["x"]}', '{"alg":"EdDSA","kid":"KID"}',
    '{"alg":"Ed25519","kid":"KID","crit":1}', '{"alg":"Ed25519","kid":"KID","b64":false,"crit":["b64"]}',
)  # fmt: skip


@pytest.mark.parametrize("header", HEADERS)
def test_a_token_with_a_strange_header_is_refused(shop, problem, header):
    named = header.replace("KID", shop.http.app.state.registry.tokens.kid)
    for tail in ("..", ".e30.", ".e30.AAAA", ".e30", ".-.-", ".e30.AA.AA"):
        token = urlsafe_b64encode(named.encode()).decode() + tail
        problem(shop.http.get(READ, headers=bearer(token)), 401)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=200))
def test_whatever_comes_as_a_token_is_refused(shop, data):
    sent = b"Bearer " + data.translate(None, b"\r\n\0")
    assert shop.http.get(READ, headers={"authorization": sent}).status_code == 401


def test_the_command_prints_a_token_that_the_registry_takes(shop, capsys, tmp_path, monkeypatch):
    settings = Settings(key_file=tmp_path / "registry.key", origin="covey.test/log")
    monkeypatch.setattr("time.time", shop.clock)
    assert command.mint("auditor", "alice", 8, settings=settings) == 0
    printed = capsys.readouterr().out.strip()
    assert shop.http.get(READ, headers=bearer(printed)).json()["items"][0]["name"] == "alice"


@pytest.mark.parametrize(
    "wish",
    [
        ("root", "alice", 8, None),
        ("officer", "", 8, None),
        ("officer", "alice", 0, None),
        ("officer", "alice", 9000, None),
        ("officer", "alice", 8, "5f" * 16),
        ("subject", "alice", 8, None),
    ],
)
def test_the_command_refuses_a_wrong_wish_in_one_line(wish, capsys, tmp_path):
    (tmp_path / "k").write_text("ab" * 32)
    (tmp_path / "k").chmod(0o600)
    assert command.mint(*wish, settings=Settings(key_file=tmp_path / "k")) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_the_command_makes_no_key_where_there_is_none(tmp_path):
    assert command.mint("officer", "alice", 8, settings=Settings(key_file=tmp_path / "k")) == 2
    assert not (tmp_path / "k").exists()
