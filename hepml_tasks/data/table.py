"""A dataset as one Arrow table: read, simulated or derived once, then kept as Parquet."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import parquet

from hepml_tasks import settings
from hepml_tasks.data.checksum import checksum_of, table_sha256
from hepml_tasks.data.fetch import fetch_file, fetch_files
from hepml_tasks.data.kept import (
    cannot_write,
    expected,
    is_recorded,
    kept_path,
    locked,
    read_json,
    record_path,
    write_record,
)
from hepml_tasks.errors import ChecksumError, DataError
from hepml_tasks.formats.atomic import atomic_path
from hepml_tasks.formats.tables import read_table
from hepml_tasks.spec import DatasetSpec, DerivedSpec, FileSpec, TableSpec

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
    ChecksumError
        If a derived table isn't the one that the spec names.
    """
    return load_with_sha256(dataset, progress=progress)[0]


def load_with_sha256(
    dataset: DatasetSpec, *, progress: bool = False
) -> tuple[pa.Table, str | None]:
    """Return a dataset's table as `load_table` does, and what was noted when it was kept.

    Returns
    -------
    table : pyarrow.Table
    sha256 : str or None
        Its `table_sha256`, where the kept table's record has it: a large table's takes longer
        than its reading.
    """
    key = _key(dataset, progress=progress)
    kept = settings.cache_dir() / "tables" / f"{dataset.name}-{key}.parquet"
    # one that was touched since it was written is made anew
    if not is_recorded(kept, record_path(kept), None):
        with locked(kept):
            if not is_recorded(kept, record_path(kept), None):
                table = _make(dataset, progress=progress)
                return table, _keep(table, kept, dataset)
    table = _counted(parquet.read_table(kept), dataset, str(kept))
    return table, read_json(record_path(kept)).get("table_sha256")


def simulate_table(dataset: DatasetSpec, *, seed: int) -> pa.Table:
    """Make a simulated dataset's table with another seed, and keep it nowhere.

    Parameters
    ----------
    dataset : DatasetSpec
        With a simulator.
    seed : int

    Returns
    -------
    pyarrow.Table
        Without metadata, which would tell the seed.
    """
    if dataset.simulator is None:
        raise DataError(f"dataset {dataset.name} has no simulator: its events are not made here")
    seeded = replace(dataset, simulator=replace(dataset.simulator, seed=seed))
    return _make(seeded, progress=False).replace_schema_metadata(None)


def _make(dataset: DatasetSpec, *, progress: bool) -> pa.Table:
    """Read, simulate or derive a dataset's table."""
    if dataset.derived is not None:
        return _counted(_derive(dataset, dataset.derived, progress=progress), dataset, "derived")
    if dataset.simulator is not None:
        from hepml_tasks.data.simulators import simulate

        s = dataset.simulator
        if s.seed is None:
            raise DataError(
                f"the events of dataset {dataset.name} are made by a server, with a seed of its"
                " own: `hepml private create` does it, `hepml private show` has the task to run"
            )
        table = simulate(s.name, events=s.events, seed=s.seed, **dict(s.parameters))
        origin = f"simulator {s.name}"
    else:
        table, origin = _read_files(dataset, progress=progress)
    return without_sentinel(_counted(table, dataset, origin), dataset.undefined)


def _read_files(dataset: DatasetSpec, *, progress: bool) -> tuple[pa.Table, str]:
    """Read the files as one table, and say where it is from."""
    from hepml_tasks.data.parts import joined, marked, stacked

    if len(dataset.files) == 1:
        path = fetch_file(dataset.files[0], dataset=dataset.name, progress=progress)
        table = read_table(path, dataset.table or TableSpec())
        return marked(table, dataset.parts, str(path)), str(path)
    paths = fetch_files(dataset.files, dataset=dataset.name, progress=progress)
    tables = [read_table(path, dataset.table or TableSpec()) for path in paths]
    assert dataset.parts is not None  # noqa: S101 - the spec's own rule
    names = [file.part or file.name for file in dataset.files]
    together = joined if dataset.parts.join else stacked
    return together(tables, names, dataset.parts, [str(p) for p in paths]), dataset.name


def _derive(dataset: DatasetSpec, derived: DerivedSpec, *, progress: bool) -> pa.Table:
    from hepml_tasks.data.derived import derive
    from hepml_tasks.data.derived.across import derive_across

    source = load_table(derived.source, progress=progress)
    parameters: dict[str, Any] = dict(derived.parameters)
    if derived.nuisance is None:
        table = derive(derived.function, source, seed=derived.seed, **parameters)
    else:
        table = derive_across(
            derived.nuisance, derived.function, source, seed=derived.seed, **parameters
        )
    found = f"sha256:{table_sha256(table)}"
    if derived.checksum not in {None, found}:
        raise ChecksumError(
            f"dataset {dataset.name}: {derived.function} of {derived.source.name} gives a table"
            f" with {found}, its file says {derived.checksum}; another version of the source or of"
            " this package made that one"
        )
    return table


def _counted(table: pa.Table, dataset: DatasetSpec, origin: str) -> pa.Table:
    if dataset.rows is not None and table.num_rows != dataset.rows:
        raise DataError(
            f"{origin}: {table.num_rows} events where dataset {dataset.name} has {dataset.rows}"
        )
    return table


def _known(file: FileSpec, dataset: DatasetSpec, *, progress: bool) -> FileSpec:
    """Return a file of a dataset with a checksum, even where none is published."""
    kept = kept_path(file, dataset=dataset.name)
    if expected(file, kept).checksum is None:
        fetch_file(file, dataset=dataset.name, progress=progress)
    return expected(file, kept)


def _key(dataset: DatasetSpec, *, progress: bool) -> str:
    parts: dict[str, object] = {"layout": _LAYOUT, "undefined": dataset.undefined}
    if dataset.simulator is not None:
        from hepml_tasks.data.simulators import get_simulator

        s = dataset.simulator
        parts |= {"simulator": s.name, "events": s.events, "seed": s.seed}
        version = get_simulator(s.name).version
        parts |= {"parameters": dict(s.parameters), "version": version}
    elif dataset.derived is not None:
        from hepml_tasks.data.derived import get_derivation

        d = dataset.derived
        parts |= {"derived": d.function, "seed": d.seed, "checksum": d.checksum}
        version = get_derivation(d.function).version
        parts |= {"parameters": dict(d.parameters), "version": version}
        if d.nuisance is not None:
            parts["nuisance"] = asdict(d.nuisance)
        parts["source"] = _key(d.source, progress=progress)
    else:
        known = [_known(f, dataset, progress=progress) for f in dataset.files]
        parts["file"] = known[0].checksum
        if len(known) > 1:
            parts["files"] = [(f.checksum, f.part or f.name) for f in known]
    if dataset.parts is not None:
        parts["parts"] = asdict(dataset.parts)
    if dataset.table is not None:
        # the order of the columns counts, which sorted keys would hide
        parts["table"] = asdict(dataset.table) | {"columns": list(dataset.table.columns.items())}
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]


def without_sentinel(table: pa.Table, undefined: float | None) -> pa.Table:
    """Return a table with null where it says "undefined".

    Parameters
    ----------
    table : pyarrow.Table
    undefined : float, optional
        The number that stands for it in columns of type float.
    """
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


def _keep(table: pa.Table, kept: Path, dataset: DatasetSpec) -> str:
    try:
        with atomic_path(kept) as temporary:
            parquet.write_table(table, temporary, compression="zstd")
    except OSError as error:
        raise cannot_write(kept, error) from error
    sha256 = table_sha256(table)
    more: dict[str, object] = {"table_sha256": sha256}
    if dataset.derived is not None:
        more["derived"] = _told(dataset.derived, sha256)
    checksum = checksum_of(kept, "sha256")
    write_record(kept, record_path(kept), checksum, dataset=dataset.name, **more)
    return sha256


def _told(derived: DerivedSpec, sha256: str) -> dict[str, object]:
    """Tell what a derived table is, for its record."""
    from hepml_tasks.data.derived import get_derivation

    return {
        "function": derived.function,
        "version": get_derivation(derived.function).version,
        "seed": derived.seed,
        "parameters": dict(derived.parameters),
        "relation": derived.relation,
        "source": {"name": derived.source.name, "doi": derived.source.doi},
        "table": f"sha256:{sha256}",
    }
