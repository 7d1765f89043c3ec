"""Any history of several people over the real path, against a model after docs/registry.md."""

from dataclasses import dataclass, field
from datetime import UTC, datetime

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from test_assessments import approve, propose
from test_publishing import publish, written

from covey_consent.access.roles import Role
from covey_consent.policy import ages
from covey_consent.storage.models import StandingChoice

PURPOSES = ("core", "train", "partner", "cross_border")
EXPLICIT = ("partner", "cross_border")
ABROAD = ("train", "partner")
PARTNER_MS = 90 * 86_400_000
QUEUE_MS = 7 * 86_400_000
TOLERANCE_MS = 300_000
YES = ("granted", "renewed")
PEOPLE = ("ann", "kim", "mei")
"""Ann is grown, Kim a child with a guardian, Mei grown and in China."""

people = st.sampled_from(PEOPLE)
pairs = st.sampled_from(
    [("ann", "train")] * 5 + [(name, purpose) for name in PEOPLE for purpose in ("train", "core")]
    + [("ann", "partner"), ("mei", "cross_border"), ("mei", "partner")]
)  # fmt: skip


@dataclass
class Line:
    """What one person said to one purpose: what stands, and since when for the order of decisions."""

    state: str = "none"
    version: int = 0
    until: int = 0
    since: int = 0
    counted: list[tuple[int, int]] = field(default_factory=list)
    """When each act arrived, and from when it counts."""
    said: list[tuple[str, int, bool, int]] = field(default_factory=list)
    """Each act's state, its own date, whether a phone signed it, and when it arrived."""
    signals: int = 0

    def hear(self, state, now, *, dated=None, version=0, until=0):
        """Take what arrives now, `dated` by the phone that signed it."""
        at, applies = self._place(state, now, dated)
        self.counted.append((now, min(at, now)))
        self.said.append((state, now if dated is None else dated, dated is not None, now))
        if not applies:
            return
        self.since, self.version, self.until = at, version, until
        if not (self.state == "objected" and state in ("refused", "withdrawn")):
            self.state = "granted" if state in YES else state

    def _place(self, state, now, dated):
        if dated is None:
            return max(now, self.since), True
        if state == "granted":
            return min(dated, now), dated >= self.since
        at = min(dated, now + TOLERANCE_MS)
        # Clocks differ by the tolerance at most: a no that may be the later one is.
        wins = at + TOLERANCE_MS >= min(self.since, now)
        return (max(at, self.since), True) if wins else (at, False)

    def at(self, now):
        """Return what stands at a time."""
        return "expired" if self.state == "granted" and 0 < self.until <= now else self.state


class Histories(RuleBasedStateMachine):
    """People, their phones and those around them, at one registry that goes on from history to history."""

    def __init__(self, shop):
        super().__init__()
        self.shop = shop

    @initialize(agreed=st.integers(0, 4))
    def begin(self, agreed):
        year = datetime.fromtimestamp(self.shop.clock.now, UTC).year
        self.guardian = self.person(birth_year=year - 40, country="DE")
        self.born = {"kim": year - 14}
        self.ids = {
            "ann": self.person(birth_year=year - 40, country="DE"),
            "kim": self.person(birth_year=year - 14, country="DE", guardian=self.guardian),
            "mei": self.person(country="CN"),
        }
        self.phones = {name: self.phone(name) for name in PEOPLE}
        self.lines = {(name, purpose): Line() for name in PEOPLE for purpose in PURPOSES}
        self.restricted = dict.fromkeys(PEOPLE, False)
        self.current = {purpose: notice.version for purpose, notice in self.shop.notices().items()}
        self.queue, self.snapshots, self.touched = [], {}, "ann"
        for name, purpose in (
            ("ann", "train"),
            ("ann", "partner"),
            ("mei", "cross_border"),
            ("mei", "train"),
        )[:agreed]:
            self.says_yes((name, purpose), "granted", "own")
        if agreed:
            self.says_yes(("kim", "train"), "granted", "guardian")

    @rule(seconds=st.sampled_from([1, 1, 60, 60, 3600, 91 * 86400]))
    def wait(self, seconds):
        self.shop.clock.now += seconds

    @rule(
        pair=pairs, state=st.sampled_from(["granted", "granted", "renewed"]),
        speaker=st.sampled_from(["own", "own", "guardian", "service", "officer"]),
    )  # fmt: skip
    def says_yes(self, pair, state, speaker):
        name, purpose = pair
        notice = self.shop.notices()[purpose]
        body = {
            "purpose": purpose, "state": state, "notice_version": notice.version, "language": "en",
            "text_sha256": notice.text("en").digest.hex(), "method": "dialog",
        }  # fmt: skip
        expected = self.refusal(name, purpose, state, speaker) or 201
        assert self.say(name, speaker, body).status_code == expected
        if expected == 201:
            self.heard(name, purpose, state, version=notice.version, until=self.until(purpose, self.ms))

    @rule(
        pair=pairs, state=st.sampled_from(["refused", "withdrawn", "objected"]),
        speaker=st.sampled_from(["own", "guardian", "service", "officer"]),
    )  # fmt: skip
    def says_no(self, pair, state, speaker):
        name, purpose = pair
        answer = self.say(name, speaker, {"purpose": purpose, "state": state})
        if speaker == "guardian" and not self.has_guardian(name):
            assert answer.status_code == 403
        elif state == "objected" and purpose == "core":
            assert answer.status_code == 422
        else:
            assert answer.status_code == 201
            self.heard(name, purpose, state)

    @rule(
        pair=pairs, state=st.sampled_from(["granted", "granted", "refused", "withdrawn"]),
        skew=st.sampled_from([0, -1, -299, -7200, -8 * 86400, 1, 200, 299, 299, 301, 365 * 86400]),
        queued=st.booleans(),
    )  # fmt: skip
    def a_phone_signs(self, pair, state, skew, queued):
        name, purpose = pair
        notice, dated = self.shop.notices()[purpose], self.ms + 1000 * skew
        signed = self.phones[name].decision(notice, state, at=dated, method="dialog")
        self.queue.append((name, purpose, state, dated, notice.version, signed))
        if not queued:
            self.deliver(len(self.queue) - 1)

    @precondition(lambda self: self.queue)
    @rule(data=st.data())
    def a_phone_is_online_again(self, data):
        self.deliver(data.draw(st.integers(0, len(self.queue) - 1)))

    @rule(name=people, restricted=st.booleans(), speaker=st.sampled_from(["own", "officer", "guardian"]))
    def restriction(self, name, restricted, speaker):
        path = f"/v1/subjects/{self.ids[name]}/restriction"
        said = {"restricted": restricted, "told": "by letter"}
        headers = self.headers(name, speaker) | {"if-match": "*"}
        answer = self.shop.http.put(path, json=said, headers=headers)
        if speaker == "guardian" and not self.has_guardian(name):
            assert answer.status_code == 403
        elif not restricted and not self.restricted[name]:
            assert answer.status_code == 409
        else:
            assert answer.status_code == 200
            self.restricted[name], self.touched = restricted, name

    @rule(name=people)
    def signal(self, name):
        headers = self.headers(name, "own") | {"sec-gpc": "1"}
        path = f"/v1/subjects/{self.ids[name]}/signals"
        assert self.shop.http.post(path, headers=headers).status_code == 204
        line = self.lines[name, "partner"]
        stands = line.at(self.ms)
        if not (stands == "objected" or (stands == "granted" and line.signals)):
            self.heard(name, "partner", "objected")
            line.signals += 1

    @rule(purpose=st.sampled_from(["core", "train", "partner"]))
    def a_new_major(self, purpose):
        self.current[purpose] += 1
        approve(self.shop, propose(self.shop, purpose).json()["id"])
        file = written(purpose, f"{self.current[purpose]}.0.0", f"\n\nMore, {self.current[purpose]}.")
        assert publish(self.shop, file).status_code == 201

    @rule()
    def upkeep(self):
        self.shop.http.portal.call(self.shop.http.app.state.registry.upkeep.once)
        for line in self.lines.values():
            if line.at(self.ms) == "expired" and line.state == "granted":
                line.counted.append((self.ms, line.until))
                line.said.append(("expired", line.until, False, self.ms))
                line.state, line.since, line.version, line.until = "expired", line.until, 0, 0

    @invariant()
    def verdicts_are_the_models(self):
        service = self.shop.as_(Role.SERVICE)
        ids = [*self.ids.values(), "f" * 32]
        for purpose in PURPOSES:
            asked = {"purpose": purpose, "subjects": ids}
            batch = self.shop.http.post("/v1/decisions:batch", json=asked, headers=service).json()["verdicts"]
            assert batch == [*(self.verdict(name, purpose) for name in PEOPLE), "unknown-subject"]
            path = f"/v1/subjects/{self.ids[self.touched]}/decisions/{purpose}"
            single = self.shop.http.get(path, headers=service).json()["verdict"]
            assert single == self.verdict(self.touched, purpose)
        now = self.view(self.touched)
        assert now == self.view(self.touched, self.ms) == self.told(self.touched)
        self.snapshots[self.ms] = {name: self.told(name) for name in PEOPLE}

    @invariant()
    def no_no_is_lost_and_no_yes_assumed(self):
        for (name, purpose), line in self.lines.items():
            if purpose == "core" or self.verdict(name, purpose) != "allowed":
                continue
            _, dated, _, came = [one for one in line.said if one[0] in YES][-1]
            later = [one for one in line.said if one[0] not in YES and one[3] > came]
            for state, said, signed, _ in later:
                assert signed, (state, "after the yes, and nobody's clock is in doubt")
                assert said + TOLERANCE_MS < dated

    def teardown(self):
        if not hasattr(self, "ids"):
            return
        for name in PEOPLE:
            for moment, stood in self.snapshots.items():
                if not self.came_late(name, moment):
                    assert self.view(name, moment) == stood[name]
                self.view(name, moment)
        registry = self.shop.http.app.state.registry
        with registry.store.session() as session:
            for (name, purpose), line in self.lines.items():
                row = session.get(StandingChoice, (self.ids[name], purpose))
                kept = ("none", 0, 0, 0) if row is None else (
                    row.state, row.notice_version, row.expires_at, row.at,
                )  # fmt: skip
                assert kept == (line.state, line.version, line.until, line.since)

    @property
    def ms(self):
        return self.shop.clock.ms

    def person(self, **facts):
        service = self.shop.as_(Role.SERVICE)
        answer = self.shop.http.post("/v1/subjects", json=facts, headers=service)
        assert answer.status_code == 201, answer.text
        return answer.json()["subject"]

    def phone(self, name):
        phone = self.shop.stranger()
        path = f"/v1/subjects/{self.ids[name]}/devices/{phone.device.hex()}"
        assert self.shop.http.put(path, headers=self.shop.as_(Role.SERVICE)).status_code == 204
        return phone

    def headers(self, name, speaker):
        if speaker in ("own", "guardian"):
            whose = self.ids[name] if speaker == "own" else self.guardian
            return self.shop.as_(Role.SUBJECT, subject=whose)
        return self.shop.as_(Role(speaker))

    def say(self, name, speaker, body):
        path = f"/v1/subjects/{self.ids[name]}/consents"
        return self.shop.http.post(path, json=body, headers=self.headers(name, speaker))

    def deliver(self, place):
        name, purpose, state, dated, version, signed = self.queue.pop(place)
        phone = self.phones[name]
        answer = self.shop.post("/v1/decisions", phone.batch(signed, signed))
        expected = 204
        if state == "granted":
            expected = self.late(purpose, dated, version) or self.refusal(name, purpose, state, "own") or 204
        assert answer.status_code == expected, answer.text
        if expected == 204:
            yes = {"version": version, "until": self.until(purpose, dated) if state == "granted" else 0}
            self.heard(name, purpose, state, dated=dated, **yes)

    def late(self, purpose, dated, version):
        if not self.ms - QUEUE_MS <= dated <= self.ms + TOLERANCE_MS:
            return 422
        return None if version == self.current[purpose] else 409

    def refusal(self, name, purpose, state, speaker):
        """Return why a yes is refused, None where it is taken."""
        line = self.lines[name, purpose]
        denied = (
            speaker == "officer"
            or (speaker == "guardian" and not self.has_guardian(name))
            or (name == "mei" and purpose in ABROAD and not self.may_leave(name))
            or (speaker == "service" and line.state == "objected")
            or (speaker != "guardian" and purpose != "core" and self.is_child(name))
        )
        if denied:
            return 403
        return 409 if state == "renewed" and line.state != "granted" else None

    def heard(self, name, purpose, state, **said):
        self.lines[name, purpose].hear(state, self.ms, **said)
        self.touched = name
        if name == "mei" and purpose == "cross_border" and not self.may_leave(name):
            for one in ABROAD:
                line = self.lines[name, one]
                if line.state == "granted":
                    line.hear("withdrawn", self.ms, version=line.version)

    def may_leave(self, name):
        return self.lines[name, "cross_border"].state == "granted"

    def is_child(self, name):
        year = datetime.fromtimestamp(self.shop.clock.now, UTC).year
        return name == "kim" and year - self.born[name] - 1 < ages.age_of_consent("DE")

    def has_guardian(self, name):
        return self.is_child(name)

    def until(self, purpose, dated):
        return dated + PARTNER_MS if purpose == "partner" else 0

    def verdict(self, name, purpose):
        line = self.lines[name, purpose]
        state = line.at(self.ms)
        if self.restricted[name]:
            return "restricted"
        if purpose == "core":
            return "allowed"
        if state == "granted":
            return "allowed" if line.version == self.current[purpose] else "notice-outdated"
        return "undecided" if state == "none" else state

    def told(self, name):
        told = {
            purpose: (self.lines[name, purpose].at(self.ms), self.verdict(name, purpose))
            for purpose in PURPOSES
            if self.lines[name, purpose].state != "none"
        }
        return told | ({"*": ("restricted", "restricted")} if self.restricted[name] else {})

    def view(self, name, moment=None):
        query = {} if moment is None else {"at": datetime.fromtimestamp(moment / 1000, UTC).isoformat()}
        path = f"/v1/subjects/{self.ids[name]}/consents"
        answer = self.shop.http.get(path, params=query, headers=self.shop.as_(Role.SERVICE))
        assert answer.status_code == 200, answer.text
        return {one["purpose"]: (one["state"], one["verdict"]) for one in answer.json()["choices"]}

    def came_late(self, name, moment):
        """Say whether something arrived later that counts from before that moment."""
        return any(
            came > moment >= counts
            for purpose in PURPOSES
            for came, counts in self.lines[name, purpose].counted
        )


@pytest.mark.compliance("GDPR 7(1)", "in any history what stands is what was said, and the past can be shown")
@pytest.mark.compliance("GDPR 7(3)", "in any history no no is lost, whatever arrives late or dated ahead")
def test_any_history_is_judged_as_the_model_judges_it(shop):
    for purpose in EXPLICIT:
        approve(shop, propose(shop, purpose).json()["id"])
        assert publish(shop, written(purpose, "1.0.0")).status_code == 201
    run_state_machine_as_test(
        lambda: Histories(shop),
        settings=settings(
            max_examples=10, stateful_step_count=20, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )
