from __future__ import annotations

import math

import pytest

import hepml_tasks as hep
from hepml_tasks.bot.costs import Costs
from hepml_tasks.bot.plan import plan
from hepml_tasks.bot.worker import work
from hepml_tasks.flows import find_flow


@pytest.fixture(scope="module")
def tasks() -> dict[str, hep.Task]:
    return {
        "small": hep.load_task("toy-higgs", split="4-fold", events=300),
        "large": hep.load_task("toy-higgs", split="10-fold", events=600),
    }


def test_of_what_has_not_been_run_no_cost_is_known(tasks):
    assert Costs().estimate(tasks["small"], "mlp") is None


def test_the_cost_is_the_median_of_the_runs_on_that_task_and_split(tasks):
    costs = Costs()
    for seconds in (1.0, 2.0, 90.0):
        costs.learn(tasks["small"], "mlp", seconds)
    assert costs.estimate(tasks["small"], "mlp") == 2.0


def test_from_another_split_it_grows_with_events_and_folds(tasks):
    costs = Costs()
    costs.learn(tasks["small"], "mlp", 4.0)
    assert costs.estimate(tasks["large"], "mlp") == pytest.approx(4.0 * 2 * 10 / 4)


def test_a_setup_costs_what_the_flow_does_until_it_has_been_run(tasks):
    costs = Costs()
    costs.learn(tasks["small"], "mlp", 4.0)
    assert costs.estimate(tasks["small"], "mlp.alpha-0.1") == 4.0
    costs.learn(tasks["small"], "mlp.alpha-0.1", 7.0)
    assert costs.estimate(tasks["small"], "mlp.alpha-0.1") == 7.0


@pytest.mark.parametrize("seconds", ["nan", "inf", "-1", "0", "soon"])
def test_what_a_server_says_that_is_no_time_is_no_cost(tasks, seconds):
    costs = Costs()
    costs.learn_details(tasks["small"], [{"flow": "mlp", "seconds": seconds}, {"flow": "mlp"}])
    assert costs.estimate(tasks["small"], "mlp") is None


def test_a_run_that_is_begun_costs_the_folds_that_it_lacks(tasks, tmp_path):
    task, flows = tasks["small"], [find_flow("logistic")]
    work(plan([task], flows, spool=tmp_path), spool=tmp_path)
    (done,) = plan([task], flows, spool=tmp_path)
    assert (done.state, done.seconds) == ("finished", 0.0)
    new, begun = plan([task], flows, spool=tmp_path, seeds=[1, 0])
    assert new.seconds is not None and new.seconds > 0
    split = task.splits[0]
    begun.folder.fold_path(split.repeat, split.fold).unlink()
    (begun.folder.path / "predictions.parquet").unlink()
    (left,) = plan([task], flows, spool=tmp_path)
    assert (left.state, left.folds) == ("started", 3)
    assert left.seconds is not None and math.isfinite(left.seconds)
    assert 0 < left.seconds < new.seconds


def test_another_spool_knows_the_cost_from_the_server(connection, tmp_path):
    task = hep.load_task("toy-higgs", split="4-fold", events=320)
    flows = [find_flow("logistic")]
    spool = tmp_path / "one"
    jobs = plan([task], flows, spool=spool, connection=connection, seeds=[71])
    assert jobs[0].seconds is None
    work(jobs, spool=spool, connection=connection)
    (elsewhere,) = plan([task], flows, spool=tmp_path / "two", connection=connection, seeds=[72])
    assert elsewhere.seconds == pytest.approx(jobs[0].folder.seconds, rel=0.01)
