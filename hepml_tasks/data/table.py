"""A dataset as one Arrow table: read or simulated once, then kept as Parquet."""

from __future__ import annotations

import hashlib
import importlib
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import parquet

from hepml_tasks import settings
from hepml_tasks.data.fetch import fetch_file
from hepml_tasks.errors import DataError, OutputError
from hepml_tasks.formats.atomic import atomic_path
from hepml_tasks.formats.tables import read_table
from hepml_tasks.spec import DatasetSpec

_LAYOUT = 1
"""Part of the key of a kept table: a change of what is kept under it raises it."""


def load_table(dataset: DatasetSpec, *, progress: bool = False) -> pa.Table:
    """Return a dataset's table with null where the file says "undefined".

    Parameters
    ----------
    dataset : DatasetSpec
    progress : bool
        Show downloads on a terminal.

    Returns
    -------
    pyarrow.Table
        All columns of the file, in its order.

    Raises
    ------
    DataError
        If the file can't be had, is wrong, or has another number of events than the spec says.
    """
    kept = settings.cache_dir() / "tables" / f"{dataset.name}-{_key(dataset)}.parquet"
    if kept.is_file():
        return parquet.read_table(kept)
    if dataset.simulator is not None:
        from hepml_tasks.data.simulators import simulate

        s = dataset.simulator
        table = simulate(s.name, events=s.events, seed=s.seed, **dict(s.parameters))
        origin = f"simulator {s.name}"
    else:
        path = fetch_file(dataset.files[0], dataset, progress=progress)
        table, origin = read_table(path), str(path)
    if dataset.rows is not None and table.num_rows != dataset.rows:
        raise DataError(
            f"{origin}: {table.num_rows} events where dataset {dataset.name} has {dataset.rows}"
        )
    table = _without_sentinel(table, dataset.undefined)
    _keep(table, kept)
    return table


def _key(dataset: DatasetSpec) -> str:
    parts: dict[str, object] = {"layout": _LAYOUT, "undefined": dataset.undefined}
    if dataset.simulator is not None:
        from hepml_tasks.data.simulators import get_simulator

        s = dataset.simulator
        parts |= {"simulator": s.name, "events": s.events, "seed": s.seed}
        module = importlib.import_module(get_simulator(s.name).module)
        parts |= {"parameters": dict(s.parameters), "version": module.VERSION}
    else:
        parts["file"] = dataset.files[0].checksum
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]


def _without_sentinel(table: pa.Table, undefined: float | None) -> pa.Table:
    if undefined is None:
        return table
    columns = []
    for field, column in zip(table.schema, table.columns, strict=True):
        if pa.types.is_floating(field.type):
            columns.append(
                pc.if_else(pc.equal(column, undefined), pa.scalar(None, field.type), column)
            )
        else:
            columns.append(column)
    return pa.table(columns, names=table.column_names)


def _keep(table: pa.Table, kept: Path) -> None:
    try:
        with atomic_path(kept) as temporary:
            parquet.write_table(table, temporary, compression="zstd")
    except OSError as error:
        raise OutputError(
            f"{kept}: can't be written ({error.strerror or error}); free some room, or set"
            " HEPML_CACHE to a folder that can be written"
        ) from error
