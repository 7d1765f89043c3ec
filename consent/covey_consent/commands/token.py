"""`covey registry token` and `revoke`: access tokens under the registry's own key, on its machine."""

from __future__ import annotations

import getpass
import json
import sys

from covey_consent.access.jose import extract
from covey_consent.access.roles import Caller, Role
from covey_consent.commands.client import ask, mint_token, print_error
from covey_consent.errors import ConsentRegistryError, RequestError, UnavailableError
from covey_consent.settings import Settings

ADMIN_HOURS = 1 / 60
"""For how long the token is good by which the command itself revokes."""


def mint(
    role: str, name: str, hours: float, subject: str | None = None, settings: Settings | None = None
) -> int:
    """Print a token and return 0. A wrong wish prints one line and returns 2."""
    settings = Settings() if settings is None else settings
    try:
        text = _mint(role, name, hours, subject, settings)
    except (ValueError, ConsentRegistryError) as error:
        return print_error(error, 2)
    print(text)
    print(f"its id, to revoke it by: {token_id(text)}", file=sys.stderr)
    return 0


def revoke(
    url: str, token: str | None, role: str | None, name: str | None, settings: Settings | None = None
) -> int:
    """Revoke a token, by its id or its text, or all of a role and name, at the registry that serves `url`.

    Return 0 when they count no more, 1 where the registry does not take it, 2 for a wrong wish.
    """
    settings = Settings() if settings is None else settings
    if (token is None) == (role is None) or (role is None) != (name is None):
        return print_error("give either --token, or --role and --name", 2)
    try:
        said = {"role": role, "name": name} if token is None else {"token": token_id(token)}
        admin = _mint(Role.ADMIN, getpass.getuser(), ADMIN_HOURS, None, settings)
    except (ValueError, ConsentRegistryError) as error:
        return print_error(error, 2)
    try:
        ask("POST", f"{url.rstrip('/')}/v1/revocations", admin, json=said)
    except RequestError as error:
        return print_error(error, 1)
    except UnavailableError as error:
        return print_error(f"{error}; start it, and revoke then", 1)
    print("revoked: it counts no more" if token else f"revoked: every token of {role} {name} so far")
    return 0


def token_id(text: str) -> str:
    """Return the id of a token that is given as it was printed, unverified, or the id itself."""
    if text.count(".") != 2:
        return text
    try:
        return str(json.loads(extract(text)[0].payload)["jti"])
    except (ValueError, KeyError, TypeError):
        raise ValueError("this is neither a token nor a token's id") from None


def _mint(role: str, name: str, hours: float, subject: str | None, settings: Settings) -> str:
    if not 0 < hours <= settings.token_hours:
        raise ValueError(
            f"--hours is {hours:g}; more than 0 and at most {settings.token_hours:g} were expected, which "
            "COVEY_REGISTRY_TOKEN_HOURS sets"
        )
    if not name.strip() or len(name) > 200:
        raise ValueError("--name is who is known by the token in the access log, 1 to 200 characters")
    if (role == Role.SUBJECT) != (subject is not None):
        raise ValueError(
            "--subject is the pseudonym of the person: the role subject needs it, others have none"
        )
    return mint_token(settings, Caller(Role(role), name.strip(), subject), hours * 3600)
