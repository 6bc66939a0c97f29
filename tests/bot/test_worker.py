from __future__ import annotations

from pathlib import Path

import pytest

import hepml_tasks as hep
from hepml_tasks.bot.plan import plan
from hepml_tasks.bot.worker import work
from hepml_tasks.flows import Flow, find_flow
from hepml_tasks.openml.connection import Connection
from hepml_tasks.openml.publication import publish_run
from hepml_tasks.running.folder import folders_in


@pytest.fixture
def task(small_task: Path) -> hep.Task:
    return hep.load_task(small_task)


FLOWS = [find_flow("prior"), find_flow("logistic")]


def test_what_is_missing_is_run_and_published_and_then_nothing_is_left(connection, task, tmp_path):
    spool = tmp_path / "spool"
    jobs = plan([task], FLOWS, spool=spool, connection=connection, seeds=[31])
    assert [j.state for j in jobs] == ["missing", "missing"]
    lines: list[str] = []
    outcome = work(jobs, spool=spool, connection=connection, on_event=lines.append)
    assert (outcome.published, outcome.waiting, outcome.failed, outcome.left) == (2, 0, (), 0)
    assert any("ams" in line for line in lines)
    again = plan([task], FLOWS, spool=spool, connection=connection, seeds=[31])
    assert {j.state for j in again} == {"published"}
    # another machine, with an empty spool, sees it too
    elsewhere = plan([task], FLOWS, spool=tmp_path / "new", connection=connection, seeds=[31])
    assert {j.state for j in elsewhere} == {"published"}


def test_without_a_server_runs_wait_in_the_spool_and_are_sent_later(connection, task, tmp_path):
    spool = tmp_path / "spool"
    jobs = plan([task], FLOWS[:1], spool=spool, seeds=[32])
    assert work(jobs, spool=spool).waiting == 1
    (folder,) = folders_in(spool)
    assert not publish_run(connection, folder).was_there


def test_a_server_that_dies_costs_no_run(connection, task, tmp_path):
    spool = tmp_path / "spool"
    jobs = plan([task], FLOWS, spool=spool, seeds=[33])
    dead = Connection("http://127.0.0.1:9/api/v1/xml", "key")
    lines: list[str] = []
    outcome = work(jobs, spool=spool, connection=dead, on_event=lines.append)
    assert (outcome.published, outcome.waiting) == (0, 2)
    assert sum("does not answer" in line for line in lines) == 2
    later = plan([task], FLOWS, spool=spool, connection=connection, seeds=[33])
    assert [j.state for j in later] == ["finished", "finished"]
    assert work(later, spool=spool, connection=connection).published == 2


def test_a_flow_that_fails_does_not_stop_the_others(task, tmp_path, monkeypatch):
    import sys
    import types

    from sklearn.dummy import DummyClassifier

    class Failing(DummyClassifier):
        def fit(self, X, y, sample_weight=None):
            raise MemoryError("too much")

    module = types.ModuleType("hepml_tasks.flows.failing")
    module.build = Failing
    Failing.__module__ = "hepml_tasks.flows.failing"
    module.Failing = Failing
    monkeypatch.setitem(sys.modules, "hepml_tasks.flows.failing", module)
    flows = [Flow("failing", "fails", "failing"), find_flow("prior")]
    jobs = plan([task], flows, spool=tmp_path, seeds=[34])
    outcome = work(jobs, spool=tmp_path, n_jobs=1)
    assert outcome.waiting == 1
    (reason,) = outcome.failed
    assert "MemoryError: too much" in reason


def test_no_run_is_begun_after_the_time(task, tmp_path):
    jobs = plan([task], FLOWS, spool=tmp_path, seeds=[35])
    outcome = work(jobs, spool=tmp_path, max_seconds=0)
    assert outcome.left == 2
