"""Read a table from a file by the ending of its name."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
from pyarrow import csv, parquet

from hepml_tasks.errors import FormatError
from hepml_tasks.formats.arff import read_arff


def read_table(path: Path) -> pa.Table:
    """Read CSV (also gzipped), Parquet or ARFF.

    Parameters
    ----------
    path : Path
        Ends in ``.csv``, ``.csv.gz``, ``.parquet`` or ``.arff``.

    Returns
    -------
    pyarrow.Table

    Raises
    ------
    FormatError
        If the ending isn't one of these or the content isn't what it says.
    """
    for ending, read in _READERS.items():
        if path.name.endswith(ending):
            try:
                return read(path)
            except (pa.ArrowInvalid, EOFError, zlib.error, gzip.BadGzipFile, OSError) as error:
                problem = str(error).splitlines()[0]
                raise FormatError(
                    f"{path}: can't be read as {ending[1:]} ({problem}); is the file whole?"
                ) from error
    endings = ", ".join(_READERS)
    raise FormatError(f"{path}: its ending is none of {endings}; convert it first")


def _read_csv(path: Path) -> pa.Table:
    # Python's gzip notices a stream that ends early, which Arrow's own does not always
    with gzip.open(path, "rb") if path.name.endswith(".gz") else path.open("rb") as file:
        return csv.read_csv(file, read_options=csv.ReadOptions(use_threads=False))


_READERS: dict[str, Callable[[Path], pa.Table]] = {
    ".csv": _read_csv,
    ".csv.gz": _read_csv,
    ".parquet": parquet.read_table,
    ".arff": lambda path: read_arff(path).table,
}
