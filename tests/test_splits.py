from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.model_selection import StratifiedKFold

from hepml_tasks.errors import DataError, FormatError
from hepml_tasks.splits import (
    Split,
    by_column,
    check_whole,
    is_curve,
    last_samples,
    of_groups,
    plain_kfold,
    read_split_arff,
    read_split_file,
    stratified_holdout,
    stratified_kfold,
    write_split_arff,
    write_split_parquet,
)

Y = np.array(["b"] * 70 + ["s"] * 30)


@given(
    signal=st.integers(10, 60),
    background=st.integers(10, 60),
    folds=st.integers(2, 10),
    seed=st.integers(0, 99),
)
def test_folds_test_every_event_once_and_never_on_a_training_event(signal, background, folds, seed):
    y = np.array(["s"] * signal + ["b"] * background)
    parts = stratified_kfold(y, folds, seed)
    assert np.array_equal(np.sort(np.concatenate([test for _, test in parts])), np.arange(len(y)))
    for train, test in parts:
        assert not np.intersect1d(train, test).size
        assert len(train) + len(test) == len(y)
        assert abs((y[test] == "s").mean() - signal / len(y)) <= 1 / len(test)


def test_folds_are_those_of_scikit_learn_for_the_same_seed():
    ours = stratified_kfold(Y, 5, seed=7)
    theirs = StratifiedKFold(5, shuffle=True, random_state=7).split(np.zeros((len(Y), 1)), Y)
    for (train, test), (train2, test2) in zip(ours, theirs, strict=True):
        assert np.array_equal(train, train2)
        assert np.array_equal(test, test2)


def test_a_holdout_has_the_share_and_the_classes_that_were_asked_for():
    train, test = stratified_holdout(Y, 0.3, seed=0)
    assert len(test) == 30
    assert (Y[test] == "s").sum() == 9
    assert np.array_equal(np.sort(np.concatenate([train, test])), np.arange(100))


def test_an_official_split_takes_the_marked_rows_and_leaves_out_the_others():
    column = ["t", "b", "u", "v", "t"]
    train, test = by_column(column, ["t"], ["b", "v"])
    assert train.tolist() == [0, 4]
    assert test.tolist() == [1, 3]


def test_an_official_split_whose_mark_is_nowhere_says_what_the_column_holds():
    with pytest.raises(DataError, match="no row marked v .test.; it holds b, t"):
        by_column(["t", "b"], ["t"], ["v"])


def test_a_class_that_is_too_small_for_the_folds_is_named():
    with pytest.raises(DataError, match="class s has 3 events, too few for 5 parts"):
        stratified_kfold(np.array(["b"] * 20 + ["s"] * 3), 5, 0)


def test_a_class_may_be_too_small_where_that_is_asked_for():
    y = np.array(["b"] * 20 + ["s"] * 3)
    parts = stratified_kfold(y, 5, 0, small_classes=True)
    assert np.array_equal(np.sort(np.concatenate([test for _, test in parts])), np.arange(23))
    with pytest.raises(DataError, match="class b has 20 events, too few for 30 parts"):
        stratified_kfold(y, 30, 0, small_classes=True)


def test_a_learning_curve_comes_back_with_its_samples_and_ends_with_the_last(tmp_path: Path):
    curve = [
        Split(0, fold, np.arange(2, size), np.array([fold]), sample)
        for fold in (0, 1)
        for sample, size in enumerate((4, 6, 9))
    ]
    write_split_arff(tmp_path / "splits.arff", curve)
    back = read_split_arff(tmp_path / "splits.arff")
    assert [(s.fold, s.sample, len(s.train)) for s in back] == [
        (0, 0, 2),
        (0, 1, 4),
        (0, 2, 7),
        (1, 0, 2),
        (1, 1, 4),
        (1, 2, 7),
    ]
    assert [(s.fold, s.sample) for s in last_samples(back)] == [(0, 2), (1, 2)]
    assert is_curve(back)
    assert not is_curve(curve[:1])


def test_a_splits_file_comes_back_as_it_was_written(tmp_path: Path):
    splits = [Split(0, f, *rows) for f, rows in enumerate(stratified_kfold(Y, 4, 0))]
    write_split_arff(tmp_path / "splits.arff", splits)
    back = read_split_arff(tmp_path / "splits.arff")
    assert [(s.repeat, s.fold) for s in back] == [(0, 0), (0, 1), (0, 2), (0, 3)]
    for one, other in zip(splits, back, strict=True):
        assert np.array_equal(one.train, other.train)
        assert np.array_equal(one.test, other.test)


def test_a_production_servers_splits_file_is_read(real_data: Path):
    splits = read_split_arff(real_data / "openml_fixtures" / "tasks__1__datasplits.arff")
    assert [s.fold for s in splits] == list(range(10))
    tested = np.concatenate([s.test for s in splits])
    assert np.array_equal(np.sort(tested), np.arange(len(tested)))


def test_a_splits_file_in_which_a_row_trains_and_is_tested_is_refused(tmp_path: Path):
    rows = np.arange(4)
    write_split_arff(tmp_path / "splits.arff", [Split(0, 0, rows, rows[:1])])
    with pytest.raises(FormatError, match="row 0 trains and is tested in repeat 0, fold 0"):
        read_split_arff(tmp_path / "splits.arff")


@given(sizes=st.lists(st.integers(1, 20), min_size=4, max_size=30), seed=st.integers(0, 99))
def test_groups_are_tested_whole_and_once(sizes, seed):
    group = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(sizes)), sizes))
    parts = of_groups(group, plain_kfold(len(sizes), 4, seed))
    assert np.array_equal(np.sort(np.concatenate([t for _, t in parts])), np.arange(len(group)))
    for train, test in parts:
        assert not np.intersect1d(group[train], group[test]).size
        check_whole(group, train, test)


def test_a_group_that_trains_and_is_tested_is_told():
    with pytest.raises(DataError, match="row 2 is tested and others of its group train"):
        check_whole([0, 0, 1, 1], np.array([0, 1, 3]), np.array([2]))


def test_splits_come_back_from_parquet(tmp_path: Path):
    splits = [Split(0, 0, np.empty(0, dtype=np.int64), np.arange(5))]
    write_split_parquet(tmp_path / "splits.parquet", splits)
    (back,) = read_split_file(tmp_path / "splits.parquet")
    assert back.train.size == 0
    assert np.array_equal(back.test, np.arange(5))
