"""For app teams: ask for consent, record events, show tags and a recommendation with reasons.

In a checkout, after `pip install -e '.[server]'`, run `python examples/app_team.py`. It starts a consent
registry as a process of its own; everything else happens in this process, which plays the phone.
"""

import hashlib
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import httpx
import numpy as np

from covey_privacy.catalogue_document import Level, Listing, sign_listing
from covey_privacy.release import Array, Figure, Release, sign_release
from covey_privacy.signatures import SigningKey
from covey_sdk import Device, OrderPaid, RegistryClient, Trust, rule_bundle
from covey_sdk.events import OrderLine

ITEMS = {"green tea": "tea", "black tea": "tea", "teapot": "kitchen", "biscuits": "food", "soap": "household"}


def order(number: int, days_ago: int, *items: str) -> OrderPaid:
    """Return a paid order as the app reports it; amounts are in cents."""
    lines = tuple(OrderLine(item, ITEMS[item], paid_minor=900) for item in items)
    at_ms = time.time_ns() // 10**6 - days_ago * 86_400_000
    return OrderPaid(f"A-{number}", lines, 900 * len(lines), "USD", at_ms, tz_offset_min=0)


def publish(operator: SigningKey) -> tuple[bytes, bytes, bytes]:
    """Return what the shop signs, the same for every phone: rule bundle, list of items, model."""
    # A category counts as sensitive, and is not used, until the shop's signed rules map it to "ordinary".
    groups = tuple(ITEMS.values())
    ordinary = tuple(rule_bundle.Category(name, "ordinary") for name in sorted(set(groups)))
    bundle = replace(rule_bundle.BASE, version=rule_bundle.BASE.version + 1, categories=ordinary)
    listing = sign_listing(Listing(1, tuple(ITEMS), (Level.from_groups("category", groups),)), operator)
    # A real model comes out of a training. These numbers are made up: the first three items go together.
    arrays = (
        Array.from_numpy("popularity", np.array([0.25, 0.3, 0.1, 0.2, 0.15])),
        Array.from_numpy("rate", np.full(5, 0.05)),
        Array.from_numpy("factors", np.array([[0.6], [0.6], [0.5], [0.0], [0.0]])),
    )
    rests_on = (hashlib.sha256(listing).digest(),)
    model = Release("p1", 1, "p1-half-step-1", (Figure("mix", 0.0),), arrays, rests_on)
    return rule_bundle.sign_rules(bundle, operator), listing, sign_release(model, operator)


def use_the_phone(device: Device, bundle: bytes, listing: bytes, model: bytes) -> None:
    """Do what an app does with the SDK, from the first start to the withdrawal of consent."""
    print("Events kept before consent:", int(device.record(order(0, 1, "soap"))))
    device.enrol()  # sends a random key of this phone; the registry learns no name
    print("Notice:", device.notices["personalize"].texts[0].title)
    device.grant("personalize")  # once the person has read the notice and said yes

    device.adopt_rules(bundle)
    history = [order(n, days, "green tea", "teapot") for n, days in enumerate((70, 40, 10), 1)]
    print("Events kept after consent:", device.record_many(history))
    for tag in device.tags():
        because = ", ".join(f"{each.fact} = {each.value}" for each in tag.evidence)
        print(f"Tag {tag.id}: {tag.value} (because {because})")

    device.adopt("catalogue", listing)
    device.adopt("p1", model)
    best = device.recommend(tuple(ITEMS), k=1)[0]  # the phone ranks by itself and asks nobody
    print("Recommended:", best.item)
    for reason in best.reasons:
        print(f"  {reason.amount:+.2f} {reason.said_en}")

    device.withdraw("personalize")  # at once: events, tags and model are deleted
    print("Tags after withdrawal:", len(device.tags()))
    print("The phone's ledger, for its owner to read:")
    print(*(f"  {each.said_en}" for each in device.ledger()), sep="\n")


def main() -> None:
    """Start a registry and use one phone with it."""
    operator, command = SigningKey(os.urandom(32)), [sys.executable, "-m", "covey", "registry"]
    environment = os.environ | {"COVEY_REGISTRY_OPERATOR": operator.public.hex()}
    with tempfile.TemporaryDirectory() as folder, (Path(folder) / "registry.log").open("w") as log:
        started = {"cwd": folder, "env": environment, "text": True}
        server = subprocess.Popen(
            [*command, "serve", "--port", "0"], stdout=subprocess.PIPE, stderr=log, **started
        )
        try:
            url = server.stdout.readline().split()[-1]  # "The registry answers at http://127.0.0.1:..."
            key = subprocess.check_output([*command, "key", "--hex"], **started)
            # An app pins both keys and the log's name; the phone refuses whatever they did not sign.
            trust = Trust(operator.public, bytes.fromhex(key), "covey.example/log")
            secret = os.urandom(32)  # in an app: from the platform's keystore, the same at each start
            with httpx.Client(base_url=url) as client:
                registry = RegistryClient(client, trust)
                with Device.open(Path(folder) / "phone.db", secret, trust=trust, registry=registry) as device:
                    use_the_phone(device, *publish(operator))
        finally:
            server.terminate()
            server.wait()


if __name__ == "__main__":
    main()
