"""Compares a demo's report with the evidence in its pack: python -I compare.py pack.zip ../report.json

It needs Python 3.11 and nothing else. Run verify.py on the pack before: this takes what the pack says for
true. It prints what agrees and exits with 0, or says what does not and exits with 1.
"""

import json
import sys
import zipfile
from collections.abc import Mapping, Sequence
from typing import Any

FIGURES = ("sigma", "epsilon", "honest")
"""What report and evidence both state, by the same names."""
KINDS = {1: "standing", 2: "drawn"}
"""Committees by the number that stands for their kind in evidence."""


def main(arguments: Sequence[str]) -> int:
    """Compare, say what was found, and return the exit status."""
    if len(arguments) != 2:
        sys.stderr.write("usage: compare.py pack.zip report.json\n")
        return 2
    try:
        lines = compare(*arguments)
    except (KeyError, OSError, TypeError, ValueError, zipfile.BadZipFile) as error:
        sys.stdout.write(f"DIFFERS: {error}\n")
        return 1
    sys.stdout.write("\n".join([*lines, "The report agrees with the log.", ""]))
    return 0


def compare(pack: str, report: str) -> list[str]:
    """Return what agrees, in words. Raises ValueError for the first thing that differs."""
    with zipfile.ZipFile(pack) as container:
        told = json.loads(container.read("documents.json"))
        note = container.read("checkpoint").decode()
    with open(report, encoding="utf-8") as file:
        shown = json.load(file)
    documents = {each["index"]: each for each in told}
    evidence = {index for index, each in documents.items() if each["kind"] == "evidence"}
    lines = [_compared(played, documents.get(played["evidence_index"])) for played in shown["rounds"]]
    missing = evidence - {played["evidence_index"] for played in shown["rounds"]}
    if missing:
        raise ValueError(f"the report leaves out the rounds whose evidence is at {sorted(missing)}")
    if shown["log"]["size"] > int(note.split("\n")[1]):
        raise ValueError("the report tells of more log entries than the pack holds")
    return lines


def _compared(played: Mapping[str, Any], document: Mapping[str, Any] | None) -> str:
    place = played["evidence_index"]
    if document is None or document["kind"] != "evidence":
        raise ValueError(f"entry {place} of the log is no evidence of round {played['round']}")
    says = document["says"]
    shown = _shown(played)
    for name, value in _logged(says).items():
        if value != shown[name]:
            raise ValueError(f"round {played['round']}: {name} is {shown[name]}, the log says {value}")
    figures = ", ".join(f"{name} {says[name]:g}" for name in FIGURES)
    opened = ", ".join(
        f"{each['opened']} of {each['members']} {each['kind']}" for each in played["committees"]
    )
    return f"round {played['round']} ({played['query']}): {figures}; opened by {opened}; as logged at {place}"


def _logged(says: Mapping[str, Any]) -> dict[str, Any]:
    """Return what evidence says of a round, in the form of `_shown`."""
    return {
        "round": says["round_id"],
        "query": says["query"],
        **{name: says[name] for name in FIGURES},
        "cohort": says["cohort"],
        "excluded": says["excluded"],
        "committees": [{**each, "kind": KINDS.get(each["kind"])} for each in says["committees"]],
        "integrity_proved": says["integrity_proved"],
    }


def _shown(played: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the report says of a round, with counts of phones rounded down to tens as in evidence."""
    return {
        **{name: played[name] for name in ("round", "query", *FIGURES, "committees", "integrity_proved")},
        "cohort": played["included"] // 10 * 10,
        "excluded": (played["included"] - played["final"]) // 10 * 10,
    }


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
