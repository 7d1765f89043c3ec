"""The options and help of the `covey registry` commands that ask a registry that is served."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from covey_privacy.command_line import JSON, CommandGroup, exclusive, flag, option, path, text

_url = partial(option, "--url", default="http://127.0.0.1:8700")
URL = _url("where the registry serves")
_SERVED_URL = _url("where the registry is served")


def add_clock(registry: CommandGroup) -> None:
    """Add `covey registry clock`."""
    example = "covey registry clock show"
    clock = registry.group(
        "clock",
        "the clock of a registry that is being served: after a jump nothing expires until it is confirmed",
        example,
        module="covey_consent.commands.clock",
    )
    clock.command(
        "show", "say whether the registry trusts its clock; exits with 3 while it does not", example, URL
    )
    time = "the time now by another machine's clock (ISO 8601, UTC)"
    clock.command(
        "confirm",
        "confirm the time; COVEY_REGISTRY_TOKEN is an admin's access token",
        "covey registry clock confirm --time 2027-01-15T08:00Z",
        text("--time", "TIME", time, dest="stated", required=True),
        URL,
    )


def add_notice(registry: CommandGroup) -> None:
    """Add `covey registry notice`."""
    notice = registry.group(
        "notice",
        "the notices that people are shown",
        "covey registry notice lint notices/",
        metavar="DEED",
        module="covey_consent.commands.notice",
    )
    file = text("path", "NOTICE", "a notice file, or a packaged notice's purpose")
    purpose = text("purpose", "PURPOSE", "the purpose that it is about")
    notice.command(
        "lint",
        "list what notices lack under GDPR and PIPL; exits with 1 when something is missing",
        "COVEY_REGISTRY_CONTROLLER=controller.toml covey registry notice lint notices/",
        file,
    )
    notice.command(
        "publish",
        "put a notice in force at a running registry; COVEY_REGISTRY_TOKEN is an admin's access token",
        "covey registry notice publish notices/celebrate.toml --url http://127.0.0.1:8700",
        file,
        URL,
    )
    notice.command(
        "show",
        "print the notice of a purpose as Covey has it, or one to fill in",
        "covey registry notice show marketing --out notices/marketing.toml",
        purpose,
        path("--out", "FILE", "a new file to write it to"),
    )
    notice.command(
        "text",
        "print the text of any version of a notice that was ever in force at a running registry",
        "covey registry notice text train --version 1.0.0 --language zh",
        purpose,
        text("--version", "V", "such as 1.0.0", required=True),
        text("--language", "L", "default en", default="en"),
        URL,
        JSON,
        run="show_text",
    )


def add_breach(registry: CommandGroup) -> None:
    """Add `covey registry breach`."""
    example = "covey registry breach open --officer olga --nature 'a backup was copied'"
    what = "the breach register of a registry that is being served"
    breach = registry.group("breach", what, example, module="covey_consent.commands.breach")
    officer = text("--officer", "NAME", "in whose name, for the records", required=True)
    as_json = flag("--json", "print JSON, for a program to read", dest="as_json")
    common = (officer, _SERVED_URL, as_json)
    several = partial(text, action="append", default=[])
    breach.command(
        "open",
        "open a breach: its clock runs from its detection",
        example,
        text("--nature", "WORDS", "what happened, as far as is known", required=True),
        text("--at", "TIME", "when it was detected (ISO 8601, UTC), default now", dest="detected"),
        several("--purpose", "PURPOSE", "a purpose that was hit; repeatable", dest="purposes"),
        several("--round", "ROUND", "a round that was hit; repeatable", dest="rounds"),
        text("--since", "TIME", "records from then on were hit, default all"),
        text("--until", "TIME", "records up to then were hit, default all"),
        *common,
        run="open_",
    )
    breach.command(
        "list",
        "list breaches with their clocks",
        "covey registry breach list --officer olga",
        *common,
        run="list_",
    )


def add_lookups(registry: CommandGroup) -> None:
    """Add `covey registry allowed`, `find`, `history`, `rounds` and `requests`."""
    officer = text("--officer", "NAME", "in whose name, for the access log", required=True)
    reason = text("--reason", "WHY", "for the access log", required=True)
    form = partial(option, action="store_const", dest="form", default="text")
    as_json = form("--json", "print JSON, for a program to read", const="json")
    forms = exclusive(as_json, form("--csv", "print CSV, for a spreadsheet", const="csv"))
    asked = (officer, reason, _SERVED_URL, forms)
    lookups = replace(registry, module="covey_consent.commands.lookups")
    lookups.command(
        "allowed",
        "list everyone who allowed a purpose at a date",
        "covey registry allowed train --at 2027-01-15 --officer olga --reason 'audit 7' --csv > allowed.csv",
        text("purpose", "PURPOSE", "the purpose"),
        text("--at", "TIME", "ISO 8601, UTC where it names no zone; default now"),
        *asked,
        run="list_allowed",
    )
    lookups.command(
        "find",
        "find people by the begin of their pseudonym, or by the reference that the shop gave",
        "covey registry find --reference 'customer 4711' --officer olga --reason 'request 17'",
        exclusive(
            text("--prefix", "HEX", "the first 4 or more digits of a pseudonym"),
            text("--reference", "TEXT", "by which the shop knows the person"),
            required=True,
        ),
        *asked,
        run="find_people",
    )
    lookups.command(
        "history",
        "list everything that a person said or that was said for them, with an officer's reasons",
        "covey registry history 5f0c2a7d9be14c3f8a6d1e90b7c4a2f1 --officer olga --reason 'request 17'",
        text("subject", "PSEUDONYM", "32 hex digits"),
        *asked,
        run="list_history",
    )
    lookups.command(
        "rounds",
        "list every round with its epsilon",
        "covey registry rounds --officer olga --csv",
        officer,
        _SERVED_URL,
        forms,
        run="list_rounds",
    )
    lookups.command(
        "requests",
        "list people's requests",
        "covey registry requests --due-within 7 --overdue --officer olga --reason 'weekly look' --csv",
        flag("--overdue", "those whose answer is late"),
        text("--due-within", "DAYS", "open ones that are due by then", type=int),
        *asked,
        run="list_requests",
    )
