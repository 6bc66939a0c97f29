"""The pages say what the site holds, link to each other, and run nothing that people uploaded."""

from __future__ import annotations

import doctest
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from hepml_tasks.errors import OutputError
from hepml_tasks.pages import render
from hepml_tasks.pages.model import Cell, Row, Site, SuiteIndex
from hepml_tasks.pages.render import render_page, render_pages, safe_address, write_pages

VOID = {"meta", "link", "br", "img", "input", "hr"}


class Page(HTMLParser):
    """Reads a page: its tags, links, ids, and words; complains of tags that don't close."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str] = []
        self.ids: list[str] = []
        self.titles: list[str] = []
        self.attributes: list[str] = []
        self.words = ""
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.words += " " if tag in {"br", "th", "td", "p", "li"} else ""
        for name, value in attrs:
            self.attributes.append(name)
            {"href": self.links, "id": self.ids, "title": self.titles}.get(name, []).append(
                value or ""
            )
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self._open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self._open and self._open[-1] not in {"script", "style"}:
            self.words += data


@pytest.fixture(scope="module")
def pages(site: Site) -> dict[str, str]:
    return render_pages(site)


@pytest.fixture(scope="module")
def html(pages: dict[str, str]) -> dict[str, Page]:
    return {name: Page(text) for name, text in pages.items() if name.endswith(".html")}


def squeezed(page: Page) -> str:
    return " ".join(page.words.split())


def test_there_is_a_page_for_everything(pages: dict[str, str]) -> None:
    assert next(iter(pages)) == "index.html"
    assert {"suite-1.html", "suite-2.html", "task-3.html", "task-3.csv", "task-3.json"} <= set(
        pages
    )
    assert {f"run-{i}.html" for i in (1, 2, 7, 8, 9, 21)} <= set(pages)


def test_one_page_is_the_same_as_among_all(site: Site, pages: dict[str, str]) -> None:
    assert all(render_page(site, name) == text for name, text in pages.items())


@pytest.mark.parametrize("name", ["task-99.html", "task-03.html", "../index.html", "style.css", ""])
def test_what_the_site_has_not_is_none(site: Site, name: str) -> None:
    assert render_page(site, name) is None


def test_links_are_relative_and_lead_to_rendered_pages(
    pages: dict[str, str], html: dict[str, Page]
) -> None:
    outside = ("https://doi.org/", "https://example.org/", "../data/", "data:,")
    for name, page in html.items():
        for link in page.links:
            target, _, anchor = link.partition("#")
            if not link.startswith(outside):
                assert not target or target in pages, f"{name} links to {link}"
                assert not anchor or anchor in html[target or name].ids


def test_every_page_can_be_reached_from_the_index(html: dict[str, Page]) -> None:
    reached, todo = set(), ["index.html"]
    while todo:
        name = todo.pop()
        reached.add(name)
        todo += [link for link in html[name].links if link in html and link not in reached]
    assert reached == set(html)


def test_names_and_ids_are_unique_on_a_page(html: dict[str, Page]) -> None:
    for page in html.values():
        assert len(page.ids) == len(set(page.ids))


def test_hostile_names_and_descriptions_are_shown_and_never_markup(html: dict[str, Page]) -> None:
    for page in html.values():
        assert page.tags.count("script") == 1  # our own
        assert "img" not in page.tags
        assert not [a for a in page.attributes if a.startswith("on")]
    assert "<script>alert('x')</script>" in html["task-3.html"].words
    assert "{{ 7 * 7 }}" in html["task-3.html"].words
    assert not [link for link in html["run-2.html"].links if "javascript" in link]
    assert "trap" in html["run-2.html"].words


def test_a_policy_forbids_all_script_but_our_own(pages: dict[str, str]) -> None:
    for name, text in pages.items():
        if name.endswith(".html"):
            assert re.search(r"default-src &#39;none&#39;|default-src 'none'", text)
            assert "script-src &#39;sha256-" in text
            assert " style=" not in text


def test_the_leaderboard_has_values_with_uncertainties_and_the_convention(
    html: dict[str, Page],
) -> None:
    words = squeezed(html["task-3.html"])
    assert "2.81 ± 0.13" in words
    assert "0.9112 ± 0.0023" in words
    assert "Value ± standard uncertainty" in words
    assert "variance of training" in words
    assert words.index("xgboost") < words.index("boosted trees, weighted")


def test_tooltips_have_all_digits_interval_and_method(html: dict[str, Page]) -> None:
    (tip,) = [t for t in html["task-3.html"].titles if t.startswith("2.7812345678901234")]
    assert "68 % interval" in tip
    assert "Poisson bootstrap, 200 replicas" in tip
    assert "N = 18000" in tip


def test_the_spread_over_folds_stands_apart_from_the_uncertainty(html: dict[str, Page]) -> None:
    page = html["task-3.html"]
    assert "folds 0.37" in squeezed(page)
    assert "± 0.37" not in squeezed(page)
    assert any("not the uncertainty of the score" in title for title in page.titles)


def test_a_task_with_a_successor_links_to_it(site: Site, pages: dict[str, str]) -> None:
    first, second, *rest = site.tasks
    newer = replace(site, tasks=(replace(first, successor=second.task_id), second, *rest))
    text = render_page(Site.from_json(newer.to_json()), f"task-{first.task_id}.html") or ""
    assert f'<a href="task-{second.task_id}.html">task {second.task_id}</a>' in text
    assert "Scores of different versions are not comparable" in text
    assert "newer version" not in pages[f"task-{first.task_id}.html"]


def test_tied_groups_are_shown_where_they_are_known(html: dict[str, Page]) -> None:
    assert "Runs of one group are statistically tied" in squeezed(html["task-3.html"])
    assert "Group" not in squeezed(html["task-7.html"])
    assert "1 more tied with it" in squeezed(html["index.html"])


def test_runs_without_scores_are_shown_with_their_reason(html: dict[str, Page]) -> None:
    words = squeezed(html["task-3.html"])
    reason = "predictions.arff has 12 of 18000 rows; upload all of them"
    assert f"decision tree failed {reason}" in words
    assert "random forest running is being evaluated" in words
    assert f"This run failed. {reason}" in squeezed(html["run-7.html"])
    assert "its evaluation is pending" in squeezed(html["run-8.html"])


def test_a_claim_that_differs_is_flagged_on_the_board_and_on_the_run(html: dict[str, Page]) -> None:
    assert "claimed value differs" in squeezed(html["task-3.html"])
    words = squeezed(html["run-2.html"])
    assert "The claimed value differs" in words
    assert "3.1 differs" in words
    assert "brier not recomputed 0.1" in words
    assert "differs" not in squeezed(html["run-1.html"])


def test_a_run_has_folds_parameters_environment_and_files(html: dict[str, Page]) -> None:
    page = html["run-1.html"]
    words = squeezed(page)
    assert "[2.66, 2.91]" in words
    assert "n_estimators 400" in words
    assert 'packages {"numpy": "2.4.6", "scikit-learn": "1.7.2"}' in words
    assert "../data/predictions.arff" in page.links
    assert "10 values" in words
    assert page.tags.count("circle") > 30


def test_accuracy_is_said_to_mean_little_where_something_else_ranks(html: dict[str, Page]) -> None:
    assert "accuracy says little" in squeezed(html["task-3.html"])
    assert "accuracy says little" not in squeezed(html["task-7.html"])


def test_small_scores_share_a_power_of_ten(html: dict[str, Page]) -> None:
    assert "(6.4 ± 1.3) \N{MULTIPLICATION SIGN} 10⁻⁵" in squeezed(html["task-7.html"])


def test_a_task_without_runs_says_so(html: dict[str, Page]) -> None:
    assert "No run has been scored yet" in squeezed(html["task-8.html"])


def test_a_suite_names_tasks_that_are_not_on_the_site(html: dict[str, Page]) -> None:
    assert "Not on this site: task 99" in squeezed(html["suite-2.html"])


def test_an_empty_site_is_a_page() -> None:
    site = Site("Empty", "now", (SuiteIndex(1, "s", "", ()),), (), ())
    pages = render_pages(site)
    assert set(pages) == {"index.html", "suite-1.html"}
    assert "No tasks." in pages["index.html"]


def test_a_run_whose_task_or_detail_is_missing_is_still_shown(site: Site) -> None:
    pages = render_pages(replace(site, tasks=site.tasks[1:], suites=()))
    assert "rank" not in squeezed(Page(pages["run-1.html"]))
    pages = render_pages(replace(site, runs=()))
    assert "xgboost" in pages["task-3.html"]
    assert not [link for link in Page(pages["task-3.html"]).links if link.startswith("run-")]


def test_a_long_board_draws_its_first_runs_and_lists_all(site: Site) -> None:
    rows = tuple(
        Row(i, i, f"flow {i}", f"f{i}", "u", "", "done", {"ams": Cell(float(i), 1.0)})
        for i in range(1, 101)
    )
    board = replace(site.tasks[0], rows=rows)
    page = Page(render_page(replace(site, tasks=(board,), runs=()), "task-3.html") or "")
    assert "the first 30 of 100 runs" in squeezed(page)
    assert squeezed(page).count("flow ") >= 130


@pytest.mark.parametrize(
    ("address", "safe"),
    [
        ("https://example.org/a?b=c", True),
        ("../data/3/predictions.arff", True),
        ("/api/v1/run/3", True),
        ("javascript:alert(1)", False),
        ("JaVaScRiPt:alert(1)", False),
        ("java\nscript:alert(1)", False),
        (" javascript:alert(1)", False),
        ("\x01javascript:alert(1)", False),
        ("data:text/html,x", False),
        ("//evil.example/x", False),
        ("\\\\evil.example", False),
        ("https:evil", False),
        ("http://[", False),
        ("", False),
    ],
)
def test_only_harmless_addresses_become_links(address: str, safe: bool) -> None:
    assert safe_address(address) == (address if safe else None)


def test_written_pages_are_the_rendered_ones(
    site: Site, pages: dict[str, str], tmp_path: Path
) -> None:
    index = write_pages(site, tmp_path / "a" / "b")
    assert index == tmp_path / "a" / "b" / "index.html"
    written = {path.name: path.read_bytes().decode() for path in index.parent.iterdir()}
    assert written == pages


def test_pages_written_again_replace_the_old_ones(site: Site, tmp_path: Path) -> None:
    write_pages(site, tmp_path)
    (tmp_path / "kept.txt").write_text("mine")
    write_pages(replace(site, title="Renamed"), tmp_path)
    assert "Renamed" in (tmp_path / "index.html").read_text()
    assert (tmp_path / "kept.txt").read_text() == "mine"


def test_a_name_with_half_a_character_does_not_stop_the_others(site: Site, tmp_path: Path) -> None:
    write_pages(replace(site, title="half \ud83d"), tmp_path)
    assert "half \\ud83d" in (tmp_path / "index.html").read_text()


def test_a_folder_that_can_not_be_made_is_one_line(site: Site, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(
        OutputError, match=r"can't write .*file/out: Not a directory; .*choose a"
    ) as e:
        write_pages(site, tmp_path / "file" / "out")
    assert "\n" not in str(e.value)


@pytest.fixture
def read_only() -> Iterator[Path]:
    """Make a folder that may be looked into but not written to, by the superuser either."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o555)
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)  # permissions don't hold the superuser back
    yield folder
    os.seteuid(user)
    folder.rmdir()


def test_a_read_only_folder_is_one_line(site: Site, pages: dict[str, str], read_only: Path) -> None:
    with pytest.raises(OutputError, match=r"can't write .*html: Permission denied; free some"):
        write_pages(site, read_only)


ON_A_FULL_DISK = """
import json, resource, sys
from pathlib import Path
from hepml_tasks.errors import OutputError
from hepml_tasks.pages.model import Site
from hepml_tasks.pages.render import write_pages

site = Site.from_json(json.load(sys.stdin))
# no file may grow beyond 2 kB, as on a full disk: in a process of its own, whose output is a pipe
resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))
try:
    write_pages(site, Path(sys.argv[1]))
except OutputError as error:
    print(error)
"""


def test_a_full_disk_leaves_the_old_page_and_no_remains(site: Site, tmp_path: Path) -> None:
    write_pages(site, tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    renamed = json.dumps(replace(site, title="Renamed").to_json())
    command = [sys.executable, "-B", "-c", ON_A_FULL_DISK, str(tmp_path)]
    done = subprocess.run(command, input=renamed, capture_output=True, text=True, check=True)
    assert re.search(r"can't write .*html: File too large", done.stdout)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_the_examples_in_the_documentation_run() -> None:
    assert doctest.testmod(render).failed == 0
