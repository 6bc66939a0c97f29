from __future__ import annotations

import json
import shutil

import pytest

from hepml_tasks.openml.predictions import render_predictions
from hepml_tasks.openml.publication import publish_run, wait_for_evaluation
from hepml_tasks.running.folder import RunFolder, write_json

TASK = ("--task", "toy-higgs", "--events", "1000")


def tamper(run_folder: RunFolder, by: float = 0.5) -> None:
    scores = run_folder.scores
    scores["scores"]["ams"]["value"] += by
    write_json(run_folder.path / "scores.json", scores)


def one(done) -> dict:
    assert done.returncode == 0, done.stderr
    (told,) = json.loads(done.stdout)
    return told


def test_folder_file_server_and_command_line_agree_to_the_last_bit(
    hepml, run_folder, tmp_path, connection
):
    arff = tmp_path / "predictions.arff"
    arff.write_bytes(render_predictions(run_folder))
    published = publish_run(connection, run_folder)
    server = wait_for_evaluation(connection, published.run_id)
    told = [
        one(hepml("evaluate", run_folder.path, "--json")),
        one(hepml("evaluate", arff, *TASK, "--json")),
        one(hepml("evaluate", published.run_id, "--server", connection.root, "--json")),
    ]
    mine = run_folder.scores
    for scores in told:
        assert scores["task"] == "toy-higgs/4-fold"
        for part in ("scores", "folds", "partitions", "n_rows"):
            assert scores[part] == mine[part]
    assert server["scores"] == mine["scores"]
    assert server["folds"] == mine["folds"]


def test_scores_are_printed_with_uncertainty_and_spread(hepml, run_folder):
    printed = hepml("evaluate", run_folder.path).stdout
    assert "toy-higgs/4-fold, 1000 predictions" in printed
    assert "spread over folds" in printed
    ams = run_folder.scores["scores"]["ams"]["value"]
    (line,) = [line for line in printed.splitlines() if line.startswith("ams ")]
    assert str(ams)[:3] in line
    assert "±" in line


def test_other_metrics_are_computed_where_they_are_named(hepml, run_folder):
    told = one(hepml("evaluate", run_folder.path, "--metrics", "purity, sic", "--json"))
    assert list(told["scores"]) == ["purity", "sic"]
    done = hepml("evaluate", run_folder.path, "--metrics", "puritty")
    assert done.returncode == 1
    assert "did you mean 'purity'" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ((), "name a RUN, or --all"),
        (("17",), "run 17: name the server that has it with --server"),
        (("nowhere",), "nowhere: no run folder, no file of predictions, and no run's id"),
        ((__file__,), "name the task of these predictions with --task"),
        ((".", "--split", "holdout"), "say more of a --task; name it"),
        ((".", "--all"), "--all takes no RUN"),
    ],
)
def test_what_is_no_run_is_answered_with_what_is_missing(hepml, arguments, problem):
    done = hepml("evaluate", *arguments)
    assert done.returncode == 2
    assert problem in done.stderr


def test_one_bad_run_among_several_does_not_hide_the_others(hepml, run_folder, tmp_path):
    empty = tmp_path / "empty"
    empty.mkdir()
    done = hepml("evaluate", empty, run_folder.path, "--json")
    assert done.returncode == 1
    assert len(json.loads(done.stdout)) == 1
    assert "run.json: not there" in done.stderr


def test_a_true_run_is_verified_with_exit_code_0(hepml, run_folder):
    done = hepml("verify", run_folder.path)
    assert done.returncode == 0
    assert ": verified: ams, roc_auc" in done.stdout


def test_a_run_whose_claimed_ams_was_tampered_with_differs_with_exit_code_3(
    hepml, run_folder, connection
):
    tamper(run_folder)
    done = hepml("verify", run_folder.path)
    assert done.returncode == 3
    first, second = done.stdout.splitlines()
    assert first.endswith(": differs")
    assert second.startswith("  ams: ")
    assert second.endswith(": 0.5 too high")

    published = publish_run(connection, run_folder)
    wait_for_evaluation(connection, published.run_id)
    done = hepml("verify", published.run_id, "--server", connection.root, "--json")
    assert done.returncode == 3
    (told,) = json.loads(done.stdout)
    assert told["state"] == "differs"
    assert {d["metric"] for d in told["differences"]} == {"ams"}
    gaps = [d["claimed"] - d["recomputed"] for d in told["differences"]]
    assert gaps == pytest.approx([0.5, 0.5], abs=1e-4)


def test_what_cant_be_told_has_exit_code_3_and_what_cant_be_had_1(
    hepml, run_folder, tmp_path, connection
):
    arff = tmp_path / "predictions.arff"
    arff.write_bytes(render_predictions(run_folder))
    done = hepml("verify", arff, *TASK)
    assert done.returncode == 3
    assert "can't tell: nothing is claimed of it" in done.stdout
    done = hepml("verify", "999999", "--server", connection.root)
    assert done.returncode == 1
    done = hepml("verify", "999999", run_folder.path, "--server", connection.root)
    assert done.returncode == 1
    assert "verified" in done.stdout


def test_all_runs_of_a_spool_are_scored_again(hepml, run_folder, tmp_path):
    spool = run_folder.path.parent
    (spool / "begun").mkdir()
    shutil.copy(run_folder.path / "run.json", spool / "begun" / "run.json")
    true = run_folder.scores
    tamper(run_folder)
    done = hepml("evaluate", "--all", "--spool", spool)
    assert done.returncode == 0, done.stderr
    (line,) = done.stdout.splitlines()
    assert "scored again, it had ams: " in line
    assert run_folder.scores == true
    assert hepml("evaluate", "--all", "--spool", spool).stdout.endswith("nothing new\n")


def test_all_runs_of_a_task_on_a_server_are_scored_again(hepml, run_folder, connection, tmp_path):
    published = publish_run(connection, run_folder)
    wait_for_evaluation(connection, published.run_id)
    key = tmp_path / "key"
    key.write_text(connection.apikey)
    arguments = ["--server", connection.root, "--task-id", published.task_id, "--key-file", key]
    done = hepml("evaluate", "--all", *arguments, "--json")
    assert done.returncode == 0, done.stderr
    scores = {t["run_id"]: t["scores"] for t in json.loads(done.stdout)}
    assert scores[published.run_id] == run_folder.scores["scores"]
    assert "runs on 1 tasks scored again" in hepml("evaluate", "--all", *arguments).stdout
