"""The operator's key on disk: 32 bytes in a file that its owner alone can read, for the coordinator."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from covey_privacy.signatures import SigningKey
from covey_server.errors import ConfigError


def make(path: Path, *, replace: bool = False) -> SigningKey:
    """Make a key, write it to `path` and return it.

    Raises ConfigError where the file exists and is not to be replaced, or there is no folder for it.
    """
    if path.exists() and not replace:
        raise ConfigError(
            f"{path} exists and is not overwritten: what it signed is worth nothing under another key; "
            "name another file, or --force it"
        )
    if not path.parent.is_dir():
        raise ConfigError(f"there is no folder {path.parent}; make it, or name another file")
    secret, draft = os.urandom(32), path.with_name(f"{path.name}.new")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(secret)
        file.flush()
        os.fsync(file.fileno())
    if replace:
        draft.replace(path)
    else:
        try:
            os.link(draft, path)  # A rename would overwrite a file that came about meanwhile.
        except FileExistsError:
            raise ConfigError(f"{path} came about meanwhile, and is not overwritten") from None
        finally:
            draft.unlink()
    return SigningKey(secret)


def read(path: Path) -> SigningKey:
    """Return the key in `path`. Raises ConfigError where there is none, or others can read it."""
    try:
        secret, mode = path.read_bytes(), path.stat().st_mode
    except OSError as error:
        raise ConfigError(
            f"{path} cannot be read: {error.strerror}; `covey operator keygen` makes a key"
        ) from None
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise ConfigError(f"others can read the key file {path}; run chmod 600, and replace it if they did")
    if len(secret) != 32:
        raise ConfigError(f"{path} is to hold the operator's key, 32 bytes; it holds {len(secret)}")
    return SigningKey(secret)
