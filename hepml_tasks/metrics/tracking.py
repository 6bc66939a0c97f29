"""Track reconstruction: the score of the TrackML challenge."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hepml_tasks.errors import MetricError
from hepml_tasks.metrics.arrays import Bools, Floats, Ints, vector, weights
from hepml_tasks.metrics.registry import register


def matched_hits(track: Ints, particle: Ints) -> Bools:
    """Say which hits are on a track that matches their particle.

    Parameters
    ----------
    track, particle : ndarray of int, shape (n_hits,)
        Ids from 0 without gaps.

    Returns
    -------
    ndarray of bool, shape (n_hits,)
        True where more than half of the track's hits are the particle's and more than half of
        the particle's hits are the track's.
    """
    from scipy import sparse

    of_track, of_particle = np.bincount(track), np.bincount(particle)
    # a table of tracks and particles counts the hits in common much faster than a sort does
    ones = np.ones(track.size, dtype=np.int64)
    common = sparse.coo_array((ones, (track, particle))).tocsr()
    common.sum_duplicates()
    which = np.repeat(np.arange(of_track.size), np.diff(common.indptr))
    whose, together = common.indices, common.data
    # a pair that matches is on both sides a majority, so a track has at most one partner
    good = (2 * together > of_track[which]) & (2 * together > of_particle[whose])
    partner = np.full(of_track.size, -1)
    partner[which[good]] = whose[good]
    return np.asarray(partner[track] == particle)


def _dense(name: str, ids: ArrayLike, size: int | None = None) -> tuple[Ints, int]:
    """Give ids as numbers from 0 in the order in which they appear."""
    array = vector(name, ids, size)
    if array.dtype.kind == "f" and not np.all(np.isfinite(array)):
        raise MetricError(f"{name} has values that aren't finite; pass an id per hit")
    import pandas as pd

    codes, distinct = pd.factorize(array)
    if codes.min() < 0:
        raise MetricError(f"{name} has missing values; pass an id per hit")
    return codes.astype(np.intp, copy=False), len(distinct)


def event_scores(
    particle_id: ArrayLike,
    track_id: ArrayLike,
    *,
    sample_weight: ArrayLike | None = None,
    event_id: ArrayLike | None = None,
) -> tuple[NDArray[Any], Floats]:
    """Give the TrackML score of each event, with the events' ids.

    Parameters
    ----------
    particle_id, track_id, sample_weight, event_id : array-like of shape (n_hits,)
        As for :func:`trackml_score`.

    Returns
    -------
    ids : ndarray of shape (n_events,)
    scores : ndarray of shape (n_events,)

    Raises
    ------
    MetricError
        As :func:`trackml_score`.
    """
    particle, n_particles = _dense("particle_id", particle_id)
    track, n_tracks = _dense("track_id", track_id, particle.size)
    hit_weights = weights(sample_weight, particle.size)
    if event_id is None:
        event, ids = np.zeros(particle.size, dtype=np.intp), np.zeros(1, dtype=np.intp)
    else:
        event, n_events = _dense("event_id", event_id, particle.size)
        ids = np.empty(n_events, dtype=np.asarray(event_id).dtype)
        ids[event] = np.asarray(event_id)
        # the same id in two events is two particles
        particle, _ = _dense("particle_id", event * n_particles + particle)
        track, _ = _dense("track_id", event * n_tracks + track)
    matched = matched_hits(track, particle)
    total = np.bincount(event, weights=hit_weights)
    if not np.all(total > 0) or not np.all(np.isfinite(total)):
        bad = int(np.flatnonzero(~(total > 0) | ~np.isfinite(total))[0])
        raise MetricError(
            f"sample_weight sums to {total[bad]:g} in event {ids[bad]}; "
            "an event needs a positive, finite total"
        )
    return ids, np.bincount(event, weights=hit_weights * matched) / total


def _units(
    y_true: ArrayLike,
    y_pred: ArrayLike,
    *,
    sample_weight: ArrayLike | None = None,
    event_id: ArrayLike | None = None,
) -> tuple[NDArray[Any], Floats]:
    return event_scores(y_true, y_pred, sample_weight=sample_weight, event_id=event_id)


def trackml_score(
    track_id: ArrayLike,
    particle_id: ArrayLike,
    *,
    sample_weight: ArrayLike | None = None,
    event_id: ArrayLike | None = None,
) -> float:
    """Share of the hits' weight on well-matched tracks, mean over events.

    A track is matched when more than 50 % of its hits are of one particle and more than 50 % of
    that particle's hits are in it; then its hits of that particle count. Both conditions are
    strict. For a physicist: an efficiency for hits that punishes split and merged tracks. For an
    ML reader: a clustering score against true clusters.

    Parameters
    ----------
    track_id : array-like of shape (n_hits,)
        The reconstructed track of each hit.
    particle_id : array-like of shape (n_hits,)
        The particle that left it. Noise is a particle of its own kind, with hits of weight zero.
    sample_weight : array-like of shape (n_hits,), optional
        The hits' weights; they are renormalised within each event.
    event_id : array-like of shape (n_hits,), optional
        The collision event of each hit, as ids repeat between events; one event without.

    Returns
    -------
    float
        In [0, 1] unless weights are negative.

    Raises
    ------
    MetricError
        When arrays differ in length or an event's weights don't sum to a positive number.

    References
    ----------
    S. Amrouche et al., "The tracking machine learning challenge: accuracy phase",
    arXiv:1904.06778.

    Examples
    --------
    >>> particles = [1, 1, 1, 2, 2, 2]
    >>> weights = [0.1, 0.2, 0.1, 0.2, 0.2, 0.2]
    >>> round(trackml_score([1, 1, 2, 2, 2, 2], particles, sample_weight=weights), 10)
    0.9
    """
    _, scores = event_scores(particle_id, track_id, sample_weight=sample_weight, event_id=event_id)
    return float(scores.mean())


@register(
    name="trackml_score",
    title="TrackML score",
    needs="tracks",
    source="S. Amrouche et al., arXiv:1904.06778",
    range=(0.0, 1.0),
    columns=("event_id",),
    units=_units,
    exempt={
        "duplication": "two hits are two points of a track, one hit of weight 2 is one point",
        "cancelling_pair": "the majorities count hits, not weights",
    },
)
def tracks_score(
    y_true: ArrayLike,
    y_pred: ArrayLike,
    *,
    sample_weight: ArrayLike | None = None,
    event_id: ArrayLike | None = None,
) -> float:
    r"""Share of the hits' weight on well-matched tracks: :func:`trackml_score`.

    .. math::

        \left\langle \frac{\sum_{i\ \mathrm{matched}} w_i}{\sum_i w_i}
        \right\rangle_{\mathrm{events}}

    A track is matched to a particle when more than half of its hits are the particle's and more
    than half of the particle's hits are in it.

    For a physicist: an efficiency for hits that punishes split and merged tracks.

    For an ML reader: a clustering score against true clusters.

    Parameters
    ----------
    y_true : array-like of shape (n_hits,)
        Particle ids.
    y_pred : array-like of shape (n_hits,)
        Track ids.
    sample_weight : array-like of shape (n_hits,), optional
        The hits' weights; they are renormalised within each event.
    event_id : array-like of shape (n_hits,), optional
        The collision event of each hit; one event without.

    Returns
    -------
    float

    Raises
    ------
    MetricError
        When arrays differ in length or an event's weights don't sum to a positive number.
    """
    return trackml_score(y_pred, y_true, sample_weight=sample_weight, event_id=event_id)
