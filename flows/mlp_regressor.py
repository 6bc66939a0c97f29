"""A small neural network for a number, on standardised columns and a target of order one."""

from __future__ import annotations

from sklearn.compose import TransformedTargetRegressor
from sklearn.impute import SimpleImputer
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import MaxAbsScaler, StandardScaler


def build() -> TransformedTargetRegressor:
    """Return the flow: an undefined value becomes the median and a column that says so."""
    return TransformedTargetRegressor(
        regressor=Pipeline(
            [
                ("impute", SimpleImputer(strategy="median", add_indicator=True)),
                ("scale", StandardScaler()),
                (
                    "regress",
                    MLPRegressor(
                        hidden_layer_sizes=[64, 32],
                        alpha=1e-3,
                        batch_size=256,
                        early_stopping=True,
                        n_iter_no_change=4,
                        max_iter=40,
                    ),
                ),
            ]
        ),
        # OpenML takes each kind of component once in a flow, and gives tuples back as lists
        transformer=MaxAbsScaler(),
    )
