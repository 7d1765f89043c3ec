"""Phones that decide as fast as the registry answers, and remember what it acknowledged."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import httpx

from covey_consent.errors import DamageError
from covey_privacy import wire
from covey_privacy.registry_messages import (
    DECISION,
    ENROLMENT,
    GRANTED,
    NOTICE,
    WITHDRAWN,
    Batch,
    Decision,
    Enrolment,
    Notice,
    Notices,
)
from covey_privacy.signatures import SigningKey, open_signed, sign

PURPOSES = ("analytics", "personalize", "train")
CBOR = {"content-type": "application/cbor"}


@dataclass(slots=True)
class Acknowledged:
    """One batch, a decision on each of `PURPOSES`, all made at `at` (Unix milliseconds)."""

    device: bytes
    at: int
    acknowledged: bool = False

    @property
    def events(self) -> set[tuple[bytes, str, int]]:
        """Device, purpose and time of each decision."""
        return {(self.device, purpose, self.at) for purpose in PURPOSES}


@dataclass(slots=True)
class Phone:
    """A device and all that it said; `clock` gives Unix seconds."""

    key: SigningKey
    clock: Callable[[], float]
    said: list[Acknowledged] = field(default_factory=list)

    @property
    def acknowledged(self) -> int:
        """How many of its decisions were acknowledged."""
        return sum(len(said.events) for said in self.said if said.acknowledged)

    async def decide(self, http: httpx.AsyncClient, notices: Mapping[str, Notice]) -> None:
        """Enrol, then grant and withdraw in turn until the registry answers no more."""
        try:
            await self._post(http, "/v1/enrolments", [self._enrolment()])
            for state in itertools.cycle((GRANTED, WITHDRAWN)):
                said = Acknowledged(self.key.public, self._now())
                self.said.append(said)
                signed = [self._decision(notices[purpose], state, said.at) for purpose in PURPOSES]
                await self._post(http, "/v1/decisions", signed)
                said.acknowledged = True
        except httpx.TransportError:
            return

    async def _post(self, http: httpx.AsyncClient, path: str, signed: list[bytes]) -> None:
        body = wire.encode(Batch(tuple(signed), (self.key.public,) * len(signed)))
        answer = await http.post(path, content=body, headers=CBOR)
        if answer.status_code != 204:
            raise DamageError(f"{path} answered {answer.status_code}, 204 was expected: {answer.text[:200]}")

    def _enrolment(self) -> bytes:
        return sign(ENROLMENT, Enrolment(self.key.public, int(self.clock() * 1000)), self.key)

    def _decision(self, notice: Notice, state: str, at: int) -> bytes:
        text = notice.texts[0]
        said = Decision(
            self.key.public, notice.purpose, state, notice.version, text.language, text.digest, "toggle", at
        )
        return sign(DECISION, said, self.key)

    def _now(self) -> int:
        """Return a time later than that of anything said before."""
        return max(int(self.clock() * 1000), self.said[-1].at + 1 if self.said else 0)


async def fetch_notices(http: httpx.AsyncClient, registry: bytes) -> dict[str, Notice]:
    """Return the notices in force, by purpose."""
    signed = wire.decode(Notices, (await http.get("/v1/notices")).content).notices
    opened = [open_signed(Notice, NOTICE, data, registry) for data in signed]
    return {notice.purpose: notice for notice in opened}
