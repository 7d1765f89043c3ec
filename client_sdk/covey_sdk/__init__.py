"""Covey on the phone: events, tags and choices stay here; only masked, noised contributions leave.

    key = keystore.read("covey")                    # 32 bytes
    trust = Trust(operator, registry_key, origin)   # pinned in the app
    with Device.open("covey.db", key, trust=trust, registry=Registry(client, trust)) as device:
        device.record(covey_sdk.events.parse(order))

Every error is a CoveyError.
"""

from covey_sdk.device import Device
from covey_sdk.errors import (
    ClockError,
    ConsentError,
    CoveyError,
    EventError,
    RegistryError,
    RegistryForkError,
    StoreError,
    TicketError,
)
from covey_sdk.registry import Registry, Trust

__all__ = [
    "ClockError",
    "ConsentError",
    "CoveyError",
    "Device",
    "EventError",
    "Registry",
    "RegistryError",
    "RegistryForkError",
    "StoreError",
    "TicketError",
    "Trust",
]
