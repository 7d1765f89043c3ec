"""`covey registry clock show|confirm`: the clock of a registry that is being served."""

from __future__ import annotations

from covey_consent.commands.client import ask, read_time, require_admin_token
from covey_consent.errors import UnavailableError


def show(url: str) -> int:
    """Print what the registry at `url` says of its clock: 0 while it trusts it, 3 while it does not.

    Raises UnavailableError where no registry answers.
    """
    clock = ask("GET", f"{url.rstrip('/')}/readyz").json().get("clock")
    if not isinstance(clock, dict):
        raise UnavailableError(f"the registry at {url} is not ready; /readyz says why")
    print(clock.get("reason") or "the clock is trusted")
    return 3 if clock.get("reason") else 0


def confirm(url: str, stated: str) -> int:
    """Confirm that it is now the `stated` time (ISO 8601) at the registry at `url`; print so and return 0.

    The administrator's access token is in COVEY_REGISTRY_TOKEN. Raises RequestError for another text, without
    a token and where the registry refuses, UnavailableError where none answers.
    """
    token, now = require_admin_token(), int(read_time("--time", stated).timestamp())
    ask("POST", f"{url.rstrip('/')}/v1/clock/confirmations", token, json={"now": now})
    print("the clock is confirmed: what time makes due is done again")
    return 0
