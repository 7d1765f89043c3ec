"""Break a place in each package, one at a time, and say which test turns red.

    python tests/mutations/packages.py              # all of them: about 6 minutes on two cores
    python tests/mutations/packages.py "dpop replay"

The checks of secure aggregation and of certificates have tables of their own beside this one. Each entry
changes one place of a copy of all packages and runs the test files that are named with it. Exits with 1 where
no test fails, or where the place is not found.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("privacy", "models", "client_sdk", "consent", "server", "simulations")


class Mutation(NamedTuple):
    """A place, what stands there, what takes its place, and the tests that have to notice."""

    name: str
    module: str
    text: str
    instead: str
    tests: str


REGISTRY = "consent/covey_consent"
MUTATIONS = (
    Mutation(
        "a later event stands",
        f"{REGISTRY}/decisions/unit_of_work.py",
        "if max(event.at, counts_at) < self.at:",
        "if False:",
        "tests/consent/test_decisions.py tests/consent/test_histories.py",
    ),
    Mutation(
        "an expired grant allows nothing",
        f"{REGISTRY}/decisions/verdicts.py",
        "lapsed = self.state == GRANTED and 0 < self.expires_at <= now",
        "lapsed = False",
        "tests/consent/test_consents.py tests/consent/test_maintenance.py",
    ),
    Mutation(
        "a restriction stops everything",
        f"{REGISTRY}/decisions/verdicts.py",
        "if everything is not None and everything.state == states.RESTRICTED:\n        return",
        "if False:\n        return",
        "tests/consent/test_consents.py tests/consent/test_rights.py",
    ),
    Mutation(
        "a grant is to a text in force",
        f"{REGISTRY}/decisions/grants.py",
        "    if grant.notice_version != notice.version:",
        "    if False:",
        "tests/consent/test_decisions.py tests/consent/test_consents.py",
    ),
    Mutation(
        "tickets need consent at booking",
        f"{REGISTRY}/tickets/tickets.py",
        "    require_granted(standing, request.purposes, current, calendar.milliseconds)\n    row =",
        "    row =",
        "tests/consent/test_tickets.py",
    ),
    Mutation(
        "one batch of tickets a person",
        f"{REGISTRY}/tickets/tickets.py",
        "    elif booked != digest:",
        "    elif False:",
        "tests/consent/test_tickets.py",
    ),
    Mutation(
        "dpop replay",
        f"{REGISTRY}/access/dpop.py",
        "        if proof in self._taken_at:",
        "        if False:",
        "tests/consent/test_dpop.py",
    ),
    Mutation(
        "kept answers belong to their caller",
        f"{REGISTRY}/access/idempotency.py",
        '(caller.role, caller.name, caller.subject or "", caller.credential, self.route, self.key)',
        "(self.route, self.key)",
        "tests/consent/test_idempotency.py tests/regressions/registry"
        "/test_registry_08f_kept_answers_belong_to_one_token.py",
    ),
    Mutation(
        "recipients are public addresses",
        f"{REGISTRY}/recipients/addresses.py",
        "    if not ip.is_global or any(ip in network for network in _SPECIAL_PURPOSE):",
        "    if False:",
        "tests/consent/test_recipients.py",
    ),
    Mutation(
        "evidence of the logged sets",
        f"{REGISTRY}/rounds/evidence.py",
        "require_consistent(",
        "(lambda *_: None)(",
        "tests/consent/test_rounds.py",
    ),
    Mutation(
        "a log is continued",
        "privacy/covey_privacy/split_view.py",
        "    if judge(older, newer, older.root, proof) is not LogVerdict.CONSISTENT:",
        "    if False:",
        "tests/privacy/test_split_view.py",
    ),
    Mutation(
        "promises have a date",
        "privacy/covey_privacy/inclusion_promise.py",
        "    overdue = 1000 * max(times, default=0) > promise.publish_by",
        "    overdue = False",
        "tests/consent/test_promises.py tests/malicious/test_log.py",
    ),
    Mutation(
        "the phone's gate asks for a sync",
        "client_sdk/covey_sdk/consent_gate.py",
        "        if not -TOLERANCE <= self.now - self.synced_at <= MOST_AGE:",
        "        if False:",
        "tests/client_sdk/test_consent_gate.py tests/client_sdk/test_device.py",
    ),
    Mutation(
        "notices do not change silently",
        "client_sdk/covey_sdk/consent_gate.py",
        "        return self._changed(notice)",
        "        return None",
        "tests/client_sdk/test_consent_gate.py tests/client_sdk/test_registry_client.py",
    ),
    Mutation(
        "a round is charged once",
        "client_sdk/covey_sdk/odometer.py",
        "            self.require_room([new], now)\n",
        "",
        "tests/client_sdk/test_odometer.py",
    ),
    Mutation(
        "the operator's budget",
        "server/covey_server/round_runner.py",
        "        require_room([*self.store.charges(), *ahead[:-1]], ahead[-1], self._caps)\n",
        "",
        "tests/e2e/test_rounds.py tests/e2e/test_training.py tests/server",
    ),
    Mutation(
        "an event counts once",
        "client_sdk/covey_sdk/journal.py",
        "    if isinstance(event, OrderPaid | Refund) and source == event.source:",
        "    if False:",
        "tests/client_sdk/test_device.py tests/client_sdk/test_shopping.py",
    ),
    Mutation(
        "a segment's cut is not above it",
        "client_sdk/covey_sdk/tag_rules/customer_value.py",
        "    high = history.spend > cut * len(history.orders)",
        "    high = history.spend >= cut * len(history.orders)",
        "tests/client_sdk/test_tags.py",
    ),
    Mutation(
        "a device's share has norm 1",
        "models/covey_models/recommender/on_device.py",
        "    return _unit(bought.astype(np.float64))",
        "    return bought.astype(np.float64)",
        "tests/models/test_recommender_on_device.py",
    ),
    Mutation(
        "no round below its floor",
        "server/covey_server/round_terms.py",
        "    if min(expected, people.issued) < floor:",
        "    if False:",
        "tests/server/test_round_terms.py",
    ),
    Mutation(
        "a lead is beyond chance",
        "simulations/covey_simulations/evaluation/paired_comparison.py",
        'return "ahead" if self.low > 0 else',
        'return "ahead" if self.gap > 0 else',
        "tests/simulations",
    ),
)


def main(names: list[str]) -> int:
    """Print a line for each mutation with the first test that failed, and return the exit status."""
    chosen = [each for each in MUTATIONS if not names or each.name in names]
    unnoticed = 0
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for mutation, red in zip(chosen, pool.map(first_failure, chosen), strict=True):
            unnoticed += red is None or red.startswith("the place")
            sys.stdout.write(f"| {mutation.name} | `{mutation.module}` | {red or 'NOTICED BY NO TEST'} |\n")
            sys.stdout.flush()
    return 1 if unnoticed else 0


def first_failure(mutation: Mutation) -> str | None:
    """Return the first test that fails with the mutation, None where all pass."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder)
        for package in PACKAGES:
            shutil.copytree(ROOT / package, copy / package, ignore=shutil.ignore_patterns("__pycache__"))
        module = copy / mutation.module
        source = module.read_text("utf-8")
        if source.count(mutation.text) != 1:
            return f"the place stands {source.count(mutation.text)} times"
        module.write_text(source.replace(mutation.text, mutation.instead), "utf-8")
        paths = [*(str(copy / package) for package in PACKAGES), str(ROOT)]
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(paths), "PYTHONDONTWRITEBYTECODE": "1"}
        command = [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-x",
            "-m",
            "not postgresql",
            *mutation.tests.split(),
        ]
        ran = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    failed = re.findall(r"^(?:FAILED|ERROR) (\S+)", ran.stdout, re.MULTILINE)
    return failed[0].removeprefix("tests/") if failed else None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
