"""A log that does not continue what the phone saw of it. Manifests that ask too much: tests/client_sdk."""

from __future__ import annotations

import pytest

from covey_privacy.checkpoint import Checkpoint
from covey_privacy.protocol_rules import Rule
from covey_privacy.registry_messages import SYNC, Sync
from covey_privacy.signatures import sign
from covey_sdk import RegistryError
from covey_sdk.clock import milliseconds


def ask_after(device, seen):
    """Sync as a phone that has seen that head."""
    said = Sync(device.key.public, milliseconds(device.clock.now()), seen.size)
    return device.registry.sync(sign(SYNC, said, device.key), seen, "", 0)


@pytest.mark.parametrize(
    ("seen", "rule"),
    [
        (lambda head: Checkpoint(head.origin, head.size, bytes(32)), Rule.LOG_CONSISTENCY),
        (lambda head: Checkpoint(head.origin, head.size - 1, bytes(32)), Rule.LOG_CONSISTENCY),
    ],
)
def test_a_log_that_does_not_continue_what_the_phone_saw(device, refuses, seen, rule):
    head = device.consents.checkpoint
    assert ask_after(device, head)
    with refuses(RegistryError, rule):
        ask_after(device, seen(head))
