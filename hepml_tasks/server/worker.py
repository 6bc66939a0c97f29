"""The process that computes metrics, as the server sees it: a line in, a line out."""

from __future__ import annotations

import json
import queue
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

from hepml_tasks.errors import ServerError

_COMMAND = (sys.executable, "-m", "hepml_tasks.evaluation")
_END_SECONDS = 5.0


class WorkerDied(ServerError):  # noqa: N818 - a fact, told by the message
    """The process ended in the middle of a job."""


class WorkerTooSlow(ServerError):  # noqa: N818 - a fact, told by the message
    """The process took longer than allowed and was ended."""


class Worker:
    """A process that evaluates one job after the other; started when it is first needed.

    Parameters
    ----------
    log : Path
        Where it writes what it has to say beside its answers.
    """

    def __init__(self, log: Path) -> None:
        self._log = log
        self._process: subprocess.Popen[str] | None = None
        self._lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()

    def evaluate(self, job: Mapping[str, Any], seconds: float) -> dict[str, Any]:
        """Do a job.

        Parameters
        ----------
        job : mapping
            As `hepml_tasks.evaluation` reads it.
        seconds : float
            Time allowed.

        Returns
        -------
        dict
            As `hepml_tasks.evaluation` writes it.

        Raises
        ------
        WorkerDied, WorkerTooSlow
            The next job gets a new process.
        """
        process = self._running()
        try:
            if process.stdin is None:
                raise WorkerDied("the evaluator has no input")
            process.stdin.write(json.dumps(job) + "\n")
            process.stdin.flush()
            line = self._lines.get(timeout=seconds)
        except queue.Empty:
            self.end()
            raise WorkerTooSlow(f"the evaluation took longer than {seconds:g} s") from None
        except OSError:
            line = None
        if line is None:
            status = process.wait()
            self.end()
            raise WorkerDied(
                f"the evaluator ended with status {status} while it evaluated this run"
            )
        try:
            answer = json.loads(line)
        except ValueError:
            answer = None
        if not isinstance(answer, dict) or answer.get("job") != job["job"]:
            self.end()
            raise WorkerDied("the evaluator gave an answer that can't be understood")
        return answer

    def _running(self) -> subprocess.Popen[str]:
        if self._process is not None and self._process.poll() is None:
            return self._process
        with self._log.open("ab") as log:
            process = subprocess.Popen(
                _COMMAND,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                encoding="utf-8",
            )
        lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        if process.stdout is not None:
            reader = threading.Thread(target=_forward, args=(process.stdout, lines), daemon=True)
            reader.start()
        self._process, self._lines = process, lines
        return process

    def end(self) -> None:
        """End the process and wait for it."""
        process, self._process = self._process, None
        if process is None:
            return
        process.terminate()
        try:
            process.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                try:
                    stream.close()
                except OSError:  # what was still to be written has nobody to read it
                    continue


def _forward(stream: IO[str], lines: queue.SimpleQueue[str | None]) -> None:
    try:
        for line in stream:
            lines.put(line)
    except (OSError, ValueError):
        pass
    finally:
        lines.put(None)
