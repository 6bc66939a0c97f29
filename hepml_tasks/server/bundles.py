"""Parquet files that come with tasks and runs that OpenML can't carry, checked before they stay."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hepml_tasks.errors import ColumnError, DataError, FormatError, RunError
from hepml_tasks.server.splitting import check_splits, read_splits
from hepml_tasks.spec import EvaluationSpec, from_mapping

if TYPE_CHECKING:
    from hepml_tasks.evaluation.evaluate import Truth


def check_bundle(path: Path, splits: Path, spec: Mapping[str, Any]) -> None:
    """Check that a file predicts every tested row exactly once, and nothing else.

    Parameters
    ----------
    path : Path
        The predictions, Parquet in the columns of a run folder.
    splits : Path
        The task's splits.
    spec : mapping
        The task's evaluation.

    Raises
    ------
    FormatError, RunError
        With the first fault, and the row where it is.
    """
    from hepml_tasks.evaluation.predictions import check_against_splits, read_predictions

    if path.suffix != ".parquet":
        raise FormatError("its name must end in .parquet")
    told = from_mapping(spec, EvaluationSpec, origin="spec")
    try:
        predictions = read_predictions(path, told)
        check_against_splits(predictions, read_splits(splits), origin="the file")
    except (FormatError, RunError) as error:
        raise type(error)(str(error).replace(str(path), "the file")) from error


def check_truth(truth: Path, splits: Path, spec: EvaluationSpec) -> tuple[int, list[str]]:
    """Check a task's table of truth, and its splits against it.

    Parameters
    ----------
    truth, splits : Path
    spec : EvaluationSpec

    Returns
    -------
    rows : int
        Their number.
    identity : list of str
        Checksums of what both files hold, however they are written.

    Raises
    ------
    FormatError
        With the first fault.
    """
    from hepml_tasks.data.checksum import table_sha256
    from hepml_tasks.evaluation.truth import read_truth, truth_columns
    from hepml_tasks.formats.flat import read_flat
    from hepml_tasks.splits import splits_sha256

    if truth.suffix != ".parquet":
        raise FormatError("the name of the table of truth must end in .parquet")
    try:
        found = read_truth(truth, spec)
    except (FormatError, ColumnError, DataError) as error:
        raise FormatError(str(error).replace(str(truth), "the table of truth")) from error
    folds = read_splits(splits)
    check_splits(folds, len(found.y), trains=spec.kind.trains)
    if spec.group is not None:
        _check_groups(found, folds)
    content = table_sha256(read_flat(truth, truth_columns(spec)))
    return len(found.y), [content, splits_sha256(folds)]


def _check_groups(truth: Truth, folds: Any) -> None:
    from hepml_tasks.splits import check_whole

    if max(split.repeat for split in folds) > 0:
        raise FormatError("groups are tested in one repeat, not in several")
    for split in folds:
        try:
            check_whole(truth.event_id, split.train, split.test)
        except DataError as error:
            raise FormatError(f"fold {split.fold}: {error}") from error
