"""A derivation at several values of one of its parameters: a nuisance."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hepml_tasks.data.derived import derive, get_derivation
from hepml_tasks.errors import DataError
from hepml_tasks.spec import NuisanceSpec

if TYPE_CHECKING:
    import pyarrow as pa


def derive_across(
    nuisance: NuisanceSpec, function: str, table: pa.Table, *, seed: int, **parameters: Any
) -> pa.Table:
    """Make a table of another one at each value of a nuisance.

    Parameters
    ----------
    nuisance : NuisanceSpec
    function : str
        A registered derivation that keeps the rows of the source.
    table : pyarrow.Table
        The source, of n rows.
    seed : int
        The same for every value, so that what is drawn is common to all.
    **parameters
        Those of the function that are no nuisance.

    Returns
    -------
    pyarrow.Table
        All rows at the first value, then all rows at the second, and so on: row ``k n + i`` is
        event ``i`` at value ``k``. A column with the nuisance's name has the value.

    Raises
    ------
    DataError
        If the function has no such parameter, or loses rows.
    """
    import pyarrow as pa

    get_derivation(function).check("derivation", [nuisance.parameter])
    parts = []
    for value in nuisance.values:
        options = {**parameters, nuisance.parameter: value}
        part = derive(function, table, seed=seed, **options)
        if part.num_rows != table.num_rows or nuisance.name in part.column_names:
            raise DataError(
                f"{function} with {nuisance.parameter} {value:g} gives {part.num_rows} rows of"
                f" {table.num_rows}, or a column {nuisance.name!r}; a nuisance needs a function"
                " that keeps rows, and a name of its own"
            )
        column = pa.array([value] * part.num_rows, pa.float64())
        parts.append(part.append_column(nuisance.name, column))
    return pa.concat_tables(parts).replace_schema_metadata(None).combine_chunks()
