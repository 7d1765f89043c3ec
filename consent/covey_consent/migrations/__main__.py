"""Write the next migration: what the models say beyond the migrations that there are.

    python -m covey_consent.migrations "what it is for"

Read it before you commit it: Alembic sees a renamed column as one dropped and one added.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.script import write_hooks

from covey_consent.storage import database, schema

HOOKS = {
    "hooks": "tidy, ruff",
    "tidy.type": "tidy",
    "ruff.type": "exec",
    "ruff.executable": "ruff",
    "ruff.options": "format REVISION_SCRIPT_FILENAME",
}
"""What Alembic does to the file that it has written."""


def main() -> None:
    """Write a revision under the next number."""
    parser = argparse.ArgumentParser(prog="python -m covey_consent.migrations", description=__doc__)
    parser.add_argument("why", help="a few words: they name the file")
    why = parser.parse_args().why
    with tempfile.TemporaryDirectory() as folder:
        scratch = database.connect(f"sqlite:///{Path(folder) / 'scratch.db'}", durable=False)
        schema.upgrade(scratch)
        with schema.migrating(scratch) as configuration:
            _write(configuration, why)
        scratch.close()


def _write(configuration: Config, why: str) -> None:
    configuration.set_main_option("file_template", "v%%(rev)s_%%(slug)s")
    for name, value in HOOKS.items():
        configuration.set_section_option("post_write_hooks", name, value)
    number = 1 if schema.newest() == "none" else int(schema.newest()) + 1
    command.revision(configuration, why, autogenerate=True, rev_id=str(number))


@write_hooks.register("tidy")
def _tidy(path: str, _options: dict[str, object]) -> None:
    """Drop what Alembic remarks about itself."""
    file = Path(path)
    lines = file.read_text("utf-8").splitlines(keepends=True)
    file.write_text("".join(line for line in lines if "# ###" not in line), "utf-8")


if __name__ == "__main__":
    main()
