"""Covey on the phone: events, tags and choices stay here; only padded, noised contributions leave.

    key = keystore.read("covey")                    # 32 bytes
    trust = Trust(operator, registry_key, origin)   # pinned in the app
    with Device.open("covey.db", key, trust=trust, registry=Registry(client, trust)) as device:
        device.record(covey_sdk.events.parse(order))

Every error is a CoveyError. All that the signatures of `Device` name is exported here.
"""

from covey_privacy.floors import Profile
from covey_privacy.note import VerifierKey
from covey_privacy.registry_messages import Choice, Notice, NoticeText
from covey_privacy.witness import Policy
from covey_sdk.agreed_terms import AgreedTerms
from covey_sdk.consent_gate import Gate
from covey_sdk.device import Device
from covey_sdk.errors import (
    CertificateError,
    ClockError,
    ConsentError,
    CoveyError,
    EventError,
    RegistryError,
    RegistryForkError,
    StoreError,
    TicketError,
)
from covey_sdk.events import AppOpen, Event, Line, OrderPaid, Refund
from covey_sdk.facts import Facts
from covey_sdk.finding import Evidence
from covey_sdk.interactions import CartAdd, Favorite, ItemView
from covey_sdk.ledger import Entry
from covey_sdk.odometer import Odometer
from covey_sdk.reasons import Reason
from covey_sdk.recommender import Explanation, Recommendation
from covey_sdk.registry_client import Registry, Trust
from covey_sdk.tags import Tag
from covey_sdk.withdrawal_claims import Withdrawal

__all__ = [
    "AgreedTerms",
    "AppOpen",
    "CartAdd",
    "CertificateError",
    "Choice",
    "ClockError",
    "ConsentError",
    "CoveyError",
    "Device",
    "Entry",
    "Event",
    "EventError",
    "Evidence",
    "Explanation",
    "Facts",
    "Favorite",
    "Gate",
    "ItemView",
    "Line",
    "Notice",
    "NoticeText",
    "Odometer",
    "OrderPaid",
    "Policy",
    "Profile",
    "Reason",
    "Recommendation",
    "Refund",
    "Registry",
    "RegistryError",
    "RegistryForkError",
    "StoreError",
    "Tag",
    "TicketError",
    "Trust",
    "VerifierKey",
    "Withdrawal",
]
