"""`covey catalogue`: maps a shop's categories and signs the mapping. A phone does not use it."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from covey_privacy.command_line import CommandError
from covey_privacy.errors import PrivacyError
from covey_privacy.signatures import SigningKey
from covey_sdk import category_mapping, rule_bundle
from covey_sdk.category_mapping import Proposal
from covey_sdk.errors import CatalogueError, RegistryError

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


def classify(file: Path, out: Path | None, language: str, as_json: bool) -> None:
    """Propose a mapping of the categories in a file, and print what a person has to decide."""
    with _named(file):
        proposals = [*map(category_mapping.propose, category_mapping.read_rows(file.read_bytes()))]
        text = json.dumps(category_mapping.document(proposals), ensure_ascii=False, indent=2) + "\n"
        if out is not None:
            _write_new(out, text.encode())
    if as_json:
        print(text, end="")
    else:
        _show(proposals, language, out)


def sign(file: Path, key: Path, version: int, out: Path) -> None:
    """Sign a rule bundle with the mapping in a file."""
    if not rule_bundle.BASE.version < version < 2**32:
        raise CommandError(
            f"--version is {version}; a number above {rule_bundle.BASE.version} was expected", 2
        )
    with _named(file):
        mapping = category_mapping.read_mapping(file.read_bytes())
        bundle = replace(rule_bundle.BASE, version=version, categories=mapping.categories)
        _write_new(out, rule_bundle.sign_rules(bundle, _read_key(key), mapping.names))
    print(f"{len(mapping.categories)} categories are mapped in {out}, rule bundle {version}")


@contextmanager
def _named(file: Path) -> Iterator[None]:
    """Name the file in what is refused."""
    try:
        yield
    except (CatalogueError, RegistryError, PrivacyError) as error:
        raise CommandError(f"{file}: {error}", 2) from error


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


def _read_key(path: Path) -> SigningKey:
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
