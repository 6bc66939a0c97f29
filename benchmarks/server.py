"""Load a server: many clients at once, long lists, a large run. A table, and the goals missed.

    python benchmarks/server.py [clients] [list] [large] [--seconds 120]

clients   100 clients publish and read for two minutes over the wire, as the stock client sends it:
          no error, nothing lost, nothing twice
list      20 of 100,000 evaluations, over the wire: under 50 ms at the median
large     a run with 550,000 predictions, sent and evaluated by a server whose evaluator is warm:
          under 1.5 times the parsing of its ARFF by pyarrow and the computing of its metrics in
          one process

HEPML_DATABASE names an empty database, for one of the parts; SQLite by default. Exit status 1 when
a goal is missed.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import statistics
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import requests
import xmltodict

from hepml_tasks.server.process import ServerProcess, start_server

NAMESPACE = "http://openml.org/openml"
CUSTOM_HOLDOUT = 16
LARGE_METRICS = [
    "ams",
    "roc_auc",
    "area_under_roc_curve",
    "background_rejection_50",
    "signal_efficiency",
]


def xml(root: str, content: str) -> str:
    return f'<oml:{root} xmlns:oml="{NAMESPACE}">{content}</oml:{root}>'


class Client:
    """A client's exchanges with the server, as the `openml` package makes them.

    Each has a connection of its own and takes 107 as "try again", as that package does.
    """

    def __init__(self, server: ServerProcess) -> None:
        self.base, self.key, self.pages = server.server, server.apikey, server.pages
        self.session = requests.Session()

    def _send(self, request: Callable[[], requests.Response]) -> dict[str, Any]:
        for _ in range(5):
            answer = request()
            if answer.status_code == 412 and "<oml:code>107</oml:code>" in answer.text:
                time.sleep(0.2)
                continue
            if answer.status_code != 200:
                raise RuntimeError(f"{answer.request.url}: {answer.status_code} {answer.text}")
            found: dict[str, Any] = xmltodict.parse(answer.text)
            return found
        raise RuntimeError("the server was busy five times")

    def get(self, path: str) -> dict[str, Any]:
        """Ask."""
        query = {"api_key": self.key}
        return self._send(
            lambda: self.session.get(f"{self.base}/{path}", params=query, timeout=300)
        )

    def post(self, path: str, files: dict[str, tuple[str, str | bytes]]) -> dict[str, Any]:
        """Send a form with files."""
        fields = {"api_key": self.key}
        return self._send(
            lambda: self.session.post(f"{self.base}/{path}", fields, files=files, timeout=600)
        )

    def dataset(self, name: str, arff: str) -> int:
        """Publish a dataset."""
        content = (
            f"<oml:name>{name}</oml:name><oml:description>d</oml:description>"
            "<oml:format>arff</oml:format>"
            "<oml:default_target_attribute>Label</oml:default_target_attribute>"
            "<oml:row_id_attribute>EventId</oml:row_id_attribute>"
            "<oml:ignore_attribute>Weight</oml:ignore_attribute>"
        )
        document = xml("data_set_description", content)
        files = {"description": ("description.xml", document), "dataset": ("dataset.arff", arff)}
        return int(self.post("data/", files)["oml:upload_data_set"]["oml:id"])

    def task(self, dataset: int, splits: str, spec: dict[str, Any]) -> int:
        """Create a task with an official split."""
        document = xml(
            "task_inputs",
            "<oml:task_type_id>1</oml:task_type_id>"
            f'<oml:input name="source_data">{dataset}</oml:input>'
            f'<oml:input name="estimation_procedure">{CUSTOM_HOLDOUT}</oml:input>'
            '<oml:input name="target_feature">Label</oml:input>',
        )
        files: dict[str, tuple[str, str | bytes]] = {
            "description": ("description.xml", document),
            "splits": ("splits.arff", splits),
            "spec": ("spec.json", json.dumps(spec)),
        }
        return int(self.post("task/", files)["oml:upload_task"]["oml:id"])

    def flow(self, name: str) -> int:
        """Publish a flow without parameters."""
        document = xml(
            "flow",
            f"<oml:name>{name}</oml:name><oml:external_version>1</oml:external_version>"
            "<oml:description>f</oml:description>",
        )
        answer = self.post("flow/", {"description": ("description.xml", document)})
        return int(answer["oml:upload_flow"]["oml:id"])

    def run(self, task: int, flow: int, predictions: str | bytes, details: str = "") -> int:
        """Publish a run."""
        told = details and f"<oml:run_details>{details}</oml:run_details>"
        document = xml(
            "run",
            f"<oml:task_id>{task}</oml:task_id><oml:flow_id>{flow}</oml:flow_id>{told}",
        )
        files: dict[str, tuple[str, str | bytes]] = {
            "description": ("description.xml", document),
            "predictions": ("predictions.arff", predictions),
        }
        return int(self.post("run/", files)["oml:upload_run"]["oml:run_id"])

    def report(self, run: int) -> dict[str, Any]:
        """Ask what the server found about a run."""
        answer = self.session.get(f"{self.pages}hepml/run/{run}", timeout=300)
        answer.raise_for_status()
        found: dict[str, Any] = answer.json()
        return found

    def evaluated(self, run: int, pause: float = 0.02) -> dict[str, Any]:
        """Wait until a run has its scores."""
        while (report := self.report(run))["status"] in {"pending", "running"}:
            time.sleep(pause)
        if report["status"] != "done":
            raise RuntimeError(f"run {run}: {report['error']}")
        return report


@dataclass(frozen=True)
class Toy:
    """A dataset whose last rows are tested, its splits, and predictions for them."""

    rows: int
    tested: int

    @property
    def columns(self) -> dict[str, Any]:
        """Give the columns."""
        random = np.random.default_rng(0)
        label = np.array(["b", "s"])[random.integers(0, 2, self.rows)]
        x = random.normal(size=self.rows) + (label == "s")
        return {
            "EventId": 100_000 + np.arange(self.rows),
            "x": x,
            "Weight": random.uniform(0.5, 2, self.rows),
            "Label": label,
        }

    def dataset(self) -> str:
        """Write the dataset."""
        c = self.columns
        lines = [f"{e},{x:.6f},{w:.6f},{y}" for e, x, w, y in zip(*c.values(), strict=True)]
        return (
            "@RELATION toy\n@ATTRIBUTE EventId INTEGER\n@ATTRIBUTE x NUMERIC\n"
            "@ATTRIBUTE Weight NUMERIC\n@ATTRIBUTE Label {b, s}\n@DATA\n" + "\n".join(lines) + "\n"
        )

    def splits(self) -> str:
        """Write the splits."""
        edge = self.rows - self.tested
        lines = [f"{'TRAIN' if row < edge else 'TEST'},{row},0,0" for row in range(self.rows)]
        return (
            "@RELATION splits\n@ATTRIBUTE type {TRAIN,TEST}\n@ATTRIBUTE rowid NUMERIC\n"
            "@ATTRIBUTE repeat NUMERIC\n@ATTRIBUTE fold NUMERIC\n@DATA\n" + "\n".join(lines) + "\n"
        )

    def predictions(self, seed: int = 0) -> str:
        """Write noisy scores."""
        random = np.random.default_rng(seed)
        edge = self.rows - self.tested
        x = self.columns["x"][edge:] + 0.1 * random.normal(size=self.tested)
        score = 1 / (1 + np.exp(-x))
        lines = [
            f"0,0,{edge + i},{'s' if s > 0.5 else 'b'},{1 - s:.9f},{s:.9f}"
            for i, s in enumerate(score)
        ]
        return (
            "@RELATION predictions\n@ATTRIBUTE repeat NUMERIC\n@ATTRIBUTE fold NUMERIC\n"
            "@ATTRIBUTE row_id NUMERIC\n@ATTRIBUTE prediction {b,s}\n"
            "@ATTRIBUTE confidence.b NUMERIC\n@ATTRIBUTE confidence.s NUMERIC\n@DATA\n"
            + "\n".join(lines)
            + "\n"
        )

    def spec(self, metrics: list[str]) -> dict[str, Any]:
        """Write how runs are scored."""
        return {
            "task": "toy",
            "split": "official",
            "title": "toy",
            "description": "toy",
            "target": "Label",
            "positive": "s",
            "weight": "Weight",
            "event_id": "EventId",
            "class_sums": {"s": 700.0, "b": 400_000.0},
            "metrics": metrics,
            "primary": metrics[0],
            "partitions": None,
            "doi": None,
            "citation": None,
        }


@dataclass
class Tally:
    """What the clients saw."""

    published: list[tuple[str, int]] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    seconds: dict[str, list[float]] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    @contextmanager
    def timed(self, name: str) -> Iterator[None]:
        """Time what is done in the block."""
        start = time.perf_counter()
        yield
        with self.lock:
            self.seconds.setdefault(name, []).append(time.perf_counter() - start)


def many_clients(server: ServerProcess, *, clients: int, seconds: float) -> dict[str, Any]:
    """Let many clients publish runs and read them, and compare what is there afterwards."""
    toy = Toy(rows=300, tested=100)
    first = Client(server)
    task = first.task(
        first.dataset("toy", toy.dataset()), toy.splits(), toy.spec(["ams", "roc_auc"])
    )
    flow = first.flow("load.Flow")
    tally, end = Tally(), time.monotonic() + seconds
    before = len(_all_runs(first, task))

    def work(number: int) -> None:
        client, done = Client(server), 0
        while time.monotonic() < end:
            mark = f"client:{number},run:{done}"
            try:
                with tally.timed("publish run"):
                    run = client.run(task, flow, toy.predictions(number * 100_000 + done), mark)
                with tally.lock:
                    tally.published.append((mark, run))
                with tally.timed("get run"):
                    told = client.get(f"run/{run}")["oml:run"]
                if told["oml:run_details"] != mark:
                    raise RuntimeError(f"run {run} is {told['oml:run_details']}, not {mark}")
                with tally.timed("get task"):
                    client.get(f"task/{task}")
                with tally.timed("list runs"):
                    client.get(f"run/list/task/{task}/limit/20/offset/0")
            except (RuntimeError, requests.RequestException, KeyError) as error:
                with tally.lock:
                    tally.errors.append(f"{type(error).__name__}: {error}"[:300])
            done += 1

    threads = [threading.Thread(target=work, args=(number,)) for number in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    there = _all_runs(first, task)[before:]
    marks = Counter(mark for _, mark in there)
    missing = set(tally.published) - {(mark, run) for run, mark in there}
    waiting = time.perf_counter()
    states = Counter(first.report(run)["status"] for run, _ in there[:: max(1, len(there) // 50)])
    if there:
        first.evaluated(there[-1][0], pause=0.5)
    return {
        "published": len(tally.published),
        "errors": len(tally.errors),
        "first errors": tally.errors[:5],
        "lost": len(missing),
        "twice": sum(count > 1 for count in marks.values()),
        "never answered": len(there) - len(tally.published),
        "states right after": dict(states),
        "evaluated after, s": time.perf_counter() - waiting,
        "seconds (median, 99 %)": {
            name: (statistics.median(s), float(np.quantile(s, 0.99)))
            for name, s in tally.seconds.items()
        },
    }


def _all_runs(client: Client, task: int) -> list[tuple[int, str]]:
    found: list[tuple[int, str]] = []
    while True:
        try:
            answer = client.get(f"run/list/task/{task}/limit/5000/offset/{len(found)}")
        except RuntimeError as error:
            if "<oml:code>512</oml:code>" in str(error):
                return found
            raise
        rows = answer["oml:runs"]["oml:run"]
        rows = rows if isinstance(rows, list) else [rows]
        found += [(int(row["oml:run_id"]), row["oml:run_details"]) for row in rows]


def long_list(
    data: Path, database: str | None, *, evaluations: int = 100_000, requests_: int = 200
) -> dict[str, float]:
    """Time the listing of 20 evaluations where there are many, in several orders."""
    toy = Toy(rows=300, tested=100)
    with start_server(data, database=database) as server:
        client = Client(server)
        dataset = client.dataset("toy", toy.dataset())
        task = client.task(dataset, toy.splits(), toy.spec(["ams"]))
        run = client.run(task, client.flow("list.Flow"), toy.predictions())
        client.evaluated(run)
    _multiply(data, database, run, evaluations)
    with start_server(data, database=database) as server:
        client = Client(server)
        client.get("evaluation/list/function/ams/limit/20/offset/0")
        medians = {}
        for name, path in {
            "first": "function/ams/limit/20/offset/0",
            "in the middle": f"function/ams/limit/20/offset/{evaluations // 2}",
            "of a task": f"function/ams/task/{task}/limit/20/offset/0",
            "best": "function/ams/sort_order/desc/limit/20/offset/0",
            "of a tag": "function/ams/tag/load/limit/20/offset/0",
        }.items():
            times = []
            for _ in range(requests_):
                start = time.perf_counter()
                answer = client.get(f"evaluation/list/{path}")
                times.append(time.perf_counter() - start)
                if len(answer["oml:evaluations"]["oml:evaluation"]) != 20:
                    raise RuntimeError(f"{path}: not 20 evaluations")
            medians[name] = statistics.median(times)
    return medians


def _multiply(data: Path, database: str | None, run_id: int, evaluations: int) -> None:
    """Copy a run with its evaluation until there are enough of them."""
    from sqlalchemy import insert, select

    from hepml_tasks.server.database import Evaluation, Run, Tag, connect

    connected = connect(database, data, upgrade=False)
    random = np.random.default_rng(0)
    with connected.write() as session:
        run = session.execute(select(Run.__table__).where(Run.id == run_id)).one()._asdict()
        del run["id"]
        ids = session.scalars(
            insert(Run).returning(Run.id), [run for _ in range(evaluations - 1)]
        ).all()
        rows = [
            {"run_id": i, "measure": "ams", "value": float(v), "detail": {"value": float(v)}}
            for i, v in zip(ids, random.normal(size=len(ids)), strict=True)
        ]
        session.execute(insert(Evaluation), rows)
        tags = [{"kind": "run", "entity_id": i, "tag": "load", "user_id": 1} for i in ids[::10]]
        session.execute(insert(Tag), tags)
    connected.engine.dispose()


def large_run(data: Path, database: str | None, *, rows: int = 550_000) -> dict[str, float]:
    """Time a large run on the server, and the same work in this process."""
    toy = Toy(rows=rows + 50_000, tested=rows)
    dataset, splits, spec = toy.dataset(), toy.splits(), toy.spec(LARGE_METRICS)
    sent = [toy.predictions(seed).encode() for seed in range(4)]
    with start_server(data, database=database) as server:
        client = Client(server)
        flow = client.flow("large.Flow")
        task = client.task(client.dataset("large", dataset), splits, spec)
        client.evaluated(client.run(task, flow, sent[0]))  # warms the evaluator
        uploads, totals = [], []
        for predictions in sent[1:]:
            start = time.perf_counter()
            run = client.run(task, flow, predictions)
            uploads.append(time.perf_counter() - start)
            report = client.evaluated(run)
            totals.append(time.perf_counter() - start)
    parse, compute = _in_this_process(dataset, sent[-1], spec, report["scores"])
    upload, total = statistics.median(uploads), statistics.median(totals)
    goal = 1.5 * (parse + compute)
    return {
        "upload, s": upload,
        "upload and evaluation, s": total,
        "parsing with pyarrow, s": parse,
        "metrics with 200 replicas, s": compute,
        "ratio (goal 1.5)": 1.5 * total / goal,
    }


def _in_this_process(
    dataset: str, predictions: bytes, spec: dict[str, Any], expected: dict[str, Any]
) -> tuple[float, float]:
    from pyarrow import csv

    from hepml_tasks.evaluation.evaluate import evaluate
    from hepml_tasks.evaluation.predictions import read_predictions
    from hepml_tasks.evaluation.truth import read_truth
    from hepml_tasks.spec import EvaluationSpec, from_mapping

    body = predictions[predictions.index(b"@DATA\n") + 6 :]
    names = ["repeat", "fold", "row", "prediction", "b", "s"]
    parses, computes = [], []
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "d.arff").write_text(dataset)
        (Path(folder) / "p.arff").write_bytes(predictions)
        evaluation = from_mapping(spec, EvaluationSpec, origin="spec")
        truth = read_truth(Path(folder) / "d.arff", evaluation)
        read = read_predictions(Path(folder) / "p.arff", evaluation)
        for _ in range(3):
            start = time.perf_counter()
            csv.read_csv(io.BytesIO(body), read_options=csv.ReadOptions(column_names=names))
            parses.append(time.perf_counter() - start)
            start = time.perf_counter()
            scores = evaluate(read, truth, evaluation, replicas=200).to_json()["scores"]
            computes.append(time.perf_counter() - start)
    if {n: s["value"] for n, s in scores.items()} != {n: s["value"] for n, s in expected.items()}:
        raise RuntimeError("the server's scores are not those of this process")
    return statistics.median(parses), statistics.median(computes)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("parts", nargs="*", help="clients, list, large; all by default")
    parser.add_argument("--seconds", type=float, default=120.0)
    parser.add_argument("--clients", type=int, default=100)
    options = parser.parse_args()
    database = os.environ.get("HEPML_DATABASE")
    parts = options.parts or ["clients", "list", "large"]
    missed = []
    with tempfile.TemporaryDirectory() as folder:
        for part in parts:
            data = Path(folder) / part
            if part == "clients":
                with start_server(data, database=database) as server:
                    found: dict[str, Any] = many_clients(
                        server, clients=options.clients, seconds=options.seconds
                    )
                bad = [found[name] for name in ("errors", "lost", "twice")]
                missed += [part] if any(bad) else []
            elif part == "list":
                found = {f"{k}, ms": 1000 * v for k, v in long_list(data, database).items()}
                missed += [part] if max(found.values()) >= 50 else []
            else:
                found = large_run(data, database)
                missed += [part] if found["ratio (goal 1.5)"] > 1.5 else []
            print(part)
            for name, value in found.items():
                print(
                    f"  {name:32} {value:.3f}"
                    if isinstance(value, float)
                    else f"  {name:32} {value}"
                )
    if missed:
        print(f"missed: {', '.join(missed)}")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
