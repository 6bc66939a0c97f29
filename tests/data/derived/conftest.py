"""The events that are shifted and skewed: real ones, and toys."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import csv

from hepml_tasks.data.simulators import simulate
from hepml_tasks.data.table import without_sentinel


@pytest.fixture(scope="session")
def real(real_data: Path) -> pa.Table:
    """18,000 HiggsML events, null where undefined."""
    (file,) = (real_data / "higgsml").glob("*.csv.gz")
    return without_sentinel(csv.read_csv(file), -999.0)


@pytest.fixture(scope="session")
def toy() -> pa.Table:
    """6,000 toy events, whose derived columns are exact."""
    return without_sentinel(simulate("toy-higgs", events=6000, seed=11), -999.0)


@pytest.fixture(params=["real", "toy"])
def source(request: pytest.FixtureRequest) -> pa.Table:
    table: pa.Table = request.getfixturevalue(request.param)
    return table


def values(table: pa.Table, name: str) -> np.ndarray:
    """Return a column as float64, NaN where null."""
    return table[name].cast(pa.float64()).to_numpy(zero_copy_only=False)


@pytest.fixture(scope="session")
def column():
    return values


def _largest_difference(one: np.ndarray, other: np.ndarray) -> float:
    """Kolmogorov-Smirnov distance of two samples' last two digits."""
    ends = [np.round(np.abs(x[~np.isnan(x)]) * 1000).astype(np.int64) % 100 for x in (one, other)]
    shares = [np.cumsum(np.bincount(e, minlength=100)) / len(e) for e in ends]
    return float(np.abs(shares[0] - shares[1]).max())


@pytest.fixture(scope="session")
def digit_distance():
    return _largest_difference
