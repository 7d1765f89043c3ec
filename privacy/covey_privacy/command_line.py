"""What `covey` commands are made of: help with an example, options, errors of one line.

Only the standard library is imported. A package declares its commands in a function that the entry-point
group `covey.commands` names. The module that carries a command out is imported when the command runs; its
function gets the options by name, and returns the exit status or None for 0:

    def add_site(covey: CommandGroup) -> CommandGroup:
        site = covey.group("site", "what apps pin", "covey site show shop.site", module="my.site")
        site.command("show", "print it", "covey site show shop.site", path("file", "FILE", "the document"))
        return site     # where other packages can add further subcommands
"""

from __future__ import annotations

import argparse
import importlib
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any, TypeAlias

Option: TypeAlias = "Callable[[argparse._ActionsContainer], object]"
"""Adds an option, or several, to a command's parser."""


class CommandError(Exception):
    """A command failed for a reason that one line tells; `status` is the exit status."""

    def __init__(self, reason: object, status: int) -> None:
        if isinstance(reason, OSError) and reason.filename is not None and reason.strerror:
            reason = f"{reason.filename} cannot be used: {reason.strerror}"
        super().__init__(" ".join(str(reason).split()))
        self.status = status


@contextmanager
def exit_statuses(statuses: Mapping[type[Exception], int]) -> Iterator[None]:
    """Raise CommandError with the exit status of an error's type; the first type that fits counts."""
    try:
        yield
    except tuple(statuses) as error:
        status = next(status for kind, status in statuses.items() if isinstance(error, kind))
        raise CommandError(error, status) from error


def load(module: str, extra: str) -> ModuleType:
    """Import a module that takes an extra. Raises CommandError where that is not installed."""
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if not extra:
            raise
        raise CommandError(
            f"{error.name} is missing; this command takes an extra: pip install '.[{extra}]' in a checkout", 1
        ) from error


def write_or_compare(path: Path, generated: str, *, write: bool, difference: str) -> int:
    """Write a generated file; or compare it with what it would be, tell a `difference`, and return 1."""
    if write:
        path.write_text(generated, "utf-8")
    elif not path.exists() or path.read_text("utf-8") != generated:
        sys.stderr.write(f"{path} {difference} --write\n")
        return 1
    return 0


@dataclass(frozen=True, slots=True)
class CommandGroup:
    """A place where commands are added: `covey` itself, or a command that has subcommands.

    `module` is where a command's function is looked for, under the command's name unless it names another.
    `extra` is the extra of Covey's distribution that the module takes. `errors` turns the package's errors
    into CommandError.
    """

    parsers: argparse._SubParsersAction[argparse.ArgumentParser]
    module: str = ""
    extra: str = ""
    errors: Callable[[], AbstractContextManager[object]] = nullcontext

    def group(
        self, name: str, what: str, example: str, *, metavar: str = "ACTION", **settings: Any
    ) -> CommandGroup:
        """Add a command that has subcommands; `settings` are those fields that differ from this group's."""
        parser = self._add_parser(name, what, example)
        parsers = parser.add_subparsers(required=True, metavar=metavar)
        return replace(self, parsers=parsers, **settings)

    def command(
        self,
        name: str,
        what: str,
        example: str,
        *options: Option,
        run: str | Callable[[argparse.Namespace], int] = "",
    ) -> None:
        """Add a command.

        Args:
            name: what it is called.
            what: its help.
            example: a command line; the help ends with it.
            options: its options, in the order of the help.
            run: the function as "module:function", or as "function" of the group's module; or what takes the
                parsed arguments and returns the exit status.
        """
        parser = self._add_parser(name, what, example)
        for each in options:
            each(parser)
        if isinstance(run, str):
            module, _, function = run.rpartition(":")
            run = partial(self._call, module or self.module, function or name)
        parser.set_defaults(run=run)

    def _add_parser(self, name: str, what: str, example: str) -> argparse.ArgumentParser:
        return self.parsers.add_parser(name, help=what, description=what, epilog=f"example: {example}")

    def _call(self, module: str, function: str, chosen: argparse.Namespace) -> int:
        options = {name: value for name, value in vars(chosen).items() if name != "run"}
        act = getattr(load(module, self.extra), function)
        with self.errors():
            return act(**options) or 0


def option(name: str, what: str, **settings: Any) -> Option:
    """Return what adds an argument with the settings of `ArgumentParser.add_argument`."""
    return lambda parser: parser.add_argument(name, help=what, **settings)


def text(name: str, metavar: str, what: str, **settings: Any) -> Option:
    """Return what adds an argument whose value is shown as `metavar`."""
    return option(name, what, metavar=metavar, **settings)


def path(name: str, metavar: str, what: str, **settings: Any) -> Option:
    """Return what adds an argument whose value is a path."""
    return option(name, what, metavar=metavar, type=Path, **settings)


def choice(name: str, choices: Sequence[str], what: str, **settings: Any) -> Option:
    """Return what adds an argument whose value is one of the choices."""
    return option(name, what, choices=choices, **settings)


def number(name: str, metavar: str, default: float, what: str) -> Option:
    """Return what adds an option whose value is a number of its default's type."""
    kind, shown = type(default), f"{default:g}" if isinstance(default, float) else default
    return option(name, f"{what}, default {shown}", metavar=metavar, type=kind, default=default)


def flag(name: str, what: str, **settings: Any) -> Option:
    """Return what adds an option without a value."""
    return option(name, what, action="store_true", **settings)


def exclusive(*options: Option, required: bool = False) -> Option:
    """Return what adds options of which at most one can be given."""

    def add(parser: argparse._ActionsContainer) -> None:
        group = parser.add_mutually_exclusive_group(required=required)
        for each in options:
            each(group)

    return add


def whole(least: int, most: int = 2**31 - 1) -> Callable[[str], int]:
    """Return what reads an option's whole number of at least `least` and at most `most`, for argparse."""

    def read(text: str) -> int:
        if not re.fullmatch("-?[0-9]{1,20}", text) or not least <= int(text) <= most:
            raise argparse.ArgumentTypeError(
                f"{text[:40]!r}; a whole number, {least} to {most}, was expected"
            )
        return int(text)

    return read


def address(port: int) -> Option:
    """Return what adds `--host` and `--port` of a server, with the port's default; 0 is any that is free.

    The system takes a number above 65535 for another port, and does not say so.
    """
    host = option("--host", "address to listen on, default 127.0.0.1", default="127.0.0.1")
    listening = option("--port", f"port to listen on, default {port}", type=whole(0, 65535), default=port)
    return lambda parser: (host(parser), listening(parser))


KEY = "the registry's public key, as `covey registry key` prints it, or its 64 hex digits"
"""The help of a registry's key, which `covey_privacy.note.public_key` reads."""

JSON = flag("--json", "for a program to read", dest="as_json")
