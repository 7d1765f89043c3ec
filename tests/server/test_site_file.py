"""The site's file: from what an operator writes to what apps pin, by the commands that do it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from covey_privacy.note import COSIGNATURE, VerifierKey
from covey_privacy.signatures import SigningKey
from covey_privacy.site_document import open_site
from covey_sdk import Trust
from covey_server import operator_keys
from covey_server.errors import ConfigError
from covey_server.site_file import read_site_file

COVEY = Path(__file__).parents[2] / "covey.py"
KEYS = [SigningKey(bytes([number]) * 32).public.hex() for number in range(4)]
WITNESS = VerifierKey("witness.example", COSIGNATURE, bytes.fromhex(KEYS[3])).vkey
WRITTEN = f"""
version = 3
name = "shop.example"
profile = "production"
registry = "{KEYS[0]}"
registry_url = "https://registry.shop.example"
origin = "registry.shop.example/log"
witnesses = ["{WITNESS}"]
least_witnesses = 1
witness_seconds = 86400
gateways = ["https://gateway.shop.example"]

[[organisations]]
name = "consumers.example"
keys = ["{KEYS[1]}"]
urls = ["https://decryptor.consumers.example"]

[[organisations]]
name = "trustee.example"
keys = ["{KEYS[2]}"]
urls = ["https://decryptor.trustee.example"]
"""


@pytest.fixture
def written(tmp_path):
    def written(text=WRITTEN):
        path = tmp_path / "site.toml"
        path.write_text(text)
        return path

    return written


def covey(*arguments):
    command = [sys.executable, str(COVEY), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_the_commands_sign_it_and_show_it_and_an_app_trusts_it(written, tmp_path):
    key = operator_keys.make(tmp_path / "operator.key")
    signed = tmp_path / "shop.site"
    ran = covey("site", "sign", written(), "--key", tmp_path / "operator.key", "--out", signed)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout == f"{signed}: version 3 of shop.example, signed by {key.public.hex()}\n"
    assert open_site(signed.read_bytes(), key.public) == read_site_file(written())
    shown = covey("site", "show", signed, "--operator", key.public.hex())
    assert "decryptor of trustee.example" in shown.stdout
    told = json.loads(covey("site", "show", signed, "--operator", key.public.hex(), "--json").stdout)
    assert told["organisations"][0]["keys"] == [KEYS[1]]
    trust = Trust.of_site(key.public, signed.read_bytes())
    assert trust.organisations == {bytes.fromhex(KEYS[1]), bytes.fromhex(KEYS[2])}
    assert trust.policy.least == 1


def test_another_operators_document_is_refused_in_one_line(written, tmp_path):
    operator_keys.make(tmp_path / "operator.key")
    covey("site", "sign", written(), "--key", tmp_path / "operator.key", "--out", tmp_path / "shop.site")
    shown = covey("site", "show", tmp_path / "shop.site", "--operator", KEYS[0])
    assert shown.returncode == 1
    assert shown.stderr.startswith("covey: ")
    assert shown.stderr.count("\n") == 1
    assert covey("site", "show", tmp_path / "shop.site", "--operator", "12").returncode == 2


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("version = 3", "", "version is to be given, as int"),
        ("version = 3", 'version = "3"', "version is to be given, as int"),
        ('"production"', '"lax"', "no profile 'lax'"),
        (KEYS[0], KEYS[0][:-2], "key of registry is to be 64 hex digits"),
        (KEYS[1], "zz", "key of organisation consumers.example is to be 64 hex digits"),
        ("gateways =", "gateway =", "'gateway' is unknown"),
        ('name = "trustee.example"', 'nam = "x"', "'nam' is unknown"),
        ("least_witnesses = 1", "least_witnesses = -1", "version|least_witnesses"),
        ("[[organisations]]\nname = \"consumers", "[organisations]\nname = \"consumers", "no TOML"),
        ("version = 3", "version = = 3", "no TOML"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_in_one_line(written, old, new, says):
    text = WRITTEN.replace(old, new, 1)
    assert text != WRITTEN
    with pytest.raises(ConfigError, match=says) as refused:
        read_site_file(written(text))
    assert "\n" not in str(refused.value)


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(ConfigError, match="cannot be read"):
        read_site_file(tmp_path / "none.toml")
