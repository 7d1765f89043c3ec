"""`covey registry document`: a document made from a registry's database, printed or written to a file."""

from __future__ import annotations

import time
from contextlib import closing
from pathlib import Path

from sqlalchemy import inspect, make_url
from sqlalchemy.orm import Session

from covey_consent.documents.catalogue import Name, make_document
from covey_consent.documents.facts import Facts, gather_facts
from covey_consent.documents.rendering import Format, render
from covey_consent.errors import ConflictError, DamageError, require_folder
from covey_consent.policy import controller
from covey_consent.settings import Settings
from covey_consent.storage.database import answering, connect
from covey_consent.storage.models import PublishedNotice
from covey_consent.witness.witness_store import replace


def document(name: str, purpose: str | None, round_id: str | None, written_as: str, out: Path | None) -> int:
    """Print the document called `name`, or write it to `out`. Raises ConsentRegistryError."""
    if out is not None:
        require_folder(out)
    made = make_document(read(Settings()), Name(name), purpose, round_id)
    text = render(made, Format(written_as))
    if out is None:
        print(text, end="")
        return 0
    replace(out, text.encode())
    blanks = f"; {made.blanks} blanks in it are for the officer" if made.blanks else ""
    print(f"The document is at {out}{blanks}")
    return 0


def read(settings: Settings) -> Facts:
    """Return the facts of the registry that these settings name; it may be serving meanwhile."""
    url = make_url(settings.database_url)
    if url.get_backend_name() == "sqlite" and not Path(url.database or "").is_file():
        raise ConflictError(f"there is no database at {url.database}; COVEY_REGISTRY_DATABASE_URL names it")
    try:
        responsible = controller.load(settings.controller)
    except DamageError as error:  # Facts that are missing are for whoever asks to add.
        raise ConflictError(str(error)) from None
    with closing(connect(settings.database_url)) as database:
        if not inspect(database.readers).has_table(PublishedNotice.__tablename__):
            raise ConflictError("the database is no registry's; COVEY_REGISTRY_DATABASE_URL names it")
        with answering(), Session(database.readers) as session:
            return gather_facts(session, settings, responsible, int(time.time()))
