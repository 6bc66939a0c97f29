"""Classification without labels: a window in a mass against its side bands.

A resonance makes a window of the mass richer in signal than the side bands next to it. A classifier
that tells the events of the window from those of the bands, by columns that don't depend on the
mass among the background, then learns what the signal looks like, and no label was needed.

E. M. Metodiev, B. Nachman, J. Thaler, JHEP 10 (2017) 174, arXiv:1708.02949; the hunt for a bump:
J. H. Collins, K. Howe, B. Nachman, Phys. Rev. Lett. 121 (2018) 241803, arXiv:1805.02664.
"""

from __future__ import annotations

import fnmatch
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, clone
from sklearn.ensemble import GradientBoostingClassifier
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

from hepml_tasks.errors import FlowError, nearest
from hepml_tasks.flows.anomaly import AnomalyDetector
from hepml_tasks.flows.weighted import balanced, weight_argument

Floats = npt.NDArray[np.float64]


class MassWindow(BaseEstimator):  # type: ignore[misc] # untyped base
    """Whether a mass lies in a window, and nothing else: a hunt for a bump.

    Parameters
    ----------
    column : str
        The column with the mass.
    low, high : float
        The window, in the column's unit.
    """

    def __init__(self, column: str = "", low: float = 0.0, high: float = 0.0) -> None:
        self.column = column
        self.low = low
        self.high = high

    def fit(self, X: Any, y: Any = None) -> MassWindow:
        """Check that there is such a column."""
        del y
        _masses(X, self.column)
        self.n_features_in_ = X.shape[1]
        return self

    def score_samples(self, X: Any) -> Floats:
        """Return -1 within the window and 0 outside, of shape (n_events,)."""
        check_is_fitted(self, "n_features_in_")
        return -_between(_masses(X, self.column), self.low, self.high).astype(np.float64)


class WindowAgainstBands(BaseEstimator):  # type: ignore[misc] # untyped base
    """A classifier of events in a mass window against those in its side bands.

    Parameters
    ----------
    estimator : classifier
        Takes `sample_weight`, or is a pipeline whose last step does: both regions count the same in
        its fit.
    column : str
        The column with the mass; the estimator doesn't see it.
    low, high : float
        The window, in the column's unit.
    band_low, band_high : float
        Where the side bands end.
    features : list of str, optional
        The columns, or patterns of them, that the estimator sees. They should not tell the mass;
        all others by default.
    """

    def __init__(
        self,
        estimator: Any = None,
        column: str = "",
        low: float = 0.0,
        high: float = 0.0,
        band_low: float = 0.0,
        band_high: float = 0.0,
        features: list[str] | None = None,
    ) -> None:
        self.estimator = estimator
        self.column = column
        self.low = low
        self.high = high
        self.band_low = band_low
        self.band_high = band_high
        self.features = features

    def fit(self, X: Any, y: Any = None) -> WindowAgainstBands:
        """Fit the classifier to the two regions.

        Parameters
        ----------
        X : DataFrame of shape (n_events, n_features)
        y : ignored

        Raises
        ------
        FlowError
            For a column that isn't there, a window outside of its bands, or an empty region.
        """
        del y
        if self.estimator is None:
            raise FlowError("estimator: WindowAgainstBands needs the classifier that it fits")
        if not self.band_low < self.low < self.high < self.band_high:
            raise FlowError(
                f"the window {self.low:g} to {self.high:g} has to lie within its bands, which end"
                f" at {self.band_low:g} and {self.band_high:g}"
            )
        mass = _masses(X, self.column)
        self.features_ = self._find_features(list(X.columns))
        near = _between(mass, self.band_low, self.band_high)
        inside = _between(mass[near], self.low, self.high).astype(np.int64)
        for name, count in (("window", inside.sum()), ("side bands", (1 - inside).sum())):
            if not count:
                raise FlowError(f"no event has a {self.column} in the {name}")
        weight = balanced(inside, np.ones(len(inside)))
        self.estimator_ = clone(self.estimator)
        options = {weight_argument(self.estimator_): weight}
        self.estimator_.fit(X.loc[near, self.features_], inside, **options)
        self.n_features_in_ = X.shape[1]
        return self

    def score_samples(self, X: Any) -> Floats:
        """Return minus the score, of shape (n_events,).

        It is between 0.5 and 1 in the window, the more the likelier the classifier finds it, and
        below 0.5 elsewhere: what is searched for is in the window.
        """
        check_is_fitted(self)
        inside = _between(_masses(X, self.column), self.low, self.high)
        score = np.asarray(self.estimator_.predict_proba(X[self.features_])[:, 1], dtype=np.float64)
        return np.asarray(-(score + inside) / 2)

    def _find_features(self, columns: list[str]) -> list[str]:
        patterns = ["*"] if self.features is None else self.features
        for pattern in patterns:
            if not fnmatch.filter(columns, pattern):
                raise FlowError(
                    f"features: no column is like {pattern!r}{nearest(pattern, columns)}"
                )
        return [
            c
            for c in columns
            if c != self.column and any(fnmatch.fnmatchcase(c, p) for p in patterns)
        ]


def _masses(X: Any, column: str) -> Floats:
    columns = list(getattr(X, "columns", []))
    if column not in columns:
        raise FlowError(
            f"column: the events have no column {column!r}{nearest(column, columns)}; the window is"
            " one in a named column of a DataFrame"
        )
    return np.asarray(X[column], dtype=np.float64)


def _between(mass: Floats, low: float, high: float) -> npt.NDArray[np.bool_]:
    # an undefined mass is nowhere
    return (mass > low) & (mass < high)


def build() -> AnomalyDetector:
    """Return the flow, for a resonance at a collinear mass of about 400 GeV.

    It looks at jets and angles: momenta and masses grow with the mass that is searched in.
    """
    # a region has a few hundred events: trees that are grown row by row are faster there
    trees = GradientBoostingClassifier(
        n_estimators=60, learning_rate=0.06, max_leaf_nodes=8, min_samples_leaf=20, subsample=0.7
    )
    absent = SimpleImputer(strategy="constant", fill_value=-999.0)
    return AnomalyDetector(
        WindowAgainstBands(
            Pipeline([("impute", absent), ("classify", trees)]),
            column="DER_mass_col",
            low=340.0,
            high=480.0,
            band_low=200.0,
            band_high=800.0,
            features=["PRI_jet_*", "DER_*_jet_jet", "DER_lep_eta_centrality"],
        )
    )
