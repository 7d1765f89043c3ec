"""What an operator configures, by environment variables that begin with COVEY_REGISTRY_."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from limits import parse
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, SettingsConfigDict, SettingsError

from covey_consent.access.roles import Role
from covey_consent.policy import periods
from covey_consent.policy import purposes as known
from covey_privacy.dp.odometer import Caps
from covey_privacy.note import COSIGNATURE, VerifierKey
from covey_privacy.tickets import MOST_SLOTS, purpose_set

MOST_WITNESSES = 8
"""So that a note with all their cosignatures is as short as phones expect."""

Duration = Annotated[str, StringConstraints(pattern=periods.PATTERN)]
"""An ISO 8601 duration of months or days."""

Epsilon = Annotated[float, Field(ge=0, le=100)]


def _of_a_witness(vkey: str) -> str:
    if VerifierKey.parse(vkey).algorithm != COSIGNATURE:
        raise ValueError("a witness's key is of the type for cosignatures, 0x04")
    return vkey


def _is_loopback(url: str) -> bool:
    return urlsplit(url).hostname in ("127.0.0.1", "::1", "localhost")


def _rate(text: str) -> str:
    parse(text)
    return text


Rate = Annotated[str, Field(max_length=64), AfterValidator(_rate)]
"""So many requests in a time, as the `limits` library writes it: "100/second", "5000 per 10 minute"."""


def _in_order(purposes: str) -> str:
    names = tuple(purposes.split("+"))
    if names != purpose_set(names) or not set(names) <= known.load().keys():
        raise ValueError(f"a purpose set is known purposes, each once and sorted; {purposes!r} is not")
    return purposes


PurposeSet = Annotated[str, Field(max_length=256), AfterValidator(_in_order)]
"""Purposes joined by "+", in their one order."""

Url = Annotated[str, StringConstraints(pattern=r"^https?://[^\s?#]+[^\s?#/]$", max_length=1024)]


class WitnessAt(BaseModel):
    """A witness: its key as it prints it, name+id+key, and the address below which it is asked."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    vkey: Annotated[str, Field(max_length=256), AfterValidator(_of_a_witness)]
    url: Annotated[str, StringConstraints(pattern=r"^https?://[^\s?#]+$", max_length=1024)]

    @property
    def key(self) -> VerifierKey:
        """The key that has to have made its cosignatures."""
        return VerifierKey.parse(self.vkey)


class Settings(BaseSettings):
    """The registry's settings.

    `operator` is the hex public key that signs manifests; without it rounds are refused. `controller` is the
    TOML file with the shop's own facts; without it, an example's are used. `notices` is a folder of notices
    that add to the packaged ones or stand in their place, each named for its purpose. `epsilon` caps each
    purpose and `epsilon_total` all together, a person and year at `delta`; the signed notices promise them.
    Tickets are issued for `purpose_sets` alone, each with keys and a leaf of its own in every epoch: one key
    for each role and slot. A person gets one ticket of each, all in one batch, so that they can take part in
    `slots` rounds of a set in an epoch; they have `yearly_batches` in a year.
    Devices enrol with an access token where `enrolment_needs_token`; without one, one address enrols no more
    people than `rate_enrolments`.
    Without `open_enrolment` a device is taken only after the shop's server attached it to a person.
    Each of `witnesses` has `witness_seconds` to cosign a new head, and cosigns an unchanged one anew every
    `witness_every_seconds`. `public_url` is the address that callers use: DPoP proofs name it, and without it
    none is taken; where it is given, a proxy on this machine is believed about forwarded addresses. Tokens
    of an identity provider are opened where `idp_issuer`, `idp_audience` and `idp_jwks` (an address or a
    file) are given: `idp_role_claim` is where the role stands, `idp_roles` what the provider's names mean
    here, and `idp_subject_claim` where a person's pseudonym stands. No token, of the registry's own or of a
    provider, is good for longer than `token_hours` after it was issued. One caller with a token may ask at
    `rate_caller`, everyone else at `rate_address` from one address. At most `connections` are open at once,
    `connections_address` of them from one address (of IPv6, one /64), a proxy's not counted.

    Requests for rights are answered within `rights_periods`, by country and kind (see `rights.periods`), and
    once `rights_extension` later; the law in force is the default. Backups are kept for `backup_days`.
    A person's record is kept for `record_years` after their last choice ended, a closed request as long; the
    access log for `access_log_years` (PIPL Art. 56), and for `letter_days` what a recipient took or never
    took.
    Recipients are told things within `recipient_seconds` an attempt, `recipient_tries` times; only with
    `private_recipients`, which tests need, at addresses that are not public or without TLS. A breach is
    notified within `breach_seconds` (GDPR Art. 33(1)). An admin imports exports of the registries whose
    public keys are in `imports_from`, and none where it is empty.

    Dictionaries and lists are JSON: COVEY_REGISTRY_EPSILON='{"analytics": 1}'.
    """

    model_config = SettingsConfigDict(
        env_prefix="COVEY_REGISTRY_", env_parse_none_str="null", frozen=True, extra="forbid"
    )

    database_url: str = "sqlite:///registry.db"
    key_file: Path = Path("registry.key")
    controller: Path | None = None
    notices: Path | None = None
    origin: Annotated[str, StringConstraints(pattern=r"^[^\s+]{1,200}$")] = "covey.example/log"
    operator: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")] | None = None
    epoch_seconds: Annotated[int, Field(ge=60, le=7 * 86400)] = 86400
    purpose_sets: Annotated[tuple[PurposeSet, ...], Field(max_length=64)] = (
        "analytics",
        "analytics+personalize",
        "core",
        "personalize",
        "personalize+train",
        "train",
    )
    slots: Annotated[int, Field(ge=1, le=MOST_SLOTS)] = 4
    yearly_batches: Annotated[int, Field(ge=1)] = 366
    open_enrolment: bool = True
    tolerance_seconds: Annotated[int, Field(ge=0, le=3600)] = 300
    epsilon: dict[str, Epsilon] = {"analytics": 2.0, "train": 2.0}
    epsilon_total: Epsilon = 4.0
    delta: Annotated[float, Field(ge=1e-12, le=1e-2)] = 1e-6
    witnesses: Annotated[tuple[WitnessAt, ...], Field(max_length=MOST_WITNESSES)] = ()
    witness_seconds: Annotated[float, Field(gt=0, le=60)] = 5.0
    witness_every_seconds: Annotated[float, Field(ge=1, le=86400)] = 3600.0
    rights_periods: dict[str, Duration] = {"default": "P1M", "CN": "P15D"}
    rights_extension: Annotated[str, StringConstraints(pattern=periods.EXTENSION)] = "P2M"
    backup_days: Annotated[int, Field(ge=0, le=3650)] = 30
    record_years: Annotated[int, Field(ge=1, le=30)] = 3
    access_log_years: Annotated[int, Field(ge=1, le=30)] = 3
    letter_days: Annotated[int, Field(ge=1, le=3650)] = 365
    recipient_tries: Annotated[int, Field(ge=1, le=100)] = 16
    recipient_seconds: Annotated[float, Field(gt=0, le=60)] = 10.0
    recipient_every_seconds: Annotated[float, Field(gt=0, le=60)] = 1.0
    private_recipients: bool = False
    imports_from: tuple[Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")], ...] = ()
    breach_seconds: Annotated[int, Field(ge=3600, le=30 * 86400)] = 72 * 3600

    public_url: Url | None = None
    idp_issuer: Annotated[str, Field(max_length=1024)] | None = None
    idp_audience: Annotated[str, Field(max_length=1024)] | None = None
    idp_jwks: Annotated[str, Field(max_length=1024)] | None = None
    idp_jwks_seconds: Annotated[int, Field(ge=1, le=3600)] = 60
    idp_role_claim: Annotated[str, Field(max_length=200)] = "role"
    idp_roles: dict[str, Role] = {}
    idp_subject_claim: Annotated[str, Field(max_length=200)] = "sub"
    token_hours: Annotated[float, Field(gt=0, le=366 * 24)] = 24.0
    rate_caller: Rate | None = "600000/minute"
    rate_address: Rate | None = "60000/minute"
    rate_enrolments: Rate | None = "1000/hour"
    enrolment_needs_token: bool = False
    connections: Annotated[int, Field(ge=16, le=100_000)] = 2048
    connections_address: Annotated[int, Field(ge=4, le=100_000)] = 256
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"

    @field_validator("rights_periods")
    @classmethod
    def _with_default(cls, value: dict[str, str]) -> dict[str, str]:
        if periods.DEFAULT not in value:
            raise ValueError(f"the period {periods.DEFAULT!r} is needed: it holds where no other does")
        return value

    @model_validator(mode="after")
    def _whole_provider(self) -> Self:
        given = [self.idp_issuer, self.idp_audience, self.idp_jwks]
        if any(given) and not all(given):
            raise ValueError("an identity provider takes idp_issuer, idp_audience and idp_jwks, all three")
        if self.idp_jwks and self.idp_jwks.startswith("http://") and not _is_loopback(self.idp_jwks):
            raise ValueError("idp_jwks is fetched over https; who changes it on the way is every role")
        return self

    @property
    def caps(self) -> Caps:
        """The caps that the notices promise."""
        return Caps(self.epsilon, self.epsilon_total, self.delta)

    @property
    def token_seconds(self) -> int:
        """For how long an access token is good at most."""
        return math.ceil(self.token_hours * 3600)

    @property
    def operator_key(self) -> bytes | None:
        """The operator's 32 raw bytes."""
        return None if self.operator is None else bytes.fromhex(self.operator)


def in_words(error: ValueError) -> str:
    """Return which variables are wrong, and how, where the error is of settings; else what it says."""
    if isinstance(error, ValidationError):
        return "; ".join(_problem(each["loc"], each["msg"]) for each in error.errors(include_url=False))
    field = re.search('field "(.*?)"', str(error)) if isinstance(error, SettingsError) else None
    return _problem((field[1],), "JSON was expected") if field else str(error)


def _problem(place: tuple[int | str, ...], said: str) -> str:
    said = said.removeprefix("Value error, ")
    if not place:
        return said
    field, *within = map(str, place)
    return f"{'.'.join((f'COVEY_REGISTRY_{field.upper()}', *within))}: {said}"
