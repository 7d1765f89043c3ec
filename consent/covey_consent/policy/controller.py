"""The controller of the processing (GDPR Art. 13(1), 30(1); PIPL Art. 17), from a TOML file."""

from __future__ import annotations

import tomllib
from importlib import resources
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, StringConstraints, ValidationError

from covey_consent.errors import DamageError, without_number

Words = Annotated[str, StringConstraints(min_length=1, max_length=500, strip_whitespace=True)]
Country = Annotated[str, StringConstraints(pattern="^[A-Z]{2}$")]


class _Facts(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Contact(_Facts):
    """A person or office to contact."""

    name: Words
    email: Words
    address: Words | None = None


class StatedRecipient(_Facts):
    """A recipient of personal data; `safeguard` names the safeguard of a transfer abroad.

    A notice names the `contact` of a recipient that is a controller itself (PIPL Art. 23).
    """

    name: Words
    contact: Words | None = None
    role: Literal["processor", "controller", "joint controller"]
    country: Country
    purposes: tuple[str, ...]
    email: Words | None = None
    safeguard: Words | None = None


class Controller(_Facts):
    """The controller and its contacts. `same_operator`: it also runs the rounds' coordinator."""

    name: Words
    address: Words
    country: Country
    email: Words
    phone: Words | None = None
    url: Words
    rights_url: Words
    withdrawal_url: Words
    authority: Words
    storage_countries: tuple[Country, ...]
    same_operator: bool = True
    dpo: Contact | None = None
    representative: Contact | None = None
    joint: tuple[Contact, ...] = ()
    recipients: tuple[StatedRecipient, ...] = ()


def load(path: Path | None) -> Controller:
    """Return the controller in `path`, or the packaged example. Raises DamageError naming the fault."""
    try:
        if path is None:
            text = resources.files(__package__).joinpath("controller.toml").read_text("utf-8")
        else:
            text = path.read_text("utf-8")
        return Controller.model_validate(tomllib.loads(text))
    except (OSError, ValueError) as error:
        raise DamageError(f"the controller's facts in {path} cannot be used: {_first(error)}") from None


def _first(error: Exception) -> str:
    if isinstance(error, ValidationError):
        one = error.errors()[0]
        return f"{'.'.join(map(str, one['loc']))}: {one['msg']}"
    return without_number(error)
