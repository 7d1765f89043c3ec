"""The printed certificate in a real browser: one A4 page, in both languages, with nothing fetched."""

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright
from required_tools import report_missing

from covey_consent.receipts.page import render_certificate

pytestmark = pytest.mark.browser

CHROMIUM = shutil.which("chromium")
QUIET = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
)
LONG = "personalised-recommendations-by-category"
COMMON = {
    "site": "a-shop-with-a-rather-long-name.example", "sha256": "5e" * 32, "bytes": 8_998_069,
    "origin": "registry.a-shop-with-a-rather-long-name.example/log", "size": 123_456,
    "until": "2026-09-21 14:13 UTC",
}  # fmt: skip
FACTS = {
    "participation": {
        "kind": "participation", **COMMON, "round_id": "2026-09-21/q20/" + LONG, "query": "q20-" + LONG,
        "purposes": [f"{LONG}-{number}" for number in range(4)], "epsilon": 0.5, "delta": 1e-6,
        "contributions": 10_000, "round_key": "a7" * 32, "index": 120_000, "release": "1f" * 32,
    },
    "absence": {
        "kind": "absence", **COMMON, "keys": 64, "rounds": 1460, "sets": 2920, "round_keys": ["c9" * 32] * 64,
        "first": 1000, "since": "2025-09-21 14:13 UTC",
    },
}  # fmt: skip


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if CHROMIUM is None:
        report_missing("no chromium on the path; on Debian: apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        yield browser
        browser.close()


@pytest.fixture(params=sorted(FACTS))
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def complaints() -> list[str]:
    """What the browser said on its console, threw, or tried to load beside the page itself."""
    return []


@pytest.fixture
def page(browser: Browser, kind: str, complaints: list[str], tmp_path: Path) -> Iterator[Page]:
    file = tmp_path / "certificate.html"
    file.write_text(render_certificate(FACTS[kind]), "utf-8")
    context = browser.new_context(offline=True)
    page = context.new_page()
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda sent: complaints.append(sent.url) if sent.url != file.as_uri() else None)
    page.goto(file.as_uri())
    yield page
    context.close()


def test_it_prints_on_one_page_of_a4(page: Page, complaints: list[str]) -> None:
    pdf = page.pdf(prefer_css_page_size=True)
    assert re.findall(rb"/Count (\d+)", pdf) == [b"1"]
    box = re.search(rb"/MediaBox \[0 0 ([\d.]+) ([\d.]+)\]", pdf)
    assert box is not None
    assert [round(float(side)) for side in box.groups()] == [595, 842]
    assert complaints == []


@pytest.mark.parametrize("width", [390, 1280])
def test_nothing_runs_out_of_the_window(page: Page, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 900})
    assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0


def test_both_languages_digest_and_command_are_on_it(page: Page, kind: str) -> None:
    text = page.locator("main").inner_text()
    for expected in (
        FACTS[kind]["sha256"],
        "covey certificate verify",
        "10000" if kind == "participation" else "1460",
    ):
        assert str(expected) in text
    for heading in (
        "What it proves",
        "证明什么",
        "What it does not prove",
        "不证明什么",
        "How to verify it",
        "如何核验",
    ):
        assert page.get_by_role("heading", name=heading, exact=True).is_visible()
    assert page.locator("main [lang=zh-CN]").count() > 8


def test_what_the_operator_named_is_text_and_no_markup(browser: Browser, tmp_path: Path) -> None:
    facts = json.loads(json.dumps(FACTS["participation"])) | {
        "round_id": "<b id=x>r1</b>",
        "site": "<script>",
    }
    file = tmp_path / "certificate.html"
    file.write_text(render_certificate(facts), "utf-8")
    page = browser.new_page()
    page.goto(file.as_uri())
    assert page.locator("#x, script").count() == 0
    assert page.get_by_text("<b id=x>r1</b>").first.is_visible()
    page.close()
