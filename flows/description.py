"""An estimator as plain JSON and back: a flow's identity without any OpenML in it."""

from __future__ import annotations

import hashlib
import importlib
import inspect
import json
import math
import sys
import threading
from collections.abc import Mapping
from typing import Any

import numpy as np

from hepml_tasks.errors import FlowError

TRUSTED = ("sklearn", "xgboost", "lightgbm", "catboost", "hepml_tasks")
"""Packages whose estimators are rebuilt by name; a class of another must be imported already."""

Description = Mapping[str, Any]

# two threads of a bot describe flows: CPython 3.11's parser fails where another one comes between
_PARSING = threading.Lock()


def describe(estimator: Any) -> dict[str, Any]:
    """Describe an estimator by its class and parameters.

    Parameters
    ----------
    estimator : scikit-learn estimator

    Returns
    -------
    dict
        JSON data: ``{"class": "package.module.Class", "parameters": {…}}``. A class that isn't
        from a `TRUSTED` package carries the sha256 of its source, so that an edit shows.

    Raises
    ------
    FlowError
        For a parameter that isn't a number, text, list or estimator: the message names it.
    """
    if isinstance(estimator, type) or not hasattr(estimator, "get_params"):
        raise FlowError(
            f"{estimator!r:.60} is no scikit-learn estimator: it needs get_params and set_params"
        )
    kind = type(estimator)
    described: dict[str, Any] = {
        "class": f"{kind.__module__}.{kind.__qualname__}",
        "parameters": {
            name: _encode(value, f"{kind.__name__}.{name}")
            for name, value in sorted(estimator.get_params(deep=False).items())
        },
    }
    if kind.__module__.partition(".")[0] not in TRUSTED:
        described["source_sha256"] = _source_sha256(kind)
    return described


def rebuild(description: Description) -> Any:
    """Make the estimator that `describe` described, with equal parameters.

    Raises
    ------
    FlowError
        If its class can't be had, or isn't an estimator.
    """
    from sklearn.base import BaseEstimator

    path = str(description["class"])
    module_name, _, class_name = path.rpartition(".")
    if module_name.partition(".")[0] not in TRUSTED and module_name not in sys.modules:
        raise FlowError(
            f"class {path} is not from {', '.join(TRUSTED)}: import {module_name} first,"
            " if you trust it"
        )
    try:
        kind = getattr(importlib.import_module(module_name), class_name)
    except (ImportError, AttributeError) as error:
        raise FlowError(f"class {path} can't be imported ({error}); install its package") from error
    if not (isinstance(kind, type) and issubclass(kind, BaseEstimator)):
        raise FlowError(f"{path} is no scikit-learn estimator")
    parameters = {n: _decode(v) for n, v in description["parameters"].items()}
    try:
        return kind(**parameters)
    except TypeError as error:
        raise FlowError(f"class {path} of the installed version: {error}") from error


def fingerprint(description: Description) -> str:
    """Return a short name for a described flow, the same whatever its seeds.

    Parameters
    ----------
    description : mapping
        From `describe`.

    Returns
    -------
    str
        Twelve hexadecimal digits.
    """
    text = json.dumps(_without_seeds(description), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def seeded(estimator: Any, seed: int) -> Any:
    """Return a clone whose open seeds, every `random_state` that is None, are `seed`."""
    from sklearn.base import clone

    copy = clone(estimator)
    open_seeds = {
        name: seed
        for name, value in copy.get_params(deep=True).items()
        if value is None and name.rpartition("__")[2] == "random_state"
    }
    return copy.set_params(**open_seeds)


def _encode(value: Any, where: str) -> Any:
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return {"float": str(value)}
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, list):
        return [_encode(v, where) for v in value]
    if isinstance(value, tuple):
        return {"tuple": [_encode(v, where) for v in value]}
    if hasattr(value, "get_params") and not isinstance(value, type):
        return {"estimator": describe(value)}
    raise FlowError(
        f"parameter {where} is a {type(value).__name__}; a flow's parameters are numbers, text,"
        " lists and estimators"
    )


def _decode(value: Any) -> Any:
    if isinstance(value, list):
        return [_decode(v) for v in value]
    if isinstance(value, dict):
        ((kind, inner),) = value.items()
        if kind == "float":
            return float(inner)
        if kind == "tuple":
            return tuple(_decode(v) for v in inner)
        return rebuild(inner)
    return value


def _without_seeds(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {k: _without_seeds(v) for k, v in value.items() if k != "random_state"}
    if isinstance(value, list):
        return [_without_seeds(v) for v in value]
    return value


def _source_sha256(kind: type) -> str | None:
    try:
        with _PARSING:
            return hashlib.sha256(inspect.getsource(kind).encode()).hexdigest()
    except (OSError, TypeError):
        return None
