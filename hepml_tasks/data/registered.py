"""A function that a task file names, imported only when it is used."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from hepml_tasks.errors import DataError, UnknownNameError, nearest

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True)
class Registered:
    """A function that makes a table.

    Parameters
    ----------
    name : str
        Name in task files.
    title : str
        What it makes, in one line.
    module : str
        Module that holds the function, and ``VERSION``, which changes whenever the same arguments
        give another table.
    function : str
        Its name there. It takes one argument by position, and by name a ``seed`` and parameters.
    """

    name: str
    title: str
    module: str
    function: str

    def load(self) -> Callable[..., pa.Table]:
        """Import the function."""
        function: Callable[..., Any] = getattr(importlib.import_module(self.module), self.function)
        return function

    @property
    def version(self) -> str:
        """The version of the function."""
        return str(importlib.import_module(self.module).VERSION)

    def parameters(self) -> dict[str, Any]:
        """Name the function's parameters beside ``seed``, with their defaults."""
        signature = inspect.signature(self.load())
        return {
            name: parameter.default
            for name, parameter in signature.parameters.items()
            if parameter.kind is parameter.KEYWORD_ONLY and name != "seed"
        }

    def check(self, kind: str, given: Iterable[str]) -> None:
        """Check that the function has the parameters that are given.

        Raises
        ------
        DataError
            Names the first one that it hasn't, and the nearest that it has.
        """
        known = self.parameters()
        for parameter in given:
            if parameter not in known:
                raise DataError(
                    f"{kind} {self.name!r} has no parameter {parameter!r}"
                    f"{nearest(parameter, known)}"
                )


Function = TypeVar("Function", bound=Registered)


def look_up(kind: str, name: str, known: Mapping[str, Function]) -> Function:
    """Look a function up.

    Raises
    ------
    UnknownNameError
        If there is none of that name.
    """
    try:
        return known[name]
    except KeyError:
        raise UnknownNameError(kind, name, known) from None
