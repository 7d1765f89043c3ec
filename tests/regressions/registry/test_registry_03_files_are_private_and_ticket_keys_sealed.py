"""The registry's files are its owner's alone, and the keys that sign tickets are sealed in the database."""

import os
import stat

import pytest
from cryptography.hazmat.primitives.serialization import load_der_private_key
from sqlalchemy import select, update

from covey_consent.commands import document, pack
from covey_consent.errors import DamageError
from covey_consent.storage import private_files
from covey_consent.storage.models import IssuerSecret
from covey_consent.witness.witness_store import replace

on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@pytest.fixture
def open_umask():
    """The umask under which a file is everyone's unless whoever makes it says otherwise."""
    before = os.umask(0)
    yield
    os.umask(before)


def modes(folder) -> dict[str, str]:
    return {path.name: oct(stat.S_IMODE(path.stat().st_mode)) for path in folder.iterdir() if path.is_file()}


@on_sqlite
def test_files_are_private_and_ticket_keys_sealed(opened, open_umask, tmp_path):
    with opened() as shop:
        phone = shop.phone()
        shop.grant(phone, "train")
        shop.tickets(phone, shop.issuer("train"))
        found = modes(tmp_path)
        assert found.keys() >= {"registry.db", "registry.db-wal", "registry.db-shm", "registry.key"}
        assert set(found.values()) == {"0o600"}, found
        with shop.http.app.state.registry.store.session() as session:
            (secret,) = session.scalars(select(IssuerSecret.secret))
        with pytest.raises(ValueError, match="key"):
            load_der_private_key(secret, None)


def test_a_sealed_ticket_key_signs_after_a_restart(opened):
    with opened() as shop:
        phone = shop.phone()
        shop.grant(phone, "train")
        issuer = shop.issuer("train")
    with opened() as shop:
        assert shop.issuer("train") == issuer
        assert len(shop.tickets(phone, issuer)) == issuer.keys.batch


def test_a_sealed_ticket_key_opens_for_its_own_row_alone(opened):
    """The seal is bound to epoch, purposes and public key: a row that was moved does not open."""
    with opened() as shop:
        shop.issuer("train")
        shop.issuer("analytics")
        with shop.http.app.state.registry.store.session.begin() as session:
            rows = {row.purposes: row.secret for row in session.scalars(select(IssuerSecret))}
            session.execute(update(IssuerSecret).filter_by(purposes="train").values(secret=rows["analytics"]))
    with opened() as shop:
        assert shop.http.get(f"/v1/issuers/{shop.clock.epoch}/train").status_code == 500
        assert shop.http.get(f"/v1/issuers/{shop.clock.epoch}/analytics").status_code == 200


@on_sqlite
def test_an_existing_database_with_wider_rights_is_narrowed(opened, tmp_path, caplog):
    with opened():
        pass
    (tmp_path / "registry.db").chmod(0o644)
    with opened():
        assert set(modes(tmp_path).values()) == {"0o600"}
    assert "could be read by others" in caplog.text


@on_sqlite
def test_what_commands_write_is_private(opened, open_umask, tmp_path, monkeypatch):
    with opened() as shop:
        settings = shop.http.app.state.registry.settings
        out = tmp_path / "out"
        out.mkdir()
        assert pack.pack(out / "pack.zip", settings=settings) == 0
        os.umask(0)
        monkeypatch.setenv("COVEY_REGISTRY_DATABASE_URL", settings.database_url)
        monkeypatch.setenv("COVEY_REGISTRY_KEY_FILE", str(settings.key_file))
        assert document.document("ropa", None, None, "md", out / "ropa.md") == 0
        replace(out / "seen", b"what a witness saw")
    assert modes(out) == dict.fromkeys(("pack.zip", "ropa.md", "seen"), "0o600")


def test_a_key_file_that_others_can_read_is_refused(tmp_path):
    from covey_consent.storage import key_file

    path = tmp_path / "registry.key"
    key_file.load_or_create(path)
    path.chmod(0o640)
    with pytest.raises(DamageError, match="chmod 600"):
        key_file.load_or_create(path)


def test_a_file_that_cannot_be_narrowed_is_refused(tmp_path, monkeypatch):
    path = tmp_path / "registry.db"
    path.touch()
    path.chmod(0o644)

    def refuse(*_args):
        raise PermissionError("not the owner")

    monkeypatch.setattr(type(path), "chmod", refuse)
    with pytest.raises(DamageError, match="chmod 600"):
        private_files.narrow(path)
