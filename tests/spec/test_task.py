from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from hepml_tasks.spec import Roles, find_task

COLUMNS = ["EventId", "DER_a", "PRI_b", "Weight", "KaggleWeight", "Label", "KaggleSet"]


def test_features_are_the_columns_that_a_pattern_takes_in_the_tables_order():
    roles = Roles(target="Label", positive="s", features=("PRI_*", "DER_*"), weight="Weight")
    assert roles.features_among(COLUMNS) == ("DER_a", "PRI_b")


@given(patterns=st.lists(st.sampled_from(["*", "*e*", "K*", "[A-Z]*"]), min_size=1))
def test_no_pattern_makes_a_feature_of_a_column_with_another_role(patterns):
    roles = Roles(
        target="Label",
        positive="s",
        features=tuple(patterns),
        weight="KaggleWeight",
        event_id="EventId",
        split="KaggleSet",
        exclude=("Weight",),
    )
    assert not {"Label", "KaggleWeight", "EventId", "KaggleSet", "Weight"} & set(
        roles.features_among(COLUMNS)
    )


def test_the_primary_metric_comes_first_and_once():
    names = find_task("higgsml").metrics.names
    assert names[0] == "ams"
    assert len(set(names)) == len(names)
