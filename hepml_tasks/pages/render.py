"""The pages of a site, the same files for the server and for a static export.

Links are relative to the folder that holds all pages. Each page carries its style and its few
lines of script, and a content security policy that lets nothing else run or load: what people
upload is shown, never executed.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from functools import cache, partial
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import jinja2
from markupsafe import Markup

from hepml_tasks.errors import OutputError
from hepml_tasks.pages import board as boards
from hepml_tasks.pages.charts import Point, dot_plot, fold_strip
from hepml_tasks.pages.download import board_csv, board_json
from hepml_tasks.pages.model import (
    Cell,
    Measure,
    RunDetail,
    Site,
    SuiteIndex,
    TaskBoard,
    plain_json,
)
from hepml_tasks.pages.numbers import full, plain, round_score, round_spread

# More lines than this tell a reader nothing that the table doesn't.
_CHART_LINES = 30


def render_page(site: Site, name: str) -> str | None:
    """Render one page.

    Parameters
    ----------
    site : Site
    name : str
        File name: ``index.html``, ``suite-ID.html``, ``task-ID.html``, ``task-ID.csv``,
        ``task-ID.json`` or ``run-ID.html``.

    Returns
    -------
    str or None
        The text of the file; None where the site has no such page.
    """
    make = _pages(site).get(name)
    return make() if make else None


def render_pages(site: Site) -> dict[str, str]:
    """Render all pages of a site.

    Returns
    -------
    dict of str to str
        File name to text, ``index.html`` first.
    """
    return {name: make() for name, make in _pages(site).items()}


def write_pages(site: Site, out: Path) -> Path:
    """Write all pages of a site into a folder, which is made where it is missing.

    Each file is replaced at once: a reader sees the old page or the new one. Files of pages that
    the site no longer has are left alone.

    Parameters
    ----------
    site : Site
    out : Path
        The folder.

    Returns
    -------
    Path
        ``index.html`` in that folder. It is written last, when all it links to is there.

    Raises
    ------
    OutputError
        If the folder can't be made or written to.
    """
    pages = render_pages(site)
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _cannot_write(out, error) from error
    for name in reversed(pages):
        _replace(out / name, pages[name])
    return out / "index.html"


def media_type(name: str) -> str:
    """Return the media type of a page by its file name, for the server's answer.

    Examples
    --------
    >>> media_type("task-3.csv")
    'text/csv; charset=utf-8'
    """
    kind = {".csv": "text/csv", ".json": "application/json"}.get(Path(name).suffix, "text/html")
    return f"{kind}; charset=utf-8"


def safe_address(address: str) -> str | None:
    """Return an address that a page may link to, or None.

    Parameters
    ----------
    address : str
        From outside. Only http, https and relative addresses can't run anything in the reader's
        page.
    """
    try:
        parts = urlsplit(address)
    except ValueError:
        return None
    # browsers drop control characters and blanks before they look at the scheme
    if not address or any(ord(c) <= 32 or c == "\\" for c in address):
        return None
    if parts.scheme in {"http", "https"} and parts.netloc:
        return address
    return address if not parts.scheme and not parts.netloc and ":" not in address else None


def _pages(site: Site) -> dict[str, Callable[[], str]]:
    pages: dict[str, Callable[[], str]] = {"index.html": partial(_index, site)}
    for suite in site.suites:
        pages[f"suite-{suite.suite_id:d}.html"] = partial(_suite, site, suite)
    for board in site.tasks:
        pages[f"task-{board.task_id:d}.html"] = partial(_task, site, board)
        pages[f"task-{board.task_id:d}.csv"] = partial(board_csv, board, site)
        pages[f"task-{board.task_id:d}.json"] = partial(board_json, board, site)
    for run in site.runs:
        pages[f"run-{run.run_id:d}.html"] = partial(_run, site, run)
    return pages


def _index(site: Site) -> str:
    return _fill(
        "index.html",
        site=site,
        heading=site.title,
        tasks=[boards.summary(board, site) for board in site.tasks],
    )


def _suite(site: Site, suite: SuiteIndex) -> str:
    by_id = {board.task_id: board for board in site.tasks}
    members = [by_id[i] for i in suite.task_ids if i in by_id]
    return _fill(
        "suite.html",
        site=site,
        heading=suite.name,
        suite=suite,
        missing=[i for i in suite.task_ids if i not in by_id],
        tasks=[boards.summary(board, site) for board in members],
        matrix=boards.flow_matrix(members),
    )


def _task(site: Site, board: TaskBoard) -> str:
    places = boards.ranked(board)
    measure = boards.primary(board)
    return _fill(
        "task.html",
        site=site,
        heading=board.title or board.name,
        board=board,
        suites=[suite for suite in site.suites if board.task_id in suite.task_ids],
        primary=measure,
        # what ranks stands first, where a phone shows it
        columns=sorted(board.measures, key=lambda m: m != measure),
        places=places,
        unranked=boards.unranked(board, site.runs),
        grouped=any(place.row.group is not None for place in places),
        chart=_board_chart(board, measure, places) if measure and places else None,
        symmetric=any(p.cell.interval is None and p.cell.uncertainty for p in places),
        charted=min(len(places), _CHART_LINES),
        has_folds=_has_folds(place.row.cells for place in places),
        run_pages={run.run_id for run in site.runs},
        differs={run.run_id: run.differs for run in site.runs if run.differs},
    )


def _run(site: Site, run: RunDetail) -> str:
    board = next((board for board in site.tasks if board.task_id == run.task_id), None)
    known = board.measures if board else ()
    names = [m.name for m in known]
    others = sorted({*run.cells, *run.folds, *run.claimed} - set(names))
    measures = (*known, *(Measure(name, name) for name in others))
    places = boards.ranked(board) if board else ()
    return _fill(
        "run.html",
        site=site,
        heading=f"Run {run.run_id}",
        run=run,
        board=board,
        place=next((place for place in places if place.row.run_id == run.run_id), None),
        ranked_runs=len(places),
        measures=[m for m in measures if m.name in run.cells or m.name in run.claimed],
        has_folds=_has_folds([run.cells]),
        strips=[
            (measure, run.cells.get(measure.name), run.folds[measure.name], _strip(measure, run))
            for measure in measures
            if run.folds.get(measure.name)
        ],
    )


def _has_folds(rows: Iterable[Mapping[str, Cell]]) -> bool:
    return any(cell.fold_spread is not None for cells in rows for cell in cells.values())


def _board_chart(board: TaskBoard, measure: Measure, places: tuple[boards.Ranked, ...]) -> Markup:
    points = [
        Point(
            label=f"{place.rank}. {place.row.flow}",
            value=place.cell.value,
            low=ends[0] if ends else None,
            high=ends[1] if ends else None,
            text=str(round_score(place.cell.value, place.cell.uncertainty)),
            group=place.row.group,
        )
        for place in places[:_CHART_LINES]
        for ends in [_bar(place.cell)]
    ]
    better = "higher" if measure.higher_is_better else "lower"
    return dot_plot(
        points,
        ident="board",
        title=f"{measure.title} of the runs on {board.name}",
        description=f"{len(points)} runs, best first; best: {points[0].label}, {points[0].text}",
        direction=f"{measure.title} ({better} is better)",
    )


def _bar(cell: Cell) -> tuple[float, float] | None:
    if cell.interval is not None:
        return cell.interval
    if cell.uncertainty is None:
        return None
    return cell.value - cell.uncertainty, cell.value + cell.uncertainty


def _strip(measure: Measure, run: RunDetail) -> Markup:
    return fold_strip(
        run.folds[measure.name],
        ident=f"folds-{hashlib.sha256(measure.name.encode()).hexdigest()[:8]}",
        title=f"{measure.title} on single folds",
    )


def _details(cell: Cell) -> str:
    """Say everything about a score at full precision, for its tooltip."""
    said = [full(cell.value)]
    if cell.uncertainty is not None:
        said[0] += f" \N{PLUS-MINUS SIGN} {full(cell.uncertainty)}"
    else:
        said.append("uncertainty not known")
    if cell.interval is not None:
        said.append(f"68 % interval {full(cell.interval[0])} to {full(cell.interval[1])}")
    if cell.method:
        said.append(cell.method)
    if cell.n is not None:
        said.append(f"N = {cell.n}")
    if cell.n_eff is not None:
        said.append(f"N_eff = {plain(cell.n_eff, digits=6)}")
    return "\n".join(said)


def _interval(cell: Cell) -> str:
    """Write the 68 % interval with the decimals of the uncertainty, or of half its width."""
    if cell.interval is None:
        return ""
    low, high = cell.interval
    width = cell.uncertainty or (high - low) / 2
    ends = [round_score(end, width) for end in (low, high)]
    if ends[0].exponent == ends[1].exponent == 0:
        return f"[{ends[0].value}, {ends[1].value}]"
    return f"[{plain(low)}, {plain(high)}]"


def _shown(value: object) -> str:
    """Write a parameter or an item of the environment."""
    value = plain_json(value)
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _moment(uploaded: str) -> str:
    """Write a time to the minute; what isn't an ISO time stays as it is."""
    try:
        return f"{datetime.fromisoformat(uploaded):%Y-%m-%d %H:%M}"
    except ValueError:
        return uploaded


def _doi_address(doi: str) -> str | None:
    bare = doi.removeprefix("https://doi.org/").removeprefix("doi:").strip()
    return f"https://doi.org/{quote(bare, safe='/.()-_;:')}" if bare.startswith("10.") else None


@cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("hepml_tasks.pages"),
        autoescape=True,
        auto_reload=False,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {
        "score": lambda cell: str(round_score(cell.value, cell.uncertainty)),
        "details": _details,
        "interval": _interval,
        "moment": _moment,
        "plain": plain,
        "spread": lambda value: str(round_spread(value)),
        "full": full,
        "shown": _shown,
        "doi_address": _doi_address,
        "safe_address": safe_address,
    }
    for asset in ("style.css", "sort.html"):
        text = environment.get_template(asset).render()
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        environment.globals[f"{asset.partition('.')[0]}_hash"] = f"'sha256-{digest}'"
    return environment


def _fill(template: str, /, **values: Any) -> str:
    return _environment().get_template(template).render(values)


def _replace(path: Path, text: str) -> None:
    # beside the target, for only within a file system can a file be replaced at once
    draft = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        # a lone surrogate that came through JSON has no UTF-8; it must not stop the others
        draft.write_bytes(text.encode("utf-8", "backslashreplace"))
        draft.replace(path)
    except OSError as error:
        raise _cannot_write(path, error) from error
    finally:
        _discard(draft)


def _discard(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError:  # the write's own error is the one to hear of
        return


def _cannot_write(path: Path, error: OSError) -> OutputError:
    reason = error.strerror or type(error).__name__
    return OutputError(
        f"can't write {path}: {reason}; free some space there or choose a folder you may write to"
    )
