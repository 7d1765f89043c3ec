"""docs/decryptor.md: its commands run as they stand, and its figures are those of the code."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from shop_rounds import COVEY, Shop, wait

from covey_privacy.floors import PRODUCTION
from covey_privacy.signatures import SigningKey
from covey_privacy.site_document import sign_site
from covey_server.decryptor import messages, service, state
from covey_server.decryptor.floors import DEFAULT_EPSILON, read_floors

PAGE = (Path(__file__).parents[3] / "docs" / "decryptor.md").read_text("utf-8")


@pytest.mark.slow
def test_an_organisation_sets_it_up_with_the_commands_of_the_page(issuers, tmp_path):
    """At another port than the page's, which may be taken here."""
    keygen, site, serve, look = re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)
    (tmp_path / "bin").mkdir()
    covey = tmp_path / "bin" / "covey"
    covey.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{COVEY}" "$@"\n')
    covey.chmod(0o755)

    def run(script, **more):
        done = subprocess.run(
            ["sh", "-ec", f'PATH="{tmp_path}/bin:$PATH"\n' + script], cwd=tmp_path, capture_output=True,
            text=True, check=True, timeout=60, **more,
        )  # fmt: skip
        return done.stdout

    said = run(keygen)
    public = bytes.fromhex(said.split()[-1])
    shop = Shop(issuers, [public, *(SigningKey(bytes([n]) * 32).public for n in (1, 2, 3))])
    (tmp_path / "from-the-shop").write_bytes(sign_site(shop.site, shop.operator))
    run(f"OPERATOR={shop.operator.public.hex()} SITE_DOCUMENT=from-the-shop\n{site}")
    assert "--port 8720" in serve
    process = subprocess.Popen(
        [covey, *serve.replace("8720", "0").split()[1:]], cwd=tmp_path, stdout=subprocess.PIPE, text=True
    )
    try:
        url = wait(process.stdout.readline).split()[-1]
        found = json.loads(run(look.replace("http://127.0.0.1:8720", url)))
    finally:
        process.terminate()
        process.communicate(timeout=30)
    assert found["key"] == public.hex()
    (served,) = found["sites"]
    assert served["floors"] == {
        "profile": "test", "least_set": {"analytics": 200}, "least_corrupt": 0.05, "most_epsilon": 1.0
    }  # fmt: skip


def test_the_figures_of_the_page_are_those_of_the_code():
    floors = read_floors({}, PRODUCTION)
    assert floors.purposes == {"analytics": 200, "train": 500}
    assert "| 200 for analytics, 500 for train |" in PAGE
    assert f"| {floors.least_corrupt} |" in PAGE
    assert f"| {DEFAULT_EPSILON} |" in PAGE
    assert PAGE.count(f"{state.LONGEST // 3600} hours") == 2
    assert f"{service.TOLERANCE} seconds" in PAGE
    assert f"| {messages.SEAT_LIMIT // 1024} KiB |" in PAGE
    assert f"| {messages.OPEN_LIMIT // 1024} KiB |" in PAGE


def test_every_link_of_the_page_leads_somewhere():
    for name, anchor in re.findall(r"\]\(([\w-]+\.md)#?([\w-]*)\)", PAGE):
        text = (Path(__file__).parents[3] / "docs" / name).read_text("utf-8")
        headings = {
            re.sub(r"[^\w -]", "", h).lower().replace(" ", "-") for h in re.findall(r"^#+ (.*)$", text, re.M)
        }
        assert not anchor or anchor in headings
