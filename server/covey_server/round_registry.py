"""What the coordinator asks the registry in one round: roster, draw, included set, disputes, final set.

The registry signs each once, and answers a repeated request with the same signature.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from typing import TypeVar

from covey_privacy import wire
from covey_privacy.checkpoint import head
from covey_privacy.errors import AbortError
from covey_privacy.merkle import leaf_hash
from covey_privacy.note import parse
from covey_privacy.protocol_rules import Rule
from covey_privacy.registry_messages import LEAF_MANIFEST, Inclusion
from covey_privacy.secagg.messages import DrawnCommittee, Logged
from covey_privacy.secagg.notary_messages import (
    DRAW_REQUEST,
    EXCLUSION_REQUEST,
    GRANT_REQUEST,
    INCLUSION_REQUEST,
    ROSTER_REQUEST,
    DrawAnswer,
    DrawRequest,
    ExclusionRequest,
    GrantRequest,
    InclusionAnswer,
    InclusionRequest,
    LoggedHead,
    RosterRequest,
    request_statement,
)
from covey_server.errors import RegistryError
from covey_server.registry_client import RegistryClient, decode_answer

T = TypeVar("T")

UNPROCESSABLE = 422
"""The status of what is refused however often it is asked."""
PAUSE_SECONDS = 0.5
MOST_TRIES = 10
"""How often a cosignature that is missing is asked for again."""

_RULE = re.compile(r"\(([a-z-]+)\)$")


class RoundRegistry:
    """The registry's part in the round of one manifest.

    What it refuses for good, such as a set that is too small, raises AbortError. What may be asked again
    raises RegistryError.

    Args:
        pause: waits so many seconds between two tries for a cosignature.
    """

    def __init__(
        self,
        registry: RegistryClient,
        round_id: str,
        digest: bytes,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self._registry, self._round_id, self._digest, self._pause = registry, round_id, digest, pause

    def manifest_logged(self, signed: bytes) -> Logged:
        """Return where the manifest stands in the log, under the newest note."""
        note = self._registry.send("GET", "/v1/log/checkpoint").text
        leaf, size = leaf_hash(LEAF_MANIFEST + signed), head(parse(note)).size
        answer = self._registry.send("GET", f"/v1/log/inclusion/{leaf.hex()}", params={"size": size})
        inclusion = decode_answer(Inclusion, answer)
        return Logged(note, inclusion.index, inclusion.proof)

    def roster(self) -> LoggedHead:
        """Have the roster of all volunteers signed."""
        return self._logged("roster", ROSTER_REQUEST, RosterRequest(self._digest))

    def draw(self, nonce: bytes) -> DrawnCommittee:
        """Return the committee that roster and nonce give."""
        return self._ask("draw", DRAW_REQUEST, DrawRequest(self._digest, nonce), DrawAnswer).drawn

    def include(self, committee_file: bytes, request: bytes) -> LoggedHead | Mapping[bytes, str]:
        """Return the head of the included set, or the members to leave out with the rule that each broke."""
        asked = InclusionRequest(self._digest, committee_file, request)
        answer = self._ask("included", INCLUSION_REQUEST, asked, InclusionAnswer)
        if answer.head is None:
            return {refused.round_key: refused.rule for refused in answer.refused}
        return self._cosigned(
            answer.head, lambda: self._ask("included", INCLUSION_REQUEST, asked, InclusionAnswer).head
        )

    def dispute(self, complaints: bytes, member: int) -> LoggedHead:
        """Return the grant to show one shared point."""
        return self._logged("disputes", GRANT_REQUEST, GrantRequest(self._digest, complaints, member))

    def final(self, request: bytes) -> LoggedHead:
        """Return the head of the final set."""
        return self._logged("final", EXCLUSION_REQUEST, ExclusionRequest(self._digest, request))

    def _logged(self, path: str, context: str, message: object) -> LoggedHead:
        def ask() -> LoggedHead:
            return self._ask(path, context, message, LoggedHead)

        return self._cosigned(ask(), ask)

    def _cosigned(self, signed: LoggedHead, again: Callable[[], LoggedHead | None]) -> LoggedHead:
        """Return what was signed under a note that all witnesses cosigned, or as many as do in time."""
        for _ in range(MOST_TRIES):
            if not signed.missing:
                break
            self._pause(PAUSE_SECONDS)
            signed = again() or signed
        return signed

    def _ask(self, path: str, context: str, message: object, cls: type[T]) -> T:
        body = wire.encode(message)
        headers = self._registry.signed(request_statement(context, body))
        url = f"/v1/rounds/{self._round_id}/{path}"
        try:
            return decode_answer(cls, self._registry.send("POST", url, headers=headers, content=body))
        except RegistryError as error:
            if error.status != UNPROCESSABLE:
                raise
            raise AbortError(str(error), rule=_named_rule(str(error))) from None


def _named_rule(text: str) -> Rule:
    """Return the rule that a refusal names at its end, in parentheses."""
    found = _RULE.search(text)
    known = found is not None and found[1] in tuple(Rule)
    return Rule(found[1]) if found and known else Rule.DOCUMENT_CONTENT
