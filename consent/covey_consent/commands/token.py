"""`covey registry token` and `revoke`: access tokens under the registry's own key, on its machine."""

from __future__ import annotations

import getpass
import json
import sys
import time

import httpx

from covey_consent.access.jose import extract
from covey_consent.access.roles import Caller, Role
from covey_consent.access.tokens import Tokens
from covey_consent.errors import ConsentRegistryError, DamageError
from covey_consent.settings import Settings
from covey_consent.storage import key_file

SECONDS = 30.0
ADMIN_HOURS = 1 / 60
"""For how long the token is good by which the command itself revokes."""


def mint(
    role: str, name: str, hours: float, subject: str | None = None, settings: Settings | None = None
) -> int:
    """Print a token and return 0. A wrong wish prints one line and returns 2."""
    settings = Settings() if settings is None else settings
    try:
        text = _mint(role, name, hours, subject, settings)
    except (ValueError, DamageError) as error:
        print(error, file=sys.stderr)
        return 2
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
        print("give either --token, or --role and --name", file=sys.stderr)
        return 2
    try:
        said = {"role": role, "name": name} if token is None else {"token": token_id(token)}
        admin = _mint(Role.ADMIN, getpass.getuser(), ADMIN_HOURS, None, settings)
    except (ValueError, ConsentRegistryError) as error:
        print(error, file=sys.stderr)
        return 2
    try:
        headers = {"Authorization": f"Bearer {admin}"}
        answer = httpx.post(f"{url.rstrip('/')}/v1/revocations", json=said, headers=headers, timeout=SECONDS)
        if answer.is_error:
            print(f"the registry refuses it: {answer.json().get('detail')}", file=sys.stderr)
            return 1
    except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
        print(f"no registry answers at {url}: {error}; start it, and revoke then", file=sys.stderr)
        return 1
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
    if not settings.key_file.exists():
        raise ValueError(f"there is no key in {settings.key_file}; run this where the registry's key file is")
    caller = Caller(Role(role), name.strip(), subject)
    tokens = Tokens(key_file.load_or_create(settings.key_file), settings.origin)
    return tokens.mint(caller, int(time.time()), int(hours * 3600))
