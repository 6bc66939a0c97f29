"""The predictions file of an OpenML run, byte for byte as the stock client writes it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from hepml_tasks.errors import FormatError
from hepml_tasks.formats.blocks import in_order, text_of
from hepml_tasks.running.folder import RunFolder

_ROWS_AT_ONCE = 16_384
_CONFIDENCE = "confidence."


def render_predictions(folder: RunFolder, task_id: int = 0) -> bytes:
    """Return a run's predictions as the ARFF file that OpenML keeps.

    Parameters
    ----------
    folder : RunFolder
    task_id : int
        The task's number on the server: part of the relation's name.

    Returns
    -------
    bytes
        One row a prediction: repeat, fold, sample (always 0), row_id, prediction, correct,
        confidence of each class; of a regression repeat, fold, row_id, prediction, truth. From
        ``@RELATION`` on it is what `openml` 0.15.1 writes for the same predictions.

    Raises
    ------
    FormatError
        For a class whose name isn't ASCII.
    """
    import arff

    table = folder.predictions
    scores = [c for c in table.column_names if c.startswith(_CONFIDENCE)]
    classes = [c.removeprefix(_CONFIDENCE) for c in scores]
    for name in classes:
        if not name.isascii():
            raise FormatError(f"class {name!r} is not plain ASCII, which OpenML requires of ARFF")
    where = ["repeat", "fold", *(["sample"] if scores else []), "row_id"]
    told: list[tuple[str, Any]] = [(name, "NUMERIC") for name in where]
    kind = classes or "NUMERIC"
    told += [("prediction", kind), ("correct" if scores else "truth", kind)]
    told += [(name, "NUMERIC") for name in scores]
    # the header by the client's own library: it has rules of its own for quotes
    head = arff.dumps({"relation": f"openml_task_{task_id}_predictions", "attributes": told})
    words = {name: arff.encode_string(name) for name in classes}
    return b"".join([head.encode("ascii"), *_rows(table, scores, words)])


def _rows(table: pa.Table, scores: list[str], words: dict[str, str]) -> Iterator[memoryview]:
    """Return the text of all rows, batch by batch."""
    sample = [pa.scalar("0")] if scores else []

    def text(batch: pa.RecordBatch) -> memoryview:
        repeat, fold, row, *others = (_as_text(column, words) for column in batch.columns)
        others[-1] = pc.binary_join_element_wise(others[-1], "\n", "")
        rows = pc.binary_join_element_wise(repeat, fold, *sample, row, *others, ",")
        return text_of(rows)

    names = ["repeat", "fold", "row", "prediction", "truth", *scores]
    batches = table.select(names).to_batches(max_chunksize=_ROWS_AT_ONCE)
    return in_order(text, (b for b in batches if b.num_rows))


def _as_text(column: pa.Array, words: dict[str, str]) -> pa.Array:
    """Return values as Python writes them, numbers in the fewest digits."""
    if pa.types.is_string(column.type):
        coded = column.dictionary_encode()
        known = pa.array([words[c] for c in coded.dictionary.to_pylist()], pa.string())
        # null is a truth that only the server knows
        return pc.fill_null(pc.take(known, coded.indices), "?")
    if not pa.types.is_floating(column.type):
        return column.cast(pa.string())
    column = column.cast(pa.float64())
    text = column.cast(pa.string())
    values = column.to_numpy(zero_copy_only=False)
    size = np.abs(values)
    # Arrow has the same digits, and other rules for the point and the exponent
    otherwise = ~((size >= 1e-4) & (size < 1e10) & (values != np.trunc(values)))
    written = pa.array([repr(v) for v in values[otherwise].tolist()], pa.string())
    return pc.replace_with_mask(text, pa.array(otherwise), written)
