"""A rich life at a registry, over HTTP: all the ways by which a person comes to stand in its tables."""

from __future__ import annotations

import json
import os
import secrets
from dataclasses import dataclass
from typing import Any

import httpx

from covey_consent.access.roles import Caller, Role
from covey_consent.registry import Registry
from covey_privacy import tickets, wire
from covey_privacy.registry_messages import GRANTED, TICKETS, Issuer, TicketRequest
from covey_privacy.signatures import SigningKey, sign

WORDS = "words that nobody else used"
"""What the person wrote, and an officer noted of them: it has to go as well."""

CHILD = {"country": "DE", "birth_year": 2020}
PURPOSE = "train"


@dataclass(frozen=True, slots=True)
class SubjectHistory:
    """What one person, known by `subject`, and others about them do at a registry."""

    http: httpx.AsyncClient
    registry: Registry
    subject: str
    phone: SigningKey

    async def live(self) -> list[str]:
        """Live it; return the person's wards, who stay when they go."""
        asked, linked = [await self._child(**extra) for extra in ({}, {"guardian": self.subject})]
        await self._links(asked)
        event = await self._says_yes(self.subject)
        for ward in (asked, linked):
            await self._says_yes(ward)
        await self._reads(f"/v1/receipts/{event}.json", f"/v1/receipts/{event}.html")
        await self._is_shown()
        await self._takes_tickets()
        await self._loses_a_phone()
        await self._calls_the_shop()
        await self._asks()
        await self._is_looked_at(asked, linked)
        return [asked, linked]

    def as_(self, role: Role, reason: str = "a drill") -> dict[str, str]:
        """Return the headers by which the role is known; a subject is the person themselves."""
        caller = Caller(role, "drill", self.subject if role is Role.SUBJECT else None)
        token = self.registry.tokens.mint(caller, self.registry.calendar.now, 600)
        return {"Authorization": f"Bearer {token}", "Covey-Reason": reason}

    async def post(self, path: str, role: Role, **said: Any) -> dict[str, Any]:
        """Post JSON in a role, under a key of its own; return the answer."""
        headers = self.as_(role) | {"Idempotency-Key": secrets.token_hex(16)}
        answer = await self.http.post(path, json=said, headers=headers)
        answer.raise_for_status()
        return dict(json.loads(answer.content))

    async def fulfil(self, request: str, *steps: str) -> None:
        """Have an officer take a request's steps."""
        for step in steps:
            await self._takes(request, Role.OFFICER, step=step, method="drill")

    async def _takes(self, request: str, role: Role, **said: str) -> None:
        """Take a step of a request as it stands."""
        path, headers = f"/v1/rights/{request}", self.as_(role)
        headers["If-Match"] = (await self.http.get(path, headers=headers)).headers["etag"]
        (await self.http.post(f"{path}/steps", json=said, headers=headers)).raise_for_status()

    async def _child(self, **facts: str) -> str:
        return str((await self.post("/v1/subjects", Role.SERVICE, **CHILD, **facts))["subject"])

    async def _links(self, child: str) -> None:
        """Have an officer link the child to the person, at a request that names them."""
        said = {"subject": child, "words": f"the guardian is {self.subject}"}
        changes = {"guardian": self.subject}
        asked = await self.post("/v1/rights", Role.OFFICER, kind="rectification", changes=changes, **said)
        await self.fulfil(asked["id"], "verify", "start", "fulfil")

    async def _says_yes(self, subject: str) -> str:
        notice = self.registry.notices[PURPOSE]
        text = notice.text("en").digest.hex()
        said = {"notice_version": notice.version, "language": "en", "text_sha256": text, "method": "toggle"}
        path = f"/v1/subjects/{subject}/consents"
        done = await self.post(path, Role.SUBJECT, purpose=PURPOSE, state=GRANTED, **said)
        return str(done["event"])

    async def _loses_a_phone(self) -> None:
        path = f"/v1/subjects/{self.subject}/devices/{SigningKey(os.urandom(32)).public.hex()}"
        (await self.http.put(path, headers=self.as_(Role.SERVICE))).raise_for_status()
        (await self.http.delete(path, headers=self.as_(Role.SUBJECT))).raise_for_status()

    async def _calls_the_shop(self) -> None:
        """Become a customer with a number, and have an officer refuse a purpose on the person's behalf."""
        path = f"/v1/subjects/{self.subject}"
        known = {"reference": secrets.token_hex(8)}
        put = await self.http.put(f"{path}/reference", json=known, headers=self.as_(Role.SERVICE))
        put.raise_for_status()
        await self.post(f"{path}/consents", Role.OFFICER, purpose="marketing", state="refused")

    async def _reads(self, *paths: str) -> None:
        for path in paths:
            (await self.http.get(path, headers=self.as_(Role.SUBJECT))).raise_for_status()

    async def _is_shown(self) -> None:
        notice = self.registry.notices[PURPOSE]
        said = {"version": notice.semver, "language": "en", "text_digest": notice.text("en").digest.hex()}
        said |= {"subject": self.subject, "purpose": PURPOSE, "place": "dialog"}
        await self.post("/v1/served", Role.SUBJECT, at=self.registry.calendar.milliseconds, **said)

    async def _takes_tickets(self) -> None:
        answer = await self.http.get(f"/v1/issuers/{self.registry.calendar.epoch}/{PURPOSE}")
        issuer = wire.decode(Issuer, answer.raise_for_status().content)
        blinded = tuple(one.blinded for one in tickets.request(issuer.keys))
        now, keys = self.registry.calendar.milliseconds, issuer.keys
        request = TicketRequest(self.phone.public, now, keys.purposes, keys.epoch, blinded)
        signed = sign(TICKETS, request, self.phone)
        sent = {"Content-Type": "application/cbor"}
        (await self.http.post("/v1/tickets", content=signed, headers=sent)).raise_for_status()

    async def _asks(self) -> None:
        """Make rights requests that leave the person in place, in their own words."""
        await self.post("/v1/rights", Role.SUBJECT, kind="access", words=WORDS)
        stopped = await self.post("/v1/rights", Role.SUBJECT, kind="restriction", words=WORDS)
        await self._takes(stopped["id"], Role.SUBJECT, step="lift", reason=WORDS)
        changes = {"country": "AT"}
        asked = await self.post("/v1/rights", Role.SUBJECT, kind="rectification", changes=changes)
        await self.fulfil(asked["id"], "start", "fulfil")

    async def _is_looked_at(self, *wards: str) -> None:
        """Have officers look: at the person, for reasons of theirs; at wards, for reasons that name them."""
        for subject, why in ((self.subject, WORDS), *((ward, f"asked by {self.subject}") for ward in wards)):
            path = f"/v1/subjects/{subject}/consents"
            (await self.http.get(path, headers=self.as_(Role.OFFICER, why))).raise_for_status()
