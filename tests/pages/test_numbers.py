"""Numbers are written to two digits of their uncertainty, and nothing is lost or invented."""

from __future__ import annotations

import doctest
import math
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hepml_tasks.pages import numbers
from hepml_tasks.pages.numbers import MINUS, TIMES, Rounded, full, plain, round_score, round_spread

VALUES = st.floats(allow_nan=False, allow_infinity=False)
# from what a value of this size can resolve up to what dwarfs it
RATIOS = st.floats(min_value=1e-11, max_value=1e9)


def decimal(text: str, exponent: int = 0) -> Decimal:
    return Decimal(text.replace(MINUS, "-")).scaleb(exponent)


def decimals(text: str) -> int:
    return len(text.partition(".")[2])


@pytest.mark.parametrize(
    ("value", "uncertainty", "text"),
    [
        (2.7812345, 0.1234, "2.78 ± 0.12"),
        (0.9371, 0.00456, "0.9371 ± 0.0046"),
        (397.0, 7.04, "397.0 ± 7.0"),
        (888.3, 17.2, "888 ± 17"),
        (2195.0, 173.0, "2200 ± 170"),
        (2.5, 0.0996, "2.50 ± 0.10"),
        (0.001, 5.31, "0.0 ± 5.3"),
        (-0.001, 5.31, "0.0 ± 5.3"),
        (-1.25, 0.5, f"{MINUS}1.25 ± 0.50"),
        (0.002449779, 3.45e-5, "0.002450 ± 0.000034"),
        (6.4113e-5, 1.3285e-5, f"(6.4 ± 1.3) {TIMES} 10⁻⁵"),
        (4109998.47, 12345.0, f"(4.110 ± 0.012) {TIMES} 10⁶"),
        (0.0, 2.0, "0.0 ± 2.0"),
    ],
)
def test_a_score_is_written_to_two_digits_of_its_uncertainty(
    value: float, uncertainty: float, text: str
) -> None:
    assert str(round_score(value, uncertainty)) == text


@pytest.mark.parametrize(
    ("value", "uncertainty", "text"),
    [
        (0.63114, None, "0.6311"),
        (1.0, 0.0, "1 ± 0"),
        (1.0, 1.1e-17, "1 ± 1.1 \N{MULTIPLICATION SIGN} 10⁻¹⁷"),
        (0.5, math.nan, "0.5 ± NaN"),
        (0.5, math.inf, "0.5 ± ∞"),
        (math.nan, 0.1, "NaN"),
        (-math.inf, None, f"{MINUS}∞"),
    ],
)
def test_an_uncertainty_that_says_nothing_about_digits_leaves_the_value_plain(
    value: float, uncertainty: float | None, text: str
) -> None:
    assert str(round_score(value, uncertainty)) == text


@given(VALUES.filter(lambda v: 1e-290 < abs(v) < 1e290), RATIOS)
def test_rounding_moves_nothing_by_more_than_half_of_the_last_digit(
    value: float, ratio: float
) -> None:
    uncertainty = abs(value) * ratio
    shown = round_score(value, uncertainty)
    assert shown.uncertainty is not None
    error = decimal(shown.uncertainty, shown.exponent)
    half = Decimal(10) ** (error.adjusted() - 1) / 2  # two significant digits
    assert abs(error - Decimal(repr(uncertainty))) <= half
    assert abs(decimal(shown.value, shown.exponent) - Decimal(repr(value))) <= half


@given(VALUES.filter(lambda v: 1e-290 < abs(v) < 1e290), RATIOS)
def test_value_and_uncertainty_end_at_the_same_decimal_place(value: float, ratio: float) -> None:
    shown = round_score(value, abs(value) * ratio)
    assert shown.uncertainty is not None
    assert decimals(shown.value) == decimals(shown.uncertainty)
    digits = shown.uncertainty.replace(".", "").lstrip("0")
    assert len(digits.rstrip("0")) <= 2 <= len(digits)


@given(VALUES, st.floats() | st.none())
def test_any_two_doubles_can_be_written(value: float, uncertainty: float | None) -> None:
    shown = round_score(value, uncertainty)
    assert "-" not in str(shown)
    assert "E" not in str(shown)
    assert decimal(shown.value.split(" ")[0]) != 0 or MINUS not in shown.value


@given(VALUES, st.floats(min_value=1e-300, max_value=1e300))
def test_the_sign_of_the_value_changes_nothing_else(value: float, uncertainty: float) -> None:
    positive = round_score(abs(value), uncertainty)
    negative = round_score(-abs(value), uncertainty)
    assert str(negative).replace(MINUS, "") == str(positive).replace(MINUS, "") or (
        positive.exponent < 0
    )
    assert negative.uncertainty == positive.uncertainty


@given(VALUES)
def test_a_plain_number_keeps_four_digits(value: float) -> None:
    text, _, power = plain(value).partition(f" {numbers.TIMES} 10")
    exponent = int(power.translate({v: chr(k) for k, v in numbers._SUPERSCRIPT.items()}) or "0")
    assert decimal(text, exponent) == pytest.approx(Decimal(repr(value)), rel=Decimal("5.1e-4"))


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.00602, "0.0060"), (0.371, "0.37"), (12.6, "13"), (0.0, "0"), (math.nan, "NaN")],
)
def test_a_spread_alone_is_written_to_its_own_two_digits(value: float, text: str) -> None:
    assert str(round_spread(value)) == text


@given(st.floats(allow_nan=False))
def test_full_precision_reads_back_as_the_same_double(value: float) -> None:
    assert float(full(value)) == value


def test_what_is_not_known_is_written_as_nothing() -> None:
    assert full(None) == ""


def test_a_power_of_ten_is_written_once_for_both() -> None:
    assert str(Rounded("1.5", "0.2", -7)) == "(1.5 ± 0.2) \N{MULTIPLICATION SIGN} 10⁻⁷"


def test_the_examples_in_the_documentation_run() -> None:
    assert doctest.testmod(numbers).failed == 0
