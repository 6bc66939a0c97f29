"""A task's splits: checked where they are uploaded, made by the procedure where they aren't."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hepml_tasks.errors import DataError, FormatError
from hepml_tasks.server.measures import CLUSTERING, LEARNING_CURVE, Procedure

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from hepml_tasks.splits import Split

_MOST_FOLDS = 10_000
_SMALLEST_SAMPLE, _MOST_SAMPLES = 64, 40  # as production's
_MOST_LEFT_OUT = 1_000  # its splits file has the square of this many lines


@dataclass(frozen=True)
class TestRows:
    """Which rows are tested where.

    Parameters
    ----------
    cells : frozenset of (int, int)
        The folds, as repeat and fold.
    folds, samples : int
        One more than the highest fold, and than the highest sample of a learning curve.
    rows : int
        One more than the highest row.
    keys : ndarray of int64
        `key` of every tested row, ascending.
    """

    __test__ = False

    cells: frozenset[tuple[int, int]]
    folds: int
    samples: int
    rows: int
    keys: NDArray[np.int64]

    def key(
        self,
        repeat: NDArray[np.int64],
        fold: NDArray[np.int64],
        sample: NDArray[np.int64],
        row: NDArray[np.int64],
    ) -> NDArray[np.int64]:
        """Give each (repeat, fold, sample, row) a number of its own."""
        return ((repeat * self.folds + fold) * self.samples + sample) * self.rows + row


def read_splits(path: Path) -> list[Split]:
    """Read a splits file that came from outside.

    Raises
    ------
    FormatError
        If it is anything else than splits.
    """
    from hepml_tasks.splits import read_split_file

    try:
        splits = read_split_file(path)
    except FormatError as error:
        raise FormatError(str(error).replace(str(path), "the splits file")) from error
    except (ValueError, TypeError, KeyError, OverflowError) as error:
        kind = type(error).__name__
        raise FormatError(f"the splits file can't be understood: {kind}") from error
    if not splits or len(splits) > _MOST_FOLDS:
        raise FormatError(
            f"the splits file has {len(splits)} folds; 1 to {_MOST_FOLDS} are allowed"
        )
    return splits


def check_splits(splits: Sequence[Split], rows: int, *, trains: bool = True) -> None:
    """Check that splits name rows of a dataset, each at most once, and numbers from 0 on.

    Parameters
    ----------
    splits : sequence of Split
    rows : int
        Of the dataset.
    trains : bool
        Whether each fold needs rows that train.

    Raises
    ------
    FormatError
        With the first fault.
    """
    import numpy as np

    for split in splits:
        where = f"repeat {split.repeat}, fold {split.fold}"
        for kind, members in (("train", split.train), ("test", split.test)):
            if not len(members):
                if kind == "train" and not trains:
                    continue
                raise FormatError(f"{where}: no {kind} rows")
            if members[0] < 0 or members[-1] >= rows:
                raise FormatError(f"{where}: {kind} rows must be 0 to {rows - 1}")
            if (np.diff(members) == 0).any():
                raise FormatError(f"{where}: a {kind} row is given twice")
    repeats, folds = shape(splits)
    cells = {(split.repeat, split.fold) for split in splits}
    if cells != {(repeat, fold) for repeat in range(repeats) for fold in range(folds)}:
        raise FormatError("repeats and folds must be numbered from 0 without gaps")


def shape(splits: Sequence[Split]) -> tuple[int, int]:
    """Give the numbers of repeats and of folds."""
    return max(s.repeat for s in splits) + 1, max(s.fold for s in splits) + 1


def make_splits(procedure: Procedure, dataset: Path, target: str) -> list[Split]:
    """Make the splits of a procedure, scikit-learn's with the repeat's number as seed.

    Parameters
    ----------
    procedure : Procedure
    dataset : Path
        The ARFF file.
    target : str
        The column whose classes are kept in equal shares where the procedure is stratified.

    Raises
    ------
    DataError
        If the data are too few, or the procedure needs splits of its own.
    """
    import numpy as np

    from hepml_tasks.formats.arff import read_arff
    from hepml_tasks.splits import Split, stratified_holdout, stratified_kfold

    table = read_arff(dataset).table
    everything = np.arange(table.num_rows, dtype=np.int64)
    if procedure.task_type == CLUSTERING:  # nothing is learned from labels
        return [Split(0, 0, everything[:0], everything)]
    column = table.column(target)
    if column.null_count:
        raise DataError(f"target {target!r} is undefined in {column.null_count} rows")
    rows = len(column)
    # One class for all rows: an unstratified split is a stratified one of that.
    labels = np.asarray(column.to_pylist()) if procedure.stratified else np.zeros(rows, dtype=int)
    made: list[Split] = []
    for repeat in range(procedure.repeats or 1):
        if procedure.kind == "crossvalidation":
            parts = stratified_kfold(labels, procedure.folds or 10, repeat, small_classes=True)
        elif procedure.kind == "holdout":
            tested = rows * (procedure.percentage or 33) // 100  # rounded down, as production does
            parts = [stratified_holdout(_no_single(labels), tested, repeat)]
        elif procedure.kind == "leaveoneout":
            if rows > _MOST_LEFT_OUT:
                raise DataError(f"leaving one out of {rows} rows; {_MOST_LEFT_OUT} are allowed")
            parts = [(np.delete(everything, row), everything[row : row + 1]) for row in range(rows)]
        elif procedure.kind == "holdout_ordered":
            edge = rows * (100 - (procedure.percentage or 20)) // 100 + 1
            parts = [(everything[:edge], everything[edge:])]
        elif procedure.kind == "testontrainingdata":
            raise DataError(f"{procedure.name!r} is not offered: it measures memory, not learning")
        else:
            raise DataError(
                f"{procedure.name!r} needs the splits file of the task; upload it as 'splits'"
            )
        made += [Split(repeat, fold, train, test) for fold, (train, test) in enumerate(parts)]
    return _growing(made) if procedure.task_type == LEARNING_CURVE else made


def _no_single(labels: NDArray[Any]) -> NDArray[Any]:
    """Count classes of a single row as the largest class: they can't be on both sides."""
    import numpy as np

    found, places, counts = np.unique(labels, return_inverse=True, return_counts=True)
    places = np.where(counts[places] == 1, counts.argmax(), places)
    return np.asarray(found[places])


def _growing(splits: Sequence[Split]) -> list[Split]:
    """Let each fold train on 64 rows, on the square root of two times as many, and so on to all."""
    import numpy as np

    from hepml_tasks.splits import Split

    made = []
    for split in splits:
        shuffled = np.random.default_rng([split.repeat, split.fold]).permutation(split.train)
        sizes = [round(_SMALLEST_SAMPLE * 2 ** (step / 2)) for step in range(_MOST_SAMPLES)]
        sizes = [size for size in sizes if size < len(shuffled)] + [len(shuffled)]
        made += [
            Split(split.repeat, split.fold, np.sort(shuffled[:size]), split.test, sample)
            for sample, size in enumerate(sizes)
        ]
    return made


@functools.lru_cache(maxsize=16)
def tested_rows(path: Path) -> TestRows:
    """Give the rows that a stored splits file tests; stored files never change."""
    import numpy as np

    splits = read_splits(path)
    _, folds = shape(splits)
    rows = 1 + max(int(max(s.train.max(initial=0), s.test.max(initial=0))) for s in splits)
    samples = 1 + max(s.sample for s in splits)
    empty = TestRows(frozenset(), folds, samples, rows, np.empty(0, dtype=np.int64))

    def keys_of(split: Split) -> NDArray[np.int64]:
        repeat, fold, sample = (
            np.full_like(split.test, number) for number in (split.repeat, split.fold, split.sample)
        )
        return empty.key(repeat, fold, sample, split.test)

    keys = np.concatenate([keys_of(split) for split in splits])
    cells = frozenset((s.repeat, s.fold) for s in splits)
    return TestRows(cells, folds, samples, rows, np.sort(keys))
