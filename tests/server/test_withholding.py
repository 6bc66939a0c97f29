"""Events taken apart into what is served and what is kept."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hepml_tasks.data.card import card
from hepml_tasks.errors import SpecError
from hepml_tasks.running.checks import check_table
from hepml_tasks.running.task import with_table
from hepml_tasks.server.withholding import PARTITION, SPLIT, public_spec, withhold
from hepml_tasks.spec import FileSpec, TaskSpec, find_task, from_mapping

from .challenge import challenge_data, challenge_spec

NAME = "toy"


@settings(max_examples=15, deadline=None)
@given(
    events=st.integers(60, 400),
    fraction=st.floats(0.2, 0.8),
    public=st.floats(0.1, 0.9),
    seed=st.integers(0, 2**128 - 1),
)
def test_every_event_is_served_once_and_no_test_label(
    events: int, fraction: float, public: float, seed: int
) -> None:
    data = challenge_data(NAME, events=events, public=public)
    data["splits"][0]["fraction"] = fraction
    spec = from_mapping(data, TaskSpec, origin="task.yaml")
    made = withhold(spec, seed)
    served, kept = made.served.to_pydict(), made.kept.to_pydict()
    assert made.served.num_rows == made.kept.num_rows == events
    for row in range(events):
        tested = served[SPLIT][row] == "test"
        assert (kept[PARTITION][row] == "train") == (not tested)
        for name in ("Label", "Weight"):
            assert served[name][row] == (None if tested else kept[name][row])
    assert made.split.train.tolist() == [r for r in range(events) if served[SPLIT][r] == "train"]
    tested = len(made.split.test)
    assert abs(tested - events * fraction) <= 1
    assert abs(kept[PARTITION].count("public") - tested * public) <= 1
    assert made.served.schema.metadata is None


def test_equal_seeds_make_equal_events_and_others_others() -> None:
    spec = challenge_spec(NAME, events=300)
    one, same, other = (withhold(spec, seed) for seed in (7, 7, 8))
    assert one.served.equals(same.served)
    assert one.kept.equals(same.kept)
    assert not one.served.equals(other.served)


def test_the_task_that_is_handed_out_can_be_run() -> None:
    spec = challenge_spec(NAME, events=300)
    made = withhold(spec, 5)
    handed = public_spec(spec, made, FileSpec(name="toy.arff"))
    assert handed.dataset.simulator is None
    assert handed.roles.event_id is None
    assert "40 % of them give a public score" in handed.about.ml
    task = with_table(handed, made.served)
    (split,) = task.splits
    assert split.train.tolist() == made.split.train.tolist()
    assert split.test.tolist() == made.split.test.tolist()
    assert set(task.events.features).isdisjoint({"Label", "Weight", "EventId", "Process", SPLIT})
    assert task.events.class_sums == {"s": 692.0, "b": 411000.0}


def test_the_task_that_is_handed_out_is_what_it_says() -> None:
    spec = challenge_spec(NAME, events=300)
    made = withhold(spec, 5)
    handed = public_spec(spec, made, FileSpec(name="toy.arff"))
    findings = check_table(handed, made.served)
    assert not [f for f in findings if f.level == "error"]
    assert any("withheld in 150 events" in f.figure for f in findings)
    assert "withheld" in card(handed, made.served)


def test_a_published_dataset_is_never_private() -> None:
    with pytest.raises(SpecError, match="those of a published dataset can be looked up"):
        withhold(find_task("higgsml"), 1)


def test_three_parts_need_events() -> None:
    with pytest.raises(SpecError, match="too few for three parts"):
        withhold(challenge_spec(NAME, events=60, public=0.001), 1)
