"""What a metric is, and the list of all of them.

A metric is a pure function on arrays; :func:`register` puts it on the list together with what a
user, a server and the tests of the common laws need to know. Every module of this package is
looked through, and every entry point of the group ``hepml_tasks.metrics`` of other packages, so
that a new metric appears everywhere without a line being added elsewhere.
"""

from __future__ import annotations

import functools
import importlib
import importlib.metadata
import inspect
import math
import pkgutil
import warnings
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal, TypeVar

from hepml_tasks.errors import MetricError, UnknownNameError

Needs = Literal[
    "selection",
    "labels",
    "score",
    "probability",
    "tracks",
    "regression",
    "quantile",
    "interval",
    "samples",
]
"""What a metric compares with the truth.

``selection``
    `y_pred`, 1 for a selected event.
``labels``
    `y_pred`, a class of two or more.
``score``
    `y_score`, any number that grows with the belief in signal.
``probability``
    `y_score`, a probability in [0, 1].
``tracks``
    `y_pred`, a track id per hit, against `y_true`, a particle id.
``regression``
    `y_pred`, a number, against a true number.
``quantile``
    `y_pred`, a quantile, against a true number.
``interval``
    `y_pred` of shape (n, 2), lower and upper end, against a true number.
``samples``
    two samples of different events: `y_true` says which sample, `y_score` holds their features.
"""

ENTRY_POINTS = "hepml_tasks.metrics"

LAWS = MappingProxyType(
    {
        "permutation": "permuting events changes nothing",
        "duplication": "an event twice equals the event once with weight 2",
        "weight_scaling": "scaling all weights acts as `weight_power` says",
        "monotone": "a strictly monotone map of the scores changes nothing",
        "cancelling_pair": "a pair of weights +w and -w with the same score changes nothing",
        "bad_input": "NaN, infinity, other shapes, an empty class: an error names the argument",
        "coverage": "the 68 % interval holds the truth in 65 to 71 % of simulated repeats",
        "same_seed": "the same seed gives the same uncertainty",
    }
)
"""The laws that every registered metric obeys unless it declares an exemption with a reason."""


@dataclass(frozen=True)
class Metric:
    """A figure of merit and what is known about it.

    Parameters
    ----------
    name : str
        As in task files, on the server and on the pages.
    title : str
        A short name for people.
    function : callable
        ``function(y_true, y, *, sample_weight=…, **options) -> float``, with `y` as `needs` says;
        without `sample_weight` when not `weighted`.
    needs : str
        What it compares with the truth: see `Needs`.
    source : str
        The paper or document that defines it.
    weighted : bool
        Whether event weights enter.
    higher_is_better : bool
        The direction.
    range : tuple of float
        The smallest and the largest value, with weights that are not negative.
    options : mapping
        Keyword arguments that this name stands for, such as a working point.
    columns : tuple of str
        Names of options that take one value per event, such as a mass.
    luminosity : bool
        Whether the value depends on how many events are expected, so that the class sums matter.
    weight_power : float
        The value scales as this power of a common factor on all weights.
    count_options : tuple of str
        Options in units of expected events, which scale with the weights.
    exempt : mapping of str to str
        Laws (keys of `LAWS`) that don't hold, each with the reason.
    plan : callable, optional
        The same metric prepared for many sets of weights: see `hepml_tasks.metrics.resampling`.
    cells : callable, optional
        For a function of the four weighted sums of a selection alone: that function.
    additive : bool
        For such a function: whether it is a ratio of sums, whose squared weights tell the
        uncertainty; a significance takes the bootstrap.
    units : callable, optional
        For a mean over units of several rows each (collision events made of hits): gives the ids
        and the values of the units.
    estimate : callable, optional
        For a published procedure with an uncertainty of its own: gives value, uncertainty and the
        name of the method.
    test_options : mapping
        Options under which the tests of the laws run, where the defaults need large samples.
    """

    name: str
    title: str
    function: Callable[..., float]
    needs: Needs
    source: str
    weighted: bool = True
    higher_is_better: bool = True
    range: tuple[float, float] = (-math.inf, math.inf)
    options: Mapping[str, Any] = field(default_factory=dict)
    columns: tuple[str, ...] = ()
    luminosity: bool = False
    weight_power: float = 0.0
    count_options: tuple[str, ...] = ()
    exempt: Mapping[str, str] = field(default_factory=dict)
    plan: Callable[..., Any] | None = None
    cells: Callable[..., Any] | None = None
    additive: bool = False
    units: Callable[..., Any] | None = None
    estimate: Callable[..., tuple[float, float, str]] | None = None
    test_options: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for law, reason in self.exempt.items():
            if law not in LAWS:
                raise MetricError(f"metric {self.name!r} is exempt from {law!r}, which is no law")
            if not reason.strip():
                raise MetricError(f"metric {self.name!r} gives no reason for its exemption {law!r}")

    def __call__(self, y_true: Any, y: Any, **options: Any) -> float:
        """Compute the value, with this name's options unless others are given."""
        return self.function(y_true, y, **{**self.options, **options})

    def keywords(self) -> dict[str, Any]:
        """Give the options of the function, each with this name's value or its default."""
        known = inspect.signature(self.function).parameters.values()
        defaults = {
            p.name: p.default
            for p in known
            if p.kind is p.KEYWORD_ONLY and p.name not in {"sample_weight", "class_sums"}
        }
        given = {**defaults, **self.options}
        return {
            k: v
            for k, v in given.items()
            if k not in self.columns and v is not inspect.Parameter.empty
        }

    def unmet(self, needs: Collection[str], columns: Collection[str], of: str) -> str | None:
        """Say what a task lacks for it to be computed, or None.

        Parameters
        ----------
        needs : collection of str
            What the task's predictions give: see `Needs`.
        columns : collection of str
            What is known of each event beside them.
        of : str
            What the predictions are of, for the sentence.

        Returns
        -------
        str or None
            The end of a sentence that begins with the metric's name.
        """
        if self.needs not in needs:
            return f"needs {self.needs}, which predictions of {of} don't have"
        if lacking := [c for c in self.columns if c not in columns]:
            return f"needs {', '.join(lacking)} for each event beside the predictions"
        return None

    @property
    def is_added(self) -> bool:
        """Whether it is of another package: every run is scored with such a metric too."""
        module: str = getattr(self.function, "__module__", None) or ""
        return module.partition(".")[0] != __name__.partition(".")[0]

    @property
    def summary(self) -> str:
        """The first line of the function's documentation."""
        return (inspect.getdoc(self.function) or self.title).partition("\n")[0]

    @property
    def documentation(self) -> str:
        """The function's documentation in full."""
        return inspect.getdoc(self.function) or self.title


F = TypeVar("F", bound=Callable[..., Any])
_REGISTERED: dict[str, Metric] = {}


def register(*, name: str, title: str, needs: Needs, source: str, **facts: Any) -> Callable[[F], F]:
    """Put a function on the list of metrics; a decorator.

    Parameters
    ----------
    name, title, needs, source, **facts
        The fields of :class:`Metric`. One function may be registered under several names with
        different `options`.

    Returns
    -------
    callable
        A decorator that gives the function back as it is.

    Raises
    ------
    MetricError
        When another function already has that name.

    Examples
    --------
    >>> @register(name="share", title="Share", needs="selection", source="an example")
    ... def share(y_true, y_pred, *, sample_weight=None):
    ...     return 0.5
    >>> get_metric("share").title
    'Share'
    >>> remove("share")
    """

    def decorate(function: F) -> F:
        add(Metric(name=name, title=title, function=function, needs=needs, source=source, **facts))
        return function

    return decorate


def add(metric: Metric) -> None:
    """Put a metric on the list.

    Raises
    ------
    MetricError
        When a metric of another function already has that name.
    """
    present = _REGISTERED.get(metric.name)
    if present is not None and _place(present) != _place(metric):
        raise MetricError(
            f"metric {metric.name!r} of {_place(metric)} is already defined by {_place(present)}; "
            "choose another name"
        )
    _REGISTERED[metric.name] = metric


def remove(name: str) -> None:
    """Take a metric off the list, for tests and examples."""
    _REGISTERED.pop(name, None)


def _place(metric: Metric) -> str:
    function = metric.function
    return f"{function.__module__}.{getattr(function, '__qualname__', '?')}"


def get_metric(name: str) -> Metric:
    """Give the metric of that name.

    Raises
    ------
    UnknownNameError
        When there is none; the message suggests the nearest.
    """
    known = all_metrics()
    try:
        return known[name]
    except KeyError:
        raise UnknownNameError("metric", name, known, remedy="'hepml metrics' lists them") from None


def all_metrics() -> dict[str, Metric]:
    """Give every metric by name, those of other packages included, in alphabetical order."""
    _load()
    return dict(sorted(_REGISTERED.items()))


@functools.cache
def _load() -> None:
    package = importlib.import_module(__package__)
    for module in pkgutil.iter_modules(package.__path__):
        importlib.import_module(f"{__package__}.{module.name}")
    for entry in importlib.metadata.entry_points(group=ENTRY_POINTS):
        # one broken package must not take all metrics away with it
        try:
            found = entry.load()
            if isinstance(found, Metric):
                add(found)
        except Exception as error:
            warnings.warn(
                f"metric {entry.name!r} of {entry.value} can't be loaded: {error}",
                RuntimeWarning,
                stacklevel=2,
            )
