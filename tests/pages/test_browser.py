"""What a reader's browser makes of the written pages, opened from disk."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from hepml_tasks.pages.model import Site
from hepml_tasks.pages.render import write_pages

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.needs("chromium")

QUIET = (
    "--no-sandbox", "--disable-gpu", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--no-first-run",
)  # fmt: skip


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=list(QUIET)
        )
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def folder(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_pages(site, tmp_path_factory.mktemp("site")).parent


class Watched:
    """A tab whose complaints and requests are written down."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.complaints: list[str] = []
        self.requests: list[str] = []
        page.on("console", lambda message: self.complaints.append(message.text))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("dialog", lambda dialog: self.complaints.append(dialog.message))
        page.on("request", lambda request: self.requests.append(request.url))


@pytest.fixture
def tab(browser: Browser) -> Iterator[Watched]:
    page = browser.new_page()
    yield Watched(page)
    page.close()


def flows(page: Page) -> list[str]:
    return page.locator("#leaderboard tbody th").all_inner_texts()


def test_pages_load_without_complaints_or_requests_elsewhere(folder: Path, tab: Watched) -> None:
    for path in sorted(folder.glob("*.html")):
        tab.page.goto(path.as_uri())
    assert tab.complaints == []
    assert [url for url in tab.requests if not url.startswith(("file:", "data:"))] == []


def test_a_reader_follows_links_to_a_run_and_back(folder: Path, tab: Watched) -> None:
    tab.page.goto((folder / "index.html").as_uri())
    tab.page.get_by_role("link", name="Higgs boson to two tau leptons").click()
    tab.page.get_by_role("link", name="xgboost", exact=True).click()
    assert tab.page.url.endswith("run-2.html")
    tab.page.get_by_role("link", name="higgsml", exact=True).click()
    assert tab.page.url.endswith("task-3.html")


def test_a_click_on_a_column_sorts_and_another_turns_it_round(folder: Path, tab: Watched) -> None:
    tab.page.goto((folder / "task-3.html").as_uri())
    assert [name.split("\n")[0] for name in flows(tab.page)][:2] == [
        "xgboost",
        "boosted trees, weighted",
    ]
    head = tab.page.locator("#leaderboard thead th", has_text="Accuracy")
    head.get_by_role("button").click()
    assert head.get_attribute("aria-sort") == "descending"
    best_first = flows(tab.page)
    assert best_first[0].startswith("xgboost")
    head.get_by_role("button").click()
    assert head.get_attribute("aria-sort") == "ascending"
    worst_first = flows(tab.page)
    assert worst_first[0].startswith("multilayer")
    assert worst_first[3:] == best_first[3:]  # those without a value stay at the end
    tab.page.locator("#leaderboard thead th", has_text="Flow").get_by_role("button").press("Enter")
    assert flows(tab.page) == sorted(flows(tab.page), key=str.casefold)
    assert tab.complaints == []


def test_the_page_is_no_wider_than_a_phone(browser: Browser, folder: Path) -> None:
    page = browser.new_page(viewport={"width": 360, "height": 700})
    for path in sorted(folder.glob("*.html")):
        page.goto(path.as_uri())
        assert page.evaluate("document.documentElement.scrollWidth") <= 360, path.name
    page.close()


def test_the_table_reads_without_script(browser: Browser, folder: Path) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto((folder / "task-3.html").as_uri())
    assert len(flows(page)) == 6
    assert page.locator("thead button").count() == 0
    context.close()


@pytest.mark.parametrize(("scheme", "dark"), [("light", False), ("dark", True)])
def test_pages_follow_the_reader_in_light_and_dark(
    browser: Browser, folder: Path, scheme: str, dark: bool
) -> None:
    context = browser.new_context(color_scheme="dark" if dark else "light")
    page = context.new_page()
    page.goto((folder / "task-3.html").as_uri())
    paper, ink = (
        sum(int(part) for part in colour.removeprefix("rgb(").removesuffix(")").split(","))
        for colour in page.evaluate(
            "[getComputedStyle(document.body).backgroundColor,"
            " getComputedStyle(document.querySelector('.chart text')).fill]"
        )
    )
    assert (paper < ink) is dark
    context.close()
