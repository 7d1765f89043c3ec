"""The phone measured: import, recording, tags from scratch, after one more event and unchanged, and storage.

Beside tags from scratch stands what opening and decoding the same events takes by itself, and beside the
import the bare interpreter. Seconds are processor seconds of the process, medians where several were taken.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from rich.console import Console

from covey_privacy.registry_messages import GRANTED, Choice, Notice, NoticeText
from covey_privacy.signatures import SigningKey
from covey_sdk import Device, Trust
from covey_sdk.clock import milliseconds
from covey_sdk.events import AppOpen, Event, OrderLine, OrderPaid
from covey_sdk.interactions import CartAdd, ItemView
from covey_sdk.rule_bundle import BASE, Category, sign_rules
from covey_simulations.benchmarks.stopwatch import Stopwatch
from covey_simulations.errors import SetupError, SimulationError

__all__ = ["DeviceOptions", "SetupError", "SimulationError", "measure", "show"]

NOW = datetime(2027, 3, 1, 12, tzinfo=UTC)
PURPOSES = ("personalize", "marketing", "replenish")
CATEGORIES = tuple(f"category-{number}" for number in range(40))
ITEMS = 20_000
REPEATS = 15

TARGETS: Mapping[str, float] = {
    "import_seconds": 0.2, "import_mb": 45, "scratch_ms": 70, "one_more_ms": 2, "unchanged_ms": 2,
}  # fmt: skip
"""What the figures are to be at most, with 10,000 events."""

_IMPORT = """
import json, sys, time
if len(sys.argv) > 1:
    import covey_sdk
# Not from getrusage, whose peak is inherited from the process that started this one.
peak = next(line for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(json.dumps([time.process_time(), int(peak.split()[1]) / 1024]))
"""


@dataclass(frozen=True, slots=True)
class DeviceOptions:
    """What `covey bench device` was asked for: how many events the history holds."""

    events: int = 10_000


def measure(asked: DeviceOptions) -> dict[str, Any]:
    """Return the figures. Raises SetupError for a number that cannot be."""
    if not 100 <= asked.events <= 1_000_000:
        raise SetupError(f"--events is {asked.events}; 100 to 1,000,000 was expected")
    watch = Stopwatch()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "device.db"
        with _device(path) as device:
            _allow_everything(device)
            empty = _size(path)
            told = list(_events(asked.events))
            with watch("record"):
                device.record_many(told)
            device.store.scrub()
            kept, stored = len(device.journal), _size(path) - empty
        for _ in range(5):
            with _device(path) as device:
                with watch("decode"):
                    device.journal.events()
                with watch("scratch"):
                    device.tags()
        with _device(path) as device:
            device.tags()
            for number in range(REPEATS):
                with watch("unchanged"):
                    device.tags()
                device.record(ItemView(f"one-{number}", CATEGORIES[:1], _ago(0) - number, 0))
                with watch("one view"):
                    device.tags()
                device.record(_order(f"one-{number}", 0.0, random.Random(number)))  # noqa: S311  # made-up data
                with watch("one order"):
                    device.tags()
    seconds = watch.medians()
    bare, loaded = _imported(load=False), _imported(load=True)
    figures: dict[str, Any] = {
        "events": kept,
        "import_seconds": loaded[0] - bare[0],
        "bare_seconds": bare[0],
        "import_mb": loaded[1] - bare[1],
        "bare_mb": bare[1],
        "record_us_an_event": 1e6 * seconds["record"] / len(told),
        "decode_ms": 1e3 * seconds["decode"],
        "scratch_ms": 1e3 * seconds["scratch"],
        "scratch_to_decode": seconds["scratch"] / seconds["decode"],
        "one_more_view_ms": 1e3 * seconds["one view"],
        "one_more_order_ms": 1e3 * seconds["one order"],
        "one_more_ms": 1e3 * max(seconds["one view"], seconds["one order"]),
        "unchanged_ms": 1e3 * seconds["unchanged"],
        "one_more_to_scratch": max(seconds["one view"], seconds["one order"]) / seconds["scratch"],
        "store_bytes_an_event": stored / kept,
    }
    return figures | {"targets": dict(TARGETS)}


def show(found: Mapping[str, Any]) -> None:
    """Print the figures, each beside its target or baseline."""
    console = Console()
    baselines: Mapping[str, Callable[[], str]] = {
        "import_seconds": lambda: f"bare interpreter {found['bare_seconds']:.3f}",
        "import_mb": lambda: f"bare interpreter {found['bare_mb']:.1f}",
        "scratch_ms": lambda: (
            f"decoding alone {found['decode_ms']:.1f}, ratio {found['scratch_to_decode']:.2f}"
        ),
        "one_more_ms": lambda: f"ratio to scratch {found['one_more_to_scratch']:.4f}",
    }
    for name, figure in found.items():
        if isinstance(figure, int | float):
            target = f"at most {TARGETS[name]:g}" if name in TARGETS else ""
            beside = "; ".join(filter(None, (target, baselines[name]() if name in baselines else "")))
            console.print(f"{name:22} {figure:12,.3f}  {beside}")


def _device(path: Path) -> Device:
    operator = SigningKey(bytes(32)).public
    return Device.open(path, bytes(32), trust=Trust(operator, operator, "bench/log"), clock=lambda: NOW)


def _allow_everything(device: Device) -> None:
    """Open the gate without a registry, and map the categories."""
    texts = (NoticeText("en", "title", "text"),)
    notices = {name: Notice(name, 1, 0, 0, "consent", 1.0, 1.0, 1e-6, texts) for name in PURPOSES}
    device.consents.keep_notices(notices)
    for name in PURPOSES:
        device.decision(name, GRANTED)
    state = device.consents._state
    confirmed = tuple(Choice(name, GRANTED, 1) for name in PURPOSES)
    state.write(replace(state.read(), confirmed=confirmed, unsent=(), synced_at=milliseconds(NOW)))
    mapped = tuple(Category(name, "ordinary") for name in CATEGORIES)
    bundle = replace(BASE, version=BASE.version + 1, categories=mapped)
    device.adopt_rules(sign_rules(bundle, SigningKey(bytes(32))))


def _events(count: int) -> Iterator[Event]:
    """Yield a year of one person: of 20 events 16 views, 2 in the cart, an order and a visit."""
    draw = random.Random(7)  # noqa: S311  # made-up data
    for number in range(count):
        kind, item = number % 20, f"item-{draw.randrange(ITEMS):05d}"
        if kind < 16:
            yield ItemView(item, (draw.choice(CATEGORIES),), _ago(draw.random() * 179), 0)
        elif kind < 18:
            yield CartAdd(item, (draw.choice(CATEGORIES),), _ago(draw.random() * 399), 0)
        elif kind == 18:
            yield _order(f"order-{number}", draw.random() * 399, draw)
        else:
            yield AppOpen(_ago(draw.random() * 399), 0)


def _order(name: str, days: float, draw: random.Random) -> OrderPaid:
    lines = tuple(
        OrderLine(f"item-{draw.randrange(2000):05d}", draw.choice(CATEGORIES), draw.randrange(100, 9000))
        for _ in range(draw.randrange(1, 6))
    )
    return OrderPaid(name, lines, sum(line.paid_minor for line in lines), "USD", _ago(days), 0)


def _ago(days: float) -> int:
    return milliseconds(NOW - timedelta(days=days))


def _size(path: Path) -> int:
    return sum(file.stat().st_size for file in path.parent.glob(f"{path.name}*"))


def _imported(*, load: bool) -> tuple[float, float]:
    """Return CPU seconds and peak megabytes of an interpreter, medians of five; `load` the SDK or not."""
    command = [sys.executable, "-c", _IMPORT, *(["sdk"] if load else [])]
    env, taken = os.environ | {"OPENBLAS_NUM_THREADS": "1"}, []
    for _ in range(5):
        ran = subprocess.run(command, capture_output=True, check=True, env=env)  # noqa: S603  # ours
        taken.append(json.loads(ran.stdout))
    seconds, megabytes = zip(*taken, strict=True)
    return sorted(seconds)[2], sorted(megabytes)[2]
