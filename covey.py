"""The `covey` command: reads the arguments and hands over to the packages.

Packages add their commands by the entry-point group `covey.commands`. An entry is named like the command;
"registry.drill" is a subcommand of `registry`. It refers to a function that adds the command to the
`covey_privacy.command_line.CommandGroup` that it gets, and returns the command's own group, if it has one.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, entry_points, version

from covey_privacy.command_line import JSON, CommandError, CommandGroup

TRACEBACK = "COVEY_TRACEBACK"
"""The variable that shows where an error is from."""

_CLASS = re.compile(r"<class '[^']*'>|\(?\b[a-z_]\w*(\.\w+)*\.[A-Z]\w+\)?:?")
"""A class by its path, as Python and its libraries write it into errors."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status: 0 done, 1 failed, 2 asked for something that cannot be.

    `covey log judge` also says what it found: 0 consistent, 3 forked, 4 open.
    """
    chosen = _parser().parse_args(arguments)
    try:
        return int(chosen.run(chosen))
    except KeyboardInterrupt:
        return _fail(CommandError("interrupted; nothing half-written is left", 130))
    except CommandError as error:
        return _fail(error)
    except OSError as error:
        if os.environ.get(TRACEBACK):
            raise
        return _fail(CommandError(error, 1))
    except Exception as error:  # what no command foresaw: a user gets a line, a developer a traceback
        if os.environ.get(TRACEBACK):
            raise
        said = _CLASS.sub("", str(error)) or "it says no more"
        return _fail(
            CommandError(f"this is a fault of Covey's own: {said}; {TRACEBACK}=1 shows where it is", 1)
        )


def _fail(error: CommandError) -> int:
    print(f"covey: {error}", file=sys.stderr)
    return error.status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="covey", description="Privacy-preserving personalization.")
    what = "say which Covey this is"
    parser.add_argument("--version", action=_ShowVersion, nargs=0, default=argparse.SUPPRESS, help=what)
    covey = CommandGroup(parser.add_subparsers(required=True, metavar="COMMAND"))
    _add_found(covey)
    covey.command("version", what, "covey version --json", JSON, run=_version)
    return parser


def _add_found(covey: CommandGroup) -> None:
    """Add the commands of the installed packages; by its name, a subcommand comes after its group."""
    groups: dict[str, CommandGroup | None] = {"": covey}
    entries = entry_points(group="covey.commands")
    if not entries:
        _fail(CommandError("Covey is not installed here, so its commands are not known: pip install .", 1))
    for entry in sorted(entries, key=lambda entry: entry.name):
        parent = entry.name.rpartition(".")[0]
        try:
            groups[entry.name] = entry.load()(groups.get(parent))
        except (ImportError, AttributeError) as error:
            why = error if groups.get(parent) else f"{parent} has no subcommands"
            _fail(CommandError(f"the command {entry.name} ({entry.value}) cannot be loaded: {why}", 1))


class _ShowVersion(argparse.Action):
    """`--version`: the version is looked up only when it is asked for."""

    def __call__(self, parser: argparse.ArgumentParser, chosen: argparse.Namespace, *_: object) -> None:
        chosen.as_json = False
        parser.exit(_version(chosen))


def _version(chosen: argparse.Namespace) -> int:
    try:
        number = version("covey")
    except PackageNotFoundError:
        return _fail(
            CommandError("Covey is not installed here, so its version is not known: pip install .", 1)
        )
    print(json.dumps({"covey": number}) if chosen.as_json else f"covey {number}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
