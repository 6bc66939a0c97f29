from __future__ import annotations

import numpy as np
import pytest

from hepml_tasks.data.checksum import table_sha256
from hepml_tasks.data.simulators import simulate
from hepml_tasks.data.simulators.toy_higgs_events import FEATURES, Detector
from hepml_tasks.data.simulators.toy_mass import VERSION, mass_block
from hepml_tasks.errors import DataError


@pytest.fixture(scope="module")
def events():
    return simulate("toy-higgs-mass", events=20_000, seed=3).to_pandas()


def test_true_masses_lie_between_their_limits_and_none_is_preferred(events):
    mass = events["Mass"]
    assert mass.between(60, 180).all()
    # the selection keeps more of the heavy ones, and no peak is left
    counts, _ = np.histogram(mass, bins=12, range=(60, 180))
    assert (np.diff(counts[:8]) > 0).all()
    assert counts.max() < 2.5 * np.median(counts)


def test_the_columns_are_those_of_toy_higgs_and_the_target(events):
    other = simulate("toy-higgs", events=100, seed=3).column_names
    assert list(events) == [c for c in other if c not in {"Weight", "Label", "Process"}] + ["Mass"]


def test_the_collinear_mass_says_much_of_the_true_one_and_the_visible_mass_is_below_it(events):
    defined = events[events["DER_mass_collinear"] > 0] if "DER_mass_collinear" in events else events
    assert (events["DER_mass_vis"] < 1.3 * events["Mass"]).mean() > 0.97
    assert defined["DER_mass_vis"].corr(defined["Mass"]) > 0.6


def test_the_same_seed_gives_the_same_table_and_fewer_events_are_the_first_of_more():
    many, few = (simulate("toy-higgs-mass", events=n, seed=5) for n in (3000, 1000))
    assert table_sha256(many.slice(0, 1000)) == table_sha256(few)
    other = simulate("toy-higgs-mass", events=1000, seed=6)
    assert table_sha256(other) != table_sha256(few)


def test_the_same_seed_gives_the_same_table_whatever_the_workers(events):
    digests = {
        table_sha256(simulate("toy-higgs-mass", events=20_000, seed=3, workers=n))
        for n in (1, 2, 5)
    }
    assert len(digests) == 1


def test_blocks_made_in_any_order_hold_the_rows_of_the_table(events):
    blocks = {block: mass_block(block, 3, Detector()) for block in (2, 0, 1)}
    for name in (*FEATURES, "Mass"):
        joined = np.concatenate([blocks[block][name] for block in sorted(blocks)])
        np.testing.assert_array_equal(joined, events[name][: len(joined)], err_msg=name)


def test_events_change_only_with_the_version():
    # Whoever must change this digest raises VERSION.
    assert VERSION == "1"
    assert (
        table_sha256(simulate("toy-higgs-mass", events=1000, seed=1))
        == "37b59705a3eb22e4ca3680088518e750e0fc9d7cb06bf8ab40b9d9c5f97e705d"
    )


@pytest.mark.parametrize(
    ("name", "value"), [("events", 0), ("seed", -1), ("events", 1.5), ("workers", 0)]
)
def test_a_number_that_is_none_is_named(name, value):
    with pytest.raises(DataError, match=f"toy-higgs-mass: {name} is {value}"):
        simulate("toy-higgs-mass", **{"events": 10, "seed": 0, name: value})
