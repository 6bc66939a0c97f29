from __future__ import annotations

import pytest


def test_what_would_be_sent_is_printed(hepml, tmp_path):
    done = hepml(
        *("submit", "slurm", "--suite", "hep-toy", "--flows", "prior, logistic", "--jobs", 7),
        *("--spool", tmp_path, "--dry-run", "--", "--mem=8G"),
    )
    assert done.returncode == 0, done.stderr
    first, second = done.stdout.splitlines()[:2]
    assert "sbatch --parsable --array=1-7 --mem=8G" in first
    assert "--suite hep-toy --flows prior,logistic --seeds 0" in first
    assert f"HEPML_SPOOL={tmp_path}" in first
    assert second == "#!/bin/bash"


def test_the_file_for_htcondor_is_one_that_it_accepts(hepml, tmp_path):
    import htcondor2

    done = hepml(
        *("submit", "htcondor", "--suite", "hep-toy", "--flows", "prior", "--jobs", 3),
        *("--spool", tmp_path, "--events", 500, "--dry-run"),
    )
    assert done.returncode == 0, done.stderr
    submit = htcondor2.Submit(done.stdout)
    assert submit.expand("arguments").startswith(
        "bot run --suite hep-toy --flows prior --seeds 0 --events 500 --shard 1/3"
    )
    assert submit.expand("executable").endswith("/bin/hepml")
    assert f"HEPML_SPOOL={tmp_path}" in submit.expand("environment")


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (("slrum", "--suite", "hep-toy"), "'slrum'; did you mean 'slurm'?"),
        (("slurm", "--suite", "hep-toi"), "did you mean 'hep-toy'?"),
        (("slurm", "--suite", "hep-toy", "--flows", "xgbost"), "did you mean 'xgboost'?"),
        (("htcondor", "--suite", "hep-toy"), "condor_submit is not on this machine"),
    ],
)
def test_what_can_be_told_before_a_job_runs_is_told_in_a_line(hepml, arguments, problem):
    done = hepml("submit", *arguments)
    assert done.returncode == 1
    assert problem in done.stderr
    assert done.stderr.count("\n") == 1
