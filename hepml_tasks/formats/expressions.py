"""Expressions of columns, such as ``sqrt(px**2 + py**2)``: read, never run as a program.

An expression is taken apart by Python's own grammar, and only arithmetic, comparisons, logic, a
few functions, numbers, text and columns' names are known. There is no attribute, no index, no
keyword and no name but those.
"""

from __future__ import annotations

import ast
import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from hepml_tasks.errors import FormatError, nearest

_LONGEST = 2_000
_BINARY: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Pow: operator.pow,
    ast.BitAnd: operator.and_,
    ast.BitOr: operator.or_,
    ast.BitXor: operator.xor,
}
_COMPARE: dict[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}
_ELEMENTWISE = (
    *("abs", "sqrt", "exp", "log", "log10", "log2", "log1p", "expm1", "floor", "ceil", "sign"),
    *("sin", "cos", "tan", "arcsin", "arccos", "arctan", "arctan2", "sinh", "cosh", "tanh"),
    *("arcsinh", "arccosh", "arctanh", "hypot", "pow", "minimum", "maximum"),
)
_OF_LISTS = ("sum", "min", "max", "any", "all", "len")
FUNCTIONS = (*_ELEMENTWISE, *_OF_LISTS, "where", "defined")
"""The functions of numpy that are known, those of a row's list, and ``defined(x)``."""

_NUMBERS_OF_ARGUMENTS = {
    **dict.fromkeys(("arctan2", "hypot", "pow", "minimum", "maximum"), 2),
    "where": 3,
}
_BITWISE = (ast.BitAnd, ast.BitOr, ast.BitXor)
_OF_CPP = {"&&": "and", "||": "or", "!": "not", "::": "a function's name without its class"}
"""What people write who come from C++, and what stands for it here."""


@dataclass(frozen=True)
class Expression:
    """An expression that was read.

    Parameters
    ----------
    text : str
    tree : ast.expr
    columns : mapping of str to str
        The column that each name of the tree stands for.
    """

    text: str
    tree: ast.expr
    columns: Mapping[str, str]

    @property
    def only_column(self) -> str | None:
        """The column's name, if the expression is nothing else."""
        return self.columns[self.tree.id] if isinstance(self.tree, ast.Name) else None


def parse(text: str, known: Mapping[str, Any] | list[str], origin: str) -> Expression:
    """Read an expression.

    Parameters
    ----------
    text : str
        A column whose name isn't that of a variable stands between backquotes, or alone.
    known : collection of str
        The columns that there are.
    origin : str
        What errors name.

    Returns
    -------
    Expression

    Raises
    ------
    FormatError
        If it holds anything but what is known.
    """
    if text in known:
        return Expression(text, ast.Name("column"), {"column": text})
    quoted: dict[str, str] = {}

    def stand_in(found: re.Match[str]) -> str:
        name = f"_quoted_{len(quoted)}"
        quoted[name] = found[1]
        return name

    where = f"{origin}: expression {text[:80]!r}"
    if len(text) > _LONGEST:
        raise FormatError(f"{where} has more than {_LONGEST} characters")
    plain = re.sub(r"`([^`]+)`", stand_in, text).strip()
    try:
        tree = ast.parse(plain, mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        problem = getattr(error, "msg", None) or error
        foreign = next(
            (sign for sign in _OF_CPP if re.search(rf"{re.escape(sign)}(?!=)", plain)), ""
        )
        remedy = f"; for {foreign!r} write {_OF_CPP[foreign]}" if foreign else ""
        raise FormatError(f"{where} can't be read ({problem}){remedy}") from error
    columns: dict[str, str] = {}
    _check(tree, columns, quoted, where)
    _check_precedence(tree, plain, where)
    for name in columns.values():
        if name not in known:
            raise FormatError(f"{where}: no column {name!r}{nearest(name, known)}")
    return Expression(text, tree, columns)


def _check(node: ast.AST, columns: dict[str, str], quoted: Mapping[str, str], where: str) -> None:
    """Refuse every node that isn't known, and note the columns."""
    inner: list[ast.expr]
    match node:
        case ast.Constant(value=bool() | int() | float() | str()):
            inner = []
        case ast.Name(id=name):
            columns[name] = quoted.get(name, name)
            inner = []
        case ast.BinOp(left=left, right=right) if type(node.op) in _BINARY:
            inner = [left, right]
        case ast.UnaryOp(operand=operand):
            inner = [operand]
        case ast.BoolOp(values=values):
            inner = values
        case ast.Compare(left=left, comparators=others) if {*map(type, node.ops)} <= {*_COMPARE}:
            inner = [left, *others]
        case ast.Call(func=ast.Name(id=name), args=inner, keywords=[]):
            if name not in FUNCTIONS:
                raise FormatError(
                    f"{where}: no function {name!r}{nearest(name, FUNCTIONS)} (there are"
                    f" {', '.join(FUNCTIONS)})"
                )
            if len(inner) != _NUMBERS_OF_ARGUMENTS.get(name, 1):
                wanted = _NUMBERS_OF_ARGUMENTS.get(name, 1)
                raise FormatError(f"{where}: {name} takes {wanted} arguments")
        case ast.Subscript():
            raise FormatError(
                f"{where}: {ast.unparse(node)[:40]!r} is not allowed; a list's first elements"
                " become columns with --pad (`pad` in a task's file)"
            )
        case _:
            raise FormatError(
                f"{where}: {ast.unparse(node)[:40]!r} is not allowed; arithmetic, comparisons,"
                " `&`, `|`, `~` and functions of columns are"
            )
    for part in inner:
        _check(part, columns, quoted, where)


def _check_precedence(tree: ast.expr, text: str, where: str) -> None:
    """Refuse ``a > 1 & b > 2``: Python takes ``1 & b`` first, which nobody means."""
    lines = text.encode().splitlines()
    for node in ast.walk(tree):
        if not isinstance(node, ast.Compare):
            continue
        for part in (node.left, *node.comparators):
            if not (isinstance(part, ast.BinOp) and isinstance(part.op, _BITWISE)):
                continue
            before = lines[part.lineno - 1][: part.col_offset].rstrip()
            after = lines[(part.end_lineno or 1) - 1][part.end_col_offset :].lstrip()
            if not (before.endswith(b"(") and after.startswith(b")")):
                raise FormatError(
                    f"{where}: `&`, `|` and `^` are taken before comparisons; put parentheses"
                    " around each comparison, such as (a > 1) & (b > 2), or write `and`, `or`"
                )


def evaluate(expression: Expression, arrays: Mapping[str, Any]) -> Any:
    """Compute an expression.

    Parameters
    ----------
    expression : Expression
    arrays : mapping of str to awkward.Array
        By the columns' names.

    Returns
    -------
    awkward.Array, or a number
        None where a value that it needs is undefined.
    """
    import numpy as np

    values = {name: arrays[column] for name, column in expression.columns.items()}
    with np.errstate(all="ignore"):
        return _value(expression.tree, values)


def _value(node: ast.expr, values: Mapping[str, Any]) -> Any:
    match node:
        case ast.Constant(value=value):
            return value
        case ast.Name(id=name):
            return values[name]
        case ast.BinOp(left=left, op=op, right=right):
            a, b = _value(left, values), _value(right, values)
            if isinstance(op, ast.Pow) and isinstance(a, int) and isinstance(b, int):
                # integers of any length would take any time
                return float(a) ** b
            if isinstance(a, str) or isinstance(b, str):
                raise TypeError("there is no arithmetic of text")
            if isinstance(op, ast.BitXor) and not _are_whole(a, b):
                raise TypeError("'^' is of bits; write ** for a power")
            return _BINARY[type(op)](a, b)
        case ast.UnaryOp(op=op, operand=operand):
            value = _value(operand, values)
            if isinstance(op, ast.USub):
                return -value
            return value if isinstance(op, ast.UAdd) else _logical_not(value)
        case ast.BoolOp(op=op, values=parts):
            combine = operator.and_ if isinstance(op, ast.And) else operator.or_
            found = _value(parts[0], values)
            for part in parts[1:]:
                found = combine(found, _value(part, values))
            return found
        case ast.Compare(left=left, ops=ops, comparators=others):
            found, a = None, _value(left, values)
            for sign, other in zip(ops, others, strict=True):
                b = _value(other, values)
                one = _COMPARE[type(sign)](a, b)
                found, a = (one if found is None else found & one), b
            return found
        case ast.Call(func=ast.Name(id=name), args=arguments):
            return _call(name, [_value(a, values) for a in arguments])
    raise AssertionError(ast.dump(node))


def _are_whole(*values: Any) -> bool:
    """Whether there are bits: of whole numbers, or of truth values."""
    import awkward as ak

    kinds = (str(ak.type(v)) for v in values)
    return not any("float" in kind for kind in kinds)


def _logical_not(value: Any) -> Any:
    import numpy as np

    return np.logical_not(value)


def _call(name: str, arguments: list[Any]) -> Any:
    import awkward as ak
    import numpy as np

    if name in _ELEMENTWISE:
        return getattr(np, name)(*arguments)
    if name == "where":
        return ak.where(*arguments)
    (array,) = arguments
    if name == "defined":
        return ~ak.is_none(ak.nan_to_none(array), axis=-1)
    if array.ndim < 2:
        raise TypeError(f"{name} is of the elements of a list, and this is one value a row")
    if name == "len":
        return ak.num(array, axis=1)
    return getattr(ak, name)(array, axis=-1)
