"""`covey registry token`: an access token under the registry's own key, for who runs it on its machine."""

from __future__ import annotations

import sys
import time

from covey_consent import keys
from covey_consent.access.roles import Caller, Role
from covey_consent.access.tokens import Tokens
from covey_consent.errors import DamageError
from covey_consent.settings import Settings


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
    return 0


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
    tokens = Tokens(keys.load_or_create(settings.key_file), settings.origin)
    return tokens.mint(caller, int(time.time()), int(hours * 3600))
