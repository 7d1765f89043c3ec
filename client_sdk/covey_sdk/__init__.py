"""Covey on the phone: events, tags and choices stay here; only padded, noised contributions leave.

    key = keystore.read("covey")                    # 32 bytes
    trust = Trust(operator, registry_key, origin)   # pinned in the app
    with Device.open("covey.db", key, trust=trust, registry=RegistryClient(client, trust)) as device:
        device.record(covey_sdk.events.parse(order))

Every error is a CoveyError. All that the signatures of `Device` name is exported here.
"""

from covey_privacy.floors import FloorProfile
from covey_privacy.note import VerifierKey
from covey_privacy.registry_messages import Choice, Notice, NoticeText
from covey_privacy.witness import WitnessPolicy
from covey_sdk.agreed_terms import AgreedTerms
from covey_sdk.consent_gate import ConsentGate
from covey_sdk.decryptor_duty import DecryptorDuty
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
from covey_sdk.events import AppOpen, Event, OrderLine, OrderPaid, Refund
from covey_sdk.facts import Facts
from covey_sdk.interactions import CartAdd, Favorite, ItemView
from covey_sdk.ledger import LedgerEntry
from covey_sdk.odometer import Odometer
from covey_sdk.reasons import Reason
from covey_sdk.recommender import Explanation, Recommendation
from covey_sdk.registry_client import RegistryClient
from covey_sdk.round_client import RoundClient
from covey_sdk.tag_rules.finding import TagEvidence
from covey_sdk.tags import Tag
from covey_sdk.ticket_fetcher import TicketFetcher
from covey_sdk.trust import Trust
from covey_sdk.withdrawal_claims import Withdrawal

__all__ = [
    "AgreedTerms",
    "AppOpen",
    "CartAdd",
    "CertificateError",
    "Choice",
    "ClockError",
    "ConsentError",
    "ConsentGate",
    "CoveyError",
    "DecryptorDuty",
    "Device",
    "Event",
    "EventError",
    "Explanation",
    "Facts",
    "Favorite",
    "FloorProfile",
    "ItemView",
    "LedgerEntry",
    "Notice",
    "NoticeText",
    "Odometer",
    "OrderLine",
    "OrderPaid",
    "Reason",
    "Recommendation",
    "Refund",
    "RegistryClient",
    "RegistryError",
    "RegistryForkError",
    "RoundClient",
    "StoreError",
    "Tag",
    "TagEvidence",
    "TicketError",
    "TicketFetcher",
    "Trust",
    "VerifierKey",
    "Withdrawal",
    "WitnessPolicy",
]
