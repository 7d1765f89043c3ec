"""The command line: keys, and what cannot be served as one line."""

import json
import socket
import stat
import subprocess
import sys

import pytest
from shop_rounds import COVEY, Shop, command, make_key

from covey_privacy.signatures import SigningKey
from covey_server import operator_keys


def covey(*arguments):
    return subprocess.run(
        [sys.executable, str(COVEY), *map(str, arguments)], capture_output=True, text=True, check=False,
        timeout=60, cwd=COVEY.parent,
    )  # fmt: skip


def one_line(done, status):
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (status, "", 1)
    return done.stderr


def test_a_key_is_made_once_for_its_owner_alone_and_replaced_by_force_alone(tmp_path):
    file = tmp_path / "d.key"
    made = covey("decryptor", "keygen", "--key", file, "--json")
    public = json.loads(made.stdout)["key"]
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert operator_keys.read(file).public.hex() == public
    assert "is not overwritten" in one_line(covey("decryptor", "keygen", "--key", file), 2)
    assert operator_keys.read(file).public.hex() == public
    replaced = covey("decryptor", "keygen", "--key", file, "--hex", "--force").stdout.strip()
    assert operator_keys.read(file).public.hex() == replaced != public


@pytest.fixture
def served(issuers, tmp_path):
    """Key, sites and state of a decryptor that can serve."""
    file, key = make_key(tmp_path)
    shop = Shop(issuers, [key.public, *(SigningKey(bytes([n]) * 32).public for n in (1, 2, 3))])
    return file, shop.write_site(tmp_path / "sites"), tmp_path / "state"


def serve(served, *more):
    return subprocess.run(
        [*command(*served), *more], capture_output=True, text=True, check=False, timeout=60, cwd=COVEY.parent
    )


def test_what_cannot_be_served_is_one_line(served, tmp_path):
    key, sites, state = served
    (tmp_path / "none").mkdir()
    assert "no .toml file" in one_line(serve((key, tmp_path / "none", state)), 2)
    assert "cannot be read" in one_line(serve((tmp_path / "no.key", sites, state)), 2)
    (tmp_path / "file").write_text("")
    assert "cannot be used" in one_line(serve((key, sites, tmp_path / "file")), 1)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        said = one_line(serve(served, "--port", str(taken.getsockname()[1])), 1)
    assert "cannot be listened on" in said
    key.chmod(0o644)
    assert "others can read the key" in one_line(serve(served), 2)


def test_another_keys_state_is_refused(served, tmp_path):
    _, _, state = served
    code = (
        "import sys; from pathlib import Path; from covey_server.decryptor.state import State; "
        "State(Path(sys.argv[1]), Path(sys.argv[2]), bytes(32), 0).close()"
    )
    other, _ = make_key(tmp_path, 1)
    subprocess.run([sys.executable, "-c", code, state, other], check=True, timeout=60, cwd=COVEY.parent)
    assert "state of another key" in one_line(serve(served), 1)


def test_a_missing_extra_is_named_in_one_line(served, tmp_path):
    hide = tmp_path / "hidden"
    hide.mkdir()
    (hide / "uvicorn.py").write_text(
        "raise ModuleNotFoundError(\"No module named 'uvicorn'\", name='uvicorn')"
    )
    code = f"import sys; sys.path.insert(0, {str(hide)!r}); import covey; sys.exit(covey.main())"
    done = subprocess.run(
        command(*served, code=code), capture_output=True, text=True, check=False, timeout=60, cwd=COVEY.parent
    )
    assert one_line(done, 1) == (
        "covey: uvicorn is missing; this command takes an extra: pip install '.[decryptor]' in a checkout\n"
    )


def test_help_loads_none_of_the_servers_packages():
    code = (
        "import sys, covey; covey._parser(); "
        "print(sorted({'starlette', 'uvicorn', 'jinja2', 'numpy'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=COVEY.parent
    )
    assert done.stdout == "[]\n"
