"""The archive: the files of a pack in one container, listed in a manifest that the registry signs."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from importlib import resources
from typing import Any

from covey_consent.pack.verify import FORMAT, MANIFEST, SIGNATURE, repack
from covey_privacy.note import VerifierKey
from covey_privacy.signatures import SigningKey, to_sign

CONTEXT = "pack"

_README = """\
python -I verify.py pack.zip --key NAME+ID+KEY

checks this pack offline; it needs Python 3.11 and the package `cryptography`. Take verify.py and the key of
the registry's log from somewhere else than from this pack, if you can: a pack vouches for itself no more than
any other paper, and without --key nothing is shown (exit status 3). What verify.py shows is evidence; what
follows from it in law is for you to judge.

python -I verify.py pack.zip --key 名称+编号+公钥

离线核验本证据包；只需 Python 3.11 和 cryptography 库。请尽量从本证据包以外的渠道取得 verify.py 与登记处日志的
公钥：证据包不能自证其真；不提供 --key 则不能证明任何事项（退出码 3）。
verify.py 所示为证据，其法律后果由您判断。
"""


def archive(
    files: Mapping[str, bytes], start: int, log: VerifierKey, operator: bytes | None, key: SigningKey
) -> bytes:
    """Return the pack of these files, whose entries begin at `start`, signed with the registry's key."""
    verifier = resources.files("covey_consent.pack").joinpath("verify.py").read_bytes()
    packed = {**files, "verify.py": verifier, "README.txt": _README.encode()}
    facts: dict[str, Any] = {
        "format": FORMAT,
        "log": log.vkey,
        "operator": None if operator is None else operator.hex(),
        "start": start,
        "files": {name: hashlib.sha256(data).hexdigest() for name, data in packed.items()},
    }
    manifest = json.dumps(facts, indent=1).encode()
    signature = key.sign(to_sign(CONTEXT, manifest))
    return repack({MANIFEST: manifest, SIGNATURE: signature, **packed})
