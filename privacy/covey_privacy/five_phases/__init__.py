"""Secure aggregation after Bell et al. 2020, hardened against a server that lies.

`Participant` is the device, `Aggregator` the coordinator, `Directory` and `Sum` are what a node between them
needs. All of them take and return bytes; nothing here opens a socket or asks for the time.
"""

from covey_privacy.five_phases.aggregator import Aggregator, Total
from covey_privacy.five_phases.blame import Blame, Blames
from covey_privacy.five_phases.graph import parameters
from covey_privacy.five_phases.node import Directory, Sum
from covey_privacy.five_phases.participant import Participant
from covey_privacy.five_phases.roster import Advert, Countersigned, Logged, Roster, RosterHead
from covey_privacy.five_phases.terms import Terms

__all__ = [
    "Advert",
    "Aggregator",
    "Blame",
    "Blames",
    "Countersigned",
    "Directory",
    "Logged",
    "Participant",
    "Roster",
    "RosterHead",
    "Sum",
    "Terms",
    "Total",
    "parameters",
]
