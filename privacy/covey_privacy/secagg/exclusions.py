"""Exclusions: which members of an included set are left out of the final one, by which complaints and proofs.

Standing committee: a complaint excludes the dealer, because organisations are named and accountable. One
that alone complains about more than 1 % of a set is treated as absent instead. Drawn committee: a dealer is
excluded by T complaints (at most T - 1 members are corrupt, so one is honest), or by a dispute's proof.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from covey_privacy.errors import PeerError
from covey_privacy.protocol_rules import Rule
from covey_privacy.secagg.committee import Committee, Committees
from covey_privacy.secagg.decryptor import complaints_statement
from covey_privacy.secagg.disputes import convicts
from covey_privacy.secagg.keys import verify
from covey_privacy.secagg.messages import Complaints, DisputeProof, Leaf
from covey_privacy.secagg.terms import DecryptorId, Kind, RoundInfo
from covey_privacy.signatures import Verify


def check_complaints(
    complaints: Complaints, committees: Committees, root: bytes, size: int, verify: Verify = verify
) -> DecryptorId:
    """Return who complains. Raises PeerError unless a decryptor signed it about members of the set."""
    kinds = [committee.kind for committee in committees.each]
    committee = committees.of_kind(Kind(complaints.kind)) if complaints.kind in kinds else None
    members = complaints.members
    if committee is None or not 1 <= complaints.decryptor <= committee.shape.members:
        raise PeerError("complaints name no decryptor of the round", rule=Rule.COMMITTEE_MEMBERS)
    signer = committee.signers[complaints.decryptor - 1]
    if complaints.root != root or not verify(
        signer, complaints_statement(committees.context, complaints), complaints.signature
    ):
        raise PeerError(
            f"the complaints of decryptor {complaints.decryptor} are not signed by it for this set",
            rule=Rule.EXCLUSION,
        )
    if list(members) != sorted(set(members)) or (members and members[-1] >= size):
        raise PeerError("complaints are not about distinct members of the set", rule=Rule.LEAVES)
    return committee.kind, complaints.decryptor


def excluded_by(
    complaints: Mapping[DecryptorId, Complaints],
    disputes: Sequence[DisputeProof],
    committees: Committees,
    info: RoundInfo,
    leaves: Sequence[Leaf],
    verify: Verify = verify,
) -> tuple[set[int], set[int]]:
    """Return the members that are left out, and the organisations (by number) that are treated as absent.

    Args:
        complaints: as `check_complaints` passed them.
        leaves: of the included set.
    """
    out: set[int] = set()
    absent: set[int] = set()
    for committee in committees.each:
        by_decryptor = {
            number: set(each.members) for (kind, number), each in complaints.items() if kind == committee.kind
        }
        counts = Counter(member for members in by_decryptor.values() for member in members)
        if committee.kind == Kind.STANDING:
            absent = _absent(by_decryptor, counts, len(leaves))
            for number, members in by_decryptor.items():
                out |= members if number not in absent else set()
        else:
            needed = committee.shape.privacy
            out |= {member for member, count in counts.items() if count >= needed}
            out |= _convicted(disputes, committee, committees.context, info, leaves, verify)
    return out, absent


def _absent(by_decryptor: Mapping[int, set[int]], counts: Counter[int], size: int) -> set[int]:
    """Return the organisations that complain alone about more than 1 % of a set, and more than one member."""
    bearable = max(1, size // 100)
    return {
        number
        for number, members in by_decryptor.items()
        if sum(counts[member] == 1 for member in members) > bearable
    }


def _convicted(
    disputes: Sequence[DisputeProof],
    committee: Committee,
    context: bytes,
    info: RoundInfo,
    leaves: Sequence[Leaf],
    verify: Verify,
) -> set[int]:
    return {
        proof.member
        for proof in disputes
        if proof.member < len(leaves)
        and convicts(proof, leaves[proof.member], committee, info, context, verify)
    }
