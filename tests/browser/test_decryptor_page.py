"""The decryptor's page in a real browser."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, sync_playwright
from required_tools import report_missing

from covey_server.decryptor import page as decryptor_page

pytestmark = pytest.mark.browser

CHROMIUM = shutil.which("chromium")
QUIET = ("--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking")
ATTACK = "<script>document.title='x'</script>"
ROUND = {
    "manifest": "0" * 64, "round_id": "q1-7", "shop": ATTACK, "purpose": "analytics", "query": "q1",
    "epsilon": 0.5, "seated_at": "2027-01-15T08:00:00+00:00", "checked_at": "2027-01-15T09:00:00+00:00",
    "contributions": 1234, "complaints": 3, "opened_at": "2027-01-15T09:30:00+00:00",
    "opened_contributions": 1231, "closes_at": "2027-01-15T10:00:00+00:00",
}  # fmt: skip
UNOPENED = ROUND | {"contributions": None, "complaints": None, "opened_at": None, "checked_at": None}
REPORT = {
    "key": "ab" * 32, "tolerance_seconds": 60, "serves_after": 0,
    "sites": [{
        "name": "shop.example", "operator": "cd" * 32, "version": 1, "log": "registry.shop.example/log",
        "seats_of_this_organisation": 2,
        "floors": {
            "profile": "production", "least_set": {"analytics": 200, "train": 500}, "least_corrupt": 0.05,
            "most_epsilon": 1.0,
        },
    }],
    "rounds": [ROUND, UNOPENED], "totals": {"seats": 2, "checked": 1, "opened": 1, "complaints": 3},
    "secrets_held": 0,
}  # fmt: skip


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if CHROMIUM is None:
        report_missing("no chromium on the path; on Debian: apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        yield browser
        browser.close()


@pytest.fixture(params=["en", "zh"])
def shown(request: pytest.FixtureRequest, browser: Browser, tmp_path: Path) -> Iterator[Page]:
    file = tmp_path / "page.html"
    file.write_text(decryptor_page.render(REPORT, request.param), "utf-8")
    context = browser.new_context(offline=True)
    page = context.new_page()
    page.goto(file.as_uri())
    yield page
    context.close()


def _beyond(page: Page) -> Any:
    return page.evaluate("document.documentElement.scrollWidth - innerWidth")


@pytest.mark.parametrize("width", [390, 1280])
def test_the_page_shows_rounds_and_floors_within_the_window(shown: Page, width: int) -> None:
    shown.set_viewport_size({"width": width, "height": 900})
    assert _beyond(shown) <= 0
    heights = [row.bounding_box()["height"] for row in shown.locator("tbody tr").all()]
    assert max(heights) < 200
    cells = shown.locator("#rounds tbody tr").first.locator("td").all_inner_texts()
    assert cells == ["2027-01-15 08:00", ATTACK, "analytics", "q1", "1234", "3", "2027-01-15 09:30", "0.5"]
    assert shown.locator("#rounds tbody tr").nth(1).locator("td").nth(4).inner_text() == "–"
    assert "analytics: 200, train: 500" in shown.locator("#shops").inner_text()


def test_names_of_others_are_text_and_the_language_is_one(shown: Page) -> None:
    language = shown.evaluate("document.documentElement.lang")
    title, meaning = {
        "en": ("Decryptor", "This organisation alone learns nothing"),
        "zh": ("解密方", "仅凭本机构，无法得知任何贡献的内容"),
    }[language]
    assert shown.title() == title
    assert meaning in shown.locator("main").inner_text()
    assert shown.locator('nav a[aria-current="true"]').get_attribute("lang") == language


def test_both_languages_have_the_same_texts() -> None:
    words = decryptor_page._words()
    assert words["en"].keys() == words["zh"].keys()
