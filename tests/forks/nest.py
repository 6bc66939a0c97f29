"""The process that has imported what programs need, and forks for each that is asked for.

A message on the socket is a JSON object and three open files; each answer is a pid, or a pid and
how it ended.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import select
import signal
import socket
import sys
from typing import Any

PRELOADED = (
    "alembic.command",
    "h5py",
    "hepml_tasks",
    "hepml_tasks.bot.worker",
    "hepml_tasks.cli",
    "hepml_tasks.evaluation.evaluate",
    "hepml_tasks.flows.extra_trees",
    "hepml_tasks.flows.logistic",
    "hepml_tasks.flows.prior",
    "hepml_tasks.openml.flows",
    "hepml_tasks.openml.publication",
    "hepml_tasks.openml.register",
    "hepml_tasks.pages.render",
    "hepml_tasks.server.__main__",
    "hepml_tasks.server.app",
    "pandas",
    "pyarrow.csv",
    "pyarrow.parquet",
    "scipy.stats",
    "sklearn.ensemble",
    "sklearn.pipeline",
    "uvicorn.protocols.http.h11_impl",
)


def main() -> None:
    """Fork what is asked for until nobody can ask any more."""
    asks = socket.socket(fileno=int(sys.argv[1]))
    for name in PRELOADED:
        importlib.import_module(name)
    gc.collect()
    gc.freeze()
    reads, wakes = os.pipe()
    os.set_blocking(wakes, False)
    signal.set_wakeup_fd(wakes)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    while True:
        ready, _, _ = select.select([asks, reads], [], [])
        if reads in ready:
            os.read(reads, 4096)
        while (ended := _reaped()) is not None:
            asks.send(json.dumps({"pid": ended[0], "code": ended[1]}).encode())
        if asks not in ready:
            continue
        message, files, _, _ = socket.recv_fds(asks, 1 << 20, 3)
        if not message:
            return
        pid = os.fork()
        if pid == 0:
            asks.close()
            os.close(reads)
            signal.set_wakeup_fd(-1)
            os.close(wakes)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            _become(json.loads(message), files)
        for file in files:
            os.close(file)
        asks.send(json.dumps({"pid": pid}).encode())


def _reaped() -> tuple[int, int] | None:
    try:
        pid, status = os.waitpid(-1, os.WNOHANG)
    except ChildProcessError:
        return None
    return (pid, os.waitstatus_to_exitcode(status)) if pid else None


def _become(asked: dict[str, Any], files: list[int]) -> None:
    """Go on as the program that was asked for."""
    if asked["own_session"]:
        os.setsid()
    os.chdir(asked["cwd"])
    for place, file in enumerate(files):
        os.dup2(file, place)
        os.close(file)
    os.environ.clear()
    os.environ.update(asked["env"])
    for name, place, mode in (("stdin", 0, "r"), ("stdout", 1, "w"), ("stderr", 2, "w")):
        stream = open(place, mode, closefd=False, errors=getattr(sys, name).errors)  # noqa: SIM115
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)
    module, _, function = asked["main"].partition(":")
    sys.argv = [os.path.join(os.path.dirname(sys.executable), "hepml"), *asked["arguments"]]  # noqa: PTH118, PTH120
    sys.exit(getattr(importlib.import_module(module), function)())


if __name__ == "__main__":
    main()
