"""Load by wrk: so many connections, each asking again as soon as it was answered, or after a pause."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from covey_simulations.errors import SetupError, SimulationError

_LUA = """
local requests = {}
for line in io.lines("%(requests)s") do
  local method, path, body = line:match("^(%%S+) (%%S+) ?(.*)$")
  if body == "" then body = nil end
  requests[#requests + 1] = wrk.format(method, path, nil, body)
end
local place = 0
function request()
  place = place %% #requests + 1
  return requests[place]
end
%(pause)s
function done(summary, latency)
  local errors = {}
  for kind, count in pairs(summary.errors) do
    if count > 0 then errors[#errors + 1] = count .. " by " .. kind end
  end
  io.write(string.format(
    '{"seconds": %%f, "answers": %%d, "errors": "%%s", "p50": %%f, "p99": %%f, "longest": %%f}\\n',
    summary.duration / 1e6, summary.requests, table.concat(errors, ", "),
    latency:percentile(50) / 1e6, latency:percentile(99) / 1e6, latency.max / 1e6))
end
"""

PATIENCE_SECONDS = 10
"""After how long an answer that did not come is an error."""

_PAUSE = "function delay() return {milliseconds} end"


@dataclass(frozen=True, slots=True)
class Request:
    """A request to send; `body` is one line of JSON, or empty."""

    method: str
    path: str
    body: str = ""


@dataclass(frozen=True, slots=True)
class Load:
    """What wrk saw: answers a second, and the seconds within which half, 99 in 100, and all came."""

    rate: float
    p50: float
    p99: float
    longest: float


def require() -> None:
    """Raise SetupError without wrk."""
    if shutil.which("wrk") is None:
        raise SetupError("wrk makes the load, and is not installed: apt-get install wrk, or brew install wrk")


def play(
    url: str,
    requests: Sequence[Request],
    token: str,
    *,
    connections: int,
    seconds: int,
    pause_milliseconds: int = 0,
) -> Load:
    """Send the requests in turn for some seconds.

    Raises SetupError without wrk, SimulationError where an answer was an error.
    """
    require()
    with TemporaryDirectory() as folder:
        script = _write(Path(folder), requests, pause_milliseconds)
        headers = ["-H", f"Authorization: Bearer {token}", "-H", "Content-Type: application/json"]
        often = ["-t1", f"-c{connections}", f"-d{seconds}s", f"--timeout={PATIENCE_SECONDS}s"]
        command = ["wrk", *often, "-s", str(script), *headers, url]
        ran = subprocess.run(command, capture_output=True, text=True, timeout=seconds + 60, check=False)  # noqa: S603
    if ran.returncode:
        raise SimulationError(f"wrk failed: {ran.stderr.strip() or ran.stdout.strip()}")
    found = json.loads(ran.stdout.strip().splitlines()[-1])
    if found["errors"]:
        raise SimulationError(f"of {found['answers']} requests by wrk some failed: {found['errors']}")
    return Load(found["answers"] / found["seconds"], found["p50"], found["p99"], found["longest"])


def _write(folder: Path, requests: Sequence[Request], pause_milliseconds: int) -> Path:
    lines = [f"{request.method} {request.path} {request.body}\n" for request in requests]
    (folder / "requests").write_text("".join(lines), "utf-8")
    pause = _PAUSE.format(milliseconds=pause_milliseconds) if pause_milliseconds else ""
    script = folder / "load.lua"
    script.write_text(_LUA % {"requests": folder / "requests", "pause": pause}, "utf-8")
    return script
