"""Starts programs of this package by forking, so that hundreds of starts import nothing anew.

Run as a script: each line of its input is a JSON object with the program's ``main``, its arguments,
environment and the file of its output; each line it writes is a pid, or a pid and its exit code.
"""

from __future__ import annotations

import importlib
import json
import os
import select
import signal
import sys
import traceback
from typing import Any

PRELOADED = (
    "hepml_tasks.cli",
    "hepml_tasks.bot.worker",
    "hepml_tasks.evaluation.evaluate",
    "hepml_tasks.flows.extra_trees",
    "hepml_tasks.flows.logistic",
    "hepml_tasks.flows.prior",
    "hepml_tasks.openml.flows",
    "hepml_tasks.server.__main__",
    "hepml_tasks.server.app",
    "openml.extensions.sklearn",
    "alembic.command",
    "uvicorn.protocols.http.h11_impl",
)


def main() -> None:
    """Fork what is asked for until the input ends."""
    for name in PRELOADED:
        importlib.import_module(name)
    print("ready", flush=True)
    reads, wakes = os.pipe()
    os.set_blocking(wakes, False)
    signal.set_wakeup_fd(wakes)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    buffer = b""
    while True:
        ready, _, _ = select.select([0, reads], [], [])
        if reads in ready:
            os.read(reads, 4096)
        while (ended := _reaped()) is not None:
            print(*ended, flush=True)
        if 0 not in ready:
            continue
        data = os.read(0, 65536)
        if not data:
            return
        *lines, buffer = (buffer + data).split(b"\n")
        for line in lines:
            print(_start(json.loads(line)), flush=True)


def _reaped() -> tuple[int, int] | None:
    try:
        pid, status = os.waitpid(-1, os.WNOHANG)
    except ChildProcessError:
        return None
    return (pid, os.waitstatus_to_exitcode(status)) if pid else None


def _start(asked: dict[str, Any]) -> int:
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        os.setsid()
        nothing = os.open(os.devnull, os.O_RDONLY)
        out = os.open(asked["out"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(nothing, 0)
        os.dup2(out, 1)
        os.dup2(out, 2)
        os.environ.update(asked["env"])
        module, _, function = asked["main"].partition(":")
        sys.argv = ["program", *asked["arguments"]]
        answer = getattr(importlib.import_module(module), function)()
        code = answer if isinstance(answer, int) else 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    main()
