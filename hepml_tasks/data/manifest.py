"""What a dataset consists of, a row a part with its checksum: for who can't carry the data."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from hepml_tasks.data.checksum import table_sha256
from hepml_tasks.data.events import Events
from hepml_tasks.spec import TaskSpec


def manifest(events: Events, spec: TaskSpec) -> pa.Table:
    """List the parts of a task's dataset.

    Parameters
    ----------
    events : Events
    spec : TaskSpec

    Returns
    -------
    pyarrow.Table
        A row for each group, such as a collision event with its hits, or each value of a nuisance,
        or one for the whole table where there are none. The column of group or nuisance, ``rows``
        and ``sha256``, the checksum of the rows' content as
        `hepml_tasks.data.checksum.table_sha256` gives it.
    """
    name, kind = spec.roles.group, pa.int64()
    parts_of: npt.NDArray[Any] | None = events.group
    if events.across is not None and spec.roles.nuisance is not None:
        name, kind = spec.roles.nuisance, pa.float64()
        parts_of = events.across.value
    if parts_of is None or name is None:
        return pa.table({"part": [0], "rows": [len(events)], "sha256": [events.sha256]})
    order = np.argsort(parts_of, kind="stable")
    edges = np.flatnonzero(np.diff(parts_of[order])) + 1
    # rows of a group usually follow each other: then slices do, and nothing is copied
    in_order = bool((order[1:] > order[:-1]).all())
    table = events.table if in_order else events.table.take(pa.array(order))
    parts = [
        table.slice(first, last - first)
        for first, last in zip([0, *edges], [*edges, len(order)], strict=True)
    ]
    return pa.table(
        {
            name: pa.array([part[name][0].as_py() for part in parts], kind),
            "rows": pa.array([part.num_rows for part in parts], pa.int64()),
            "sha256": pa.array([table_sha256(part) for part in parts], pa.string()),
        }
    )
