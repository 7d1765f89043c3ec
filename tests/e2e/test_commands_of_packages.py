"""Packages add commands to `covey` by the entry-point group `covey.commands`, a third party's as well."""

import argparse
import importlib
import inspect
import os
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import covey
import pytest

COVEY = Path(__file__).parents[2] / "covey.py"
GREETINGS = """
from covey_privacy.command_line import CommandError, text

def add(group):
    name = text("name", "NAME", "whom")
    group.command("greet", "say hello", "covey greet Ann", name, run="greetings:greet")

def greet(name):
    if not name:
        raise CommandError("nobody is there", 3)
    print(f"hello {name}")
"""


@pytest.fixture
def installed(tmp_path):
    """Return what runs `covey` beside a distribution that has these entries."""

    def run(entries: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        (tmp_path / "greetings.py").write_text(GREETINGS)
        metadata = tmp_path / "greetings-1.dist-info"
        metadata.mkdir(exist_ok=True)
        (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: greetings\nVersion: 1\n")
        (metadata / "entry_points.txt").write_text(f"[covey.commands]\n{entries}\n")
        found = os.pathsep.join(filter(None, (str(tmp_path), os.environ.get("PYTHONPATH"))))
        return subprocess.run(
            [sys.executable, COVEY, *arguments],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
            env={**os.environ, "PYTHONPATH": found},
        )

    return run


def test_a_third_party_adds_a_command_and_a_subcommand(installed):
    entries = "greet = greetings:add\nregistry.greet = greetings:add"
    for command in (["greet"], ["registry", "greet"]):
        greeted = installed(entries, *command, "Ann")
        assert (greeted.returncode, greeted.stdout, greeted.stderr) == (0, "hello Ann\n", "")
    refused = installed(entries, "greet", "")
    assert (refused.returncode, refused.stderr) == (3, "covey: nobody is there\n")
    assert "example: covey greet Ann" in installed(entries, "greet", "--help").stdout


@pytest.mark.parametrize(
    "entry", ["greet = gone:add", "greet = greetings:gone", "nowhere.greet = greetings:add"]
)
def test_a_command_that_cannot_be_loaded_leaves_the_others(installed, entry):
    shown = installed(entry, "version")
    assert (shown.returncode, len(shown.stderr.splitlines())) == (0, 1)
    assert shown.stderr.startswith(f"covey: the command {entry.partition(' ')[0]} (g")
    assert shown.stdout.startswith("covey ")


def commands(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    """Yield the parsers of all commands that can be run."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for each in action.choices.values():
                yield from commands(each)
    if parser.get_default("run"):
        yield parser


def test_the_function_of_every_command_takes_its_options():
    checked = 0
    for parser in commands(covey._parser()):
        run = parser.get_default("run")
        if not isinstance(run, partial):
            continue  # It takes the parsed arguments as they are.
        module, function = run.args
        names = {action.dest for action in parser._actions} - {"help"}
        signature = inspect.signature(getattr(importlib.import_module(module), function))
        assert signature.bind(**dict.fromkeys(names)), parser.prog
        checked += 1
    assert checked > 40


def test_help_imports_the_standard_library_and_the_packages_alone():
    code = (
        "import sys; before = {*sys.modules}; import covey; covey._parser(); "
        "print(*{each.partition('.')[0] for each in {*sys.modules} - before} - {*sys.stdlib_module_names})"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=COVEY.parent
    )
    assert {*ran.stdout.split()} <= {
        "covey", "covey_consent", "covey_privacy", "covey_sdk_commands", "covey_server", "covey_simulations",
    }  # fmt: skip
