"""`covey log judge` and `covey protocol parameters`."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path

from covey_privacy import split_view
from covey_privacy.command_line import CommandError, exit_statuses
from covey_privacy.errors import MisuseError, PeerError
from covey_privacy.note import public_key
from covey_privacy.protocol_rules import Rule
from covey_privacy.secagg import parameters


@exit_statuses({ValueError: 2, PeerError: 1})
def judge(evidence: Path, key: str, as_json: bool) -> int:
    """Print what evidence shows of a log; return 0 where it is consistent, 3 forked, 4 open."""
    registry, data = public_key(key), evidence.read_bytes()
    text = data.strip()
    # An export gives it in hex, which raw evidence never looks like.
    if re.fullmatch(b"([0-9a-f]{2})+", text):
        data = bytes.fromhex(text.decode())
    verdict = split_view.check_evidence(data, registry)
    name = verdict.name.lower()
    print(json.dumps({"verdict": name, "says": verdict.value}) if as_json else f"{name}: {verdict.value}")
    return {"consistent": 0, "forked": 3, "open": 4}[name]


def size_committee(
    issued: int, volunteers: int, gamma: float, lost: float, length: int, as_json: bool
) -> None:
    """Print the drawn committee of a round."""
    try:
        plan = parameters.plan_committee(issued, volunteers, gamma, lost, length)
    except MisuseError as error:
        raise CommandError(error, 1 if error.rule is Rule.COMMITTEE_SHAPE else 2) from error
    if as_json:
        print(json.dumps(dataclasses.asdict(plan), indent=2))
    else:
        print("\n".join(parameters.describe_plan(plan)))
