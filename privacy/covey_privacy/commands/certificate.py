"""`covey certificate verify`: what a certificate proves, checked on this machine alone."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from covey_privacy.certificate import AbsentSince, Participated, verify_certificate
from covey_privacy.command_line import CommandError
from covey_privacy.errors import MisuseError, PrivacyError
from covey_privacy.note import VerifierKey, public_key
from covey_privacy.secagg.log_entries import LogView
from covey_privacy.site_document import open_site
from covey_privacy.wire import MESSAGE_LIMIT
from covey_privacy.witness import WitnessPolicy

LONGEST_SITE = 2**20
"""Bytes of a site document that are read."""

_TEXTS = {
    "en": {
        "participation": "This phone's contribution is in the sum of round {round_id} of {site}, "
        "which was over {contributions} contributions.",
        "asked": "The question was {query}, for {purposes}, at epsilon {epsilon:g} (delta {delta:g}).",
        "logged": "The set is entry {index} of the log {origin}; at {until} its witnesses had cosigned "
        "{size} entries.",
        "release": "The round's evidence names the release with SHA-256 {release}.",
        "key": "Round key: {round_key}",
        "absence": "Since {since} no set of {site} contains a contribution under any of the {keys} keys "
        "of this certificate. Rounds checked: {rounds}.",
        "run": "The check covers all entries of the log {origin} from size {first} to size {size}, "
        "with {sets} sets; at {until} its witnesses had cosigned them.",
        "limits": "A copy of this file proves the same for whoever holds it: it names nobody.",
        "digest": "SHA-256 of the file: {sha256}",
    },
    "zh": {
        "participation": "此手机的贡献已计入 {site} 第 {round_id} 轮的总和，"
        "该总和共含 {contributions} 份贡献。",
        "asked": "所问为 {query}，目的为 {purposes}，epsilon 为 {epsilon:g}（delta {delta:g}）。",
        "logged": "该集合是日志 {origin} 的第 {index} 条；在 {until}，见证方已共同签署 {size} 条。",
        "release": "该轮的证据指明所发布结果的 SHA-256 为 {release}。",
        "key": "轮次密钥：{round_key}",
        "absence": "自 {since} 起，{site} 的任何集合都不含本证书 {keys} 个密钥名下的贡献；"
        "共核查 {rounds} 轮。",
        "run": "核查涵盖日志 {origin} 从 {first} 条到 {size} 条之间的全部条目，"
        "其中有 {sets} 个集合；在 {until}，见证方已共同签署。",
        "limits": "本文件的副本对任何持有者证明同样的事：其中没有姓名。",
        "digest": "文件的 SHA-256：{sha256}",
    },
}
_LINES = {
    "participation": ("participation", "asked", "logged", "release", "key", "limits", "digest"),
    "absence": ("absence", "run", "limits", "digest"),
}


def verify(language: str, as_json: bool, **certificate: Any) -> None:
    """Print what a certificate proves; the other options are those of `establish_facts`."""
    facts = establish_facts(**certificate)
    if as_json:
        print(json.dumps(facts, indent=2))
        return
    texts, shown = _TEXTS[language], {**facts, "purposes": " + ".join(facts.get("purposes", ()))}
    for line in _LINES[facts["kind"]]:
        if line != "release" or facts["release"]:
            print(texts[line].format(**shown))


def establish_facts(file: Path, operator: str, site: Path | None, **by_hand: Any) -> dict[str, Any]:
    """Return what a certificate proves, for a program to read.

    Args:
        file: the certificate.
        operator: the operator's public key in hex.
        site: the signed site document, or None where `by_hand` says whom to believe about the log.

    Raises:
        CommandError: the site or the certificate is refused.
    """
    try:
        key = _read_operator_key(operator)
        name, view = _open_site(site, key, **by_hand)
    except MisuseError as error:
        raise CommandError(error, 2) from error
    except PrivacyError as error:
        raise CommandError(f"{site} is refused: {error}", 1) from error
    data = _read(file, MESSAGE_LIMIT)
    try:
        return _describe(verify_certificate(data, key, view), name, data)
    except PrivacyError as error:
        raise CommandError(f"the certificate does not hold: {error} ({error.rule})", 1) from error


def _describe(found: Participated | AbsentSince, site: str, data: bytes) -> dict[str, Any]:
    common = {"site": site, "sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}
    if isinstance(found, Participated):
        manifest = found.manifest
        return {
            "kind": "participation", **common, "round_id": manifest.round_id, "query": manifest.query,
            "purposes": list(manifest.purposes), "epsilon": manifest.epsilon, "delta": manifest.delta,
            "contributions": found.contributions, "round_key": found.round_key.hex(), "index": found.index,
            "origin": found.checkpoint.origin, "size": found.checkpoint.size,
            "until": _moment(found.witnessed), "release": found.release and found.release.hex(),
        }  # fmt: skip
    return {
        "kind": "absence", **common, "keys": len(found.round_keys), "rounds": found.rounds,
        "sets": found.sets, "round_keys": [key.hex() for key in found.round_keys],
        "origin": found.until.origin,
        "first": found.since.size, "size": found.until.size, "since": _moment(found.since_witnessed),
        "until": _moment(found.until_witnessed),
    }  # fmt: skip


def _open_site(
    site: Path | None,
    operator: bytes,
    registry: str | None,
    origin: str | None,
    witness: Sequence[str],
    least: int | None,
) -> tuple[str, LogView]:
    """Return the site's name and whom to believe about its log."""
    if site is not None:
        if registry or origin or witness or least is not None:
            raise MisuseError(
                "--site has the registry's key, the log's name and the witnesses: give it alone"
            )
        document = open_site(_read(site, LONGEST_SITE), operator)
        return document.name, document.log_view
    if not (registry and origin and witness):
        raise MisuseError("give --site, or all of --registry, --origin and --witness")
    witnesses = tuple(map(VerifierKey.parse, witness))
    # A certificate states when it was cosigned: the policy's age does not count.
    policy = WitnessPolicy(witnesses, len(witnesses) if least is None else least, 0)
    return origin, LogView(origin, public_key(registry), policy)


def _read_operator_key(text: str) -> bytes:
    try:
        key = bytes.fromhex(text)
    except ValueError:
        key = b""
    if len(key) != 32:
        raise MisuseError(
            f"--operator takes 64 hex digits, as `covey operator key --hex` prints; got {text!r}"
        )
    return key


def _read(path: Path, limit: int) -> bytes:
    with path.open("rb") as file:
        return file.read(limit + 1)


def _moment(time: int) -> str:
    """Return POSIX seconds as a time of day; as they are where no calendar has them."""
    try:
        return datetime.fromtimestamp(time, UTC).strftime("%Y-%m-%d %H:%M UTC")
    except (OverflowError, ValueError, OSError):
        return f"{time} s"
