from __future__ import annotations

import os
import signal
import sys
import threading
import time
import types
from pathlib import Path

import numpy as np
import pytest
from sklearn.dummy import DummyClassifier

import hepml_tasks as hep
from hepml_tasks.bot.claims import Claims
from hepml_tasks.bot.log import Log
from hepml_tasks.bot.plan import plan
from hepml_tasks.bot.worker import Limits, work
from hepml_tasks.flows import Flow, find_flow
from hepml_tasks.openml.connection import Connection
from hepml_tasks.openml.publication import publish_run
from hepml_tasks.running.folder import folders_in
from hepml_tasks.running.state import failure_of, state_of


@pytest.fixture
def task(small_task: Path) -> hep.Task:
    return hep.load_task(small_task)


FLOWS = [find_flow("prior"), find_flow("logistic")]


def test_what_is_missing_is_run_and_published_and_then_nothing_is_left(connection, task, tmp_path):
    spool = tmp_path / "spool"
    jobs = plan([task], FLOWS, spool=spool, connection=connection, seeds=[31])
    assert [j.state for j in jobs] == ["missing", "missing"]
    told: list[dict] = []
    outcome = work(jobs, spool=spool, connection=connection, log=Log([told.append]))
    assert (outcome.published, outcome.waiting, outcome.failed, outcome.left) == (2, 0, (), 0)
    assert sum(event["event"] == "fold_begun" for event in told) == 6
    assert any("ams" in event.get("found", "") for event in told)
    assert told[-1]["event"] == "bot_done"
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
    told: list[dict] = []
    outcome = work(jobs, spool=spool, connection=dead, log=Log([told.append]))
    assert (outcome.published, outcome.waiting) == (0, 2)
    reasons = [event["reason"] for event in told if event["event"] == "not_sent"]
    assert sum("does not answer" in reason for reason in reasons) == 2
    later = plan([task], FLOWS, spool=spool, connection=connection, seeds=[33])
    assert [j.state for j in later] == ["finished", "finished"]
    assert work(later, spool=spool, connection=connection).published == 2


class Bad(DummyClassifier):
    """Does what its parameter says, at its first fit or at each."""

    def __init__(self, what="", log="", strategy="prior", random_state=None, constant=None):
        super().__init__(strategy=strategy, random_state=random_state, constant=constant)
        self.what = what
        self.log = log

    def fit(self, X, y, sample_weight=None):
        with Path(self.log).open("a") as log:
            log.write("x")
        if self.what == "raises":
            raise MemoryError("too much")
        if self.what == "crashes":
            os.kill(os.getpid(), signal.SIGSEGV)
        if self.what == "exits":
            sys.exit(5)
        if self.what == "hangs":
            time.sleep(1000)
        if self.what == "eats":
            eaten = []
            while True:
                eaten.append(np.ones(10_000_000))
        return super().fit(X, y, sample_weight)

    def predict_proba(self, X):
        scores = super().predict_proba(X)
        return scores * float("nan") if self.what == "nan" else scores


REASONS = {
    "raises": ("failed", "MemoryError: too much"),
    "crashes": ("crashed", "it was ended by SIGSEGV"),
    "exits": ("failed", "SystemExit: 5"),
    "hangs": ("time", "took longer than 6 s"),
    "eats": ("memory", "of memory (--max-memory)"),
    "nan": ("failed", "NaN or infinite scores"),
}


@pytest.fixture
def bad(monkeypatch, tmp_path):
    """Give flows that misbehave, as the registry would."""

    def make(what: str, log: Path) -> Flow:
        module = types.ModuleType(f"hepml_tasks.flows.{what}")
        module.build = lambda: Bad(what, str(log))
        monkeypatch.setitem(sys.modules, module.__name__, module)
        return Flow(what, what, what)

    return make


def test_whatever_a_flow_does_it_is_noted_and_stops_no_other(task, tmp_path, bad):
    logs = {what: tmp_path / what for what in REASONS}
    flows = [*(bad(what, log) for what, log in logs.items()), find_flow("prior")]
    spool = tmp_path / "spool"
    limits = Limits(n_jobs=2, max_memory=2500 << 20)
    jobs = plan([task], flows, spool=spool, seeds=[34])
    hanging = [job for job in jobs if job.flow.name == "hangs"]
    hasty = Limits(n_jobs=2, max_run_seconds=6)
    assert len(work(hanging, spool=spool, limits=hasty).failed) == 1
    outcome = work(jobs, spool=spool, limits=limits)
    assert (outcome.waiting, outcome.left, len(outcome.failed)) == (1, 0, len(REASONS))
    for job in plan([task], flows[:-1], spool=spool, seeds=[34]):
        kind, reason = REASONS[job.flow.name]
        kept = failure_of(job.folder)
        assert kept["kind"] == kind, kept
        assert reason in kept["reason"]
        assert job.state == "failed"
    # no failed run is begun again unless somebody asks for it
    before = {what: log.stat().st_size for what, log in logs.items()}
    again = plan([task], flows, spool=spool, seeds=[34])
    assert len(work(again, spool=spool, limits=limits).failed) == len(REASONS)
    assert {what: log.stat().st_size for what, log in logs.items()} == before


def test_a_failed_run_is_done_again_when_it_is_asked_for(task, tmp_path, bad):
    log = tmp_path / "log"
    flow = bad("raises", log)
    spool = tmp_path / "spool"
    jobs = plan([task], [flow], spool=spool)
    assert len(work(jobs, spool=spool).failed) == 1
    healed = sys.modules[f"hepml_tasks.flows.{flow.module}"]
    healed.build = lambda: Bad("raises", str(log))
    before = log.stat().st_size
    assert len(work(jobs, spool=spool, retry_failed=True).failed) == 1
    assert log.stat().st_size > before
    # a failure is forgotten once the run is finished
    (jobs[0].folder.path / "failed.json").rename(tmp_path / "kept.json")
    assert state_of(jobs[0].folder).state == "started"


def test_no_run_is_begun_after_the_time(task, tmp_path):
    jobs = plan([task], FLOWS, spool=tmp_path, seeds=[35])
    outcome = work(jobs, spool=tmp_path, limits=Limits(max_seconds=0))
    assert outcome.left == 2


def test_a_run_in_progress_is_stopped_in_time_and_its_folds_are_kept(task, tmp_path, bad):
    flow = bad("hangs", tmp_path / "log")
    quick = plan([task], [find_flow("prior")], spool=tmp_path)
    hanging = plan([task], [flow], spool=tmp_path)
    start = time.monotonic()
    outcome = work([*quick, *hanging], spool=tmp_path, limits=Limits(n_jobs=1, max_seconds=15))
    assert time.monotonic() - start < 25
    assert (outcome.left, outcome.failed) == (1, ())
    assert failure_of(hanging[0].folder) is None


def test_two_bots_on_one_spool_do_each_run_once(task, tmp_path, bad):
    log = tmp_path / "log"
    flow = bad("counts", log)
    jobs = plan([task], [flow], spool=tmp_path / "spool", seeds=range(3))
    outcomes = []

    def bot() -> None:
        outcomes.append(work(jobs, spool=tmp_path / "spool", limits=Limits(n_jobs=1), wait=True))

    threads = [threading.Thread(target=bot) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [o.waiting for o in outcomes] == [3, 3]
    assert log.stat().st_size == 9


def test_what_another_bot_has_in_hand_is_left_to_it(connection, task, tmp_path):
    first = plan([task], FLOWS[:1], spool=tmp_path / "one", connection=connection, seeds=[36])
    with Claims(connection, tmp_path / "one") as claims, claims.held(first[0].key) as mine:
        assert mine
        spool = tmp_path / "two"
        jobs = plan([task], FLOWS[:1], spool=spool, connection=connection, seeds=[36])
        assert work(jobs, spool=spool, connection=connection).held == 1
        # another bot of the same spool is the same holder: its lock decides
        with claims.held(first[0].key) as again:
            assert again
    assert work(jobs, spool=spool, connection=connection).published == 1


def test_the_work_of_a_dead_bot_is_taken_over_when_its_lease_is_over(connection, task, tmp_path):
    jobs = plan([task], FLOWS[:1], spool=tmp_path / "two", connection=connection, seeds=[37])
    dead = Claims(connection, tmp_path / "one", seconds=4)
    dead._ours = True  # it never renews, as a process that was killed
    dead.held(jobs[0].key).__enter__()
    outcome = work(jobs, spool=tmp_path / "two", connection=connection, wait=True)
    assert (outcome.published, outcome.held) == (1, 0)


def test_the_same_run_of_two_spools_is_published_once(connection, task, tmp_path):
    ids = set()
    for name in ("one", "two"):
        # planned without the server: neither knows of the other
        jobs = plan([task], FLOWS[:1], spool=tmp_path / name, seeds=[38])
        work(jobs, spool=tmp_path / name)
        ids.add(publish_run(connection, jobs[0].folder).run_id)
    assert len(ids) == 1
