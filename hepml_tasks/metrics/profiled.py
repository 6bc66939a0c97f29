r"""Discovery significance of a binned score with its nuisances profiled.

The model is that of HistFactory: in each bin
:math:`\nu_i = \mu s_i + \gamma_i\,(b_i + \Delta_i(\alpha))`, with a Poisson-constrained
:math:`\gamma_i` for the background's own uncertainty and a unit-Gaussian :math:`\alpha_k` for each
systematic variation, which moves the background between its templates (code 4p: linear beyond
one standard deviation, a smooth polynomial within).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from hepml_tasks.errors import MetricError
from hepml_tasks.metrics.arrays import Floats, numbers
from hepml_tasks.metrics.significance import asimov_significance


def _counts(name: str, values: ArrayLike, size: int | None = None) -> Floats:
    result = numbers(name, values, size)
    if result.min() < 0:
        raise MetricError(f"{name} has the value {result.min():g}; pass expected counts")
    return result


def profiled_significance(
    signal: ArrayLike,
    background: ArrayLike,
    *,
    background_uncertainty: ArrayLike | None = None,
    variations: Sequence[tuple[ArrayLike, ArrayLike]] = (),
    observed: ArrayLike | None = None,
) -> float:
    r"""Significance :math:`\sqrt{q_0}` of a histogram, its nuisance parameters profiled.

    For a physicist: the discovery significance that a HistFactory model of one channel gives,
    with ``shapesys`` and ``histosys`` (interpolation 4p, pyhf's default) on the background. For
    an ML reader: a likelihood-ratio test of the score's histogram that knows how uncertain the
    background is.

    Parameters
    ----------
    signal, background : array-like of shape (n_bins,)
        Expected counts, not negative; a bin with signal needs background.
    background_uncertainty : array-like of shape (n_bins,), optional
        Standard uncertainty of each bin's background, independent between bins.
    variations : sequence of (up, down)
        Background templates, each of shape (n_bins,), at plus and minus one standard deviation
        of a nuisance that moves all bins together.
    observed : array-like of shape (n_bins,), optional
        Counts; without, the Asimov data ``signal + background``, which gives the median expected
        significance.

    Returns
    -------
    float
        0 where the data lie below the background.

    Raises
    ------
    MetricError
        When an array isn't usable or a bin has signal but no background.

    References
    ----------
    G. Cowan et al., arXiv:1007.1727; K. Cranmer et al., HistFactory, CERN-OPEN-2012-016.

    Examples
    --------
    >>> round(profiled_significance([10.0], [50.0], background_uncertainty=[5.0]), 6)
    1.107366
    """
    s = _counts("signal", signal)
    b = _counts("background", background, s.size)
    if np.any((b == 0) & (s > 0)):
        bad = int(np.flatnonzero((b == 0) & (s > 0))[0])
        raise MetricError(f"background is 0 in bin {bad}, which has signal; merge bins")
    sigma = np.zeros(s.size)
    if background_uncertainty is not None:
        sigma = _counts("background_uncertainty", background_uncertainty, s.size)
    ups = [numbers("variations", up, s.size) - b for up, _ in variations]
    downs = [b - numbers("variations", down, s.size) for _, down in variations]
    n = s + b if observed is None else _counts("observed", observed, s.size)
    if observed is None and not ups:
        # bins are independent and the formula is exact
        return float(np.linalg.norm(np.atleast_1d(asimov_significance(s, b, sigma_b=sigma))))
    used = b > 0
    model = _Model(
        s[used],
        b[used],
        sigma[used],
        np.array(ups).reshape(-1, s.size)[:, used],
        np.array(downs).reshape(-1, s.size)[:, used],
        n[used],
    )
    background_only = model.minimum(0.0)
    if observed is None:
        # the Asimov data are where the nominal model is the best fit
        best = model.value(1.0, np.zeros(len(ups)))
    else:
        best, strength = model.best()
        if strength <= 0:
            return 0.0
    return math.sqrt(max(0.0, 2 * (background_only - best)))


# the gradient is fast, the simplex isn't misled by a wall
_MINIMISERS = (
    ("BFGS", {"gtol": 1e-8}),
    ("Nelder-Mead", {"xatol": 1e-8, "fatol": 1e-11, "maxiter": 2000, "adaptive": True}),
)


class _Model:
    """Negative log-likelihood of the histogram, the bins' own nuisances profiled exactly."""

    def __init__(
        self, s: Floats, b: Floats, sigma: Floats, up: Floats, down: Floats, n: Floats
    ) -> None:
        self.s, self.b, self.up, self.down, self.n = s, b, up, down, n
        self.fixed = sigma == 0
        with np.errstate(divide="ignore"):
            self.tau = np.where(self.fixed, 1.0, np.square(b / np.where(self.fixed, 1.0, sigma)))

    def value(self, mu: float, alpha: Floats) -> float:
        """Give the negative logarithm of the likelihood, without constants."""
        b = self.b + self._shift(alpha)
        if np.any(b <= 0):
            return math.inf
        s, n, tau = mu * self.s, self.n, self.tau
        # d/dγ = 0 is a quadratic equation with one positive root
        p, q, r = (b + tau) * b, n * b - (b + tau) * s + tau * b, tau * s
        gamma = (q + np.sqrt(q * q + 4 * p * r)) / (2 * p)
        gamma = np.where(self.fixed, 1.0, gamma)
        nu = s + gamma * b
        if np.any(nu <= 0):
            return math.inf
        poisson = nu - n - np.where(n > 0, n * np.log(nu / np.where(n > 0, n, 1.0)), 0.0)
        constraint = np.where(self.fixed, 0.0, tau * (gamma - 1 - np.log(gamma)))
        return float(poisson.sum() + constraint.sum() + 0.5 * alpha @ alpha)

    def _shift(self, alpha: Floats) -> Floats:
        """Give the change of the background: HistFactory's interpolation 4p."""
        a = alpha[:, np.newaxis]
        line = np.where(a >= 0, self.up, self.down)
        mean, bend = (self.up + self.down) / 2, (self.up - self.down) / 16
        smooth = mean + a * bend * (15 + a * a * (3 * a * a - 10))
        return np.asarray((a * np.where(np.abs(a) < 1, smooth, line)).sum(axis=0))

    def minimum(self, mu: float) -> float:
        """Minimise over the nuisances for a given signal strength."""
        from scipy.optimize import minimize

        size = len(self.up)
        best = self.value(mu, np.zeros(size))
        if not size:
            return best

        def function(alpha: Floats) -> float:
            # a background below zero is a wall
            return min(self.value(mu, alpha), 1e12)

        start = np.zeros(size)
        for method, options in _MINIMISERS:
            result = minimize(function, start, method=method, options=options)  # type: ignore[call-overload] # stubs
            if result.fun < best:
                best, start = float(result.fun), result.x
        return best

    def best(self) -> tuple[float, float]:
        """Minimise over the signal strength too; give the minimum and the strength."""
        from scipy.optimize import minimize_scalar

        lower = -float(np.min(self.b / np.where(self.s > 0, self.s, 1e-300), initial=1e300))
        lower = max(lower, -10.0)
        upper = max(10.0, 3 * float(self.n.sum() / max(self.s.sum(), 1e-300)))
        result = minimize_scalar(
            lambda mu: min(self.minimum(mu), 1e12),
            bounds=(lower, upper),
            method="bounded",
            options={"xatol": 1e-7},
        )
        return float(result.fun), float(result.x)
