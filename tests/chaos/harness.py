"""Bots and servers that are started and killed by the hundred, and the evidence of what was hit."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pyarrow import parquet

from hepml_tasks.openml.connection import Connection
from hepml_tasks.openml.publication import render_predictions, runs_on
from hepml_tasks.running.folder import RunFolder

from ..forks import CLI, SERVER, Forked, nest
from ..openml.front import Answer, Front

SUITE = """name: chaos
title: Small runs
description: A suite for faults.
tasks:
  - {{task: {task}, split: 3-fold}}
"""


@dataclass
class Program:
    """A program in a session of its own."""

    process: Forked
    out: Path

    @classmethod
    def start(cls, main: str, arguments: Sequence[object], out: Path, **env: str) -> Program:
        with Path(os.devnull).open("rb") as nothing, out.open("ab") as told:
            streams = [nothing.fileno(), told.fileno(), told.fileno()]
            environment = {**os.environ, **env}
            process = nest().start(
                main, arguments, streams=streams, env=environment, own_session=True
            )
        return cls(process, out)

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def code(self) -> int | None:
        """How it ended, or None."""
        return self.process.poll()

    def kill(self, number: int = signal.SIGKILL) -> None:
        """Kill it and all that it started, at once, as a farm does."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, number)

    def wait(self, seconds: float = 300) -> int:
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise AssertionError(self.out.read_text()[-3000:]) from None


@dataclass
class Server:
    """A real server on one port, which may be killed and started again."""

    data: Path
    port: int
    program: Program | None = None

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def key_file(self) -> Path:
        return self.data / "apikey"

    def start(self) -> None:
        import requests

        self.program = Program.start(
            SERVER,
            ["--data", self.data, "--port", self.port],
            self.data.with_suffix(".log"),
        )
        end = time.monotonic() + 120
        while True:
            with contextlib.suppress(requests.RequestException):
                requests.get(f"{self.address}/hepml/about", timeout=10).raise_for_status()
                return
            assert self.program.code is None, self.program.out.read_text()[-3000:]
            assert time.monotonic() < end
            time.sleep(0.02)

    def kill(self, number: int = signal.SIGKILL) -> None:
        assert self.program is not None
        self.program.kill(number)
        self.program.wait(60)


@dataclass
class Uploads:
    """Which uploads are under way, seen from the proxy before the server."""

    front: Front
    pause: float = 0.03
    open: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def watch(self) -> None:
        """Watch, and give every upload a moment before and after the server has stored it."""
        self.front.refuse = self._begin
        self.front.rules.append(self._end)

    def _begin(self, method: str, path: str, _body: bytes) -> None:
        if method == "POST" and path.rstrip("/").endswith("/run"):
            with self.lock:
                self.open += 1
            time.sleep(self.pause)

    def _end(self, method: str, path: str, _answer: Answer) -> None:
        if method == "POST" and path.rstrip("/").endswith("/run"):
            time.sleep(self.pause)
            with self.lock:
                self.open -= 1


class Events:
    """The log of bots, read as it grows."""

    def __init__(self, path: Path) -> None:
        self.path, self.position, self.rest = path, 0, b""
        self.alive: dict[int, Counter[str]] = {}
        self.folders: list[str] = []

    def read(self) -> list[dict[str, Any]]:
        if not self.path.exists():
            return []
        with self.path.open("rb") as file:
            file.seek(self.position)
            data = file.read()
        self.position += len(data)
        *lines, self.rest = (self.rest + data).split(b"\n")
        found = [json.loads(line) for line in lines]
        for event in found:
            self.alive.setdefault(event["pid"], Counter())[event["event"]] += 1
            if event["event"] == "run_begun":
                self.folders = [*self.folders[-3:], event["folder"]]
        return found

    def in_fit(self, pid: int) -> bool:
        counts = self.alive.get(pid, Counter())
        return counts["fold_begun"] > counts["fold_done"]


def half_written(spool: Path, folders: Sequence[str]) -> set[Path]:
    """Return the files that were being written in run folders: no other trace is left of a kill."""
    found: set[Path] = set()
    for name in folders:
        for place in (spool / name, spool / name / "folds", spool / name / "published"):
            with contextlib.suppress(OSError), os.scandir(place) as entries:
                found |= {
                    Path(e.path) for e in entries if e.name[0] == "." and e.name.count(".") > 2
                }
    return found


@dataclass
class Field:
    """A spool, a suite of small runs, and bots that work on it."""

    folder: Path
    suite: Path
    server: str
    key_file: Path
    flows: str = "prior,logistic,extra-trees"
    seeds: int = 4
    env: dict[str, str] = field(default_factory=dict)

    @property
    def spool(self) -> Path:
        return self.folder / "spool"

    @property
    def log(self) -> Path:
        return self.folder / "log.jsonl"

    def command(self, *more: object, spool: Path | None = None) -> list[object]:
        seeds = ",".join(map(str, range(self.seeds)))
        known = ["bot", "run", "--suite", self.suite, "--flows", self.flows, "--seeds", seeds]
        return [*known, "--spool", spool or self.spool, "--n-jobs", 2, *more]

    def bot(self, *more: object, spool: Path | None = None) -> Program:
        """Start a bot that publishes."""
        to = ["--server", self.server, "--key-file", self.key_file, "--log", self.log]
        return self.start(self.command(*to, *more, spool=spool))

    def upload(self) -> Program:
        to = ["--server", self.server, "--key-file", self.key_file]
        return self.start(["spool", "upload", "--spool", self.spool, *to])

    def start(self, arguments: Sequence[object]) -> Program:
        out = self.folder / "out.txt"
        return Program.start(CLI, arguments, out, **self.env)

    def finish(self) -> None:
        """Let a bot end everything that the kills have left."""
        for _ in range(20):
            if (code := self.bot().wait()) == 0:
                return
            assert code == 3, (self.folder / "out.txt").read_text()[-3000:]
        raise AssertionError((self.folder / "out.txt").read_text()[-3000:])


def check(field_: Field, connection: Connection, task_id: int) -> int:
    """Check that each planned run is on the server once, with the predictions of a quiet run.

    Returns
    -------
    int
        How many runs there are.
    """
    quiet = field_.folder / "quiet"
    assert field_.start(field_.command(spool=quiet)).wait(1800) == 0
    planned = {p.name for p in quiet.iterdir() if p.is_dir()}
    runs = runs_on(connection, task_id)
    keys = Counter(details["key"] for details in runs.values())
    assert set(keys) == {name.rpartition("--")[2] for name in planned}
    assert set(keys.values()) == {1}
    assert len({details["uuid"] for details in runs.values()}) == len(runs)
    by_key = {details["key"]: run_id for run_id, details in runs.items()}
    for name in sorted(planned):
        kept = parquet.read_table(quiet / name / "predictions.parquet")
        assert parquet.read_table(field_.spool / name / "predictions.parquet").equals(kept)
        run_id = by_key[name.rpartition("--")[2]]
        assert _body(_predictions(connection, run_id)) == _body(
            render_predictions(RunFolder(quiet / name), task_id)
        )
    return len(planned)


def _predictions(connection: Connection, run_id: int) -> bytes:
    import requests

    files = connection.get(f"run/{run_id}")["oml:run"]["oml:output_data"]["oml:file"]
    (url,) = [f["oml:url"] for f in files if f["oml:name"] == "predictions"]
    answer = requests.get(url, timeout=60)
    answer.raise_for_status()
    return answer.content


def _body(arff: bytes) -> bytes:
    return arff[arff.index(b"@RELATION") :]


AIMS = ("random", "fit", "write", "upload")


@dataclass
class Hits:
    """How many kills there were, and in the middle of what."""

    kills: int = 0
    fit: int = 0
    write: int = 0
    upload: int = 0
    other: int = 0


def kill_bots(
    field_: Field, uploads: Uploads, *, kills: int, chance: random.Random, life: float
) -> Hits:
    """Kill bot after bot, some at any moment of their lives, some where it hurts most.

    What was hit is told by what is there after the kill: an open upload at the proxy, a file that
    is half written, a fold that was begun and has neither ended nor written anything.
    """
    events, hits = Events(field_.log), Hits()
    while hits.kills < kills:
        aim = chance.choice(AIMS)
        bot = field_.bot()
        _lie_in_wait(bot, aim, field_, events, uploads, chance, life)
        uploading = uploads.open
        bot.kill()
        bot.wait()
        events.read()
        if bot.code != -signal.SIGKILL:
            # it had nothing left to do: give it more
            assert bot.code == 0, (field_.folder / "out.txt").read_text()[-3000:]
            field_.seeds += 2
            continue
        hits.kills += 1
        writing = half_written(field_.spool, events.folders)
        if uploading:
            hits.upload += 1
        elif writing:
            hits.write += 1
        elif events.in_fit(bot.pid):
            hits.fit += 1
        else:
            hits.other += 1
        for path in writing:
            path.unlink()  # counted once
    return hits


def _lie_in_wait(
    bot: Program,
    aim: str,
    field_: Field,
    events: Events,
    uploads: Uploads,
    chance: random.Random,
    life: float,
) -> None:
    end = time.monotonic() + (chance.uniform(0, life) if aim == "random" else 60)
    while bot.code is None and time.monotonic() < end:
        if aim == "upload" and uploads.open:
            time.sleep(chance.uniform(0, 2 * uploads.pause))
            return
        if aim == "write":
            if half_written(field_.spool, events.folders):
                return
            if chance.random() > 0.02:
                continue  # a file is half written for a moment only
        events.read()
        if aim == "fit" and events.in_fit(bot.pid):
            time.sleep(chance.uniform(0, 0.05))
            return
        time.sleep(0 if aim == "write" else 0.001)


def kill_servers(
    field_: Field, server: Server, uploads: Uploads, *, kills: int, chance: random.Random
) -> Hits:
    """Kill the server again and again while bots send their runs to it."""
    hits, bot = Hits(), None
    while hits.kills < kills:
        server.start()
        if bot is None or bot.code is not None:
            if bot is not None and bot.code == 0:
                field_.seeds += 2
            bot = field_.bot()
        aimed = bool(hits.kills % 2)
        end = time.monotonic() + (20 if aimed else chance.uniform(0, 2))
        while time.monotonic() < end and bot.code is None and not (aimed and uploads.open):
            time.sleep(0.001)
        if aimed:
            time.sleep(chance.uniform(0, 2 * uploads.pause))
        uploading = uploads.open
        server.kill()
        hits.kills += 1
        hits.upload += bool(uploading)
        hits.other += not uploading
        uploads.open = 0  # those that were under way came to no end
        assert bot.code in {None, 0, 1, 3}, bot.code
    server.start()
    assert bot is not None
    bot.wait()
    return hits
