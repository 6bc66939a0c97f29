"""Making events whose test labels nobody can look up: what is served, and what is kept.

A simulator makes the events from a seed that is drawn here and told to nobody. They are put into an
order of their own, so that neither a row's number nor its neighbours say anything of it. Of a test
event the features are served, and nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from hepml_tasks.data.simulators.stream import Stream
from hepml_tasks.data.table import simulate_table
from hepml_tasks.errors import SpecError
from hepml_tasks.spec import ColumnSpec, FileSpec, HoldOut, Official, Roles, TaskSpec
from hepml_tasks.splits import Split

if TYPE_CHECKING:
    import pyarrow as pa

SPLIT = "Split"
"""The served column that says which rows train and which are tested."""
PARTITION = "Partition"
"""The kept column that says which test rows have a public score."""
SEED_BITS = 128

# Streams of the seed that no simulator uses: theirs have short keys.
_ORDER = (0x6865706D6C, 0, 0, 1)
_PARTITIONS = (0x6865706D6C, 0, 0, 2)


@dataclass(frozen=True, eq=False)
class Withheld:
    """Events taken apart.

    Parameters
    ----------
    served : pyarrow.Table
        The features of all events, class and weight of those that train, and `SPLIT`.
    kept : pyarrow.Table
        Class, weight and `PARTITION` of all events, row by row.
    split : Split
    """

    served: pa.Table
    kept: pa.Table
    split: Split


def withhold(spec: TaskSpec, seed: int) -> Withheld:
    """Make a task's events and take apart what may be told.

    Parameters
    ----------
    spec : TaskSpec
        With `private` and a simulator.
    seed : int
        Kept secret by the caller.

    Raises
    ------
    SpecError
        If the spec is of no such task, or a part would have no events.
    """
    import numpy as np
    import pyarrow as pa

    from hepml_tasks.data.events import take_apart

    holdout = spec.splits[0]
    if spec.private is None or spec.dataset.simulator is None or not isinstance(holdout, HoldOut):
        raise SpecError(
            f"task {spec.name}: labels are withheld of simulated events only, in a task file with"
            " `private:` and a simulator; those of a published dataset can be looked up"
        )
    table = simulate_table(spec.dataset, seed=seed)
    rows = table.num_rows
    order = np.argsort(Stream(seed, _ORDER, rows).words(), kind="stable")
    events = take_apart(table.take(pa.array(order)), spec)
    if SPLIT in events.features:
        raise SpecError(f"task {spec.name}: a feature is called {SPLIT!r}, which is the split's")
    train = round(rows * (1 - holdout.fraction))
    public = round((rows - train) * spec.private.public)
    if min(train, public, rows - train - public) < 1:
        raise SpecError(f"task {spec.name}: {rows} events are too few for three parts; use more")
    tested = np.arange(rows) >= train
    part = np.full(rows, "private", dtype=object)
    lot = np.argsort(Stream(seed, _PARTITIONS, rows - train).words(), kind="stable")
    part[train + lot[:public]] = "public"
    part[~tested] = "train"
    truth = {spec.roles.target: pa.array(events.y)}
    if spec.roles.weight is not None:
        truth[spec.roles.weight] = pa.array(events.weight)
    served = {name: events.table[name] for name in events.features}
    for name, column in truth.items():
        served[name] = pa.array(column.to_numpy(zero_copy_only=False), mask=tested)
    served[SPLIT] = pa.array(np.where(tested, "test", "train"))
    return Withheld(
        served=pa.table(served),
        kept=pa.table({**truth, PARTITION: pa.array(part, pa.string())}),
        split=Split(0, 0, np.flatnonzero(~tested), np.flatnonzero(tested)),
    )


def public_spec(spec: TaskSpec, withheld: Withheld, file: FileSpec) -> TaskSpec:
    """Return the task as its server hands it out: a file instead of the simulator.

    Parameters
    ----------
    spec : TaskSpec
        As `withhold` took it.
    withheld : Withheld
    file : FileSpec
        Of the served events.
    """
    served = withheld.served.column_names
    hidden = {spec.roles.target, spec.roles.weight}
    columns = {
        name: replace(
            column,
            undefined=column.undefined or name in hidden,
            # ARFF has one type of numbers
            type="float" if column.type == "integer" else column.type,
        )
        for name, column in spec.dataset.columns.items()
        if name in served
    }
    columns[SPLIT] = ColumnSpec(description="train or test; class and weight of test are withheld")
    dataset = replace(
        spec.dataset,
        simulator=None,
        files=(file,),
        rows=withheld.served.num_rows,
        undefined=None,
        # of the whole events; the file's own checksum says what these are
        content=None,
        columns=columns,
    )
    roles = Roles(
        target=spec.roles.target,
        positive=spec.roles.positive,
        weight=spec.roles.weight,
        features=tuple(name for name in served if name not in {*hidden, SPLIT}),
        split=SPLIT,
    )
    share = 0.0 if spec.private is None else spec.private.public
    told = (
        f"Class and weight of the tested events are withheld: {100 * share:g} % of them give a"
        " public score at once, the others a private one when the owner of the task reveals it."
    )
    split = Official(kind="official", name=spec.splits[0].name, train=("train",), test=("test",))
    about = replace(spec.about, ml=f"{spec.about.ml} {told}")
    return replace(spec, about=about, dataset=dataset, roles=roles, splits=(split,))
