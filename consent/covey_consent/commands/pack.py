"""`covey registry pack`: everything that the registry can show, in one file."""

from __future__ import annotations

import getpass
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from sqlalchemy.orm import Session

from covey_consent.access import access_log
from covey_consent.access.roles import Caller, Role
from covey_consent.errors import RequestError, require_folder
from covey_consent.pack.archive import archive
from covey_consent.pack.contents import OpenedRecord, log_files, read_records, subject_file
from covey_consent.settings import Settings
from covey_consent.storage import key_file
from covey_consent.storage.store import Store
from covey_consent.witness.witness_store import replace
from covey_privacy.note import ED25519, VerifierKey
from covey_privacy.signatures import SigningKey

Records = Callable[[Session, Settings, SigningKey, str], Sequence[OpenedRecord]]
"""`records(session, settings, key, subject)`: a person's records, opened."""


def pack(out: Path, since: int = 0, subject: str | None = None, settings: Settings | None = None) -> int:
    """Write the pack to `out`; `since` is the first entry wanted, `subject` whose records are added."""
    settings = Settings() if settings is None else settings
    if out.exists():
        raise RequestError(f"{out} exists; evidence is not overwritten: name another file")
    require_folder(out)
    if subject is not None and since:
        raise RequestError("a person's records are checked against the whole log: leave --since out")
    replace(out, make(settings, since, subject))
    key = key_file.load_or_create(settings.key_file).public
    print(f"{out}: check it offline with")
    print(f"python -I verify.py {out.name} --key {VerifierKey(settings.origin, ED25519, key).vkey}")
    return 0


def make(settings: Settings, since: int, subject: str | None, opened: Records = read_records) -> bytes:
    """Return the pack's bytes, all of it as the database was at one moment."""
    key = key_file.load_or_create(settings.key_file)
    store = Store.open(settings.database_url)
    try:
        with store.reading() as session:
            files = log_files(session, since)
            if subject is not None:
                files |= subject_file(subject, opened(session, settings, key, subject))
        if subject is not None:
            _log(store, subject)
    finally:
        store.dispose()
    log = VerifierKey(settings.origin, ED25519, key.public)
    return archive(files, since, log, settings.operator_key, key)


def _log(store: Store, subject: str) -> None:
    """Keep who opened a person's records, also beside a registry that serves: no row of its is touched."""
    caller = Caller(Role.OPERATOR, getpass.getuser())
    with store.reading.begin() as session:
        session.connection(execution_options={"postgresql_readonly": False})
        access_log.record(session, caller, "pack", subject, None, int(time.time()))
