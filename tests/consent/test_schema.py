"""The migrations make what the models say, on both databases, there and back."""

import asyncio
import os
from importlib.resources import files

import pytest
from alembic import command
from sqlalchemy import func, insert, inspect, select, text
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.orm import Session

from covey_consent.commands.migrate import migrate
from covey_consent.errors import DamageError
from covey_consent.rounds.signed_sets import find_leaves
from covey_consent.settings import Settings
from covey_consent.storage import schema
from covey_consent.storage.database import connect
from covey_consent.storage.models import Base, LoggedRound, StandingChoice, Subject
from covey_consent.storage.store import Store
from covey_privacy.secagg.leaves import LeafSet
from covey_privacy.secagg.messages import Leaf


@pytest.fixture
def new(new_url):
    opened = connect(new_url)
    yield opened
    opened.close()


@pytest.fixture
def run(new_url):
    """Run `covey registry migrate`."""
    return lambda **options: migrate(**options, settings=Settings(database_url=new_url))


def tables(database):
    return set(inspect(database.readers).get_table_names()) - {"alembic_version"}


def columns(database):
    found = inspect(database.readers)
    return {
        table: [(c["name"], c["nullable"]) for c in found.get_columns(table)] for table in tables(database)
    }


def set_revision(database, value):
    with database.writer.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = :value"), {"value": value})


def test_the_migrations_make_what_the_models_say(new):
    schema.upgrade(new)
    with schema.migrating(new) as configuration:
        command.check(configuration)
    assert tables(new) == set(Base.metadata.tables)


def test_the_migrations_go_back_to_nothing_and_come_again(new):
    schema.upgrade(new)
    made = columns(new)
    with schema.migrating(new) as configuration:
        command.downgrade(configuration, "base")
    assert tables(new) == set()
    schema.upgrade(new)
    assert columns(new) == made


def test_every_constraint_has_a_name_by_which_a_migration_can_change_it(new):
    schema.upgrade(new)
    found = inspect(new.readers)
    for table in tables(new):
        named = found.get_foreign_keys(table) + found.get_unique_constraints(table)
        assert all(each["name"] for each in [*named, found.get_pk_constraint(table)]), table


def test_an_empty_database_is_made_and_a_made_one_opened(new, new_url):
    for _ in range(2):
        asyncio.run(Store.open(new_url).close())
        assert schema.revision(new.readers) == schema.newest()


def test_an_older_database_is_not_opened(new, new_url, monkeypatch):
    schema.upgrade(new)
    found = schema.newest()
    monkeypatch.setattr(schema, "newest", lambda: "99")
    with pytest.raises(DamageError, match=f"revision {found}.*99.*covey registry migrate"):
        Store.open(new_url)


def test_a_newer_database_is_not_opened(new, new_url):
    schema.upgrade(new)
    set_revision(new, "from the future")
    new.close()
    with pytest.raises(DamageError, match="newer Covey"):
        Store.open(new_url)


def test_somebody_elses_database_is_not_touched(new, new_url):
    with new.writer.begin() as connection:
        connection.execute(text("CREATE TABLE invoices (id int)"))
    new.close()
    with pytest.raises(DamageError, match="no registry's"):
        Store.open(new_url)
    assert tables(new) == {"invoices"}


def test_the_command_checks_migrates_and_then_has_nothing_to_do(run, capsys):
    assert run(check=True) == 1
    assert "the database is empty" in capsys.readouterr().out
    assert run() == 0
    assert run(check=True) == 0
    assert "the newest" in capsys.readouterr().out
    assert run() == 0


def test_the_printed_statements_make_the_same_tables(new, run, capsys):
    assert run(sql=True) == 0
    printed = capsys.readouterr().out
    assert tables(new) == set()
    with new.writer.connect() as connection:
        bare = connection.connection.driver_connection
        if connection.dialect.name == "sqlite":
            bare.executescript(printed)
        else:
            bare.execute(printed)
            bare.commit()
    assert tables(new) == set(Base.metadata.tables)
    assert schema.revision(new.readers) == schema.newest()


def test_included_sets_of_the_first_revision_can_be_read_by_their_roots(new):
    """And what a round of that time had is kept, but for what only its own steps needed."""
    with schema.migrating(new) as configuration:
        command.upgrade(configuration, "1")
    leaves = [Leaf(bytes([place]) * 32, bytes(32), bytes(32), bytes(32)) for place in range(1, 4)]
    packed = b"".join(leaf.pack() for leaf in leaves)
    with new.writer.begin() as connection:
        connection.execute(
            text(
                "INSERT INTO rounds (round_id, manifest, digest, manifest_index, head, issued) "
                "VALUES ('r', :manifest, :manifest, 7, :manifest, 4)"
            ),
            {"manifest": b"m"},
        )
        connection.execute(
            text("INSERT INTO included_sets (round_id, committees, leaves) VALUES ('r', :leaves, :leaves)"),
            {"leaves": packed},
        )
    schema.upgrade(new)
    root = LeafSet(leaves).root
    with Session(new.readers) as session:
        assert find_leaves(session, root).leaves == packed
        found = session.get(LoggedRound, "r")
        assert (found.manifest, found.manifest_index, found.evidence) == (b"m", 7, None)
    with schema.migrating(new) as configuration:
        command.downgrade(configuration, "1")
    assert "published_sets" not in tables(new)


NEXT = """
import sqlalchemy as sa
from alembic import op

revision, down_revision = "99", "{newest}"


def upgrade():
    {body}
"""


@pytest.fixture
def go_on(new, tmp_path):
    """Make the tables and a row in two, then migrate on by a migration with this body."""
    schema.upgrade(new)
    with new.writer.begin() as connection:
        connection.execute(insert(Subject), {"subject": "a", "enrolled_hour": 1, "country": ""})
        choice = {"subject": "a", "purpose": "train", "state": "granted", "notice_version": 1, "at": 1}
        choice["expires_at"] = 0
        connection.execute(insert(StandingChoice), choice)

    def go_on(body):
        (tmp_path / "v99.py").write_text(NEXT.format(newest=schema.newest(), body=body))
        with schema.migrating(new) as configuration:
            ours = files("covey_consent") / "migrations" / "versions"
            configuration.set_main_option("version_locations", f"{ours}{os.pathsep}{tmp_path}")
            command.upgrade(configuration, "head")

    return go_on


def rows(database):
    with database.readers.connect() as connection:
        people = connection.scalar(select(func.count()).select_from(Subject))
        return people, connection.scalar(select(func.count()).select_from(StandingChoice))


def test_a_table_that_others_refer_to_can_be_replaced(new, go_on):
    go_on(
        "with op.batch_alter_table('subjects') as table: "
        "table.alter_column('enrolled_hour', existing_type=sa.BigInteger(), nullable=True)"
    )
    assert ("enrolled_hour", True) in columns(new)["subjects"]
    assert rows(new) == (1, 1)
    with pytest.raises(IntegrityError), new.writer.begin() as connection:
        connection.execute(text("DELETE FROM subjects"))


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ("op.drop_table('spent'); op.execute('SELECT * FROM missing')", DBAPIError),
        ("op.drop_table('spent'); op.execute('DELETE FROM subjects')", (DamageError, IntegrityError)),
    ],
)
def test_a_migration_that_fails_changes_nothing(new, go_on, body, error):
    before = columns(new)
    with pytest.raises(error):
        go_on(body)
    assert columns(new) == before
    assert rows(new) == (1, 1)
    assert schema.revision(new.readers) == schema.newest()
