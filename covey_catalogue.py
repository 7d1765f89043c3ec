"""The catalogue on the command line: reads the arguments and hands over to `covey_sdk.category_mapping`."""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from covey import Commands, command, fail

if TYPE_CHECKING:
    from covey_sdk.category_mapping import Proposal

_TEXTS = {
    "en": {
        "count": "{total} categories: {ordinary} ordinary, {health} health, {family} family, "
        "{undecided} undecided",
        "title": "Undecided; each counts as sensitive until a person maps it:",
        "both": "words of both kinds: {words}",
        "unknown": "no known word",
        "written": "The mapping is in {path}. Look it through, move what you decide from `undecided` to "
        "`categories` with a `kind`, then sign it: covey catalogue sign {path} --help",
        "more": "... and {count} more: see --out or --json",
    },
    "zh": {
        "count": "共 {total} 个类目：普通 {ordinary}，健康 {health}，家庭 {family}，未定 {undecided}",
        "title": "未定的类目；在有人确定之前，均按敏感类目处理：",
        "both": "同时含有两类敏感词：{words}",
        "unknown": "没有已知的词",
        "written": "映射已写入 {path}。请逐条核对，把已决定的条目从 undecided 移到 categories 并写上 kind，"
        "然后签名：covey catalogue sign {path} --help",
        "more": "…… 另有 {count} 个，请用 --out 或 --json 查看",
    },
}
_SHOWN = 200
"""How many undecided categories are printed."""


def add(commands: Commands) -> None:
    """Add the catalogue's commands."""
    catalogue = command(
        commands,
        "catalogue",
        "the shop's categories",
        "covey catalogue classify categories.csv --out mapping.json",
    )
    actions = catalogue.add_subparsers(required=True, metavar="ACTION")
    classify = command(
        actions,
        "classify",
        "propose which categories are ordinary, health or family; list those that a person has to decide",
        "covey catalogue classify categories.csv --out mapping.json",
    )
    classify.add_argument(
        "file",
        type=Path,
        metavar="FILE.csv",
        help="columns id, name and optionally path or parent; or a name a line",
    )
    classify.add_argument("--out", type=Path, metavar="FILE", help="a new file to write the mapping to")
    classify.add_argument(
        "--language", choices=sorted(_TEXTS), default="en", help="of what is printed, default en"
    )
    classify.add_argument("--json", action="store_true", help="print the mapping, for a program to read")
    classify.set_defaults(run=_classify)
    sign = command(
        actions,
        "sign",
        "sign a rule bundle with the mapping; refuses a sensitive word mapped to ordinary without a reason",
        "covey catalogue sign mapping.json --key operator.key --version 3 --out rules.signed",
    )
    sign.add_argument("file", type=Path, metavar="MAPPING", help="the mapping, as `classify --out` writes it")
    sign.add_argument(
        "--key", type=Path, required=True, metavar="FILE", help="the operator's key: 32 bytes, or in hex"
    )
    sign.add_argument(
        "--version", type=int, required=True, metavar="N", help="above that of the bundle in use"
    )
    sign.add_argument(
        "--out", type=Path, required=True, metavar="FILE", help="a new file to write the bundle to"
    )
    sign.set_defaults(run=_sign)


def _classify(chosen: argparse.Namespace) -> int:
    from covey_sdk import category_mapping
    from covey_sdk.errors import CatalogueError

    try:
        proposals = [*map(category_mapping.propose, category_mapping.read_rows(chosen.file.read_bytes()))]
        text = json.dumps(category_mapping.document(proposals), ensure_ascii=False, indent=2) + "\n"
        if chosen.out is not None:
            _write_new(chosen.out, text.encode())
    except CatalogueError as error:
        return fail(f"{chosen.file}: {error}", 2)
    except OSError as error:
        return fail(error, 1)
    if chosen.json:
        print(text, end="")
    else:
        _show(proposals, chosen.language, chosen.out)
    return 0


def _show(proposals: Sequence[Proposal], language: str, out: Path | None) -> None:
    texts = _TEXTS[language]
    kinds = [proposal.kind or "undecided" for proposal in proposals]
    counts = {kind: kinds.count(kind) for kind in ("ordinary", "health", "family", "undecided")}
    print(texts["count"].format(total=len(kinds), **counts))
    undecided = [proposal for proposal in proposals if proposal.kind is None]
    if undecided:
        print(texts["title"])
    for proposal in undecided[:_SHOWN]:
        why = texts["both" if proposal.words else "unknown"].format(words=", ".join(proposal.words))
        named = "" if proposal.row.name == proposal.row.id else f" {proposal.row.name}"
        print(f"  {proposal.row.id}{named}: {why}")
    if len(undecided) > _SHOWN:
        print("  " + texts["more"].format(count=len(undecided) - _SHOWN))
    if out is not None:
        print(texts["written"].format(path=out))


def _sign(chosen: argparse.Namespace) -> int:
    from dataclasses import replace

    from covey_privacy.errors import PrivacyError
    from covey_sdk import category_mapping, rule_bundle
    from covey_sdk.errors import CatalogueError, RegistryError

    if not rule_bundle.BASE.version < chosen.version < 2**32:
        return fail(
            f"--version is {chosen.version}; a number above {rule_bundle.BASE.version} was expected", 2
        )
    try:
        mapping = category_mapping.read_mapping(chosen.file.read_bytes())
        bundle = replace(rule_bundle.BASE, version=chosen.version, categories=mapping.categories)
        signed = rule_bundle.sign_rules(bundle, _key(chosen.key), mapping.names)
        _write_new(chosen.out, signed)
    except (CatalogueError, RegistryError, PrivacyError) as error:
        return fail(f"{chosen.file}: {error}", 2)
    except OSError as error:
        return fail(error, 1)
    print(f"{len(mapping.categories)} categories are mapped in {chosen.out}, rule bundle {chosen.version}")
    return 0


def _key(path: Path) -> Any:
    from covey_privacy.signatures import SigningKey
    from covey_sdk.errors import CatalogueError

    data = path.read_bytes()
    try:
        secret = data if len(data) == 32 else bytes.fromhex(data.decode("ascii"))
    except ValueError:
        secret = b""
    if len(secret) != 32:
        raise CatalogueError(f"{path} holds no key; 32 bytes or their 64 hex digits were expected")
    return SigningKey(secret)


def _write_new(path: Path, data: bytes) -> None:
    """Write a file that is not there yet, whole or not at all: what is there may have been edited by hand."""
    descriptor, draft = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.link(draft, path)
    except FileExistsError:
        raise FileExistsError(f"{path} exists, perhaps edited by hand; give the name of a new file") from None
    finally:
        os.unlink(draft)
