"""Certificates on the command line: reads the arguments and hands over to `covey_privacy.certificate`."""

from __future__ import annotations

import argparse
import hashlib
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from covey import KEY, Commands, command, fail, load

if TYPE_CHECKING:
    from covey_privacy.certificate import AbsentSince, Participated
    from covey_privacy.secagg.log_entries import LogView

_LONGEST_SITE = 2**20
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


def add(commands: Commands) -> None:
    """Add the commands of certificates."""
    certificate = command(
        commands,
        "certificate",
        "what a person can prove of their own part in rounds",
        "covey certificate verify mine.cert --site shop.site --operator $OPERATOR",
    )
    actions = certificate.add_subparsers(required=True, metavar="ACTION")
    verify = command(
        actions,
        "verify",
        "say what a certificate proves, without the network; exits with 1 where it does not hold",
        "covey certificate verify mine.cert --site shop.site --operator $OPERATOR --json",
    )
    verify.add_argument(
        "--language", choices=sorted(_TEXTS), default="en", help="of what is printed, default en"
    )
    verify.add_argument("--json", action="store_true", help="for a program to read")
    verify.set_defaults(run=_verify)
    page = command(
        actions,
        "print",
        "write one page to print, in English and Chinese, of a certificate that holds",
        "covey certificate print mine.cert --site shop.site --operator $OPERATOR --out page.html",
    )
    page.add_argument("--out", type=Path, required=True, metavar="PAGE", help="the page to write")
    page.set_defaults(run=_print)
    for action in (verify, page):
        action.add_argument("file", type=Path, metavar="FILE", help="the certificate")
        action.add_argument("--operator", required=True, metavar="HEX", help="the operator's public key")
        action.add_argument("--site", type=Path, metavar="SITE", help="the signed site document")
        by_hand = action.add_argument_group("instead of --site")
        by_hand.add_argument("--registry", metavar="KEY", help=KEY)
        by_hand.add_argument("--origin", metavar="NAME", help="the log's name")
        by_hand.add_argument(
            "--witness", action="append", default=[], metavar="KEY", help="name+id+key; may be repeated"
        )
        by_hand.add_argument(
            "--least", type=int, metavar="N", help="how many of them must have cosigned, default all"
        )


def _verify(chosen: argparse.Namespace) -> int:
    facts = _facts(chosen)
    if isinstance(facts, int):
        return facts
    if chosen.json:
        print(json.dumps(facts, indent=2))
        return 0
    texts, shown = _TEXTS[chosen.language], {**facts, "purposes": " + ".join(facts.get("purposes", ()))}
    for line in _LINES[facts["kind"]]:
        if line != "release" or facts["release"]:
            print(texts[line].format(**shown))
    return 0


def _print(chosen: argparse.Namespace) -> int:
    facts = _facts(chosen)
    if isinstance(facts, int):
        return facts
    page = load("covey_consent.receipts.certificate_page", "server")
    if page is None:
        return 1
    text = page.render(facts)
    try:
        chosen.out.write_text(text, "utf-8")
    except OSError as error:
        return fail(error, 1)
    print(f"The page is at {chosen.out}")
    return 0


def _facts(chosen: argparse.Namespace) -> dict[str, Any] | int:
    """Return what a certificate proves, for a program to read; an exit status where it was not found out."""
    from covey_privacy.certificate import verify_certificate
    from covey_privacy.errors import MisuseError, PrivacyError
    from covey_privacy.wire import MESSAGE_LIMIT

    try:
        operator = _operator_key(chosen.operator)
        site, view = _pinned(chosen, operator)
    except MisuseError as error:
        return fail(error, 2)
    except OSError as error:
        return fail(error, 1)
    except PrivacyError as error:
        return fail(f"{chosen.site} is refused: {error}", 1)
    try:
        data = _read(chosen.file, MESSAGE_LIMIT)
        found = verify_certificate(data, operator, view)
    except OSError as error:
        return fail(error, 1)
    except PrivacyError as error:
        return fail(f"the certificate does not hold: {error} ({error.rule})", 1)
    return _describe(found, site, data)


def _describe(found: Participated | AbsentSince, site: str, data: bytes) -> dict[str, Any]:
    from covey_privacy.certificate import Participated

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


def _pinned(chosen: argparse.Namespace, operator: bytes) -> tuple[str, LogView]:
    """Return the site's name and whom to believe about its log."""
    from covey_privacy.errors import MisuseError
    from covey_privacy.note import VerifierKey, public_key
    from covey_privacy.secagg.log_entries import LogView
    from covey_privacy.site_document import open_site
    from covey_privacy.witness import WitnessPolicy

    by_hand = chosen.registry, chosen.origin, chosen.witness
    if chosen.site is not None:
        if any(by_hand) or chosen.least is not None:
            raise MisuseError(
                "--site has the registry's key, the log's name and the witnesses: give it alone"
            )
        document = open_site(_read(chosen.site, _LONGEST_SITE), operator)
        return document.name, document.log_view
    if not all(by_hand):
        raise MisuseError("give --site, or all of --registry, --origin and --witness")
    witnesses = tuple(map(VerifierKey.parse, chosen.witness))
    # A certificate states when it was cosigned: the policy's age does not count.
    policy = WitnessPolicy(witnesses, len(witnesses) if chosen.least is None else chosen.least, 0)
    return chosen.origin, LogView(chosen.origin, public_key(chosen.registry), policy)


def _operator_key(text: str) -> bytes:
    from covey_privacy.errors import MisuseError

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
