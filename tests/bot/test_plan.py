from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import hepml_tasks as hep
from hepml_tasks.bot.plan import plan, shard
from hepml_tasks.flows import FLOWS, find_flow


@given(jobs=st.lists(st.integers(), max_size=40), parts=st.integers(1, 12))
def test_the_parts_of_a_plan_are_the_plan(jobs, parts):
    taken = [shard(jobs, part, parts) for part in range(1, parts + 1)]
    assert sorted(j for part in taken for j in part) == sorted(jobs)
    sizes = [len(part) for part in taken]
    assert max(sizes) - min(sizes) <= 1


def test_a_flow_is_planned_only_for_tasks_that_it_suits(tmp_path: Path):
    tasks = [hep.load_task(t, events=300) for t in ("toy-higgs", "toy-higgs-mass")]
    jobs = plan(tasks, [find_flow("prior"), find_flow("mean")], spool=tmp_path)
    assert [(j.task.spec.name, j.flow.name) for j in jobs] == [
        ("toy-higgs", "prior"),
        ("toy-higgs-mass", "mean"),
    ]


def test_a_plan_is_the_same_again(tmp_path: Path):
    tasks = [hep.load_task("toy-higgs-mass", events=300)]
    flows = [f for f in FLOWS.values() if f.needs is None]
    one, two = (plan(tasks, flows, spool=tmp_path, seeds=(0, 1)) for _ in range(2))
    assert [(j.name, j.folder.path) for j in one] == [(j.name, j.folder.path) for j in two]


@pytest.mark.parametrize("shard", ["0/3", "4/3", "3", "a/b"])
def test_a_shard_that_is_none_is_answered_with_an_example(hepml, shard):
    answer = hepml("bot", "plan", "--suite", "hep-toy", "--events", 300, "--shard", shard)
    assert answer.returncode == 2
    assert "such as 3/100" in answer.stderr


def test_the_shards_of_a_suite_share_its_runs(hepml):
    def planned(*more):
        answer = hepml("bot", "plan", "--suite", "hep-toy", "--events", 300, "--json", *more)
        assert answer.returncode == 0, answer.stderr
        return [(j["task"], j["flow"]) for j in json.loads(answer.stdout)]

    parts = [planned("--shard", f"{part}/2") for part in (1, 2)]
    assert sorted(parts[0] + parts[1]) == sorted(planned())


def test_a_plan_is_narrowed_by_task_flow_setup_and_state(hepml, tmp_path):
    def planned(*more):
        answer = hepml(
            *("bot", "plan", "--suite", "hep-toy", "--events", 300, "--spool", tmp_path, "--json"),
            *more,
        )
        assert answer.returncode == 0, answer.stderr
        return json.loads(answer.stdout)

    one = planned("--tasks", "toy-higgs-m*", "--flows", "mean,rid*")
    assert [(j["task"], j["flow"]) for j in one] == [
        ("toy-higgs-mass/4-fold", "mean"),
        ("toy-higgs-mass/4-fold", "ridge"),
    ]
    one_flow = ["--tasks", "toy-higgs", "--flows", "logistic", "--set"]
    several = planned(*one_flow, "logistic.C=0.1,1")
    whole = "estimator__classify__C"
    assert [j["setup"] for j in several] == [{whole: 0.1}, {whole: 1}]
    # by either name it is the same run
    assert planned(*one_flow, f"logistic.{whole}=0.1,1") == several
    assert planned("--tasks", "toy-higgs", "--flows", "prior", "--state", "finished,failed") == []


@pytest.mark.parametrize(
    ("option", "value", "says"),
    [
        ("--state", "done", "published, finished, failed, started, missing"),
        ("--seeds", "0,x", "0,1,2"),
        ("--set", "logistic.C", "logistic.C=0.1,1"),
        ("--set", "logistic.copy=1", "name one of estimator__impute__copy, estimator__scale__copy"),
        ("--set", "logistic.c=1", "no parameter 'c'"),
        ("--flows", "logistik", "logistic"),
    ],
)
def test_a_filter_that_is_none_is_answered_with_what_there_is(hepml, option, value, says):
    answer = hepml("bot", "plan", "--suite", "hep-toy", "--events", 300, option, value)
    assert answer.returncode in {1, 2}
    assert says in answer.stderr
