"""Compares a demo's report with the evidence in its pack: python -I compare.py pack.zip ../report.json

It needs Python 3.11 and nothing else. Run verify.py on the pack before: this takes what the pack says for
true. It prints what agrees and exits with 0, or says what does not and exits with 1.
"""

import json
import sys
import zipfile
from collections.abc import Mapping, Sequence
from typing import Any

FIGURES = ("sigma", "epsilon", "honest", "threshold")
"""What report and evidence both state, by the same names."""


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
    logged = {"round": says["round_id"], "query": says["query"], **{name: says[name] for name in FIGURES}}
    for name, value in logged.items():
        if value != played[name]:
            raise ValueError(f"round {played['round']}: {name} is {played[name]}, the log says {value}")
    if not 0 <= played["cohort"] - says["cohort"] < 10:
        raise ValueError(f"round {played['round']}: the log says a cohort of {says['cohort']} or some more")
    figures = ", ".join(f"{name} {says[name]:g}" for name in FIGURES)
    return f"round {played['round']} ({played['query']}): {figures}; as logged at {place}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
