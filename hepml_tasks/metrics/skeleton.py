"""A package with a metric of one's own: a module, its test, and what installs them."""

from __future__ import annotations

import keyword
import re
import string
from pathlib import Path

from hepml_tasks.errors import OutputError, SpecError
from hepml_tasks.metrics.registry import ENTRY_POINTS, all_metrics

_PYPROJECT = """\
[build-system]
requires = ["setuptools >= 70.1"]
build-backend = "setuptools.build_meta"
"""

_SETUP = """\
[metadata]
name = $project
version = 0.1.0
description = The metric $name for hepml_tasks

[options]
py_modules = $module
python_requires = >=3.11
install_requires =
    hepml_tasks
    numpy

[options.extras_require]
test =
    pytest

# hepml_tasks finds the metric by this
[options.entry_points]
$entry_points =
    $name = $module:$name
"""

_MODULE = '''\
"""The metric $name for hepml_tasks."""

from __future__ import annotations

from numpy.typing import ArrayLike

from hepml_tasks.metrics import register
from hepml_tasks.metrics.arrays import class_weights, flags, labels


@register(
    name="$name",
    title="$title",
    # what it compares with the truth: hepml_tasks.metrics.registry.Needs lists the kinds
    needs="selection",
    source="the paper that defines it",
    higher_is_better=True,
    range=(0.0, 1.0),
)
def $name(
    y_true: ArrayLike, y_pred: ArrayLike, *, sample_weight: ArrayLike | None = None
) -> float:
    r"""Mean of the signal efficiency and the background rejection of a selection.

    .. math:: \\frac{1}{2} \\left( \\epsilon_S + 1 - \\epsilon_B \\right)

    For a physicist: the share of either class that lands where it belongs, however many events
    of each are expected.

    For an ML reader: the balanced accuracy.

    Parameters
    ----------
    y_true : array-like of shape (n_events,)
        1 for signal, 0 for background.
    y_pred : array-like of shape (n_events,)
        1 for a selected event.
    sample_weight : array-like of shape (n_events,), optional
        Event weights of any sign, each class's total positive.

    Returns
    -------
    float

    Raises
    ------
    MetricError
        When labels, selection or weights aren't usable.

    Examples
    --------
    >>> $name([1, 1, 0, 0], [1, 0, 0, 0])
    0.75
    """
    signal = labels(y_true)
    selected = flags("y_pred", y_pred, signal.size)
    weight = class_weights(sample_weight, signal)
    efficiency = weight[signal & selected].sum() / weight[signal].sum()
    rejection = weight[~signal & ~selected].sum() / weight[~signal].sum()
    return float(efficiency + rejection) / 2
'''

_TEST = '''\
"""Tests of the metric $name: its values, and the laws that every metric obeys."""

from __future__ import annotations

import pytest
from $module import $name

from hepml_tasks.metrics import get_metric, score
from hepml_tasks.metrics.laws import check_facts, check_law, laws_of

METRIC = get_metric("$name")


@pytest.mark.parametrize(
    ("y_pred", "expected"),
    [([1, 1, 0, 0], 1.0), ([0, 0, 1, 1], 0.0), ([1, 1, 1, 1], 0.5), ([1, 0, 0, 0], 0.75)],
)
def test_its_value(y_pred: list[int], expected: float) -> None:
    assert $name([1, 1, 0, 0], y_pred) == expected


def test_weights_count() -> None:
    assert $name([1, 1, 0, 0], [1, 0, 0, 0], sample_weight=[3, 1, 1, 1]) == 0.875


def test_it_has_an_uncertainty() -> None:
    result = score(METRIC, [1, 0] * 500, y_pred=[1, 0, 0, 1, 1, 0] * 166 + [1, 0, 1, 0])
    assert 0 < result.uncertainty < 0.05


def test_it_tells_what_it_is_and_stays_in_its_range() -> None:
    check_facts(METRIC)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("law", laws_of(METRIC))
def test_it_obeys_the_law(law: str, seed: int) -> None:
    check_law(law, METRIC, seed=seed)
'''

_README = """\
# $title

The metric `$name` for hepml_tasks.

    pip install --editable '.[test]'
    pytest
    hepml metrics show $name

Every run that is made where this package is installed is scored with it. For older runs:

    hepml evaluate --all                    the run folders of your spool
    hepml evaluate --all --server URL       the runs of a server that was restarted with it
"""


def write_package(name: str, folder: Path | None = None) -> Path:
    """Write a package with a metric that works, and a test that passes.

    Parameters
    ----------
    name : str
        The metric's: small letters, digits and ``_``.
    folder : Path, optional
        Where the package goes: not there yet, or empty. ``hepml-NAME`` by default.

    Returns
    -------
    Path
        The folder.

    Raises
    ------
    SpecError
        For a name that can't be one, or that a metric has.
    OutputError
        For a folder that has something in it, or can't be written.
    """
    if not re.fullmatch(r"[a-z][a-z0-9_]{1,60}", name) or keyword.iskeyword(name):
        raise SpecError(
            f"{name!r} can't be a metric's name: it needs small letters, digits and _, and begins"
            " with a letter"
        )
    if name in all_metrics():
        raise SpecError(f"a metric is called {name!r} already; choose another name")
    project = f"hepml-{name.replace('_', '-')}"
    folder = Path(project) if folder is None else folder
    if folder.is_dir() and any(folder.iterdir()):
        raise OutputError(f"{folder}: there is something in it; choose another with --out")
    words = {
        "name": name,
        "title": name.replace("_", " ").capitalize(),
        "project": project,
        "module": f"hepml_{name}",
        "entry_points": ENTRY_POINTS,
    }
    files = {
        "pyproject.toml": _PYPROJECT,
        "setup.cfg": _SETUP,
        "README.md": _README,
        f"{words['module']}.py": _MODULE,
        f"tests/test_{name}.py": _TEST,
    }
    try:
        for path, text in files.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text(string.Template(text).substitute(words), encoding="utf-8")
    except OSError as error:
        raise OutputError(f"{folder}: can't be written ({error.strerror or error})") from error
    return folder
