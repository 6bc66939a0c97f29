"""A dataset's card: what it is for, what its columns mean, where it is from, how to load it."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa
import yaml

from hepml_tasks.data.citation import bibtex
from hepml_tasks.data.classes import count_classes
from hepml_tasks.data.columns import Column, describe_columns
from hepml_tasks.data.croissant import Distribution, landing_page
from hepml_tasks.data.licences import find_licence
from hepml_tasks.spec import AllTested, HoldOut, KFold, SplitSpec, TaskSpec

_SIZES = {"n<1K": 1e3, "1K<n<10K": 1e4, "10K<n<100K": 1e5, "100K<n<1M": 1e6, "1M<n<10M": 1e7}
_UNDEFINED = {
    ".csv": "an empty cell",
    ".csv.gz": "an empty cell",
    ".parquet": "null",
    ".arff": "`?`",
    ".root": "NaN",
    ".h5": "NaN",
}


def card(spec: TaskSpec, table: pa.Table | None, files: Sequence[Distribution] = ()) -> str:
    """Write a dataset's card.

    Parameters
    ----------
    spec : TaskSpec
    table : pyarrow.Table, optional
        Without it the card tells what the spec alone says.
    files : sequence of Distribution
        The files that the card stands beside.

    Returns
    -------
    str
        Markdown with a YAML head.
    """
    columns = describe_columns(spec, table)
    parts = [
        _head(spec, table),
        f"# {spec.title}",
        f"**{_line(spec.caveat)}**",
        _line(spec.dataset.description),
        "## For physicists\n\n" + _line(spec.about.physicist),
        "## For machine learners\n\n" + _line(spec.about.ml),
        _merit(spec),
        _columns(spec, columns, files, whole=table is not None),
        _classes(spec, table),
        _splits(spec),
        _files(files),
        _loading(spec, files),
        _provenance(spec, derived=bool(files)),
        _licence(spec),
        "## Citation\n\n```bibtex\n" + bibtex(spec.dataset) + "```",
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _line(text: str) -> str:
    return " ".join(text.split())


def _cell(text: str) -> str:
    return _line(text).replace("|", "\\|")


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(map(_cell, line)) + " |" for line in lines)


def _head(spec: TaskSpec, table: pa.Table | None) -> str:
    licence = find_licence(spec.dataset.licence)
    rows = spec.dataset.rows if table is None else table.num_rows
    head = {
        "pretty_name": spec.title,
        "license": licence.spdx.lower() if licence else "other",
        "task_categories": ["tabular-classification"],
        "tags": ["high-energy-physics", "openml", spec.metrics.primary],
    }
    if rows is not None:
        above = [name for name, limit in _SIZES.items() if rows < limit]
        head["size_categories"] = [above[0] if above else "n>10M"]
    return "---\n" + yaml.safe_dump(head, sort_keys=False, allow_unicode=True) + "---"


def _merit(spec: TaskSpec) -> str:
    others = ", ".join(f"`{m}`" for m in spec.metrics.names[1:])
    text = f"## Figure of merit\n\nRuns are ranked by `{spec.metrics.primary}`"
    text += f"; {others} are given beside it." if others else "."
    text += " `hepml metrics show NAME` gives formula and source."
    if spec.references:
        rows = [(r.method, r.metric, f"{r.value:g}", r.source, r.note) for r in spec.references]
        text += "\n\nPublished scores, none of them a run of this project:\n\n"
        text += _table(("method", "metric", "value", "source", "note"), rows)
    return text


def _columns(
    spec: TaskSpec, columns: Sequence[Column], files: Sequence[Distribution], *, whole: bool
) -> str:
    text = "## Columns\n\n"
    if not whole:
        text += "From the task file alone, without the data: `*` stands for several columns.\n\n"
    text += "Only features are for a model. Weight, event id and split must never be.\n\n"
    header = ["column", "role", "type", "unit", "range", "undefined", "what"]
    rows = [
        (
            f"`{c.name}`",
            c.role.replace("_", " "),
            c.type,
            c.unit,
            _values(c),
            "" if c.undefined is None else str(c.undefined),
            c.description,
        )
        for c in columns
    ]
    # a column of which nothing is known tells nothing
    kept = [i for i in range(len(header)) if i == 0 or any(row[i] for row in rows)]
    text += _table([header[i] for i in kept], [[row[i] for i in kept] for row in rows])
    if any(c.undefined for c in columns) or spec.dataset.undefined is not None:
        text += "\n\nAn undefined value has no value in this event, which is physics and no fault"
        if spec.dataset.undefined is not None:
            source = "simulator" if spec.dataset.simulator else "published file"
            text += f"; the {source} writes it as {spec.dataset.undefined:g}"
        said = {e: how for e, how in _UNDEFINED.items() if any(f.name.endswith(e) for f in files)}
        if said:
            text += "; here it is " + ", ".join(f"{how} in `{e}`" for e, how in said.items())
        text += "."
    return text


def _values(column: Column) -> str:
    if column.values:
        return ", ".join(f"`{v}`" for v in column.values)
    if column.low is None and column.high is None:
        return ""
    return f"{_number(column.low)} … {_number(column.high)}"


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.6g}" if isinstance(value, float) else str(value)


def _classes(spec: TaskSpec, table: pa.Table | None) -> str:
    target = spec.roles.target
    if spec.kind.target == "number":
        text = f"## Target and weights\n\nWhat is predicted is the number `{target}`."
    elif spec.kind.target == "id":
        text = (
            "## Target and weights\n\nWhat is predicted is which rows of a group have the same"
            f" `{target}`; the group is `{spec.roles.group}`."
        )
    elif spec.roles.positive is None:
        text = f"## Classes and weights\n\nThe class is `{target}`."
    else:
        text = f"## Classes and weights\n\nSignal is `{target}` = `{spec.roles.positive}`."
        if not spec.kind.labelled:
            text += " The classes are for the evaluation: nothing is fitted to them."
    if spec.roles.weight:
        what = "weight of a row" if spec.kind.grouped else "physical weight of an event"
        text += f" `{spec.roles.weight}` is the {what}."
    else:
        text += " Every event counts 1."
    if spec.class_sums:
        text += (
            " Sums of weights of any part of the data are scaled, class by class, to those at full"
            " luminosity."
        )
    if spec.kind.target != "class" or (table is None and not spec.class_sums):
        return text
    header = ("class", "events", "sum of weights", "at full luminosity")
    if table is None:
        rows = [(f"`{label}`", "", "", f"{s:.12g}") for label, s in (spec.class_sums or {}).items()]
    else:
        rows = [
            (
                f"`{c.label}`",
                str(c.events),
                f"{c.weights:.12g}",
                "" if c.expected is None else f"{c.expected:.12g}",
            )
            for c in count_classes(spec, table)
        ]
    return f"{text}\n\n{_table(header, rows)}"


def _splits(spec: TaskSpec) -> str:
    how = ", stratified by class" if spec.kind.target == "class" else ""
    if spec.roles.group is not None:
        how = f", by whole groups of `{spec.roles.group}`"
    rows = [(f"`{s.name}`", describe_split(s, spec.roles.split, how=how)) for s in spec.splits]
    return "## Splits\n\nThe first is the default.\n\n" + _table(("split", "what"), rows)


def describe_split(
    split: SplitSpec, column: str | None, *, how: str = ", stratified by class"
) -> str:
    """Tell a split in one line; `how` says how a split by chance is made."""
    if isinstance(split, AllTested):
        return "all events are tested, none trains"
    if isinstance(split, KFold):
        return f"{split.folds}-fold cross-validation{how}, seed {split.seed}"
    if isinstance(split, HoldOut):
        share = f"{100 * split.fraction:g} %"
        return f"{share} of the events held back for the test{how}, seed {split.seed}"
    train, test = ", ".join(split.train), ", ".join(split.test)
    text = f"the publisher's: {column} = {train} trains, {test} tests"
    parts = "; ".join(f"{n} is {', '.join(values)}" for n, values in split.partitions.items())
    return f"{text}; {parts}" if parts else text


def _files(files: Sequence[Distribution]) -> str:
    if not files:
        return ""
    rows = [(f"`{f.name}`", str(f.size or ""), f"`{f.sha256 or f.md5 or ''}`") for f in files]
    text = (
        "## Files\n\nAll of them hold the same events. `sha256sum -c SHA256SUMS` checks them.\n\n"
    )
    return text + _table(("file", "bytes", "sha256"), rows)


def _loading(spec: TaskSpec, files: Sequence[Distribution]) -> str:
    named = {
        e: f.name
        for f in files
        for e in (".parquet", ".root", ".h5", ".arff")
        if f.name.endswith(e)
    }
    text = "## How to load"
    python = [
        "import hepml_tasks as hep",
        "",
        f'X, y, w = hep.load_task("{spec.name}").data()',
    ]
    if ".parquet" in named:
        python = [
            "import pandas as pd",
            "",
            f'table = pd.read_parquet("{named[".parquet"]}")',
            f'y = table["{spec.roles.target}"]'
            + ("" if spec.roles.positive is None else f' == "{spec.roles.positive}"'),
        ]
        if spec.roles.weight:
            python.append(f'w = table["{spec.roles.weight}"]')
    text += "\n\nPython:\n\n```python\n" + "\n".join(python) + "\n```"
    if ".root" in named:
        text += (
            f'\n\nROOT:\n\n```cpp\nROOT::RDataFrame events("{ROOT_TREE}", "{named[".root"]}");\n```'
            f"\n\nROOT files in Python:\n\n```python\nimport uproot\n\n"
            f'events = uproot.open("{named[".root"]}:{ROOT_TREE}").arrays(library="pd")\n```'
        )
    text += (
        "\n\nOpenML, once it is registered on a server (`hepml register`):\n\n```python\n"
        f'import openml\n\ndata = openml.datasets.get_dataset("{spec.dataset.name}")\n'
        f'X, y, _, _ = data.get_data(target="{spec.roles.target}")\n```'
    )
    return text


ROOT_TREE = "events"
"""The tree of a ROOT file that is written here."""


def _provenance(spec: TaskSpec, *, derived: bool) -> str:
    dataset = spec.dataset
    rows = [("creators", "; ".join(dataset.creators)), ("version", dataset.version)]
    if dataset.doi:
        rows.append(("DOI of the source", f"<https://doi.org/{dataset.doi}>"))
    if dataset.source:
        rows.append(("record", f"`{dataset.source}`"))
    if dataset.published:
        rows.append(("published", dataset.published))
    if dataset.collection_date:
        rows.append(("collected", dataset.collection_date))
    if dataset.simulator is not None:
        s = dataset.simulator
        options = "".join(f", {k} {v}" for k, v in s.parameters.items())
        rows.append(("made by", f"simulator `{s.name}`, {s.events} events, seed {s.seed}{options}"))
    for file in dataset.files:
        checksum = f"`{file.checksum}`" if file.checksum else "without a published checksum"
        rows.append(("source file", f"`{file.name}`, {checksum}"))
    text = "## Provenance\n\n" + _table(("", ""), rows)
    if derived and dataset.files:
        text += (
            "\n\nThe files here were converted from the source file: same events, same columns,"
            " same order."
        )
    return text


def _licence(spec: TaskSpec) -> str:
    return "## Licence\n\n" + licence_statement(spec)


def licence_statement(spec: TaskSpec) -> str:
    """Say under what terms the data may be used, and whose they are."""
    licence = find_licence(spec.dataset.licence)
    name = f"{licence.title} ({licence.spdx}), {licence.url}" if licence else spec.dataset.licence
    text = f"{spec.dataset.name}, version {spec.dataset.version}, by"
    text += f" {'; '.join(spec.dataset.creators)}, is published under: {name}"
    page = landing_page(spec.dataset)
    return f"{text}\n\nSource: {page}" if page else text
