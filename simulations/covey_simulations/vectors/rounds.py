"""Plays the round of a test vector: every party with its own given randomness, every message recorded.

    played = VectorRound(given).play()
    played["messages"]      # in the order in which they are sent
    played["refused"]       # altered messages, each with the error that it meets

Used by `vectors`, which describes the files.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, cast

import numpy as np
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.serialization import load_der_private_key

from covey_privacy import blind_rsa, tickets, wire
from covey_privacy.errors import AbortError, MisuseError, PeerError, PrivacyError, ServerError
from covey_privacy.secagg.aggregator import Aggregator, CollectingSums, Result
from covey_privacy.secagg.collector import Collector
from covey_privacy.secagg.committee import Committee, check_committees, check_draw, sort_roster
from covey_privacy.secagg.contribution import leaf_of, proofs_digest, statement
from covey_privacy.secagg.contributor import Accepted, Contributor
from covey_privacy.secagg.dealing import (
    DealtShares,
    body_digest,
    body_digests,
    challenge,
    deal,
    prove,
    share_key,
)
from covey_privacy.secagg.decryptor import Decryptor, opening_statement
from covey_privacy.secagg.field import Elements, Q, to_bytes
from covey_privacy.secagg.keys import exchange_key
from covey_privacy.secagg.leaves import LeafSet, verify_absence, verify_presence
from covey_privacy.secagg.messages import (
    CommitteeFile,
    Contribution,
    Dealing,
    DrawnCommittee,
    Leaf,
    Logged,
    Opening,
    Seat,
    SetHead,
    VolunteerOffer,
)
from covey_privacy.secagg.notary import MemoryRecords, Notary
from covey_privacy.secagg.packed_shamir import complete
from covey_privacy.secagg.terms import Kind, RoundInfo, RoundTerms
from covey_privacy.secagg.volunteer import DecryptorKeys, Volunteer, offer_seat
from covey_privacy.signatures import SigningKey
from covey_privacy.state_machine import Machine
from covey_privacy.tickets import IssuerKey, Role, RoundKey
from covey_simulations.scenarios.in_process_round import EPOCH, NODE, NOW, PURPOSES, WitnessedLog
from covey_simulations.vectors import alterations

Json = dict[str, Any]
SeatName = tuple[Kind, int]
Fault = tuple[str, int, str]
"""Kind of committee, decryptor and part; see `vectors`."""
Route = tuple[str, str, str]
"""A message's name, sender and recipient."""

TAPE_DOMAIN = b"covey/2/vector"
TAPE_LENGTH = 2**12


class RandomTape:
    """The random bytes of a seed, each handed out once: SHAKE-256 of `TAPE_DOMAIN` and the seed."""

    def __init__(self, seed: bytes) -> None:
        self._left = hashlib.shake_256(TAPE_DOMAIN + seed).digest(TAPE_LENGTH)

    def __call__(self, count: int) -> bytes:
        """Return the next bytes. Raises MisuseError when there are no more."""
        if count > len(self._left):
            raise MisuseError(f"a party of a vector uses {TAPE_LENGTH} random bytes at most")
        taken, self._left = self._left[:count], self._left[count:]
        return taken


class VectorRound:
    """The round of one vector, from its `given` part."""

    def __init__(self, given: Mapping[str, Any]) -> None:
        self.given = given
        terms = wire.decode(RoundTerms, bytes.fromhex(given["terms"]))
        self.signers = {role: _signer(der) for role, der in given["issuers"].items()}
        self.issuers = {
            role: IssuerKey(PURPOSES, EPOCH, Role[role.upper()], 1, signer.public)
            for role, signer in self.signers.items()
        }
        self.registry = SigningKey(bytes.fromhex(given["registry"]))
        self.log = self._new_log()
        digest = hashlib.sha256(bytes.fromhex(given["terms"])).digest()
        self.info = RoundInfo(
            terms, digest, self.registry.public, self.issuers["contribute"], self.issuers.get("volunteer")
        )
        self.notary = Notary(self.info, self.registry, MemoryRecords())
        self.nonce = bytes.fromhex(given["nonce"])
        self.phones = [self._certified("contribute", seed) for seed in given["phones"]]
        self.volunteers = [self._certified("volunteer", seed) for seed in given["volunteers"]]
        self.secrets: dict[bytes, RoundKey] = {
            key.ticket.round_key: key for key, _ in (*self.phones, *self.volunteers)
        }
        self.keys: dict[SeatName, DecryptorKeys] = {}
        self.decryptors: dict[SeatName, Decryptor] = {}
        self.aggregator: Aggregator
        self.file = b""
        self._drawn: DrawnCommittee | None = None
        self._final: LeafSet
        self._messages: list[Json] = []
        self._entries: list[Json] = []
        self._logged: list[bytes] = []
        self._refused: list[Json] = []

    def play(self) -> Json:
        """Play the round to its end; return messages, log entries, result, and what was refused."""
        candidates = self._draw_committee() if Kind.DRAWN in self.info.terms.kinds else []
        self._seat(candidates)
        self._collect()
        self._include()
        self._check()
        self._dispute()
        self._finalize()
        result = self._open()
        return {
            "derived": self._derived(),
            "messages": self._messages,
            "log": self._entries,
            "result": {
                "vector": result.vector.tolist(),
                "members": result.members,
                "excluded": list(result.excluded),
                "corrected": {kind.name.lower(): count for kind, count in result.corrected.items()},
                "integrity_proved": result.integrity_proved,
                "error_variance": result.error_variance,
            },
            "refused": self._refused,
        }

    def append_to_log(self, name: str, signed: bytes) -> Logged:
        """Log a signed head, and record where it stands."""
        self._logged.append(signed)
        logged = self.log.append(signed)
        proof = [each.hex() for each in logged.proof]
        self._entries.append({"entry": name, "note": logged.note, "index": logged.index, "proof": proof})
        return logged

    def fork_log(self, signed: bytes) -> Logged:
        """Return where a head would stand in a copy of the log as it is; the log itself stays so."""
        fork = self._new_log()
        for entry in self._logged:
            fork.append(entry)
        return fork.append(signed)

    def _new_log(self) -> WitnessedLog:
        return WitnessedLog(self.registry, SigningKey(bytes.fromhex(self.given["witness"])))

    def _draw_committee(self) -> list[tuple[Volunteer, RandomTape]]:
        candidates = [(Volunteer(self.info, key, random=tape), tape) for key, tape in self.volunteers]
        offers = [candidate.volunteer() for candidate, _ in candidates]
        for place, offer in enumerate(offers):
            altered = alterations.of_volunteer(self, offers) if place == 0 else None
            self._deliver(
                ("volunteer", f"volunteer {place}", "registry"),
                offer,
                self.notary,
                self.notary.volunteer,
                altered,
            )
        roster = self.notary.roster()
        self._record("roster", "registry", "log", roster)
        self.append_to_log("roster", roster)
        drawn = self._deliver(
            ("nonce", "coordinator", "registry"), self.nonce, self.notary, self.notary.draw, ()
        )
        check_draw(drawn, sort_roster([wire.decode(VolunteerOffer, offer) for offer in offers]), self.info)
        self._record("draw", "registry", "coordinator", drawn.draw)
        self.append_to_log("draw", drawn.draw)
        self._drawn = drawn
        return candidates

    def _seat(self, candidates: Sequence[tuple[Volunteer, RandomTape]]) -> None:
        """Seat organisations and drawn volunteers; make the committee file."""
        seats: list[Seat] = []
        members: list[tuple[DecryptorKeys, RandomTape]] = []
        for seed in self.given["organisations"]:
            tape = RandomTape(bytes.fromhex(seed))
            keys, seat = offer_seat(self.info.digest, tape(32), tape)
            seats.append(seat)
            members.append((keys, tape))
        self.file = wire.encode(CommitteeFile(tuple(seats), self._drawn))
        committees = check_committees(self.file, self.info)
        for candidate, tape in candidates:
            if (found := candidate.drawn(committees)) is not None:
                members.append((found, tape))
        seated = [
            (Decryptor(self.info, committees, keys, self.log.view, random=tape), keys)
            for keys, tape in members
        ]
        for decryptor, keys in sorted(seated, key=lambda each: (each[1].kind, each[0].number)):
            self.keys[Kind(keys.kind), decryptor.number] = keys
            self.decryptors[Kind(keys.kind), decryptor.number] = decryptor
        self.collector = Collector(self.info, self.file, {})
        self.aggregator = Aggregator(self.info, self.file, random=RandomTape(self.info.digest))
        self._record("committee file", "coordinator", "everyone", self.file)
        first = self._contributor(0, RandomTape(b""))
        vector = self._vector(0)
        self._try(
            "committee file",
            "phone 0",
            self.file,
            first,
            lambda file: first.contribute(file, vector),
            alterations.of_committee_file(self),
        )

    def _collect(self) -> None:
        for place in range(len(self.phones)):
            contributor, sender = self._contributor(place), f"phone {place}"
            if place in self.given["retracted"]:
                retraction = contributor.retract()
                self._record("retraction", sender, "registry", wire.encode(retraction))
                self.notary.retract(retraction)
                continue
            message = contributor.contribute(self.file, self._vector(place))
            if faults := [tuple(fault[1:]) for fault in self.given["faults"] if fault[0] == place]:
                message = self._cheat(self.phones[place][0], message, faults)
            altered = alterations.of_contribution(self, message) if place == 0 else None
            self._deliver(
                ("contribution", sender, "coordinator"),
                message,
                self.collector,
                self.collector.add,
                altered,
            )
            if place == 0:
                again = alterations.after_contribution(self, message)
                self._try_after("contribution", "coordinator", self.collector, self.collector.add, again)

    def _include(self) -> None:
        self.aggregator.collect(NODE, self.collector.collected())
        signed = self._deliver(
            ("include request", "coordinator", "registry"),
            self.aggregator.close(),
            self.notary,
            lambda data: self.notary.include(self.file, data),
            alterations.of_include_request(self),
        )
        logged = self.append_to_log("included head", signed)
        self._deliver(
            ("included head", "registry", "coordinator"),
            signed,
            self.aggregator,
            lambda data: self.aggregator.included(data, logged),
            alterations.of_included_head(self, signed),
        )

    def _check(self) -> None:
        for seat, decryptor in self.decryptors.items():
            name, altered = _label(seat), self._is_probed(seat)
            request = self.aggregator.check_request(*seat)

            def check(data: bytes, decryptor: Decryptor = decryptor) -> bytes:
                return decryptor.check(data, NOW)

            said = self._deliver(
                ("check request", "coordinator", name),
                request,
                decryptor,
                check,
                alterations.of_check_request(self, request) if altered else None,
            )
            if altered:
                again = alterations.after_check_request(request)
                self._try_after("check request", name, decryptor, check, again)
            self._deliver(
                ("complaints", name, "coordinator"),
                said,
                self.aggregator,
                self.aggregator.complain,
                alterations.of_complaints(self, seat, said) if altered else None,
            )

    def _dispute(self) -> None:
        complaints = {each["from"]: each["bytes"] for each in self._messages if each["name"] == "complaints"}
        for member, number in self.aggregator.to_dispute():
            seat = Kind.DRAWN, number
            decryptor = self.decryptors[seat]
            grant = self.notary.dispute(bytes.fromhex(complaints[_label(seat)]), member)
            self._record("dispute grant", "registry", "coordinator", grant)
            logged = self.append_to_log("dispute grant", grant)
            _, key = self.aggregator.node_of(member)
            request = self.aggregator.dispute_request(
                member, self.collector.dealt(key, number), grant, logged
            )

            def dispute(data: bytes, decryptor: Decryptor = decryptor) -> bytes | None:
                return decryptor.dispute(data, NOW)

            shown = self._deliver(
                ("dispute request", "coordinator", _label(seat)),
                request,
                decryptor,
                dispute,
                alterations.of_dispute_request(self, request),
            )
            if shown is not None:
                self._deliver(
                    ("dispute proof", _label(seat), "coordinator"),
                    shown,
                    self.aggregator,
                    self.aggregator.disputed,
                    alterations.of_dispute_proof(self, shown),
                )

    def _finalize(self) -> None:
        request = self.aggregator.exclude()
        signed = self._deliver(
            ("final request", "coordinator", "registry"),
            request,
            self.notary,
            self.notary.final,
            alterations.of_final_request(self, request),
        )
        logged = self.append_to_log("final head", signed)
        self._deliver(
            ("final head", "registry", "coordinator"),
            signed,
            self.aggregator,
            lambda data: self.aggregator.final(data, logged),
            alterations.of_final_head(self, signed),
        )

    def _open(self) -> Result:
        request = self.aggregator.open_request()
        self._record("open request", "coordinator", "decryptors", request)
        if left_out := self.aggregator.left_out(NODE):
            self.aggregator.add_sum(NODE, self.collector.sum_without(left_out))
        absent, wrong = (_seats(self.given[key]) for key in ("absent", "wrong"))
        for seat, decryptor in self.decryptors.items():
            if seat in absent:
                continue

            def answer(data: bytes, decryptor: Decryptor = decryptor) -> bytes:
                return decryptor.open(data, NOW)

            if probed := self._is_probed(seat):
                altered = alterations.of_open_request(self, request)
                self._try("open request", _label(seat), request, decryptor, answer, altered)
            opening = answer(request)
            if probed:
                again = alterations.after_open_request(request)
                self._try_after("open request", _label(seat), decryptor, answer, again)
            if seat in wrong:
                opening = _falsify(opening, self.keys[seat], self.aggregator.committees.context)
            self._deliver(
                ("opening", _label(seat), "coordinator"),
                opening,
                self.aggregator,
                self.aggregator.opened,
                alterations.of_opening(self, seat, opening) if probed else None,
            )
        before = cast(CollectingSums, self.aggregator.state).before
        self._final = before.members.without(before.excluded)
        return self.aggregator.conclude()

    def _is_probed(self, seat: SeatName) -> bool:
        """Say whether altered messages are tried on this decryptor: the first and last of each committee."""
        kind, number = seat
        absent = [kind.name.lower(), number] in self.given["absent"]
        return number in (1, self.aggregator.committees.of_kind(kind).shape.members) and not absent

    def _record(self, name: str, sender: str, to: str, data: bytes) -> None:
        self._messages.append({"name": name, "from": sender, "to": to, "bytes": data.hex()})

    def _deliver(
        self,
        route: Route,
        data: bytes,
        machine: Machine,
        act: Callable[[bytes], Any],
        altered: Iterable[tuple[str, bytes]] | None,
    ) -> Any:
        """Record a message, try altered ones on its recipient unless `altered` is None, and hand it over."""
        name, _, to = route
        self._record(*route, data)
        if altered is not None:
            self._try(name, to, data, machine, act, altered)
        return act(data)

    def _try(
        self,
        name: str,
        to: str,
        data: bytes,
        machine: Machine,
        act: Callable[[bytes], Any],
        altered: Iterable[tuple[str, bytes]],
    ) -> None:
        """Record what becomes of a message with one bit flipped, at front, middle and end, and of others."""
        found = self._found(name, to)
        for offset in (0, len(data) // 2, len(data) - 1):
            flipped = data[:offset] + bytes([data[offset] ^ 1]) + data[offset + 1 :]
            outcome = _outcome(machine, act, flipped)
            self._refused.append({**found, "alteration": "one bit", "flipped": offset, **outcome})
        if not self.given["bits_only"]:
            for alteration, other in altered:
                outcome = _outcome(machine, act, other)
                self._refused.append({**found, "alteration": alteration, "bytes": other.hex(), **outcome})

    def _try_after(
        self, name: str, to: str, machine: Machine, act: Callable[[bytes], Any], other: tuple[str, bytes]
    ) -> None:
        """Record what becomes of another message that comes after the honest one."""
        if not self.given["bits_only"]:
            found = {**self._found(name, to), "alteration": other[0], "after": True, "bytes": other[1].hex()}
            self._refused.append({**found, **_outcome(machine, act, other[1])})

    def _found(self, name: str, to: str) -> Json:
        """Return how an altered message is recorded; `message` is the place of the last honest one."""
        place = max(place for place, each in enumerate(self._messages) if each["name"] == name)
        return {"name": name, "to": to, "message": place}

    def _certified(self, role: str, seed: str) -> tuple[RoundKey, RandomTape]:
        """Return a round key with its ticket, and the tape with what is left of it."""
        tape, signer, issuer = RandomTape(bytes.fromhex(seed)), self.signers[role], self.issuers[role]
        (pending,) = tickets.request([issuer], tape)
        # What blinds the signer's own arithmetic is no part of what it answers.
        (key,) = tickets.receive([issuer], [pending], [signer.blind_sign(pending.blinded)])
        return key, tape

    def _contributor(self, place: int, other_tape: RandomTape | None = None) -> Contributor:
        key, tape = self.phones[place]
        organisations = frozenset(self.info.terms.organisations)
        accepted = Accepted(organisations, frozenset({self.info.terms.kinds}), 0)
        return Contributor(self.info, accepted, key, random=other_tape or tape)

    def _vector(self, place: int) -> Elements:
        return np.array(self.given["vectors"][place], np.int64)

    def _cheat(self, key: RoundKey, honest: bytes, faults: Sequence[Fault]) -> bytes:
        """Return the message with faults in the dealing to some decryptors, proved and signed anew.

        The vector stays as it is: padded with the seed of the honest dealing.
        """
        message, committees = wire.decode(Contribution, honest), self.aggregator.committees
        dealt = [self._deal(key, each, message.salt, faults) for each in committees.each]
        body = body_digest(body_digests(message.vector, [box for each in dealt for box in each.boxes]))
        leaf = Leaf(message.ticket.round_key, message.salt, body, bytes(32))
        dealings: list[Dealing] = []
        for committee, shares in zip(committees.each, dealt, strict=True):
            chunks = committee.shape.chunks(self.info.terms.length)
            coefficients = challenge(committees.context, committee.kind, leaf, chunks)
            dealings.append(Dealing(b"".join(shares.boxes), prove(shares.first, coefficients)))
        leaf = replace(leaf, proof=proofs_digest(dealings))
        signature = SigningKey(key.secret).sign(statement(self.info.digest, committees.context, leaf))
        return wire.encode(replace(message, dealings=tuple(dealings), signature=signature))

    def _deal(
        self, key: RoundKey, committee: Committee, salt: bytes, faults: Sequence[Fault] = ()
    ) -> DealtShares:
        """Deal again, with the faults that are for this committee; the seed is the honest one."""
        exchange, round_key = exchange_key(key.secret), key.ticket.round_key
        context, shape = self.aggregator.committees.context, committee.shape
        honest = deal(committee, context, exchange, round_key, salt, self.info.terms.length)
        own = [(number, part) for kind, number, part in faults if kind == committee.kind.name.lower()]
        if not own:
            return honest
        first = honest.first.copy()
        for number, part in own:
            if part == "stream":
                first[number - 1, 0] = (first[number - 1, 0] + 1) % Q
        boxes: list[bytes] = []
        for number, share in zip(committee.boxed, complete(shape, first)[1], strict=True):
            if (number, "share") in own:
                share[0] = (share[0] + 1) % Q
            if (number, "element") in own:
                share[0] += Q
            box = _seal(committee, context, exchange, round_key, salt, number, share)
            boxes.append(box[:-1] + bytes([box[-1] ^ 1]) if (number, "box") in own else box)
        return DealtShares(first, honest.seed, tuple(boxes))

    def _place(self, round_key: bytes) -> bytes:
        """Return the proof that a round key is in the final set, or not in it."""
        members = self._final
        head = SetHead(self.info.digest, bytes(32), len(members), members.root, bytes(32))
        for leaf in members.leaves:
            if leaf.round_key == round_key:
                presence = members.presence(round_key)
                verify_presence(head, leaf, presence)
                return wire.encode(presence)
        absence = members.absence(round_key)
        verify_absence(head, round_key, absence)
        return wire.encode(absence)

    def _derived(self) -> Json:
        """Return what is not sent, and what helps to find where another implementation differs."""
        contributions = {
            each["from"]: wire.decode(Contribution, bytes.fromhex(each["bytes"]))
            for each in self._messages
            if each["name"] == "contribution"
        }
        committees = self.aggregator.committees
        seeds = {
            sender: {
                committee.kind.name.lower(): to_bytes(
                    self._deal(self.secrets[message.ticket.round_key], committee, message.salt).seed
                ).hex()
                for committee in committees.each
            }
            for sender, message in contributions.items()
        }
        sizes = self.aggregator.sizes
        proofs = {
            f"phone {place}": self._place(key.ticket.round_key).hex()
            for place, (key, _) in enumerate(self.phones)
        }
        leaves = {sender: leaf_of(each, sizes).pack().hex() for sender, each in contributions.items()}
        return {
            "digest": self.info.digest.hex(),
            "context": committees.context.hex(),
            "seeds": seeds,
            "leaves": leaves,
            "proofs": proofs,
        }


def _signer(der: str) -> blind_rsa.Signer:
    key = load_der_private_key(bytes.fromhex(der), None)
    if not isinstance(key, rsa.RSAPrivateKey):
        raise MisuseError("a vector's issuer is an RSA key in PKCS #8; this one is not")
    return blind_rsa.Signer(key)


def _seats(names: Iterable[tuple[str, int]]) -> set[SeatName]:
    return {(Kind[kind.upper()], number) for kind, number in names}


def _label(seat: SeatName) -> str:
    kind, number = seat
    return f"{kind.name.lower()} {number}"


def _seal(
    committee: Committee,
    context: bytes,
    exchange: X25519PrivateKey,
    round_key: bytes,
    salt: bytes,
    decryptor: int,
    share: Elements,
) -> bytes:
    box_key = X25519PublicKey.from_public_bytes(committee.box_keys[decryptor - 1])
    key = share_key(exchange.exchange(box_key), context, committee.kind, round_key, salt, decryptor)
    return AESGCM(key).encrypt(bytes(12), to_bytes(share), context + committee.kind.label)


def _falsify(opening: bytes, keys: DecryptorKeys, context: bytes) -> bytes:
    """Return an opening whose first word is one more, signed anew."""
    message = wire.decode(Opening, opening)
    word = (int.from_bytes(message.sums[:4], "little") + 1) % Q
    wrong = replace(message, sums=word.to_bytes(4, "little") + message.sums[4:])
    signature = SigningKey(keys.signing).sign(opening_statement(context, wrong))
    return wire.encode(replace(wrong, signature=signature))


def _outcome(machine: Machine, act: Callable[[bytes], Any], data: bytes) -> Json:
    """Return the blame and the rule of the error that a message meets, or the answer that it gets.

    The machine is left in the state that it was in.
    """
    state = machine.state
    try:
        answer = act(data)
    except PrivacyError as error:
        blames = (PeerError, ServerError, AbortError, MisuseError)
        blame = next(each for each in blames if isinstance(error, each))
        return {"error": blame.__name__, "rule": str(error.rule)}
    finally:
        machine.state = state
    if not isinstance(answer, bytes):
        raise MisuseError("an altered message was taken")
    return {"error": None, "rule": None, "answer": answer.hex()}
