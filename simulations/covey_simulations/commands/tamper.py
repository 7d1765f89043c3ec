"""`covey registry drill tamper`: who finds out when the log is changed behind everyone's back."""

from __future__ import annotations

import json
import tempfile
import time
from pathlib import Path

from covey_simulations.drills import tamper as drill


def tamper(as_json: bool = False) -> int:
    """Play the drill on a registry that goes when it ends; 0 when each change was found by who should."""
    with tempfile.TemporaryDirectory() as folder:
        plays = drill.run_tamper_drill(Path(folder), time.time)
    if as_json:
        found = [
            {"change": play.change, "as_expected": play.as_expected, "found": play.found} for play in plays
        ]
        print(json.dumps(found, indent=2))
    else:
        for play in plays:
            _show(play)
    return 0 if all(play.as_expected for play in plays) else 1


def _show(play: drill.TamperCase) -> None:
    print(f"changed: {play.change}")
    for who, line in sorted(play.found.items()):
        print(f"  {who}: {line}")
    if not play.found:
        print("  nobody finds anything")
    if not play.as_expected:
        print(f"  NOT AS IT SHOULD BE: it is for {', '.join(sorted(play.finders)) or 'nobody'} to find")
