"""The evaluator as a process of its own: jobs in, scores out, a line of JSON each.

It sees nothing but the files that a job names: the uploaded predictions, the dataset and the
splits. A job is ``{"job": …, "predictions": PATH, "dataset": PATH, "splits": PATH, "spec": {…}}``
and its answer ``{"job": …, "scores": …, "folds": …, "partitions": …, "n_rows": N}``, or
``{"job": …, "error": "one line"}``.
"""

from __future__ import annotations

import json
import sys
from functools import lru_cache
from pathlib import Path
from typing import Any

from hepml_tasks.errors import HepmlError
from hepml_tasks.evaluation.evaluate import Truth, evaluate
from hepml_tasks.evaluation.predictions import check_against_splits, read_predictions
from hepml_tasks.evaluation.truth import read_truth
from hepml_tasks.spec import EvaluationSpec, from_mapping
from hepml_tasks.splits import Split, is_curve, last_samples, read_split_file


def main() -> None:
    """Answer jobs until the standard input ends."""
    for line in sys.stdin:
        if line.strip():
            sys.stdout.write(json.dumps(answer(json.loads(line))) + "\n")
            sys.stdout.flush()


def answer(job: dict[str, Any]) -> dict[str, Any]:
    """Evaluate one job; an error becomes part of the answer."""
    try:
        spec = from_mapping(job["spec"], EvaluationSpec, origin="evaluation spec")
        splits = _splits(job["splits"])
        predictions = read_predictions(Path(job["predictions"]), spec, curve=is_curve(splits))
        check_against_splits(predictions, last_samples(splits), origin="predictions")
        truth = _truth(job["dataset"], json.dumps(job["spec"], sort_keys=True))
        return {"job": job.get("job"), **evaluate(predictions, truth, spec).to_json()}
    except (HepmlError, OSError, MemoryError) as error:
        return {"job": job.get("job"), "error": str(error) or type(error).__name__}


# The files are kept under the checksum of their content: a path's content never changes.
@lru_cache(maxsize=2)
def _truth(path: str, spec: str) -> Truth:
    return read_truth(Path(path), from_mapping(json.loads(spec), EvaluationSpec, origin="spec"))


@lru_cache(maxsize=4)
def _splits(path: str) -> list[Split]:
    return read_split_file(path)


if __name__ == "__main__":
    main()
