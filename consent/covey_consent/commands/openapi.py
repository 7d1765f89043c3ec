"""The OpenAPI document as a file: `python -m covey_consent.commands.openapi FILE [--write]`."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from covey_consent.app import create_app
from covey_consent.settings import Settings
from covey_privacy.command_line import write_or_compare


def made() -> str:
    """Return the document of the routes as they are."""
    return json.dumps(create_app(Settings()).openapi(), indent=1, ensure_ascii=False) + "\n"


def main(file: Path, *, write: bool = False) -> int:
    """Write the document, or say whether the file is what it would be; 1 where it is not."""
    difference = "is not what the routes say; write it anew with"
    return write_or_compare(file, made(), write=write, difference=difference)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), write="--write" in sys.argv[2:]))
