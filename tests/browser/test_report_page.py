import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, Route, sync_playwright
from required_tools import report_missing

from covey_simulations.report import pages

pytestmark = pytest.mark.browser

CHROMIUM = shutil.which("chromium")
EXAMPLE = Path(__file__).parents[1] / "simulations" / "example_report.json"
QUIET = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
WIDTHS = pytest.mark.parametrize("width", [390, 1280])


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if CHROMIUM is None:
        report_missing("no chromium on the path; on Debian: apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> str:
    out = tmp_path_factory.mktemp("report")
    pages.write_report(json.loads(EXAMPLE.read_text("utf-8")), out)
    return (out / "report.html").as_uri()


@pytest.fixture
def complaints() -> list[str]:
    """What the browser said on its console, threw, or tried to load beside the page itself."""
    return []


@pytest.fixture
def page(browser: Browser, address: str, complaints: list[str]) -> Iterator[Page]:
    context = browser.new_context(offline=True)

    def only_the_page(route: Route) -> None:
        if route.request.url == address:
            route.continue_()
        else:
            complaints.append(route.request.url)
            route.abort()

    context.route("**/*", only_the_page)
    page = context.new_page()
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto(address)
    yield page
    context.close()


def _visible(page: Page, language: str) -> int:
    return page.locator(f'main [lang|="{language}"]:visible').count()


def _overflow(page: Page) -> list[Any]:
    """Return the page's width beyond the window, and what of its tables must be scrolled to."""
    return page.evaluate(
        """() => [document.documentElement.scrollWidth - innerWidth,
            ...[...document.querySelectorAll('.scroll')].map(e => e.scrollWidth - e.clientWidth)]
            .filter(beyond => beyond > 0)"""
    )


def test_nothing_is_loaded_and_nothing_complains(page: Page, complaints: list[str]) -> None:
    page.get_by_text("中文").click()
    assert complaints == []


@WIDTHS
def test_every_chart_has_a_box_within_the_window(page: Page, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 900})
    boxes = [chart.bounding_box() for chart in page.locator("svg").all()]
    assert len(boxes) == 11
    for box in boxes:
        assert box is not None
        assert box["width"] > 200
        assert box["height"] > 50
        assert box["x"] + box["width"] <= width


@pytest.mark.parametrize("language", ["English", "中文"])
@WIDTHS
def test_nothing_runs_out_of_the_window(page: Page, width: int, language: str) -> None:
    page.set_viewport_size({"width": width, "height": 900})
    page.get_by_text(language, exact=True).click()
    assert _overflow(page) == []


def test_the_switch_shows_one_language_at_a_time(page: Page) -> None:
    assert _visible(page, "en") > 100
    assert _visible(page, "zh") == 0
    page.get_by_text("中文").click()
    assert _visible(page, "en") == 0
    assert _visible(page, "zh") > 100
    page.get_by_text("English").click()
    assert _visible(page, "zh") == 0


def test_the_switch_works_from_the_keyboard(page: Page) -> None:
    page.keyboard.press("Tab")
    page.keyboard.press("ArrowRight")
    assert _visible(page, "en") == 0


def test_a_chart_is_read_out_in_the_language_shown(page: Page) -> None:
    charts = page.get_by_role("img", name="groups were too small to release")
    assert charts.count() == 1
    page.get_by_text("中文").click()
    assert charts.count() == 0
    assert page.get_by_role("img", name="组过小，未公布").count() == 1


def test_chart_texts_stay_within_their_chart(page: Page) -> None:
    outside = page.evaluate(
        """() => [...document.querySelectorAll('svg')].flatMap(svg => {
            const frame = svg.getBoundingClientRect()
            return [...svg.querySelectorAll('text')].filter(text => {
                const box = text.getBoundingClientRect()
                return box.left < frame.left - 1 || box.right > frame.right + 1
            }).map(text => text.textContent)
        })"""
    )
    assert outside == []
