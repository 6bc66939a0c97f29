"""Folds on the workers of a Dask cluster: data from each node's own cache, results to the spool.

A worker gets a task's spec and the number of a fold, and no events: it has them from its own
cache, which the workers of a node share, so that a node fetches a file once. The fold's files come
back as they are and are written into the run folder here: workers need no file system in common.
A worker that dies costs the folds that it had in hand; Dask gives them to another one.
"""

from __future__ import annotations

import json
import queue
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hepml_tasks.errors import (
    FarmError,
    HepmlError,
    MissingExtraError,
    OutputError,
    RunError,
    UnreachableError,
)
from hepml_tasks.running.engines import Engine, FoldWork
from hepml_tasks.running.environment import package_versions
from hepml_tasks.running.fold import run_fold
from hepml_tasks.running.folder import RunFolder, write_bytes
from hepml_tasks.running.isolation import FlowFailedError, Watch, awaited
from hepml_tasks.running.task import Task, as_task
from hepml_tasks.spec import TaskSpec, from_mapping, to_mapping
from hepml_tasks.splits import Split, splits_sha256

if TYPE_CHECKING:
    from distributed import Client, Future

_PATIENCE = "60s"
"""When a scheduler that does not answer is given up."""


@dataclass(frozen=True)
class Order:
    """What a worker needs to know of a fold, small enough for a message.

    Parameters
    ----------
    spec : str
        The task's spec as JSON.
    split : str
    data_sha256, splits_sha256 : str
        What the run folder says the run is on.
    versions : mapping of str to str
        The packages that the run folder says it is made with.
    estimator : bytes
        The estimator, pickled: a message that a worker can't read would end it, so it is opened
        where a failure is told.
    repeat, fold : int
    """

    spec: str
    split: str
    data_sha256: str
    splits_sha256: str
    versions: Mapping[str, str]
    estimator: bytes
    repeat: int
    fold: int


@dataclass(frozen=True, eq=False)
class Cluster:
    """A Dask cluster that fits folds, of several runs at the same time if asked from threads.

    Parameters
    ----------
    client : distributed.Client
    expected : int
        How many workers were asked for: those of a batch system come when it has room.
    """

    client: Client
    expected: int = 1

    @property
    def workers(self) -> int:
        """How many workers there are now, or should be."""
        return max(self.expected, len(self.client.scheduler_info(n_workers=-1)["workers"]))

    def engine(self, watch: Watch | None = None) -> Engine:
        """Return the engine that has folds fitted: see `hepml_tasks.running.engines`.

        It raises `RunError` if a fold fails, or its workers died again and again, `FarmError` if
        the scheduler is gone, and `StoppedError` when it is told to stop; finished folds are kept.

        Parameters
        ----------
        watch : Watch, optional
            Its time limit isn't kept: a worker can't be told to leave a fold.
        """
        listened = watch or Watch(threading.Event())

        def engine(work: FoldWork) -> Iterator[None]:
            folder, answers = RunFolder(work.folder), _queue()
            waiting = {
                self.client.submit(fit_fold, order, pure=False): folder.fold_path(
                    order.repeat, order.fold
                )
                for order in orders(work)
            }
            for future in waiting:
                future.add_done_callback(answers.put)
            try:
                while waiting:
                    future = awaited(answers, listened)
                    _keep(waiting.pop(future), future)
                    yield
            finally:
                # after an error, and when nobody asks for more
                self.client.cancel(list(waiting))

        return engine


def _queue() -> queue.SimpleQueue[Future]:
    return queue.SimpleQueue()


def orders(work: FoldWork) -> Iterator[Order]:
    """Write what workers are told, an order a fold."""
    import cloudpickle

    task = work.task
    spec, model = json.dumps(to_mapping(task.spec)), cloudpickle.dumps(work.estimator)
    facts = (task.events.sha256, splits_sha256(task.splits), package_versions())
    for split in work.splits:
        yield Order(spec, task.split.name, *facts, model, split.repeat, split.fold)


@contextmanager
def connected(to: str | Client) -> Iterator[Cluster]:
    """Give the cluster of a scheduler's address, or of a client that is connected already.

    Parameters
    ----------
    to : str or distributed.Client
        Such as ``tcp://host:8786``.

    Raises
    ------
    UnreachableError
        If no scheduler answers there.
    MissingExtraError
        If Dask isn't installed.
    """
    if not isinstance(to, str):
        yield Cluster(to)
        return
    try:
        from distributed import Client
    except ImportError:
        raise missing_dask() from None
    try:
        client = Client(to, timeout=_PATIENCE)
    except (OSError, ValueError) as error:
        raise UnreachableError(
            f"no Dask scheduler answers at {to!r} ({str(error).splitlines()[0]}); its address is"
            " such as tcp://host:8786"
        ) from error
    with client:
        yield Cluster(client)


def missing_dask() -> MissingExtraError:
    """Return the error of an absent Dask."""
    return MissingExtraError("Dask is not installed: pip install 'hepml_tasks[dask]'")


def fit_fold(order: Order) -> dict[str, bytes]:
    """Fit and predict a fold, in a worker.

    Parameters
    ----------
    order : Order

    Returns
    -------
    dict of str to bytes
        The content of the fold's files by suffix, the predictions last.

    Raises
    ------
    FlowFailedError
        If the flow fails.
    RunError
        If the worker has other packages or other data than the run, or no room on its disk.
    """
    from distributed import get_worker

    _check_versions(order.versions)
    task, data = _loaded(order.spec, order.split)
    found = (task.events.sha256, splits_sha256(task.splits))
    if found != (order.data_sha256, order.splits_sha256):
        raise RunError(
            f"a worker has other events or splits of {task.name} than the run: look at its cache"
            " with hepml cache check"
        )
    (split,) = (s for s in task.splits if (s.repeat, s.fold) == (order.repeat, order.fold))
    with tempfile.TemporaryDirectory(prefix="hepml-fold-") as folder:
        work = FoldWork(task, _opened(order.estimator), [split], Path(folder))
        # folds take turns in a process, and each has all of its threads
        options = work.options(threads=get_worker().state.nthreads)
        _fit(work, data, split, options)
        path = RunFolder(Path(folder)).fold_path(split.repeat, split.fold)
        return {s: path.with_suffix(s).read_bytes() for s in (".json", ".parquet")}


def _fit(work: FoldWork, data: tuple[Any, Any, Any], split: Split, options: Any) -> None:
    try:
        run_fold(work.estimator, *data, split, **options)
    except OutputError as error:
        # the disk of a worker, and not that of the spool
        raise RunError(f"a worker can't keep a fold: {error}") from error
    except HepmlError as error:
        raise FlowFailedError(str(error), "failed") from error
    except SystemExit as error:
        # it would end the worker
        raise FlowFailedError(f"SystemExit: {error}", "failed") from error


def _opened(estimator: bytes) -> Any:
    import cloudpickle

    try:
        # of the session that runs this worker, which tells it to run code anyway
        return cloudpickle.loads(estimator)
    except Exception as error:
        raise RunError(
            f"a worker can't build the flow ({type(error).__name__}: {error}): what it is made of"
            " must be installed there too"
        ) from error


@lru_cache(maxsize=2)
def _loaded(spec: str, split: str) -> tuple[Task, tuple[Any, Any, Any]]:
    task = as_task(from_mapping(json.loads(spec), TaskSpec, origin="the run's spec"), split=split)
    return task, task.data()


def _check_versions(wanted: Mapping[str, str]) -> None:
    found = package_versions()
    for name in sorted({*wanted, *found}):
        if wanted.get(name) != found.get(name):
            raise RunError(
                f"a worker has {name} {found.get(name, 'not at all')} where the run has"
                f" {wanted.get(name, 'none')}: give the workers the same environment"
            )


def _keep(path: Path, future: Future) -> None:
    from distributed import KilledWorker

    if future.cancelled():
        raise FarmError(
            "the Dask scheduler went away; finished folds are kept, the same command goes on"
        )
    try:
        files = future.result()
    except HepmlError:
        raise
    except KilledWorker as error:
        # not noted as the flow's: a fold that waits in a worker is counted as one that it died of
        raise RunError(
            f"{path.stem}: {error.allowed_failures + 1} workers died of this fold, perhaps for want"
            " of memory: give them more; finished folds are kept"
        ) from error
    except Exception as error:
        problem = str(error).splitlines()[0] if str(error) else ""
        raise RunError(
            f"{path.stem}: the cluster gave no result ({type(error).__name__}: {problem});"
            " finished folds are kept, the same command goes on"
        ) from error
    for suffix, content in files.items():
        write_bytes(path.with_suffix(suffix), content)
