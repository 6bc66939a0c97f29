"""The predictions file of an OpenML run, byte for byte as the stock client writes it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa

from hepml_tasks.errors import FormatError
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
    return "".join([head, *_rows(table, scores, words)]).encode("ascii")


def _rows(table: pa.Table, scores: list[str], words: dict[str, str]) -> Iterator[str]:
    """Return the text of all rows; numbers as Python writes them, in the fewest digits."""
    line = "%d,%d,0,%d,%s,%s" if scores else "%d,%d,%d,%s,%s"
    line += ",%r" * len(scores) + "\n"
    names = ["repeat", "fold", "row", "prediction", "truth", *scores]
    for batch in table.select(names).to_batches(max_chunksize=_ROWS_AT_ONCE):
        columns = [_values(batch[n], words) for n in names]
        yield "".join(map(line.__mod__, zip(*columns, strict=True)))


def _values(column: pa.Array, words: dict[str, str]) -> list[Any]:
    if pa.types.is_string(column.type):
        coded = column.dictionary_encode()
        texts = np.array([words[c] for c in coded.dictionary.to_pylist()] + ["?"], dtype=object)
        # null, a truth that only the server knows, is the last
        codes = coded.indices.fill_null(len(texts) - 1).to_numpy(zero_copy_only=False)
        return list(texts[codes])
    values: list[Any] = column.to_numpy(zero_copy_only=False).tolist()
    return values
