"""The erasure drill: a person is erased, and the database's own bytes are searched for them.

The registry is made for it, with traffic on it, and the person has a rich life there (see `life`). Searched
are the database's files, or with PostgreSQL a dump (`pg_dump`): for the person's pseudonym, device keys,
event ids, digests, salts, what they signed, their requests and notifications, and their words.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import httpx
from sqlalchemy import func, make_url, select
from sqlalchemy.orm import Session

from covey_consent.access.roles import Caller, Role
from covey_consent.app import create_app
from covey_consent.decisions.verdicts import Standings
from covey_consent.errors import DamageError, UnknownError
from covey_consent.recipients.register import Notification
from covey_consent.registry import Registry
from covey_consent.rights.erasure import vacuum_if_erased
from covey_consent.rights.tables import RightsRequest
from covey_consent.settings import Settings
from covey_consent.storage.models import Device, Event, Issuance
from covey_privacy import wire
from covey_privacy.registry_messages import (
    DECISION,
    ENROLMENT,
    GRANTED,
    WITHDRAWN,
    Batch,
    Decision,
    Enrolment,
)
from covey_privacy.signatures import SigningKey, sign
from covey_simulations.drills.subject_history import WORDS, SubjectHistory

PURPOSES = ("personalize", "analytics", "train", "marketing")
STATES = (GRANTED, WITHDRAWN, GRANTED)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the drill found: how often each trace was there before and after, and whether the log verifies."""

    people: int
    events: int
    traces: int
    before: int
    after: int
    rows: Mapping[str, int]
    others_decide_alike: bool
    log_verifies: bool
    certificate: str
    searched: str

    @property
    def passed(self) -> bool:
        """Whether nothing of the person was left, and nothing else was lost."""
        return self.before > 0 and self.after == 0 and self.others_decide_alike and self.log_verifies


async def run_erase_drill(folder: Path, people: int, database_url: str | None) -> Outcome:
    """Play the drill with files in `folder`."""
    url = database_url or f"sqlite:///{folder}/registry.db"
    settings = Settings(database_url=url, key_file=folder / "registry.key", origin="drill.test/log")
    app = create_app(settings)
    async with app.router.lifespan_context(app):
        registry: Registry = app.state.registry
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://drill") as http:
            phones = [SigningKey(hashlib.sha256(b"%d" % n).digest()) for n in range(people)]
            await _add_recipient(http, registry)
            await _live(http, registry, phones)
            erased, *others = await registry.store.read(_subjects, phones)
            life = SubjectHistory(http, registry, erased, phones[0])
            others += await life.live()
            events = await registry.store.read(_events)
            traces = await registry.store.read(_traces, registry, erased)
            decided = await _decisions(registry, others)
            before = _hits(_searched(folder, url), traces)
            certificate, rows = await _erase(life)
            after = _hits(_searched(folder, url), traces)
    verifies, alike = await _reopened(settings, erased, others, decided)
    return Outcome(
        people, events, len(traces), before, after, rows, alike, verifies,
        certificate, "the database's files" if database_url is None else "a dump of the database",
    )  # fmt: skip


async def _live(http: httpx.AsyncClient, registry: Registry, phones: list[SigningKey]) -> None:
    """Have everyone enrol and change their mind."""
    now = registry.calendar.milliseconds
    enrolments = [sign(ENROLMENT, Enrolment(phone.public, now), phone) for phone in phones]
    await _post(http, "/v1/enrolments", enrolments, phones)
    for number, state in enumerate(STATES):
        for purpose in PURPOSES:
            said = [_decision(registry, phone, purpose, state, now + number) for phone in phones]
            await _post(http, "/v1/decisions", said, phones)


def _decision(registry: Registry, phone: SigningKey, purpose: str, state: str, at: int) -> bytes:
    notice = registry.notices[purpose]
    text = notice.text("en")
    said = Decision(phone.public, purpose, state, notice.version, "en", text.digest, "toggle", at)
    return sign(DECISION, said, phone)


async def _post(http: httpx.AsyncClient, path: str, signed: list[bytes], phones: list[SigningKey]) -> None:
    body = wire.encode(Batch(tuple(signed), tuple(phone.public for phone in phones)))
    answer = await http.post(path, content=body, headers={"Content-Type": "application/cbor"})
    answer.raise_for_status()


async def _add_recipient(http: httpx.AsyncClient, registry: Registry) -> None:
    """Have somebody to be told things, and switch them off: their notifications wait, and nothing is sent."""
    token = registry.tokens.mint(Caller(Role.ADMIN, "drill"), registry.calendar.now, 600)
    admin = {"Authorization": f"Bearer {token}"}
    said = {"name": "drill", "url": "https://recipient.invalid/", "purposes": [*PURPOSES]}
    added = (await http.post("/v1/recipients", json=said, headers=admin)).raise_for_status().json()
    whatever = admin | {"If-Match": "*"}
    off = await http.patch(f"/v1/recipients/{added['id']}", json={"active": False}, headers=whatever)
    off.raise_for_status()


async def _erase(life: SubjectHistory) -> tuple[str, Mapping[str, int]]:
    """Have the person ask for erasure and an officer fulfil it; wait until the files are rebuilt."""
    asked = await life.post("/v1/rights", Role.SUBJECT, kind="erasure")
    await life.fulfil(asked["id"], "start", "fulfil")
    await vacuum_if_erased(life.registry.store)
    kept = (await life.http.get(f"/v1/erasures/{asked['id']}")).json()
    return kept["certificate"], kept["claims"]["rows"]


async def _decisions(registry: Registry, subjects: Iterable[str]) -> list[Standings]:
    return [await registry.choices.find(subject) for subject in subjects]


async def _reopened(
    settings: Settings, erased: str, others: list[str], decided: list[Standings]
) -> tuple[bool, bool]:
    """Say whether the log on what is left is the one that was signed, and whether the others decide alike."""
    app = create_app(settings)
    try:
        async with app.router.lifespan_context(app):
            alike = decided == await _decisions(app.state.registry, others)
            with suppress(UnknownError):
                await app.state.registry.choices.find(erased)
                alike = False
            return True, alike
    except DamageError:
        return False, False


def _subjects(session: Session, phones: list[SigningKey]) -> list[str]:
    found = {row.key: row.subject for row in session.scalars(select(Device))}
    return [found[phone.public] for phone in phones]


def _events(session: Session) -> int:
    return session.scalar(select(func.count()).select_from(Event)) or 0


def _traces(session: Session, registry: Registry, subject: str) -> list[bytes]:
    """Return what would lead to the person, in the forms in which a database keeps it.

    Their events' commitments are left out: those stay in the log, where nobody can open them any more.
    """
    raw = [row.key for row in session.scalars(select(Device).filter_by(subject=subject))]
    texts = [subject, WORDS]
    for table in (RightsRequest, Notification):
        texts += session.scalars(select(table.id).filter_by(subject=subject))
    for event in session.scalars(select(Event).filter_by(subject=subject)):
        _, opening = registry.choices.events.open(session, event)
        raw += [event.digest or b"", event.sealed, opening.salt, opening.signed]
        texts.append(event.event)
    raw += session.scalars(select(Issuance.request).filter_by(subject=subject))
    raw.append(bytes.fromhex(subject))
    # What no device signed is empty, and would be found everywhere.
    raw = [one for one in raw if one]
    return [*raw, *(one.hex().encode() for one in raw), *(text.encode() for text in texts)]


def _searched(folder: Path, url: str) -> bytes:
    if url.startswith("sqlite"):
        return b"".join(path.read_bytes() for path in sorted(folder.glob("registry.db*")))
    return _dump(url)


def _dump(url: str) -> bytes:
    """Return a PostgreSQL database as `pg_dump` writes it."""
    plain = make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
    program = shutil.which("pg_dump")
    if program is None:
        raise FileNotFoundError("pg_dump is needed to search a PostgreSQL database; install its client")
    return subprocess.run([program, plain], check=True, capture_output=True).stdout  # noqa: S603


def _hits(data: bytes, traces: Iterable[bytes]) -> int:
    return sum(data.count(trace) for trace in traces)
