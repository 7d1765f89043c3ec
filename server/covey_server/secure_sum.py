"""The secure sum of one round, from the coordinator's side: committees, contributions, checks, opening.

Each step is written down before the next one begins (`Steps`). A coordinator that was stopped runs the same
round again: what was signed is taken from the steps, and everyone who is asked again gives the same answer.
Only what was cut between the charge and the sum is burnt: nobody is asked to open it a second time.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Annotated, TypeVar

from covey_privacy import wire
from covey_privacy.errors import PeerError, PrivacyError
from covey_privacy.secagg.aggregator import Aggregator, Result
from covey_privacy.secagg.messages import CommitteeFile, Complaints, DrawnCommittee, RosterHead, Seat
from covey_privacy.secagg.notary_messages import LoggedHead, RefusedMember
from covey_privacy.secagg.terms import MOST_DECRYPTORS, MOST_MEMBERS, MOST_ORGANISATIONS, Kind, RoundInfo
from covey_privacy.signatures import Signed
from covey_server.errors import ConfigError, RoundError
from covey_server.node_messages import (
    CHECK,
    CONTRIBUTE,
    LIMIT,
    OPEN,
    VOLUNTEER,
    Answer,
    Ask,
    Disputed,
    DrawnSeatRequest,
    NodeCheckAnswers,
    NodeChecks,
    NodeContributions,
    NodeOpen,
    NodeOpenings,
    Nodes,
)
from covey_server.organisations import Organisations
from covey_server.round_registry import RoundRegistry
from covey_server.round_state import RunningRound
from covey_server.round_steps import CHARGED, CHECKED, COMMITTEE, FINAL, INCLUDED, Steps

T = TypeVar("T")

log = logging.getLogger("flwr.covey")


@dataclass
class SecureSum:
    """The secure sum of one round.

    Args:
        running: the round; its progress is written into it.
        ask: sends an exchange to nodes.
        wait_until: returns once the registry's clock shows a time (POSIX seconds).
        charge: charges the budget and puts the step `CHARGED`, in one transaction; called once, before anyone
            is asked to open.
    """

    running: RunningRound
    info: RoundInfo
    ask: Ask
    nodes: Nodes
    registry: RoundRegistry
    organisations: Organisations | None
    steps: Steps
    wait_until: Callable[[int], None]
    charge: Callable[[], None]

    def __post_init__(self) -> None:
        windows = self.running.manifest.windows
        assert windows is not None  # noqa: S101  # `info` was made of the manifest
        self._round_id, self._windows = self.running.manifest.round_id, windows
        self._progress, self._files = self.running.progress, self.running.files
        self._seats: dict[int, int] = {}
        """The node behind which each drawn decryptor is, by the decryptor's number."""
        self._complaints: dict[int, bytes] = {}
        """The complaints of each drawn decryptor, by its number."""

    def run(self) -> Result:
        """Run the round up to its sum, and return it.

        Raises:
            PrivacyError: the round cannot be finished; nothing was opened, or too little to tell the sum.
            RoundError: an earlier run was cut between the charge and the sum.
            CoordinatorError: registry or organisations do not do their part.
        """
        if self.steps.get(CHARGED) is not None:
            raise RoundError(f"round {self._round_id} was cut between the charge and the sum; it is burnt")
        file = self._committees()
        drawn = wire.decode(CommitteeFile, file).drawn
        if drawn is not None:
            head = wire.decode(RosterHead, wire.decode(Signed, drawn.roster).body)
            self._progress.volunteers = head.size
        aggregator = Aggregator(self.info, file)
        self._collect(aggregator, file)
        self.wait_until(self._windows.contribute)
        self._include(aggregator, file)
        self._check(aggregator, file)
        self._finalise(aggregator)
        self.charge()
        self._progress.result = result = self._open(aggregator)
        return result

    def _committees(self) -> bytes:
        """Return the committee file: organisations' seats, and the drawn committee."""
        kept = self.steps.get(COMMITTEE)
        if kept is not None:
            return kept
        kinds, drawn = self.info.terms.kinds, None
        seats: tuple[Seat, ...] = ()
        if Kind.DRAWN in kinds:
            drawn = self._draw()
        if Kind.STANDING in kinds:
            if self.organisations is None:
                raise ConfigError("the round has a standing committee, and no organisation is configured")
            logged = self.registry.manifest_logged(self._files.manifest)
            seats = self.organisations.seats(self._files.manifest, self._files.issuer_keys, logged)
        file = wire.encode(CommitteeFile(seats, drawn))
        self.steps.put(COMMITTEE, file)
        return file

    def _draw(self) -> DrawnCommittee:
        self.ask(VOLUNTEER, dict.fromkeys(self.nodes(), wire.encode(self._files)), self._round_id)
        self.wait_until(self._windows.volunteer)
        self.registry.roster()
        return self.registry.draw(self.running.nonce)

    def _collect(self, aggregator: Aggregator, file: bytes) -> None:
        """Take what every node collected, and learn behind which node each drawn decryptor is."""
        files = replace(self._files, committee=file)
        bodies = dict.fromkeys(self.nodes(), wire.encode(files))
        answers = self._exchange(NodeContributions, CONTRIBUTE, bodies)
        for node, answer in answers.items():
            try:
                aggregator.collect(node, answer.collected)
            except PeerError as error:
                log.warning("node %d is left out of round %s: %s", node, self._round_id, error)
                continue
            self._seats.update(dict.fromkeys(answer.seats, node))

    def _include(self, aggregator: Aggregator, file: bytes) -> None:
        """Have the set signed, without whom the registry refuses."""
        kept = self.steps.get(INCLUDED)
        request = aggregator.close()
        if kept is None:
            while not isinstance(answer := self.registry.include(file, request), LoggedHead):
                self._progress.refused.update(answer)
                aggregator.leave_out(answer)
                request = aggregator.close()
            refused = tuple(RefusedMember(*each) for each in self._progress.refused.items())
            self.steps.put(INCLUDED, kept := wire.encode(_Included(answer, refused)))
        included = wire.decode(_Included, kept)
        self._progress.refused = {each.round_key: each.rule for each in included.refused}
        aggregator.leave_out(self._progress.refused)
        aggregator.close()
        aggregator.included(included.head.signed, included.head.logged)
        self._progress.included = included.head

    def _check(self, aggregator: Aggregator, file: bytes) -> None:
        """Have all decryptors check, and settle disputes."""
        kept = self.steps.get(CHECKED)
        if kept is not None:
            checked = wire.decode(_Checked, kept, LIMIT)
            for complaints in checked.complaints:
                self._complain(aggregator, complaints)
            for proof in checked.proofs:
                aggregator.disputed(proof)
            return
        asked = self._ask_to_check(aggregator, file)
        for complaints in asked:
            self._complain(aggregator, complaints)
        proofs = self._settle(aggregator)
        self.steps.put(CHECKED, wire.encode(_Checked(tuple(asked), tuple(proofs))))

    def _ask_to_check(self, aggregator: Aggregator, file: bytes) -> list[bytes]:
        """Return the complaints of all who answer."""
        terms, complaints = self.info.terms, list[bytes]()
        if Kind.STANDING in terms.kinds and self.organisations is not None:
            requests = {
                number: aggregator.check_request(Kind.STANDING, number) for number in self.organisations.urls
            }
            complaints += self.organisations.check(self.info.digest, file, requests)
        bodies = {
            node: wire.encode(
                NodeChecks(
                    self._round_id,
                    tuple(
                        DrawnSeatRequest(seat, aggregator.check_request(Kind.DRAWN, seat))
                        for seat, behind in self._seats.items()
                        if behind == node
                    ),
                )
            )
            for node in set(self._seats.values())
        }
        for answer in self._exchange(NodeCheckAnswers, CHECK, bodies).values():
            complaints += answer.complaints
        return complaints

    def _complain(self, aggregator: Aggregator, data: bytes) -> None:
        try:
            aggregator.complain(data)
        except PrivacyError as error:
            log.warning("complaints in round %s do not count: %s", self._round_id, error)
            return
        complaints = wire.decode(Complaints, data)
        kind = Kind(complaints.kind)
        self._progress.complaints[kind, complaints.decryptor] = len(complaints.members)
        if kind == Kind.DRAWN:
            self._complaints[complaints.decryptor] = data

    def _settle(self, aggregator: Aggregator) -> list[bytes]:
        """Have each disputed dealing shown by one decryptor, under a grant of the registry.

        Returns:
            The proofs that convict a dealer.
        """
        proofs: list[bytes] = []
        for member, seat in aggregator.to_dispute():
            node, key = aggregator.node_of(member)
            wanted = NodeChecks(self._round_id, dealt=(Disputed(key, seat),))
            dealt = self._exchange(NodeCheckAnswers, CHECK, {node: wire.encode(wanted)}).get(node)
            if dealt is None or not dealt.dealt:
                continue
            grant = self.registry.dispute(self._complaints[seat], member)
            request = aggregator.dispute_request(member, dealt.dealt[0], grant.signed, grant.logged)
            asked = NodeChecks(self._round_id, disputes=(DrawnSeatRequest(seat, request),))
            bodies = {self._seats[seat]: wire.encode(asked)}
            for answer in self._exchange(NodeCheckAnswers, CHECK, bodies).values():
                for proof in answer.proofs:
                    try:
                        aggregator.disputed(proof)
                    except PrivacyError as error:
                        log.warning("a proof in round %s convicts nobody: %s", self._round_id, error)
                    else:
                        proofs.append(proof)
        return proofs

    def _finalise(self, aggregator: Aggregator) -> None:
        """Have the final set signed."""
        kept = self.steps.get(FINAL)
        self._progress.final_request = aggregator.exclude()
        if kept is None:
            self.steps.put(FINAL, kept := wire.encode(self.registry.final(self._progress.final_request)))
        head = wire.decode(LoggedHead, kept)
        aggregator.final(head.signed, head.logged)
        self._progress.final = head

    def _open(self, aggregator: Aggregator) -> Result:
        """Have all decryptors open and all nodes tell their sums; return the sum."""
        request, openings = aggregator.open_request(), list[bytes]()
        if self.organisations is not None:
            openings += self.organisations.open(self.info.digest, request)
        left_out = {node: aggregator.left_out(node) for node in aggregator.nodes}
        bodies = {
            node: wire.encode(NodeOpen(self._round_id, request, left_out.get(node, ())))
            for node in {*aggregator.nodes, *self._seats.values()}
        }
        for node, answer in self._exchange(NodeOpenings, OPEN, bodies).items():
            openings += answer.openings
            if left_out.get(node):
                aggregator.add_sum(node, answer.partial)
        for opening in openings:
            try:
                aggregator.opened(opening)
            except PrivacyError as error:
                log.warning("a sum in round %s does not count: %s", self._round_id, error)
            else:
                self._progress.openings.append(opening)
        return aggregator.conclude()

    def _exchange(self, cls: type[T], exchange: str, bodies: Mapping[int, bytes]) -> dict[int, T]:
        """Return what each node answers in an exchange; one whose answer cannot be read counts as silent."""
        answers: dict[int, T] = {}
        for node, answer in self.ask(exchange, bodies, self._round_id).items():
            try:
                answers[node] = wire.decode(cls, answer, LIMIT)
            except PeerError as error:
                log.warning("node %d is silent in round %s: %s", node, self._round_id, error)
        return answers


@dataclass(frozen=True, slots=True)
class _Included:
    """The included set's head, and whom the registry refused."""

    head: LoggedHead
    refused: Annotated[tuple[RefusedMember, ...], wire.Size(0, MOST_MEMBERS)]


@dataclass(frozen=True, slots=True)
class _Checked:
    """What decryptors said of the included set, and the proofs that convict dealers."""

    complaints: Annotated[tuple[Answer, ...], wire.Size(0, MOST_DECRYPTORS + MOST_ORGANISATIONS)]
    proofs: Annotated[tuple[Answer, ...], wire.Size(0, MOST_MEMBERS)]
