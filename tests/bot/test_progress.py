from __future__ import annotations

import re

from hepml_tasks.bot.progress import Progress


def told(event: str, folder: str = "a") -> dict[str, str]:
    return {"event": event, "folder": folder}


def test_a_line_says_what_is_done_and_about_how_long_the_rest_takes():
    progress = Progress(4, print, every=60, publishes=False)
    assert re.fullmatch(r"0 of 4 runs, 0 folds in 0 s", progress.line())
    for event in ("fold_done", "fold_done", "run_done"):
        progress(told(event))
    assert re.fullmatch(r"1 of 4 runs, 2 folds in \d s, about \d s left", progress.line())


def test_where_runs_are_published_one_is_over_when_it_was_sent():
    progress = Progress(2, print, every=60, publishes=True)
    progress(told("run_done"))
    assert progress.line().startswith("0 of 2")
    progress(told("sent"))
    assert progress.line().startswith("1 of 2")


def test_a_run_that_ends_twice_counts_once():
    progress = Progress(2, print, every=60, publishes=False)
    for event in ("held", "run_failed", "run_done"):
        progress(told(event))
    assert progress.line().startswith("1 of 2")


def test_a_batch_log_has_a_line_now_and_then_and_not_one_an_event():
    lines: list[str] = []
    rarely = Progress(9, lines.append, every=3600, publishes=False)
    often = Progress(9, lines.append, every=0, publishes=False)
    for _ in range(5):
        rarely(told("fold_done"))
    assert lines == []
    often(told("fold_done"))
    assert len(lines) == 1
    assert "\r" not in lines[0]
