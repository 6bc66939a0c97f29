"""The process that forks a child for every call, so that a flow may crash, hang or eat memory.

It has the data of the runs in hand once, and each of its children has them by being forked from it:
nothing is imported or copied for a fold. It fits nothing itself, so it has no threads that a fork
would lose. When the process that started it is gone, it ends with all of its children.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import pickle
import signal
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, Pipe, wait
from pathlib import Path
from typing import Any, Literal

from hepml_tasks.errors import HepmlError, OutputError

How = Literal["done", "failed", "unwritten", "died", "memory", "cancelled"]
"""``failed``: it raised; ``unwritten``: the result could not be kept; ``died``: by a signal."""

LEFT_TO_PARENT = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2)
"""Signals that a farm may send to every process of a job: the bot decides what they mean."""

_BETWEEN_LOOKS = 0.1
_PR_SET_PDEATHSIG = 1
_PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True)
class Keep:
    """Have the data of calls at hand, pickled by the process that started the nursery."""

    key: int
    pickled: bytes


@dataclass(frozen=True)
class Drop:
    """Forget the data, and end the calls that use them."""

    key: int


@dataclass(frozen=True)
class Call:
    """Call ``function(data, *arguments)`` in a child."""

    number: int
    key: int
    function: Callable[..., None]
    arguments: tuple[Any, ...]


@dataclass(frozen=True)
class Begun:
    """A call has its child."""

    number: int
    pid: int


@dataclass(frozen=True)
class Ended:
    """A call is over.

    Parameters
    ----------
    number : int
    how : str
    reason : str
        What there is to say of it, in a line.
    killed : bool
        Whether SIGKILL ended it that nobody here sent.
    """

    number: int
    how: How
    reason: str = ""
    killed: bool = False


@dataclass
class _Child:
    pid: int
    call: Call
    said: Connection
    memory_at_fork: int
    doomed: How | None = None


@dataclass
class _Nursery:
    channel: Connection
    processes: int
    memory: int | None
    kept: dict[int, Any] = field(default_factory=dict)
    waiting: deque[Call] = field(default_factory=deque)
    children: list[_Child] = field(default_factory=list)
    looked: float = 0.0

    def tend(self) -> None:
        """Work until the channel ends."""
        while True:
            while self.waiting and len(self.children) < self.processes:
                self._fork(self.waiting.popleft())
            pipes = [child.said for child in self.children if not child.said.closed]
            ready = wait([self.channel, *pipes], _BETWEEN_LOOKS if self.children else None)
            try:
                while self.channel in ready and self.channel.poll():
                    self._hear(self.channel.recv())
            except (EOFError, OSError):
                for child in self.children:
                    kill(child.pid)
                return
            for child in list(self.children):
                self._look_after(child, spoke=child.said in ready)
            self._watch_memory()

    def _hear(self, message: Keep | Drop | Call) -> None:
        if isinstance(message, Keep):
            try:
                # from the process that started this one, over a pipe that nobody else has
                self.kept[message.key] = pickle.loads(message.pickled)  # noqa: S301
            except Exception as error:
                self.kept[message.key] = error
        elif isinstance(message, Call):
            self.waiting.append(message)
        else:
            self.kept.pop(message.key, None)
            gone = [call for call in self.waiting if call.key == message.key]
            self.waiting = deque(call for call in self.waiting if call.key != message.key)
            for call in gone:
                self._tell(Ended(call.number, "cancelled"))
            for child in self.children:
                if child.call.key == message.key:
                    child.doomed = child.doomed or "cancelled"
                    kill(child.pid)

    def _fork(self, call: Call) -> None:
        data = self.kept.get(call.key)
        if isinstance(data, Exception):
            self._tell(Ended(call.number, "failed", _line(data)))
            return
        hears, says = Pipe(duplex=False)
        pid = os.fork()
        if pid == 0:
            try:
                self.channel.close()
                hears.close()
                _be_a_child()
                says.send(_outcome(call, data))
                says.close()
            finally:
                os._exit(0)
        says.close()
        self.children.append(_Child(pid, call, hears, resident(pid)))
        self._tell(Begun(call.number, pid))

    def _look_after(self, child: _Child, *, spoke: bool) -> None:
        said: tuple[How, str] | None = None
        if spoke:
            with contextlib.suppress(EOFError, OSError):
                said = child.said.recv()
        # after a word or the end of its pipe it is only a moment until it is gone
        pid, status = os.waitpid(child.pid, 0 if spoke else os.WNOHANG)
        if pid == 0:
            return
        if said is None and not child.said.closed:
            with contextlib.suppress(EOFError, OSError):
                said = child.said.recv() if child.said.poll() else None
        child.said.close()
        self.children.remove(child)
        number = child.call.number
        if child.doomed == "memory":
            reason = f"it used more than its {_size(self.memory or 0)} of memory"
            self._tell(Ended(number, "memory", reason))
        elif child.doomed is not None:
            self._tell(Ended(number, child.doomed))
        elif said is not None:
            self._tell(Ended(number, *said))
        else:
            self._tell(Ended(number, "died", _death(status), _was_killed(status)))

    def _watch_memory(self) -> None:
        if self.memory is None or time.monotonic() - self.looked < _BETWEEN_LOOKS:
            return
        self.looked = time.monotonic()
        for child in self.children:
            own = sum(map(resident, family(child.pid))) - child.memory_at_fork
            if own > self.memory and child.doomed is None:
                child.doomed = "memory"
                kill(child.pid)

    def _tell(self, message: Begun | Ended) -> None:
        with contextlib.suppress(OSError):
            self.channel.send(message)


def tend(channel: Connection, *, processes: int, memory: int | None) -> None:
    """Be the nursery, in a process that was just forked, until the channel ends.

    Parameters
    ----------
    channel : Connection
        By which the parent sends `Keep`, `Call` and `Drop`, and hears `Begun` and `Ended`.
    processes : int
        How many children there are at most.
    memory : int, optional
        Bytes that a child may use.
    """
    end_with_parent()
    for number in LEFT_TO_PARENT:
        signal.signal(number, signal.SIG_IGN)
    _let_go_of_files(channel.fileno())
    _Nursery(channel, processes, memory).tend()


def _be_a_child() -> None:
    end_with_parent()
    with contextlib.suppress(OSError):
        # where memory runs out for all, the kernel takes a flow before it takes the bot
        Path("/proc/self/oom_score_adj").write_text("1000")


def _outcome(call: Call, data: Any) -> tuple[How, str]:
    try:
        call.function(data, *call.arguments)
    except OutputError as error:
        return "unwritten", str(error)
    except HepmlError as error:
        return "failed", str(error)
    except BaseException as error:
        return "failed", _line(error)
    return "done", ""


def _line(error: BaseException) -> str:
    text = str(error)
    return f"{type(error).__name__}: {text.splitlines()[0] if text else ''}".rstrip(": ")


def _death(status: int) -> str:
    if not os.WIFSIGNALED(status):
        return f"it ended by itself with status {os.waitstatus_to_exitcode(status)}"
    number = os.WTERMSIG(status)
    hint = ", perhaps for want of memory" if number == signal.SIGKILL else ""
    return f"it was ended by {signal.Signals(number).name}{hint}"


def _was_killed(status: int) -> bool:
    return os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL


def _size(count: int) -> str:
    return f"{count / 1e9:.3g} GB" if count >= 10**9 else f"{count / 1e6:.3g} MB"


def end_with_parent() -> None:
    """Have the kernel end this process when the one that made it is gone (Linux)."""
    parent = os.getppid()
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it went before the kernel was asked
        os._exit(1)


def _let_go_of_files(kept: int) -> None:
    """Hold none of the parent's files, as their locks would be held on with them.

    What a flow prints goes where the errors go: the output may be read by a script.
    """
    os.dup2(2, 1)
    nothing = os.open(os.devnull, os.O_RDWR)
    for entry in list(Path("/dev/fd").iterdir()):
        number = int(entry.name)
        if number not in {0, 1, 2, kept, nothing}:
            # not closed: an object that still thinks it has the file would close another's
            with contextlib.suppress(OSError):
                os.fstat(number)
                os.dup2(nothing, number)


def resident(pid: int) -> int:
    """Return the bytes of memory that a process has in use, 0 for one that is gone."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE
    except (OSError, ValueError, IndexError):
        return 0


def family(pid: int) -> list[int]:
    """Return a process and all that it started, which are still there."""
    found = [pid]
    for one in found:
        with contextlib.suppress(OSError):
            for task in Path(f"/proc/{one}/task").iterdir():
                with contextlib.suppress(OSError):
                    found += map(int, (task / "children").read_text().split())
    return found


def kill(pid: int) -> None:
    """End a child at once, with all that it started."""
    for one in reversed(family(pid)):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(one, signal.SIGKILL)
