from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.compute as pc
import pytest

import hepml_tasks as hep
from hepml_tasks.errors import RunError
from hepml_tasks.evaluation.claims import Claim, Verdict, agree, claims_of, verify
from hepml_tasks.evaluation.evidence import Evidence, from_file, from_folder
from hepml_tasks.evaluation.runs import rescore_run
from hepml_tasks.metrics import register, registry
from hepml_tasks.openml.predictions import render_predictions
from hepml_tasks.running.folder import RunFolder, write_json, write_parquet


def change(run_folder: RunFolder, metric: str, **values: object) -> None:
    scores = run_folder.scores
    scores["scores"][metric] |= values
    write_json(run_folder.path / "scores.json", scores)


def test_a_run_folder_is_verified_to_the_last_bit(run_folder: RunFolder) -> None:
    evidence = from_folder(run_folder)
    verdict = verify(evidence)
    assert verdict.state == "verified"
    assert verdict.checked == tuple(evidence.spec.metrics)
    assert not verdict.unchecked
    strict = [replace(c, relative=0.0, absolute=0.0) for c in evidence.claims]
    assert verify(replace(evidence, claims=tuple(strict))).state == "verified"


def test_a_claimed_ams_that_was_tampered_with_differs_and_it_is_said_by_how_much(
    run_folder: RunFolder,
) -> None:
    true = run_folder.scores["scores"]["ams"]["value"]
    change(run_folder, "ams", value=true + 0.25)
    verdict = verify(from_folder(run_folder))
    assert verdict.state == "differs"
    (difference,) = verdict.differences
    assert (difference.metric, difference.place) == ("ams", "value")
    assert difference.claimed == true + 0.25
    assert difference.recomputed == true
    assert str(difference).endswith(f"recomputed {true:.7g}: 0.25 too high")
    assert "ams" not in verdict.checked
    assert "roc_auc" in verdict.checked


def test_an_uncertainty_and_a_fold_that_were_tampered_with_are_found(run_folder: RunFolder) -> None:
    change(run_folder, "roc_auc", uncertainty=1e-4)
    scores = run_folder.scores
    scores["folds"]["ams"][2]["value"] *= 1.01
    write_json(run_folder.path / "scores.json", scores)
    places = [(d.metric, d.place) for d in verify(from_folder(run_folder)).differences]
    assert places == [("roc_auc", "uncertainty"), ("ams", "repeat 0, fold 2")]


def test_predictions_that_were_tampered_with_are_found(run_folder: RunFolder) -> None:
    table = run_folder.predictions
    truth = pc.equal(table["truth"], "s")
    better = pc.if_else(truth, 1.0, table["confidence.s"])
    place = table.column_names.index("confidence.s")
    write_parquet(
        run_folder.path / "predictions.parquet", table.set_column(place, "confidence.s", better)
    )
    verdict = verify(from_folder(run_folder))
    assert verdict.state == "differs"
    assert {d.metric for d in verdict.differences} >= {"roc_auc", "area_under_roc_curve"}


def test_an_uncertainty_of_another_method_is_not_compared(run_folder: RunFolder) -> None:
    change(run_folder, "ams", uncertainty=9.0, method="by eye")
    verdict = verify(from_folder(run_folder))
    assert verdict.state == "verified"
    assert verdict.unchecked == {"ams": "its uncertainty was made by 'by eye'"}


def test_a_claim_of_a_metric_that_is_not_known_here_is_named_as_unchecked(
    run_folder: RunFolder,
) -> None:
    scores = run_folder.scores
    scores["scores"]["brilliance"] = scores["scores"]["ams"]
    scores["folds"]["brilliance"] = []
    write_json(run_folder.path / "scores.json", scores)
    verdict = verify(from_folder(run_folder))
    assert verdict.state == "verified"
    assert verdict.unchecked == {"brilliance": "is not known here"}


def test_a_claim_beside_the_tasks_metrics_is_recomputed_too(run_folder: RunFolder) -> None:
    evidence = from_folder(run_folder)
    more = (*evidence.claims, Claim("purity", "value", 0.999, "a talk"))
    verdict = verify(replace(evidence, claims=more))
    (difference,) = verdict.differences
    assert "purity: 0.999 in a talk, recomputed 0." in str(difference)


def test_where_nothing_is_claimed_it_cant_be_told(run_folder: RunFolder) -> None:
    (run_folder.path / "scores.json").unlink()
    verdict = verify(from_folder(run_folder))
    assert verdict == Verdict("can't tell", reason="nothing is claimed of it")


def test_where_predictions_are_missing_it_cant_be_told(run_folder: RunFolder) -> None:
    table = run_folder.predictions
    write_parquet(run_folder.path / "predictions.parquet", table.slice(0, table.num_rows - 1))
    verdict = verify(from_folder(run_folder))
    assert verdict.state == "can't tell"
    assert "1 test events have no prediction" in verdict.reason


def test_a_run_on_other_data_is_refused(run_folder: RunFolder) -> None:
    task = hep.load_task("toy-higgs", events=1001)
    with pytest.raises(RunError, match="made on other data than task toy-higgs/4-fold has here"):
        from_folder(run_folder, task)


def test_claims_that_are_no_scores_are_refused() -> None:
    for broken in ({}, {"scores": {"ams": 3}, "partitions": {}, "folds": {}}):
        with pytest.raises(RunError, match="scores.json: no scores as this package writes them"):
            claims_of(broken, by="scores.json")


@pytest.mark.parametrize(
    ("claimed", "found", "same"),
    [
        (0.5, 0.5 + 1e-9, True),
        (0.5, 0.500001, False),
        (None, 0.5, False),
        (0.5, None, False),
        (None, None, True),
    ],
)
def test_claims_are_compared_to_many_digits(claimed, found, same) -> None:
    assert agree(claimed, found) is same


def test_a_folder_and_its_predictions_as_arff_give_the_same_scores_to_the_last_bit(
    run_folder: RunFolder, few_events: hep.Task, tmp_path: Path
) -> None:
    path = tmp_path / "predictions.arff"
    path.write_bytes(render_predictions(run_folder))
    evidence: Evidence = from_file(path, few_events)
    assert evidence.claims == ()
    assert evidence.evaluate().to_json() == run_folder.scores


def test_a_metric_that_came_later_is_added_when_a_folder_is_scored_again(
    run_folder: RunFolder,
) -> None:
    before = run_folder.scores

    @register(name="late", title="Late", needs="selection", source="a test")
    def late(y_true, y_pred, *, sample_weight=None) -> float:
        return float(np.average(y_pred, weights=sample_weight))

    @register(name="broken", title="Broken", needs="score", source="a test")
    def broken(y_true, y_score, *, sample_weight=None) -> float:
        raise ZeroDivisionError("nobody\nis perfect")

    @register(
        name="wide", title="Wide", needs="score", source="a test", columns=("mass",), weighted=False
    )
    def wide(y_true, y_score, *, mass) -> float:
        return 1.0

    try:
        done = rescore_run(run_folder)
        assert done.verdict.state == "verified"
        assert done.new == ("late",)
        after = run_folder.scores
        assert after["scores"].pop("late")["uncertainty"] > 0
        assert after["folds"].pop("late")
        # one that fails takes nothing with it, one that needs more than predictions is not tried
        assert after.pop("left_out") == {"broken": "ZeroDivisionError: nobody"}
        assert after == before
        assert verify(from_folder(run_folder)).checked[-1] == "late"
    finally:
        for name in ("late", "broken", "wide"):
            registry.remove(name)


def test_a_folder_without_a_run_names_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"run\.json: not there"):
        from_folder(RunFolder(tmp_path))
