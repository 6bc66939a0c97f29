"""Splits: which rows train and which rows are tested, as arrays of row numbers."""

from __future__ import annotations

import hashlib
import os
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from hepml_tasks.errors import DataError, FormatError
from hepml_tasks.formats.arff import Attribute, read_arff, write_arff

Rows = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Split:
    """One fit and its test: a fold of a repeat.

    Parameters
    ----------
    repeat, fold : int
        From 0.
    train, test : ndarray of int64
        Row numbers in the dataset, ascending and disjoint.
    sample : int
        Of a learning curve: the place of this training set among the fold's growing ones, from 0.
    """

    repeat: int
    fold: int
    train: Rows
    test: Rows
    sample: int = 0


def stratified_kfold(
    y: npt.ArrayLike, folds: int, seed: int, *, small_classes: bool = False
) -> list[tuple[Rows, Rows]]:
    """Split rows into folds with the classes in equal shares.

    Parameters
    ----------
    y : array-like of shape (n_events,)
        Class labels.
    folds : int
        At least 2.
    seed : int
        Equal seeds give the folds of scikit-learn's shuffled `StratifiedKFold`.
    small_classes : bool
        Let a class have fewer events than there are folds: some tests lack it then. One class
        at least has enough.

    Returns
    -------
    list of (train, test)

    Raises
    ------
    DataError
        If a class has fewer events than there are folds.
    """
    from sklearn.model_selection import StratifiedKFold

    y = np.asarray(y)
    _check_classes(y, folds, largest=small_classes)
    splitter = StratifiedKFold(folds, shuffle=True, random_state=seed)
    with warnings.catch_warnings():
        # of a small class scikit-learn warns, which was asked for
        warnings.filterwarnings("ignore", "The least populated class", UserWarning)
        return [
            (np.asarray(train, dtype=np.int64), np.asarray(test, dtype=np.int64))
            for train, test in splitter.split(np.zeros((len(y), 1)), y)
        ]


def stratified_holdout(y: npt.ArrayLike, fraction: float, seed: int) -> tuple[Rows, Rows]:
    """Hold back a share of the rows for the test, with the classes in equal shares.

    Parameters
    ----------
    y : array-like of shape (n_events,)
    fraction : float or int
        The test share, between 0 and 1, or a whole number of rows.
    seed : int
        Equal seeds give the rows of scikit-learn's `StratifiedShuffleSplit`.

    Returns
    -------
    (train, test)

    Raises
    ------
    DataError
        If a class has a single event, or there are more classes than rows on a side.
    """
    from sklearn.model_selection import StratifiedShuffleSplit

    y = np.asarray(y)
    _check_classes(y, 2)
    splitter = StratifiedShuffleSplit(1, test_size=fraction, random_state=seed)
    try:
        train, test = next(splitter.split(np.zeros((len(y), 1)), y))
    except ValueError as error:
        raise DataError(f"{len(y)} events are too few for a hold-out of {fraction}") from error
    return np.sort(train).astype(np.int64), np.sort(test).astype(np.int64)


def plain_kfold(events: int, folds: int, seed: int) -> list[tuple[Rows, Rows]]:
    """Split rows into folds where there are no classes.

    Parameters
    ----------
    events : int
        Number of rows.
    folds : int
        At least 2.
    seed : int
        Equal seeds give the folds of scikit-learn's shuffled `KFold`.

    Returns
    -------
    list of (train, test)

    Raises
    ------
    DataError
        If there are fewer events than folds.
    """
    from sklearn.model_selection import KFold

    _check_number(events, folds)
    splitter = KFold(folds, shuffle=True, random_state=seed)
    return [
        (np.asarray(train, dtype=np.int64), np.asarray(test, dtype=np.int64))
        for train, test in splitter.split(np.zeros((events, 1)))
    ]


def plain_holdout(events: int, fraction: float, seed: int) -> tuple[Rows, Rows]:
    """Hold back a share of the rows for the test where there are no classes.

    Parameters
    ----------
    events : int
        Number of rows.
    fraction : float
        The test share, between 0 and 1.
    seed : int
        Equal seeds give the rows of scikit-learn's `ShuffleSplit`.

    Returns
    -------
    (train, test)
    """
    from sklearn.model_selection import ShuffleSplit

    _check_number(events, 2)
    splitter = ShuffleSplit(1, test_size=fraction, random_state=seed)
    train, test = next(splitter.split(np.zeros((events, 1))))
    return np.sort(train).astype(np.int64), np.sort(test).astype(np.int64)


def of_groups(group: npt.ArrayLike, parts: Sequence[tuple[Rows, Rows]]) -> list[tuple[Rows, Rows]]:
    """Turn a split of groups into the split of their rows: no group is torn apart.

    Parameters
    ----------
    group : array-like of int, shape (n_events,)
        Each row's group, by numbers from 0 without gaps.
    parts : sequence of (train, test)
        Numbers of groups, such as `plain_kfold` gives them for as many events as there are groups.

    Returns
    -------
    list of (train, test)
    """
    numbers = np.asarray(group)
    return [
        (
            np.flatnonzero(np.isin(numbers, train)).astype(np.int64),
            np.flatnonzero(np.isin(numbers, test)).astype(np.int64),
        )
        for train, test in parts
    ]


def check_whole(group: npt.ArrayLike, train: Rows, test: Rows) -> None:
    """Check that no group trains and is tested.

    Raises
    ------
    DataError
        Names a row of such a group.
    """
    numbers = np.asarray(group)
    torn = np.flatnonzero(np.isin(numbers[test], numbers[train]))
    if len(torn):
        raise DataError(
            f"row {test[torn[0]]} is tested and others of its group train; a split has to keep"
            " groups whole"
        )


def by_column(
    column: npt.ArrayLike, train: Sequence[str], test: Sequence[str]
) -> tuple[Rows, Rows]:
    """Split by what a column says of each row, as official splits do.

    Parameters
    ----------
    column : array-like of shape (n_events,)
    train, test : sequence of str
        The values that mark rows for training and for the test; other rows take no part.
    """
    values = np.asarray(column).astype(str)
    picked = (np.flatnonzero(np.isin(values, list(v))).astype(np.int64) for v in (train, test))
    train_rows, test_rows = picked
    for name, rows, wanted in (("train", train_rows, train), ("test", test_rows, test)):
        if not len(rows):
            raise DataError(
                f"the split column has no row marked {' or '.join(wanted)} ({name});"
                f" it holds {', '.join(sorted(set(values))[:10])}"
            )
    return train_rows, test_rows


def _check_number(events: int, needed: int) -> None:
    if events < needed:
        raise DataError(f"{events} events are too few for {needed} parts; use fewer folds")


def _check_classes(y: npt.NDArray[np.generic], needed: int, *, largest: bool = False) -> None:
    """Check that the smallest class, or only the largest, has enough events."""
    labels, counts = np.unique(y, return_counts=True)
    which = counts.argmax() if largest else counts.argmin()
    if counts[which] < needed:
        raise DataError(
            f"class {labels[which]!s} has {counts[which]} events, too few for {needed} parts;"
            " use fewer folds or more events"
        )


def splits_sha256(splits: Sequence[Split]) -> str:
    """Return a checksum of which rows train and are tested in which fold.

    Parameters
    ----------
    splits : sequence of Split

    Returns
    -------
    str
        Hexadecimal sha256.
    """
    digest = hashlib.sha256()
    for split in splits:
        head: tuple[int, ...] = (split.repeat, split.fold, len(split.train), len(split.test))
        if split.sample:  # else the checksum is that from before there were samples
            head = (*head, split.sample)
        for rows in (head, split.train, split.test):
            digest.update(np.asarray(rows, dtype="<i8").tobytes())
    return digest.hexdigest()


def is_curve(splits: Iterable[Split]) -> bool:
    """Say whether splits are those of a learning curve, with several training sets a fold."""
    return any(split.sample for split in splits)


def last_samples(splits: Iterable[Split]) -> list[Split]:
    """Keep of each fold the split that trains on all of its rows, the end of a learning curve."""
    last: dict[tuple[int, int], Split] = {}
    for split in splits:
        key = (split.repeat, split.fold)
        if key not in last or split.sample > last[key].sample:
            last[key] = split
    return list(last.values())


_ATTRIBUTES = (
    Attribute("type", "nominal", ("TRAIN", "TEST")),
    Attribute("rowid", "numeric"),
    Attribute("repeat", "numeric"),
    Attribute("fold", "numeric"),
)
_SAMPLE = Attribute("sample", "numeric")


def write_split_arff(
    path: str | os.PathLike[str], splits: Sequence[Split], *, relation: str = "splits"
) -> None:
    """Write splits as the ARFF file that OpenML serves at a task's ``data_splits_url``.

    Parameters
    ----------
    path : path-like
    splits : sequence of Split
        Those of a learning curve get a further column, ``sample``.
    relation : str
    """
    table = _split_table(splits)
    attributes = [a for a in (*_ATTRIBUTES, _SAMPLE) if a.name in table.column_names]
    write_arff(table, path, relation=relation, attributes=attributes)


def _split_table(splits: Sequence[Split]) -> pa.Table:
    attributes = (*_ATTRIBUTES, _SAMPLE) if is_curve(splits) else _ATTRIBUTES
    parts = [
        pa.table(
            {
                "type": pa.array([kind] * len(rows), pa.string()),
                "rowid": pa.array(rows, pa.int64()),
                "repeat": pa.array(np.full(len(rows), split.repeat)),
                "fold": pa.array(np.full(len(rows), split.fold)),
                "sample": pa.array(np.full(len(rows), split.sample)),
            }
        ).select([a.name for a in attributes])
        for split in splits
        for kind, rows in (("TRAIN", split.train), ("TEST", split.test))
    ]
    return pa.concat_tables(parts)


def write_split_parquet(path: str | os.PathLike[str], splits: Sequence[Split]) -> None:
    """Write splits with the columns of `write_split_arff`, but as Parquet: for very many rows.

    Parameters
    ----------
    path : path-like
    splits : sequence of Split
    """
    from pyarrow import parquet

    parquet.write_table(_split_table(splits), path, compression="zstd")


def read_split_file(path: str | os.PathLike[str]) -> list[Split]:
    """Read splits from ARFF or, where the name ends in ``.parquet``, from Parquet.

    Raises
    ------
    FormatError
        As `read_split_arff`.
    """
    if not os.fspath(path).endswith(".parquet"):
        return read_split_arff(path)
    from hepml_tasks.formats.flat import read_flat

    return _splits_in(read_flat(path, [a.name for a in _ATTRIBUTES]), path)


def read_split_arff(path: str | os.PathLike[str]) -> list[Split]:
    """Read the splits that `write_split_arff`, or an OpenML server, wrote.

    Raises
    ------
    FormatError
        If a column is missing or a row trains and is tested in the same fold.
    """
    return _splits_in(read_arff(path).table, path)


def _splits_in(table: pa.Table, path: str | os.PathLike[str]) -> list[Split]:
    names = {name.casefold(): name for name in table.column_names}
    missing = {"type", "rowid", "repeat", "fold"} - set(names)
    if missing:
        raise FormatError(f"{path}: not a splits file, column {sorted(missing)[0]!r} is missing")
    is_test = table[names["type"]].to_numpy(zero_copy_only=False) == "TEST"
    row = table[names["rowid"]].to_numpy().astype(np.int64)
    repeat = table[names["repeat"]].to_numpy().astype(np.int64)
    fold = table[names["fold"]].to_numpy().astype(np.int64)
    sample = np.zeros_like(fold)
    if "sample" in names:
        sample = table[names["sample"]].to_numpy().astype(np.int64)
    splits = []
    cells = zip(repeat.tolist(), fold.tolist(), sample.tolist(), strict=True)
    for r, f, s in sorted(set(cells)):
        here = (repeat == r) & (fold == f) & (sample == s)
        train, test = np.sort(row[here & ~is_test]), np.sort(row[here & is_test])
        both = np.intersect1d(train, test)
        if len(both):
            raise FormatError(f"{path}: row {both[0]} trains and is tested in repeat {r}, fold {f}")
        splits.append(Split(r, f, train, test, s))
    return splits
