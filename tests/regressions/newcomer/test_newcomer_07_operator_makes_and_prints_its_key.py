"""Who operates rounds makes their key with a command, and gives the registry its public half."""

import json
import os
import stat

import pytest

from covey_consent.settings import Settings
from covey_privacy.signatures import SigningKey
from covey_server import coordinator


def test_operator_makes_and_prints_its_key(covey_here, tmp_path, monkeypatch):
    made = covey_here("operator", "keygen", "operator.key")
    assert (made.returncode, made.stderr) == (0, "")
    file = tmp_path / "operator.key"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    public = SigningKey(file.read_bytes()).public.hex()
    assert made.stdout == f"COVEY_REGISTRY_OPERATOR={public}\n"
    assert covey_here("operator", "key", "operator.key").stdout == made.stdout
    assert covey_here("operator", "key", "operator.key", "--hex").stdout == f"{public}\n"
    told = json.loads(covey_here("operator", "key", "operator.key", "--json").stdout)
    assert told == {"operator": public, "file": "operator.key"}
    name, _, value = made.stdout.strip().partition("=")
    monkeypatch.setenv(name, value)
    assert Settings().operator_key == bytes.fromhex(public)
    assert coordinator.operator_key(tmp_path).public.hex() == public


def test_a_key_is_never_overwritten_without_being_asked(covey_here, tmp_path):
    covey_here("operator", "keygen", "operator.key")
    before = (tmp_path / "operator.key").read_bytes()
    refused = covey_here("operator", "keygen", "operator.key")
    assert refused.returncode == 2
    assert "exists and is not overwritten" in refused.stderr
    assert (tmp_path / "operator.key").read_bytes() == before
    assert covey_here("operator", "keygen", "operator.key", "--force").returncode == 0
    assert (tmp_path / "operator.key").read_bytes() != before
    assert os.listdir(tmp_path) == ["operator.key"]


@pytest.mark.parametrize(
    ("content", "mode", "says"),
    [(None, 0, "No such file"), (b"short", 0o600, "it holds 5"), (bytes(32), 0o644, "others can read")],
)
def test_what_is_no_key_is_refused(covey_here, tmp_path, content, mode, says):
    if content is not None:
        (tmp_path / "operator.key").write_bytes(content)
        (tmp_path / "operator.key").chmod(mode)
    refused = covey_here("operator", "key", "operator.key")
    assert (refused.returncode, refused.stdout) == (2, "")
    assert says in refused.stderr


def test_a_folder_that_is_missing_is_said(covey_here):
    refused = covey_here("operator", "keygen", "nowhere/operator.key")
    assert (refused.returncode, len(refused.stderr.splitlines())) == (2, 1)
