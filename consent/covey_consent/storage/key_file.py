"""The registry's Ed25519 key on disk: 64 hex digits in a file that its owner alone can read."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from covey_consent.errors import DamageError
from covey_consent.storage import private_files
from covey_privacy.signatures import SigningKey


def load_or_create(path: Path) -> SigningKey:
    """Return the key in `path`, made there first where the file is missing.

    Raises DamageError when the file holds no key, or others can read it.
    """
    if not path.exists():
        _create(path)
    if path.stat().st_mode & private_files.OTHERS:
        raise DamageError(f"others can read the key file {path}; run chmod 600, and replace it if they did")
    try:
        return SigningKey(bytes.fromhex(path.read_text("ascii")))
    except ValueError:
        raise DamageError(f"{path} does not hold 64 hex digits; restore the key from its backup") from None


def derive(key: SigningKey, use: str) -> bytes:
    """Return 32 secret bytes for one use (HKDF-SHA256), so that no two uses share a key."""
    return HKDF(hashes.SHA256(), 32, salt=None, info=b"covey registry " + use.encode()).derive(key.secret)


def _create(path: Path) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, private_files.MODE)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(secrets.token_hex(32) + "\n")
        file.flush()
        os.fsync(file.fileno())
