"""The demo's report: a page to look at, and the same as JSON."""

from __future__ import annotations

import json
import math
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from covey_sdk.tag_rules.registry import kind_of
from covey_simulations.errors import SetupError
from covey_simulations.evaluation import paired_comparison
from covey_simulations.report import chart_style, charts, conclusions, log_check, ranking_charts

TASKS = ("new", "again")


@dataclass(frozen=True, slots=True)
class Figure:
    """One published figure beside its true value, in the same units; `released` is None when suppressed."""

    key: str
    released: float | None
    truth: float | None

    @property
    def gap(self) -> float | None:
        """How far the published figure is off; None where there is nothing to compare."""
        return None if self.released is None or self.truth is None else self.released - self.truth

    @property
    def relative(self) -> float | None:
        """The gap as a share of the true value; None where that is zero."""
        return None if self.gap is None or not self.truth else self.gap / self.truth


def write_report(report: Mapping[str, Any], out: Path, check: Mapping[str, bytes] | None = None) -> None:
    """Write report.json and report.html into the folder `out`, each of them whole or not at all.

    `check` is what `proof.files` gives: it goes into a folder of its own beside them.

    `report` is what report.schema.json describes. What is missing raises KeyError or jinja2's
    UndefinedError, what is not finite ValueError; nothing has been written then.
    """
    texts = {
        "report.json": json.dumps(report, ensure_ascii=False, indent=2, allow_nan=False) + "\n",
        "report.html": render_page(report),
    }
    written = {Path(file): text.encode() for file, text in texts.items()}
    written |= {Path(log_check.CHECK, file): data for file, data in (check or {}).items()}
    (out / log_check.CHECK if check else out).mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out, prefix=".report-") as folder:
        for number, data in enumerate(written.values()):
            _write_durably(Path(folder, str(number)), data)
        for number, file in enumerate(written):
            Path(folder, str(number)).replace(out / file)
    _sync(out)


def require_place(out: Path) -> None:
    """Raise SetupError unless `write` can write a report into the folder `out`; nothing is left there."""
    if out.exists() and not out.is_dir():
        raise SetupError(f"--out is {out}, a file; a folder, or a name for one, was expected")
    for name in ("report.json", "report.html"):
        if (out / name).is_dir():
            raise SetupError(f"--out is {out}, where {name} is a folder; the report's file is to go there")
    if (out / log_check.CHECK).exists() and not (out / log_check.CHECK).is_dir():
        raise SetupError(f"--out is {out}, where {log_check.CHECK} is a file; a folder is to go there")
    made = [folder for folder in (out, *out.parents) if not folder.exists()]
    try:
        out.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=out):
            pass
    except OSError as error:
        raise SetupError(
            f"--out is {out}, where nothing can be written: {error.strerror}; name another folder"
        ) from None
    finally:
        for folder in filter(Path.exists, made):
            folder.rmdir()


def render_page(report: Mapping[str, Any]) -> str:
    """Return the report as one HTML page that needs nothing from elsewhere."""
    return _environment().get_template("report.html.j2").render(report=report, **_readings(report))


def odds(epsilon: float, delta: float) -> float:
    """Return how often, at best, someone tells rightly which of two equally likely cases holds for a person.

    A probability from 0.5 (a guess) to 1, after everything is published under (epsilon, delta)-differential
    privacy: Kairouz, Oh, Viswanath 2015, "The composition theorem for differential privacy".
    """
    return 1 - (1 - delta) / (1 + math.exp(epsilon))


def _readings(report: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the page says beyond the report: charts, and figures beside their truth."""
    q20, q1 = report["analytics"]["q20"], report["analytics"]["q1"]
    spent, least_cell = report["epsilon"], q1["least_cell"]
    behind = report["withdrawn"]["train"]["left_behind"]
    drawn = {
        "consent": charts.consent(report["granted"], report["granted_nothing"], report["households"]),
        "segments": charts.segments(q1),
        "spent": charts.spent(_gauges(spent)),
        **{fact: charts.histogram(fact, q20, least_cell) for fact in charts.SCALES},
        **_ranking_charts(report["recommender"]),
    }
    groups = _figures(q1)
    return {
        "charts": drawn,
        "medians": _figures(q20),
        "groups": groups,
        "worst": max((group for group in groups if group.gap is not None), key=_size, default=None),
        "moved": _moved(q1["truth"], q1["at_released_cuts"]),
        "suppressed": sum(group.released is None for group in groups),
        "rounds": {played["query"]: played for played in report["rounds"]},
        "bounds": {
            query: charts.least_released(asked["sd"], least_cell)
            for query, asked in report["analytics"].items()
        },
        "leads": {task: paired_comparison.leads_by_rival(report["recommender"][task]) for task in TASKS},
        "gauges": _gauges(spent),
        "agreed": _agreed(report),
        "absence_proved": conclusions.absence_proved(report["withdrawn"]),
        "all_gone": not any(behind.values()),
        **_committees(report),
        "verdicts": conclusions.draw_conclusions(report),
        "commands": log_check.COMMANDS,
        "odds": odds(spent["per_person_max"], spent["delta"]),
    }


def _committees(report: Mapping[str, Any]) -> dict[str, Any]:
    """Return the first round's committees by kind, and what holds of all rounds' committees."""
    first = {each["kind"]: each for each in report["rounds"][0]["committees"]}
    return {
        **{kind: first.get(kind) for kind in ("standing", "drawn")},
        "kinds": list(first),
        "most_keys": max(report["parameters"]["organisations"].values(), default=0),
        "proved": sum(played["integrity_proved"] for played in report["rounds"]),
    }


def _agreed(report: Mapping[str, Any]) -> list[dict[str, int]]:
    """Return for each question how many phones may answer it, and how many of those are not in its sum."""
    final = {played["query"]: played["final"] for played in report["rounds"]}
    counted = report["granted"].get("analytics", 0)
    agreed = {"q20": counted, "q1": counted - report["withdrawn"]["count"]}
    return [{"agreed": many, "missing": many - final[query]} for query, many in agreed.items()]


def _ranking_charts(found: Mapping[str, Any]) -> dict[str, str]:
    """Return the charts of recommending."""
    return {
        "effect": ranking_charts.effect("recall_at_10", found),
        **{
            f"leads_{task}": ranking_charts.leads(task, paired_comparison.leads_by_rival(found[task]))
            for task in TASKS
        },
        **{f"reasons_{task}": ranking_charts.reasons(task, found["list"][task]) for task in TASKS},
    }


def _gauges(spent: Mapping[str, Any]) -> dict[str, tuple[float, float]]:
    """Return what was spent and its cap, for each purpose and for the one person who paid most."""
    each = {purpose: (epsilon, spent["caps"][purpose]) for purpose, epsilon in spent["per_purpose"].items()}
    return {**each, "total": (spent["per_person_max"], spent["cap"])}


def _figures(query: Mapping[str, Any]) -> list[Figure]:
    return [Figure(key, released, query["truth"][key]) for key, released in query["released"].items()]


def _moved(truth: Mapping[str, int], other: Mapping[str, int]) -> int:
    """Return how many people at least are counted in another group."""
    return sum(abs(count - truth[key]) for key, count in other.items()) // 2


def _size(figure: Figure) -> float:
    return abs(figure.gap or 0)


def _environment() -> Environment:
    """Return the templates' environment, which takes every value for text, never for markup."""
    environment = Environment(
        loader=PackageLoader("covey_simulations.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"number": _number, "percent": _percent, "points": _points}
    environment.filters |= {"day": _day, "day_zh": _day_zh}
    environment.globals |= {"name": chart_style.label_of, "sqrt": math.sqrt, "kind": kind_of}
    environment.globals |= {"metrics": paired_comparison.METRICS, "reason_colours": ranking_charts.REASONS}
    return environment


def _number(value: float, digits: int = 0) -> str:
    """Return a number as 1,234 or 1,234.5, with a true minus sign."""
    return f"{value:,.{digits}f}".replace("-", "\N{MINUS SIGN}")


def _percent(share: float, digits: int = 0) -> str:
    return _number(100 * share, digits) + "%"


def _points(share: float) -> str:
    """Return a share as points of 100, with two digits."""
    return _number(100 * share, 2)


def _day(moment: str) -> str:
    at = datetime.fromisoformat(moment)
    return f"{at.day} {at:%B %Y}"


def _day_zh(moment: str) -> str:
    at = datetime.fromisoformat(moment)
    return f"{at.year}年{at.month}月{at.day}日"


def _write_durably(path: Path, data: bytes) -> None:
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _sync(folder: Path) -> None:
    """Make the renames in a folder last."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
