"""What a production server was recorded to answer is read as it is meant."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hepml_tasks.errors import ServerError
from hepml_tasks.openml.connection import Connection
from hepml_tasks.openml.limits import DATASET
from hepml_tasks.openml.processing import pending
from hepml_tasks.openml.registration import (
    Procedure,
    choose_measure,
    choose_procedure,
    create_task,
    describe_dataset,
    find_study,
    inputs_of,
    read_dataset,
)
from hepml_tasks.spec import HoldOut, KFold, Official

from .front import Answer, error, front

SPLITS = (
    KFold(kind="kfold", name="10-fold", folds=10),
    KFold(kind="kfold", name="7-fold", folds=7),
    KFold(kind="kfold", name="4-fold", folds=4),
    HoldOut(kind="holdout", name="third", fraction=0.3),
    Official(kind="official", name="official", train=("t",), test=("b", "v")),
)
PROCEDURE = Procedure("1", "10-fold Crossvalidation", exact=False)


@pytest.fixture
def production(real_data: Path) -> Any:
    """Answer with recordings: each by the number of its file, at its own path."""
    with front("http://127.0.0.1:9") as running:
        known: dict[tuple[str, str], Answer] = {}

        def replay(*numbers: str) -> Connection:
            for number in numbers:
                method, path, answer = recorded(real_data / "openml_wire", number)
                known[method, path] = answer
            return running.connection("a key")

        running.refuse = lambda method, path, _body: known.get(
            (method, path), error(111, "Unknown dataset")
        )
        yield replay


def recorded(folder: Path, number: str) -> tuple[str, str, Answer]:
    (path,) = folder.glob(f"{number}_*.txt")
    sent, _, came = path.read_text().partition("=== RESPONSE ")
    head, _, body = came.partition("\n\n")
    method, address = sent.split()[:2]
    return method, address.partition("?")[0], Answer(int(head.split()[0]), body.encode())


Replay = Callable[..., Connection]


def test_a_dataset_that_was_processed_is_ready(production: Replay):
    to = production("0012", "0013", "0014")
    assert read_dataset(to, 133)["oml:md5_checksum"] == "918e1e166c617198de8410cfb38e84a5"
    assert pending(to, 133) is None


def test_a_task_is_what_its_inputs_say(production: Replay):
    assert inputs_of(production("0021"), 1306) == {
        "source_data": "133",
        "estimation_procedure": "1",
        "evaluation_measures": "predictive_accuracy",
        "target_feature": "Label",
    }


def test_a_suite_has_its_members_and_its_status(production: Replay):
    found = find_study(production("0054"), "2")
    assert found is not None
    assert (found.id, found.status, found.members) == (2, "in_preparation", (1306, 1307))


def test_procedure_and_measure_are_looked_up(production: Replay, few_events):
    to = production("0002", "0050")
    assert choose_measure(to, few_events) == "area_under_roc_curve"
    found = {s.name: choose_procedure(to, replace(few_events, split=s)) for s in SPLITS}
    assert found == {
        "10-fold": PROCEDURE,
        "7-fold": PROCEDURE,
        "4-fold": Procedure("25", "4-fold Crossvalidation", exact=False),
        "third": Procedure("6", "33% Holdout set", exact=False),
        "official": Procedure("6", "33% Holdout set", exact=False),
    }


def test_a_split_that_production_has_nothing_like_is_an_error(production: Replay, few_events):
    split = HoldOut(kind="holdout", name="tiny", fraction=0.01)
    with pytest.raises(ServerError, match="no estimation procedure like the split 'tiny'"):
        choose_procedure(production("0050"), replace(few_events, split=split))


def test_a_task_that_exists_is_the_one_that_production_names(production: Replay, few_events):
    assert create_task(production("0017"), few_events, 133, PROCEDURE, "x") == 1306


@pytest.mark.parametrize(("number", "code"), [("0008", 623), ("0018", 622), ("0020", 622)])
def test_a_task_that_production_refuses_is_an_error_with_its_reason(
    production: Replay, few_events, number, code
):
    with pytest.raises(ServerError, match="problematic input") as caught:
        create_task(production(number), few_events, 133, PROCEDURE, "x")
    assert caught.value.code == code


@pytest.mark.parametrize("number", ["0003", "0004", "0058"])
def test_a_description_has_no_element_out_of_the_order_that_production_took(
    real_data: Path, few_events, number
):
    (path,) = (real_data / "openml_wire").glob(f"{number}_*.txt")
    theirs = re.findall(r"<oml:(\w+)>", path.read_text().partition("=== RESPONSE")[0])
    ours = re.findall(r"<oml:(\w+)>", describe_dataset(few_events, url="http://h/a.arff"))
    shared = [e for e in dict.fromkeys(theirs) if e in ours]
    assert shared == [e for e in dict.fromkeys(ours) if e in theirs]
    assert set(ours) - set(theirs) <= set(DATASET)
