"""`covey registry serve` and `key`, `covey witness serve` and `key`.

An address is printed once requests are answered there; at once, also into a pipe or a file.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from covey_consent.commands import registry_server as registry
from covey_consent.commands import trial_registry
from covey_consent.witness import witness


def serve(host: str, port: int, demo: bool) -> None:
    """Serve the registry until interrupted; `demo`, one that is forgotten when it ends."""
    if demo:
        trial_registry.serve(host, port, _print_pinned)
    else:
        registry.serve(
            host, port, tell=lambda address: print(f"The registry answers at {address}", flush=True)
        )


def _print_pinned(address: str, operator: bytes, registry_key: bytes) -> None:
    """Print what an app pins, as Python, all of it at once."""
    lines = (
        "# FOR TRYING OUT ONLY: these keys and all decisions are gone when this registry ends.",
        f'OPERATOR = bytes.fromhex("{operator.hex()}")',
        f'REGISTRY = bytes.fromhex("{registry_key.hex()}")',
        f'URL = "{address}"',
    )
    print("\n".join(lines), flush=True)


def show_key(as_hex: bool) -> None:
    """Print the registry's public key."""
    key = registry.verifier_key()
    print(key.public.hex() if as_hex else key.vkey)


def serve_witness(host: str, port: int, name: str, folder: Path, logs: Sequence[str]) -> None:
    """Serve a witness of the logs with these verifier keys until interrupted."""
    witness.serve(
        host, port, name, folder, logs,
        tell=lambda address: print(f"The witness answers at {address}", flush=True),
    )  # fmt: skip


def show_witness_key(name: str, folder: Path) -> None:
    """Print the witness's public key."""
    print(witness.verifier_key(name, folder).vkey)
