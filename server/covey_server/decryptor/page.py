"""What a decryptor shows of itself: a report as plain values, and the page made of it in two languages."""

from __future__ import annotations

import re
import tomllib
from datetime import UTC, datetime
from functools import cache
from importlib import resources
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from covey_server.decryptor.service import TOLERANCE, DecryptorService
from covey_server.decryptor.state import RoundRecord

LANGUAGES = ("en", "zh")
SHOWN = 50
"""Rounds on the page."""
LISTED = 1000
"""Rounds in the JSON."""


def report(service: DecryptorService, most: int) -> dict[str, Any]:
    """Return shops with their floors, the last `most` rounds, and totals; JSON can hold it."""
    return {
        "key": service.key.public.hex(),
        "tolerance_seconds": TOLERANCE,
        "serves_after": service.state.serves_after,
        "sites": [
            {
                "name": site.document.name,
                "operator": site.operator.hex(),
                "version": site.document.version,
                "log": site.document.origin,
                "seats_of_this_organisation": _seats(service, site.document),
                "floors": {
                    "profile": site.floors.profile,
                    "least_set": dict(site.floors.purposes),
                    "least_corrupt": site.floors.least_corrupt,
                    "most_epsilon": site.floors.most_epsilon,
                },
            }
            for site in service.sites
        ],
        "rounds": [_round(record) for record in service.state.rounds(most)],
        "totals": service.state.totals(),
        "secrets_held": service.secrets_held(),
    }


def language(chosen: str | None, accepted: str | None) -> str:
    """Return the language of the page: the one chosen, else the first known of an Accept-Language header."""
    if chosen in LANGUAGES:
        return chosen
    wishes = []
    for place, each in enumerate((accepted or "")[:1000].split(",")):
        tag, _, parameter = each.strip().partition(";")
        quality = re.fullmatch(r"\s*q\s*=\s*([01](?:\.[0-9]{0,3})?)\s*", parameter)
        weight = float(quality[1]) if quality else 1.0
        name = tag.strip().lower().partition("-")[0]
        if name in LANGUAGES and weight > 0:
            wishes.append((-weight, place, name))
    return min(wishes)[2] if wishes else LANGUAGES[0]


def render(found: dict[str, Any], language: str) -> str:
    """Return the page about a report, in "en" or "zh"."""
    page: str = _template().render(found=found, words=_words()[language], language=language)
    return page


def _seats(service: DecryptorService, document: Any) -> int:
    organisation = document.organisation_of(service.key.public)
    return len(organisation.keys) if organisation else 0


def _round(record: RoundRecord) -> dict[str, Any]:
    opened = None if record.opened is None else (record.members or 0) - (record.excluded or 0)
    return {
        "manifest": record.digest.hex(),
        "round_id": record.round_id,
        "shop": record.shop,
        "purpose": record.purpose,
        "query": record.query,
        "epsilon": record.epsilon,
        "seated_at": _time(record.seated),
        "checked_at": _time(record.checked),
        "contributions": record.members,
        "complaints": record.complaints,
        "opened_at": _time(record.opened),
        "opened_contributions": opened,
        "closes_at": _time(record.closes),
    }


def _time(seconds: int | None) -> str | None:
    """Return a time in ISO 8601; one beyond the calendar as its last second."""
    return None if seconds is None else datetime.fromtimestamp(min(seconds, 253402300799), UTC).isoformat()


@cache
def _template() -> Any:
    loader = PackageLoader("covey_server.decryptor", "")
    environment = Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    return environment.get_template("page.html.j2")


@cache
def _words() -> dict[str, dict[str, str]]:
    text = resources.files("covey_server.decryptor").joinpath("words.toml").read_text("utf-8")
    return tomllib.loads(text)
