"""A task with withheld labels on a real server, and a search for its secrets in any answer."""

from __future__ import annotations

import hashlib
import re
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import yaml

from hepml_tasks.data.checksum import table_sha256
from hepml_tasks.data.table import simulate_table
from hepml_tasks.formats.arff import read_arff
from hepml_tasks.openml.connection import Connection
from hepml_tasks.openml.private import create_private
from hepml_tasks.server.process import ServerProcess
from hepml_tasks.server.withholding import withhold
from hepml_tasks.spec import TaskSpec, from_mapping

from .conftest import Backend

ROOT = Path(__file__).resolve().parent.parent.parent
EVENTS = 1600
WINDOW = 60
"""So many values in a row are no chance: a good flow's predictions agree with 10 or 20."""


def challenge_data(name: str = "", *, events: int = EVENTS, **private: Any) -> dict[str, Any]:
    """The task file of a challenge, half of whose events are tested."""
    data: dict[str, Any] = yaml.safe_load((ROOT / "tasks" / "toy-higgs.yaml").read_text())
    data["name"] = data["dataset"]["name"] = name or f"challenge-{uuid.uuid4().hex[:8]}"
    data["dataset"]["simulator"] = {"name": "toy-higgs", "events": events}
    data["dataset"]["rows"] = events
    data["splits"] = [{"name": "challenge", "kind": "holdout", "fraction": 0.5}]
    data["private"] = {"public": 0.4, **private}
    return data


def challenge_spec(name: str = "", *, events: int = EVENTS, **private: Any) -> TaskSpec:
    data = challenge_data(name, events=events, **private)
    return from_mapping(data, TaskSpec, origin="challenge.yaml")


@dataclass(frozen=True)
class Challenge:
    """A private task on a server, with what only the server knows of it."""

    server: ServerProcess
    backend: Backend
    spec: TaskSpec
    task_id: int
    folder: Path

    @cached_property
    def seed(self) -> int:
        return int((self.folder / "seed").read_text())

    @cached_property
    def simulated(self) -> pa.Table:
        """All columns as the simulator makes them from the server's seed."""
        return simulate_table(self.spec.dataset, seed=self.seed)

    @cached_property
    def kept(self) -> pa.Table:
        return read_arff(self.folder / "truth.arff").table

    @cached_property
    def in_order(self) -> pa.Table:
        """All columns of all events in the order in which they are served."""
        served = withhold(self.spec, self.seed).served
        key = [n for n in served.column_names if n.startswith(("PRI_", "DER_"))]

        def rows(table: pa.Table) -> list[tuple[Any, ...]]:
            return list(zip(*(table[n].to_pylist() for n in key), strict=True))

        place = {row: i for i, row in enumerate(rows(self.simulated))}
        assert len(place) == served.num_rows
        return self.simulated.take(pa.array([place[row] for row in rows(served)]))

    @cached_property
    def secrets(self) -> Secrets:
        tested = self.kept["Partition"].to_numpy(zero_copy_only=False) != "train"
        table = self.in_order.filter(pa.array(tested))
        truth = self.folder / "truth.arff"
        words = {str(self.seed), f"{self.seed:x}", self.folder.name, "EventId", "Process"}
        for content in (truth.read_bytes(), (self.folder / "seed").read_bytes()):
            words |= {hashlib.new(kind, content).hexdigest() for kind in ("md5", "sha1", "sha256")}
        tables = (self.simulated, self.kept, self.in_order, table)
        words |= {table_sha256(t) for t in tables}
        labels = self.in_order["Label"].to_pylist()
        return Secrets(
            words=frozenset(words),
            columns=(
                [str(label) for label in table["Label"].to_pylist()],
                ["1" if label == "s" else "0" for label in table["Label"].to_pylist()],
                [str(int(label == "s")) for label in labels],
                [repr(weight) for weight in table["Weight"].to_pylist()],
                [f"{weight:.6g}" for weight in table["Weight"].to_pylist()],
                [str(number) for number in table["EventId"].to_pylist()],
                [str(process) for process in table["Process"].to_pylist()],
                [str(part) for part in self.kept["Partition"].to_pylist() if part != "train"],
            ),
        )


@dataclass(frozen=True)
class Secrets:
    """Words that no answer may hold, and columns of which none may hold a piece."""

    words: frozenset[str]
    columns: Sequence[Sequence[str]]
    _pieces: dict[int, frozenset[str]] = field(default_factory=dict)

    def found_in(self, text: str) -> Iterator[str]:
        """Name what a text betrays."""
        for word in self.words:
            if word in text:
                yield f"the word {word!r}"
        tokens = re.findall(r"[A-Za-z0-9_.+\-]+", text)
        for number, column in enumerate(self.columns):
            values = set(column)
            mine = [token for token in tokens if token in values]
            # of a table with several such columns each is looked at by itself
            for stride in range(1, 5):
                for start in range(stride):
                    if self._holds_piece(number, mine[start::stride]):
                        yield f"values of {sorted(values)[:4]} in the order of the test events"
                        break

    def _holds_piece(self, number: int, tokens: Sequence[str]) -> bool:
        if len(tokens) < WINDOW:
            return False
        if number not in self._pieces:
            column = self.columns[number]
            whole = range(len(column) - WINDOW + 1)
            pieces = (" ".join(column[i : i + WINDOW]) for i in whole)
            self._pieces[number] = frozenset(pieces)
        pieces = self._pieces[number]
        return any(
            " ".join(tokens[i : i + WINDOW]) in pieces for i in range(len(tokens) - WINDOW + 1)
        )


def start_challenge(
    server: ServerProcess, backend: Backend, name: str = "", **private: Any
) -> Challenge:
    """Have a server make a private task."""
    spec = challenge_spec(name, **private)
    before = _folders(backend)
    made = create_private(Connection(server.server, server.apikey), spec)
    (folder,) = _folders(backend) - before
    return Challenge(server, backend, spec, int(made["task_id"]), folder)


def _folders(backend: Backend) -> set[Path]:
    directory = backend.data / "private"
    return set(directory.iterdir()) if directory.is_dir() else set()


def random_predictions(challenge: Challenge, seed: int = 0) -> str:
    """The predictions file of somebody who knows nothing."""
    rows = np.flatnonzero(challenge.kept["Partition"].to_numpy(zero_copy_only=False) != "train")
    score = np.round(np.random.default_rng(seed).uniform(0.01, 0.99, len(rows)), 6)
    head = [
        "@RELATION predictions",
        *(f"@ATTRIBUTE {name} NUMERIC" for name in ("repeat", "fold", "row_id")),
        "@ATTRIBUTE prediction {b,s}",
        "@ATTRIBUTE confidence.b NUMERIC",
        "@ATTRIBUTE confidence.s NUMERIC",
        "@DATA",
    ]
    lines = [
        f"0,0,{row},{'s' if s > 0.7 else 'b'},{1 - s:.6f},{s}"
        for row, s in zip(rows, score, strict=True)
    ]
    return "\n".join([*head, *lines]) + "\n"
