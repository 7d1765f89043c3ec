"""The options and help of `covey operator`, `site` and `decryptor`."""

from __future__ import annotations

from covey_privacy.command_line import JSON, CommandGroup, address, exclusive, flag, path, text

_FORCE = flag("--force", "replace the key in the file, for good")


def add_operator(covey: CommandGroup) -> CommandGroup:
    """Add `covey operator keygen` and `key`."""
    operator = covey.group(
        "operator",
        "the key of who operates rounds",
        "covey operator keygen operator.key",
        module="covey_server.commands.keys",
    )
    key = (
        path("file", "FILE", "the file of the key"),
        exclusive(flag("--hex", "the public key alone in hex, as apps pin it", dest="as_hex"), JSON),
    )
    operator.command(
        "keygen",
        "make a key in a file that its owner alone can read, and print its public half",
        "covey operator keygen operator.key",
        _FORCE,
        *key,
        run="make_operator_key",
    )
    operator.command(
        "key",
        "print the public half of a key, as the registry's settings take it",
        "covey operator key operator.key >> registry.env",
        *key,
        run="show_operator_key",
    )
    return operator


def add_site(covey: CommandGroup) -> CommandGroup:
    """Add `covey site sign` and `show`."""
    example = "covey site sign site.toml --key operator.key --out shop.site"
    what = "the signed document of a shop's addresses and keys, which apps pin"
    site = covey.group("site", what, example, module="covey_server.commands.site")
    site.command(
        "sign",
        "sign what a TOML file says of the site, with the operator's key",
        example,
        path("file", "FILE", "the site's file; docs/decryptor.md shows one"),
        path("--key", "FILE", "the operator's key", required=True),
        path("--out", "FILE", "where the document goes", required=True),
    )
    site.command(
        "show",
        "check a site document's signature and print what it pins",
        "covey site show shop.site --operator 3b6a27bc...",
        path("file", "FILE", "the signed document"),
        text("--operator", "HEX", "the operator's public key", required=True),
        JSON,
    )
    return site


def add_decryptor(covey: CommandGroup) -> CommandGroup:
    """Add `covey decryptor keygen` and `serve`."""
    example = "covey decryptor keygen --key decryptor.key"
    what = "an organisation's seat on the committees that open sums"
    decryptor = covey.group("decryptor", what, example, extra="decryptor")
    key = path("--key", "FILE", "the file of the key", dest="key_file", required=True)
    decryptor.command(
        "keygen",
        "make a key in a file that its owner alone can read, and print its public half, which shops pin",
        example,
        _FORCE,
        exclusive(flag("--hex", "print the public key alone, in hex", dest="as_hex"), JSON),
        key,
        run="covey_server.commands.keys:make_decryptor_key",
    )
    decryptor.command(
        "serve",
        "serve seats, checks and openings over HTTP, with a page at / for whoever runs it",
        "covey decryptor serve --key decryptor.key --sites sites --state state --port 8720",
        path("--sites", "FOLDER", "one .toml file for each shop served", required=True),
        path(
            "--state",
            "FOLDER",
            "keeps what was done in which round; no secret; for this process alone",
            dest="folder",
            required=True,
        ),
        address(8720),
        flag(
            "--restored",
            "once, where the state was lost or comes from a backup: no seat in rounds of the next 48 hours",
        ),
        key,
        run="covey_server.decryptor.serve:serve",
    )
    return decryptor
