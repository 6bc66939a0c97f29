from __future__ import annotations

import importlib
import subprocess
import sys
from typing import Any

import pytest

import hepml_tasks.metrics as package
from hepml_tasks.errors import MetricError, UnknownNameError
from hepml_tasks.metrics import all_metrics, get_metric, register, registry


def always_half(y_true: Any, y_pred: Any, *, sample_weight: Any = None) -> float:
    """Give one half."""
    return 0.5


def test_the_names_of_task_files_are_known() -> None:
    for name in (
        "ams",
        "ams_maximum",
        "roc_auc",
        "area_under_roc_curve",
        "predictive_accuracy",
        "signal_efficiency",
        "background_efficiency",
        "purity",
        "background_rejection_50",
        "background_rejection_30",
        "asimov_significance",
        "trackml_score",
    ):
        assert get_metric(name).name == name


def test_an_unknown_name_suggests_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'roc_auc'"):
        get_metric("roc_acu")


def test_a_registered_function_appears_and_stays_as_it_is() -> None:
    decorate = register(name="half", title="Half", needs="selection", source="a test")
    try:
        assert decorate(always_half) is always_half
        assert get_metric("half")([0, 1], [0, 1]) == 0.5
    finally:
        registry.remove("half")
    assert "half" not in all_metrics()


def test_two_functions_cannot_share_a_name() -> None:
    with pytest.raises(MetricError, match="already defined"):
        register(name="ams", title="AMS", needs="selection", source="a test")(always_half)


def test_an_exemption_without_a_reason_is_refused() -> None:
    with pytest.raises(MetricError, match="no reason"):
        registry.Metric("x", "X", always_half, "selection", "a test", exempt={"monotone": " "})
    with pytest.raises(MetricError, match="no law"):
        registry.Metric("x", "X", always_half, "selection", "a test", exempt={"gravity": "none"})


def test_a_metric_of_another_package_is_found_by_its_entry_point(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    (tmp_path / "foreign_metrics.py").write_text(
        "from hepml_tasks.metrics import register\n\n\n"
        '@register(name="foreign", title="Foreign", needs="selection", source="a test")\n'
        "def foreign(y_true, y_pred, *, sample_weight=None):\n"
        "    return 1.0\n"
    )
    info = tmp_path / "foreign-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: foreign\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[hepml_tasks.metrics]\nforeign = foreign_metrics:foreign\nbroken = no_such_module\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    importlib.invalidate_caches()
    registry._load.cache_clear()
    try:
        with pytest.warns(RuntimeWarning, match=r"'broken' of no_such_module can't be loaded"):
            metrics = all_metrics()
        assert metrics["foreign"].title == "Foreign"
    finally:
        registry.remove("foreign")
        registry._load.cache_clear()


def test_every_public_name_can_be_imported() -> None:
    for name in package.__all__:
        assert getattr(package, name) is not None
    assert dir(package) == sorted(package.__all__)
    with pytest.raises(AttributeError, match="no attribute"):
        package.no_such_metric  # noqa: B018


def test_importing_the_package_loads_nothing_heavy() -> None:
    code = (
        "import sys, hepml_tasks.metrics\n"
        "assert 'numpy' not in sys.modules\n"
        "hepml_tasks.metrics.all_metrics()\n"
        "heavy = {'scipy', 'sklearn', 'pandas'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
