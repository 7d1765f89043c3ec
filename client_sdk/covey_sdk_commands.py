"""The options and help of `covey catalogue`.

They stand beside the package: importing `covey_sdk` loads all of it, which `covey --help` does not need.
"""

from __future__ import annotations

from covey_privacy.command_line import CommandGroup, flag, path, text
from covey_privacy.commands.parser import LANGUAGE


def add_catalogue(covey: CommandGroup) -> CommandGroup:
    """Add `covey catalogue classify` and `sign`."""
    example = "covey catalogue classify categories.csv --out mapping.json"
    catalogue = covey.group(
        "catalogue", "the shop's categories", example, module="covey_sdk.catalogue_command"
    )
    catalogue.command(
        "classify",
        "propose which categories are ordinary, health or family; list those that a person has to decide",
        example,
        path("file", "FILE.csv", "columns id, name and optionally path or parent; or a name a line"),
        path("--out", "FILE", "a new file to write the mapping to"),
        LANGUAGE,
        flag("--json", "print the mapping, for a program to read", dest="as_json"),
    )
    catalogue.command(
        "sign",
        "sign a rule bundle with the mapping; refuses a sensitive word mapped to ordinary without a reason",
        "covey catalogue sign mapping.json --key operator.key --version 3 --out rules.signed",
        path("file", "MAPPING", "the mapping, as `classify --out` writes it"),
        path("--key", "FILE", "the operator's key: 32 bytes, or in hex", required=True),
        text("--version", "N", "above that of the bundle in use", type=int, required=True),
        path("--out", "FILE", "a new file to write the bundle to", required=True),
    )
    return catalogue
