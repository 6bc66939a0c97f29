"""The run folder: everything that is known of a run, in files that a person can read.

Layout, version 1::

    SPOOL/toy-higgs--4-fold--xgboost--seed0--3f2a91c0/
        run.json              what runs on what: task spec, flow, seed, data checksum, status
        environment.json      versions, commit, image, hardware
        folds/r0f3.parquet    the predictions of a finished fold, and r0f3.json its times
        predictions.parquet   all predictions, once every fold is finished
        scores.json           the metrics, with uncertainties, computed from the predictions
        published/HOST.json   for each server, the id that it gave the run

A fold is durable as soon as its files are there: an interrupted run goes on with the others.
The folder alone is enough to publish, to verify and to reproduce the run.
"""

from __future__ import annotations

import hashlib
import json
import uuid as uuids
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyarrow import parquet

from hepml_tasks.errors import OutputError, RunError
from hepml_tasks.formats.atomic import atomic_path, write_atomically

LAYOUT = 1


@dataclass(frozen=True)
class RunFolder:
    """A folder with a run in it.

    Parameters
    ----------
    path : Path
    """

    path: Path

    @property
    def description(self) -> dict[str, Any]:
        """The content of run.json.

        Raises
        ------
        RunError
            If it isn't there, isn't JSON, or has a layout that this version doesn't know.
        """
        record = read_json(self.path / "run.json")
        if record.get("layout") != LAYOUT:
            raise RunError(
                f"{self.path / 'run.json'}: layout {record.get('layout')!r} is not {LAYOUT};"
                " use the version of hepml_tasks that wrote it"
            )
        return record

    @property
    def made_elsewhere(self) -> bool:
        """Whether only the predictions are here: what made them can't be run again from here."""
        return "elsewhere" in self.description

    @property
    def is_complete(self) -> bool:
        """Whether every fold is finished and scored."""
        return (self.path / "scores.json").is_file()

    @property
    def predictions(self) -> pa.Table:
        """All predictions: repeat, fold, row, truth, prediction and a confidence a class."""
        path = self.path / "predictions.parquet"
        try:
            return parquet.read_table(path)
        except (OSError, pa.ArrowInvalid) as error:
            raise RunError(f"{path}: can't be read ({error}); is the run finished?") from error

    @property
    def scores(self) -> dict[str, Any]:
        """The content of scores.json."""
        return read_json(self.path / "scores.json")

    @property
    def environment(self) -> dict[str, Any]:
        """The content of environment.json."""
        return read_json(self.path / "environment.json")

    def fold_path(self, repeat: int, fold: int) -> Path:
        """Return where a fold's predictions are kept."""
        return self.path / "folds" / f"r{repeat}f{fold}.parquet"

    def fold_record(self, repeat: int, fold: int) -> dict[str, Any]:
        """Return a finished fold's times and threshold."""
        return read_json(self.fold_path(repeat, fold).with_suffix(".json"))

    @property
    def seconds(self) -> float:
        """How long the fits and predictions of all finished folds took together."""
        paths = sorted((self.path / "folds").glob("r*f*.json"))
        records = [read_json(p) for p in paths if p.with_suffix(".parquet").is_file()]
        return float(sum(r["fit_seconds"] + r["predict_seconds"] for r in records))

    def published(self, server: str) -> dict[str, Any] | None:
        """Return what a server said when it took the run, or None.

        Parameters
        ----------
        server : str
            Its name for file names, from `server_key`.
        """
        path = self.path / "published" / f"{server}.json"
        return read_json(path) if path.is_file() else None

    def mark_published(self, server: str, answer: Mapping[str, Any]) -> None:
        """Keep what a server said when it took the run."""
        write_json(self.path / "published" / f"{server}.json", answer)


def run_key(identity: Mapping[str, Any]) -> str:
    """Return eight digits that are equal for runs that would give the same predictions.

    Parameters
    ----------
    identity : mapping
        Spec, split, flow, seed, data checksum and versions.
    """
    return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:8]


def open_folder(spool: Path, name: str, description: Mapping[str, Any]) -> RunFolder:
    """Open a run's folder, made with a new UUID where there is none yet.

    Parameters
    ----------
    spool : Path
    name : str
        The folder's name.
    description : mapping
        What run.json holds beside its layout, UUID and date.

    Raises
    ------
    OutputError
        If the folder can't be written.
    """
    folder = RunFolder(spool / name)
    record = folder.path / "run.json"
    if not record.is_file():
        head = {
            "layout": LAYOUT,
            "uuid": str(uuids.uuid4()),
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
        }
        write_json(record, {**head, **description})
    return folder


def folders_in(spool: Path) -> Iterator[RunFolder]:
    """Yield the runs of a spool in the order of their names."""
    if not spool.is_dir():
        return
    for path in sorted(spool.iterdir()):
        if (path / "run.json").is_file():
            yield RunFolder(path)


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object.

    Raises
    ------
    RunError
        If it is missing or no JSON object.
    """
    try:
        data = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise RunError(f"{path}: not there; is this the folder of a finished run?") from None
    except (OSError, ValueError) as error:
        raise RunError(f"{path}: can't be read ({error})") from error
    if not isinstance(data, dict):
        raise RunError(f"{path}: expected a JSON object")
    return data


def write_json(path: Path, data: Mapping[str, Any]) -> None:
    """Write a JSON object as a whole file or not at all."""
    write_bytes(path, (json.dumps(data, indent=1) + "\n").encode())


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file that was made elsewhere as a whole or not at all."""
    with _writing(path):
        write_atomically(path, content)


def write_parquet(path: Path, table: pa.Table) -> None:
    """Write a table as a whole file or not at all."""
    with _writing(path), atomic_path(path) as temporary:
        parquet.write_table(table, temporary, compression="zstd", use_dictionary=_texts(table))


def _texts(table: pa.Table) -> list[str]:
    # numbers hardly repeat: to look for equal ones takes longer than all the rest
    return [f.name for f in table.schema if pa.types.is_string(f.type)]


def write_predictions(folder: RunFolder, table: pa.Table) -> None:
    """Write a run's predictions, and beside them the checksum by which a broken copy is known."""
    path = folder.path / "predictions.parquet"
    with _writing(path), atomic_path(path) as temporary:
        parquet.write_table(table, temporary, compression="zstd", use_dictionary=_texts(table))
        with temporary.open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        record = {"sha256": sha256, "size": temporary.stat().st_size, "rows": table.num_rows}
        write_json(path.with_suffix(".json"), record)


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    """Turn a failed write into one line that names the place and the remedy."""
    try:
        yield
    except OSError as error:
        raise OutputError(
            f"{path}: can't be written ({error.strerror or error}); free some room or choose"
            " another folder with --spool; finished folds are kept"
        ) from error
