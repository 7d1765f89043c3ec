"""A clock that jumps erases nobody: what time makes due stops until an administrator confirms the time.

A jump of four years for five seconds erased people and the keys that open their records.
"""

import re
import subprocess
import sys
import time
from dataclasses import dataclass
from datetime import UTC, datetime

import pytest
from sqlalchemy import func, select
from test_recipients import QUICK, add, letters, listening, until

from covey_consent.access.idempotency import KeptAnswer
from covey_consent.access.roles import Role
from covey_consent.commands import clock as command
from covey_consent.commands import retention
from covey_consent.decisions.consent_event import ConsentEvent
from covey_consent.errors import RequestError, UnavailableError
from covey_consent.operations.clock_monitor import DOWNTIME_SECONDS, TOLERANCE_SECONDS, ClockState
from covey_consent.settings import Settings
from covey_consent.storage.models import Base, IssuerSecret, Subject
from covey_privacy.registry_messages import GRANTED

DAY = 86400
YEAR = 366 * DAY
JUMP = 4 * YEAR


@dataclass
class Steady:
    """A monotonic clock, which moves only where a test says that time goes by."""

    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def steady() -> Steady:
    return Steady()


@pytest.fixture
def judged(opened, steady):
    """Open a registry whose clock is judged by the monotonic one."""
    return lambda **settings: opened(monotonic=steady, **settings)


def go_by(shop, steady, seconds) -> None:
    shop.clock.now += seconds
    steady.now += seconds


def upkeep(shop):
    return shop.http.portal.call(shop.http.app.state.registry.upkeep.once)


def registry(shop):
    return shop.http.app.state.registry


def count(shop, table=Subject) -> int:
    with registry(shop).store.session() as session:
        return session.scalar(select(func.count()).select_from(table)) or 0


def everything(shop) -> dict[str, int]:
    """Return how many rows each table has, without those that the loops write by themselves."""
    own = {"clock_state", "write_probe", "promised", "log", "checkpoints"}
    return {name: count(shop, table) for name, table in Base.metadata.tables.items() if name not in own}


def clock(shop) -> dict[str, str]:
    return shop.http.get("/readyz").json()["clock"]


def metric(shop, name) -> float:
    text = shop.http.get("/metrics", headers=shop.as_(Role.OPERATOR)).text
    return float(re.search(rf"^{name} (\S+)$", text, re.MULTILINE)[1])


def confirm(shop, stated=None):
    said = {"now": int(shop.clock.now if stated is None else stated)}
    return shop.http.post("/v1/clock/confirmations", json=said, headers=shop.as_(Role.ADMIN))


def lived(shop):
    """Have a person end one choice, another hold one for good, and both grant one that lapses in a year."""
    ended, holds = shop.phone(), shop.phone()
    shop.grant(ended, "train")
    shop.clock.now += 1
    shop.withdraw(ended, "train")
    shop.grant(holds, "train")
    with registry(shop).store.session() as session:
        people = session.scalars(select(Subject.subject)).all()
    for person in people:
        act = ConsentEvent(
            person, "analytics", GRANTED, "subject", "toggle", shop.clock.ms, "1", 1,
            expires_at=shop.clock.ms + 1000 * YEAR,
        )  # fmt: skip
        shop.http.portal.call(registry(shop).recorder.submit, [act])
    made = shop.http.post("/v1/subjects", json={}, headers=shop.as_(Role.SERVICE) | {"idempotency-key": "k"})
    assert made.status_code == 201


def test_a_clock_jump_erases_nobody(judged, steady):
    with judged() as shop:
        lived(shop)
        upkeep(shop)
        before = everything(shop)
        shop.clock.now += JUMP
        assert upkeep(shop) == 0
        assert everything(shop) == before
        assert clock(shop)["state"] == "stopped"
        shop.clock.now -= JUMP
        go_by(shop, steady, 5)
        assert upkeep(shop) == 0
        assert everything(shop) == before
        assert clock(shop)["state"] == "stopped", "until somebody confirms"
        assert metric(shop, "covey_registry_clock_stopped") == 1
        assert shop.http.get("/readyz").json()["status"] == "degraded"
        assert confirm(shop).status_code == 204
        assert clock(shop) == {"state": "trusted", "reason": ""}
        assert metric(shop, "covey_registry_clock_stopped") == 0
        go_by(shop, steady, JUMP)
        assert upkeep(shop) == 2, "grants lapse by time that goes by"
        go_by(shop, steady, JUMP)
        upkeep(shop)
        assert count(shop) == 1, "who still allows something stays"


def test_time_that_goes_by_needs_no_confirmation(judged, steady):
    with judged() as shop:
        lived(shop)
        for _ in range(5):
            go_by(shop, steady, YEAR)
            shop.clock.now += TOLERANCE_SECONDS / 10
            upkeep(shop)
        assert clock(shop)["state"] == "trusted"
        assert count(shop) == 1, "who still allows something stays"


@pytest.mark.parametrize("jump", [TOLERANCE_SECONDS + 1, -TOLERANCE_SECONDS - 1, -JUMP, JUMP])
def test_a_jump_that_nobody_asked_about_is_noticed(judged, jump):
    with judged() as shop:
        shop.clock.now += jump
        until(lambda: clock(shop)["state"] == "stopped", "it was noticed")
        shop.clock.now -= jump
        assert "jumped" in clock(shop)["reason"]


def test_many_small_jumps_count_together(judged, steady):
    with judged() as shop:
        for _ in range(11):
            go_by(shop, steady, 3600)
            shop.clock.now += TOLERANCE_SECONDS / 10
            found = clock(shop)["state"]
        assert found == "stopped"


@pytest.mark.slow
def test_a_jump_stays_a_stop_after_a_restart(judged):
    with judged() as shop:
        lived(shop)
        shop.clock.now += JUMP
        until(lambda: clock(shop)["state"] == "stopped", "it was noticed")
        until(lambda: kept(shop).reason, "it was kept")
        shop.clock.now -= JUMP
    with judged() as shop:
        assert clock(shop)["state"] == "stopped"
        assert shop.http.get(f"/v1/issuers/{shop.clock.epoch}/core").status_code == 200, "the clock is right"
        assert confirm(shop).status_code == 204
    with judged() as shop:
        assert clock(shop)["state"] == "trusted"


def kept(shop) -> ClockState:
    with registry(shop).store.session() as session:
        return session.scalars(select(ClockState)).one_or_none() or ClockState(reason="")


@pytest.mark.parametrize("jump", [JUMP, DOWNTIME_SECONDS + 60, -TOLERANCE_SECONDS - 60])
def test_a_start_with_a_wrong_clock_deletes_nothing(judged, jump):
    with judged() as shop:
        lived(shop)
        upkeep(shop)
        until(lambda: kept(shop).seen_at, "the time was kept")
        before = everything(shop)
    clock_now = shop.clock.now
    shop.clock.now += jump
    with judged() as shop:
        upkeep(shop)
        assert everything(shop) == before
        assert "at the start" in clock(shop)["reason"]
        assert shop.http.get(f"/v1/issuers/{shop.clock.epoch}/core").status_code == 503
        assert confirm(shop, clock_now).status_code == 409
        assert clock(shop)["state"] == "stopped"
        shop.clock.now = clock_now
        assert confirm(shop).status_code == 204
        assert shop.http.get(f"/v1/issuers/{shop.clock.epoch}/core").status_code == 200


@pytest.mark.parametrize("jump", [DOWNTIME_SECONDS - 60, 1 - TOLERANCE_SECONDS])
def test_a_registry_that_was_stopped_for_some_days_needs_no_confirmation(judged, jump):
    with judged() as shop:
        until(lambda: kept(shop).seen_at, "the time was kept")
    shop.clock.now += jump
    with judged() as shop:
        assert clock(shop)["state"] == "trusted"


def test_a_jump_destroys_no_ticket_key(judged, steady):
    with judged() as shop:
        phone, issuer = shop.phone(), shop.issuer("core")
        shop.clock.now += JUMP
        answer = shop.http.get(f"/v1/issuers/{shop.clock.epoch}/core")
        assert answer.status_code == 503
        shop.clock.now -= JUMP
        with registry(shop).store.session() as session:
            assert [one.secret is not None for one in session.scalars(select(IssuerSecret))] == [True]
        assert shop.tickets(phone, issuer)
        go_by(shop, steady, DAY)
        assert shop.issuer("core").keys.epoch == issuer.keys.epoch + 1, "the clock is right again"


def test_a_jump_forgets_no_kept_answer(judged):
    with judged() as shop:
        service = shop.as_(Role.SERVICE) | {"idempotency-key": "k"}
        first = shop.http.post("/v1/subjects", json={}, headers=service)
        shop.clock.now += JUMP
        other = shop.as_(Role.SERVICE) | {"idempotency-key": "other"}
        assert shop.http.post("/v1/subjects", json={}, headers=other).status_code == 201
        shop.clock.now -= JUMP
        again = shop.http.post("/v1/subjects", json={}, headers=service)
        assert again.json() == first.json()
        assert count(shop, KeptAnswer) == 2


def test_a_jump_holds_up_no_letter(judged):
    with judged(**QUICK) as shop, listening(500, 200) as ear:
        add(shop, ear.url)
        phone = shop.phone()
        shop.grant(phone, "train", "marketing")
        shop.clock.now += JUMP
        shop.withdraw(phone, "train")
        until(lambda: [one.tries for one in letters(shop)] == [1], "it was tried while the clock was ahead")
        shop.clock.now -= JUMP
        until(lambda: [one.state for one in letters(shop)] == ["told"], "it does not wait for four years")


def test_only_an_administrator_confirms(judged, problem):
    with judged() as shop:
        shop.clock.now += JUMP
        until(lambda: clock(shop)["state"] == "stopped", "it was noticed")
        said = {"now": int(shop.clock.now)}
        for role in set(Role) - {Role.ADMIN}:
            who = shop.as_(role, subject="0" * 32 if role is Role.SUBJECT else None)
            problem(shop.http.post("/v1/clock/confirmations", json=said, headers=who), 403)
        problem(shop.http.post("/v1/clock/confirmations", json=said), 401)
        problem(
            shop.http.post("/v1/clock/confirmations", json={"now": -1}, headers=shop.as_(Role.ADMIN)), 422
        )
        assert "4:00:01" not in problem(confirm(shop, shop.clock.now - TOLERANCE_SECONDS - 1), 409)
        assert clock(shop)["state"] == "stopped"
        assert confirm(shop, shop.clock.now - TOLERANCE_SECONDS + 1).status_code == 204
        rows = shop.http.get("/v1/access-log", headers=shop.as_(Role.ADMIN)).json()["items"]
        assert "confirm_clock" in {row["operation"] for row in rows}


def test_the_retention_command_deletes_nothing_by_a_wrong_clock(judged, database_url, tmp_path):
    own = Settings(database_url=database_url, key_file=tmp_path / "registry.key", origin="covey.test/log")
    with judged() as shop:
        lived(shop)
        shop.clock.now = time.time() - JUMP
        assert confirm(shop).status_code == 204
        before = everything(shop)
    with pytest.raises(UnavailableError, match="covey registry clock confirm"):
        retention.run("+1200d", settings=own)
    assert retention.run("+1200d", dry=True, settings=own) == 0
    shop.clock.now = time.time()
    with judged() as shop:
        assert everything(shop) == before
        assert confirm(shop).status_code == 204
    assert retention.run(settings=own) == 0


def test_the_command_confirms_and_shows(tmp_path, monkeypatch, capsys):
    """A registry in its own process, on the system's clock, whose database was last used long ago."""
    from covey_consent.access.roles import Caller
    from covey_consent.access.tokens import Tokens
    from covey_consent.storage import key_file
    from covey_consent.storage.store import Store
    from covey_simulations.drills.registry_process import RegistryProcess

    url, key_path = f"sqlite:///{tmp_path}/r.db", tmp_path / "r.key"
    store = Store.open(url)
    with store.session.begin() as session:
        session.add(ClockState(id=1, seen_at=int(time.time()) - JUMP, reason=""))
    store.dispose()
    process = RegistryProcess(
        tmp_path, {"DATABASE_URL": url, "KEY_FILE": str(key_path), "ORIGIN": "covey.test/log"}
    )
    try:
        process.wait()
        assert command.show(process.url) == 3
        assert "at the start the clock is" in capsys.readouterr().out
        tokens = Tokens(key_file.load_or_create(key_path), "covey.test/log")
        now = datetime.now(UTC)
        monkeypatch.delenv("COVEY_REGISTRY_TOKEN", raising=False)
        with pytest.raises(RequestError, match="COVEY_REGISTRY_TOKEN"):
            command.confirm(process.url, now.isoformat())
        monkeypatch.setenv(
            "COVEY_REGISTRY_TOKEN", tokens.mint(Caller(Role.ADMIN, "ada"), int(time.time()), 600)
        )
        for wrong in ("tomorrow", "", "9" * 400):
            with pytest.raises(RequestError, match="ISO 8601"):
                command.confirm(process.url, wrong)
        with pytest.raises(RequestError, match="differs from the time stated"):
            command.confirm(process.url, now.replace(year=now.year - 4, day=1).isoformat())
        stated = now.strftime("%Y-%m-%dT%H:%MZ")
        assert run("confirm", "--time", stated, "--url", process.url) == (
            0, "the clock is confirmed: what time makes due is done again\n", "",
        )  # fmt: skip
        assert run("show", "--url", process.url) == (0, "the clock is trusted\n", "")
    finally:
        process.stop()
    with pytest.raises(UnavailableError, match="no registry answers"):
        command.show(process.url)


def run(*arguments: str) -> tuple[int, str, str]:
    done = subprocess.run(
        [sys.executable, "-m", "covey", "registry", "clock", *arguments],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    return done.returncode, done.stdout, done.stderr
