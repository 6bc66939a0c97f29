"""How a number and its uncertainty are written for people: one rule for all pages."""

from __future__ import annotations

import math
from dataclasses import dataclass
from decimal import Context, Decimal

MINUS = "\N{MINUS SIGN}"
TIMES = "\N{MULTIPLICATION SIGN}"
PLUS_MINUS = "\N{PLUS-MINUS SIGN}"

_SUPERSCRIPT = str.maketrans(
    "-0123456789",
    "\N{SUPERSCRIPT MINUS}\N{SUPERSCRIPT ZERO}\N{SUPERSCRIPT ONE}\N{SUPERSCRIPT TWO}"
    "\N{SUPERSCRIPT THREE}\N{SUPERSCRIPT FOUR}\N{SUPERSCRIPT FIVE}\N{SUPERSCRIPT SIX}"
    "\N{SUPERSCRIPT SEVEN}\N{SUPERSCRIPT EIGHT}\N{SUPERSCRIPT NINE}",
)
# Any two doubles can meet at one decimal place within this many digits.
_EXACT = Context(prec=800)
# Below this fraction of the value an uncertainty is the rounding of a sum, as the bootstrap of a
# perfect classifier gives; padding the value with zeros down to it would help nobody.
_NEGLIGIBLE = Decimal("1e-12")


@dataclass(frozen=True)
class Rounded:
    """A value and its uncertainty as they are printed.

    Parameters
    ----------
    value : str
        The value, to the decimal place of the uncertainty.
    uncertainty : str or None
        The uncertainty; None where it isn't known.
    exponent : int
        The power of ten that multiplies both.
    """

    value: str
    uncertainty: str | None = None
    exponent: int = 0

    def __str__(self) -> str:
        if self.uncertainty is None:
            return self.value + (f" {_power(self.exponent)}" if self.exponent else "")
        pair = f"{self.value} {PLUS_MINUS} {self.uncertainty}"
        return f"({pair}) {_power(self.exponent)}" if self.exponent else pair


def round_score(value: float, uncertainty: float | None = None, *, digits: int = 2) -> Rounded:
    """Round a value to the significant digits of its uncertainty.

    Half-way cases go to the even digit of the shortest decimal that stands for the double.

    Parameters
    ----------
    value : float
        Any double; what isn't finite is named.
    uncertainty : float, optional
        Standard uncertainty, in the unit of `value`. Where it is unknown, zero or not finite it
        can't say how many digits count, and the value is written as `plain` writes it.
    digits : int
        Significant digits of the uncertainty.

    Returns
    -------
    Rounded
        Both to the same decimal place, with a power of ten taken out below 0.001 and from a
        million on.

    Examples
    --------
    >>> str(round_score(2.7812, 0.1234))
    '2.78 ± 0.12'
    >>> str(round_score(1615.2, 93.4)), str(round_score(2195.0, 173.0))
    ('1615 ± 93', '2200 ± 170')
    >>> str(round_score(6.4113e-5, 1.3285e-5))
    '(6.4 ± 1.3) × 10⁻⁵'
    """
    if uncertainty is None:
        return Rounded(plain(value))
    if not math.isfinite(value):
        return Rounded(plain(value))
    if not math.isfinite(uncertainty) or uncertainty == 0:
        return Rounded(plain(value), plain(abs(uncertainty)))
    exact, spread = _decimal(value), abs(_decimal(uncertainty))
    if spread < abs(exact) * _NEGLIGIBLE:
        return Rounded(plain(value, digits=17), plain(float(spread), digits=digits))
    place = spread.adjusted() - digits + 1
    spread_there = _to_place(spread, place)
    if spread_there.adjusted() > spread.adjusted():  # 0.0996 is 0.10, not 0.100
        place += 1
        spread_there = _to_place(spread, place)
    value_there = _to_place(exact, place)
    exponent = max(value_there.adjusted() if value_there else place, spread_there.adjusted())
    if -3 <= exponent < 6:
        exponent = 0
    return Rounded(_text(value_there, exponent), _text(spread_there, exponent), exponent)


def round_spread(value: float, *, digits: int = 2) -> Rounded:
    """Round an uncertainty or a spread that stands alone to its own significant digits.

    Examples
    --------
    >>> str(round_spread(0.00602)), str(round_spread(0.371))
    ('0.0060', '0.37')
    """
    own = round_score(value, value, digits=digits)
    return Rounded(own.value, None, own.exponent)


def plain(value: float, *, digits: int = 4) -> str:
    """Write a number that has no uncertainty of its own.

    Parameters
    ----------
    value : float
        Any double.
    digits : int
        Significant digits at most; trailing zeros are dropped, and whole numbers below a million
        stay whole.

    Returns
    -------
    str

    Examples
    --------
    >>> plain(0.123456), plain(18000.0), plain(float("inf"))
    ('0.1235', '18000', '∞')
    """
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "\N{INFINITY}" if value > 0 else f"{MINUS}\N{INFINITY}"
    if value == 0:
        return "0"
    exact = _decimal(value)
    if value.is_integer() and abs(value) < 1e6:
        return _text(exact.quantize(Decimal(1), context=_EXACT), 0)
    rounded = _to_place(exact, exact.adjusted() - digits + 1)
    exponent = 0 if -3 <= rounded.adjusted() < 6 else rounded.adjusted()
    mantissa = _text(rounded, exponent)
    if "." in mantissa:
        mantissa = mantissa.rstrip("0").rstrip(".")
    return str(Rounded(mantissa, None, exponent))


def full(value: float | None) -> str:
    """Write a number so that reading it back gives the same double; nothing for None."""
    return "" if value is None else repr(float(value))


def _decimal(value: float) -> Decimal:
    # repr, not the double's exact expansion: 0.125 ± 0.1 is what a reader sees and rounds
    return Decimal(repr(float(value)))


def _to_place(value: Decimal, place: int) -> Decimal:
    return value.quantize(Decimal((0, (1,), place)), context=_EXACT)


def _text(value: Decimal, exponent: int) -> str:
    text = f"{value.scaleb(-exponent, context=_EXACT):f}"
    negative = text.startswith("-") and not value.is_zero()
    return (MINUS if negative else "") + text.removeprefix("-")


def _power(exponent: int) -> str:
    return f"{TIMES} 10{str(exponent).translate(_SUPERSCRIPT)}"
