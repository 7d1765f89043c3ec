"""Who serves a registry, or a witness, is told where it answers: a person, or a program that reads a pipe."""

import socket

import httpx
import pytest

from covey_privacy.note import ED25519, VerifierKey
from covey_privacy.signatures import SigningKey

LOG = VerifierKey("covey.test/log", ED25519, SigningKey(b"\1" * 32).public).vkey


def test_registry_serve_prints_its_address(serving):
    (said,) = serving("registry", "serve", "--port", "0")
    address = said.removeprefix("The registry answers at ")
    assert address.startswith("http://127.0.0.1:")
    assert not address.endswith(":0")
    assert httpx.get(f"{address}/healthz").is_success


def test_a_witness_prints_its_address_too(serving):
    asked = ("--name", "w.test/1", "--folder", "w1", "--log", LOG, "--port", "0")
    (said,) = serving("witness", "serve", *asked)
    address = said.removeprefix("The witness answers at ")
    assert httpx.post(f"{address}/add-checkpoint").status_code == 400


def test_an_address_with_colons_is_written_in_brackets(serving):
    with socket.socket(socket.AF_INET6) as trial:
        try:
            trial.bind(("::1", 0))
        except OSError:
            pytest.skip("this machine has no IPv6")
    (said,) = serving("registry", "serve", "--port", "0", "--host", "::1")
    assert httpx.get(f"{said.removeprefix('The registry answers at ')}/healthz").is_success


@pytest.mark.parametrize("port", ["99999", "-1"])
@pytest.mark.parametrize(
    "command", [["registry", "serve"], ["witness", "serve", "--name", "w/1", "--folder", "w", "--log", LOG]]
)
def test_a_port_that_cannot_be_is_refused(covey_here, command, port):
    refused = covey_here(*command, "--port", port)
    assert refused.returncode == 2
    assert "0 to 65535, was expected" in refused.stderr
    assert f"{port!r}" in refused.stderr
