"""Wait until a server has looked at a dataset: no task can be made on it before."""

from __future__ import annotations

import time
from collections.abc import Callable

from hepml_tasks.errors import ServerError
from hepml_tasks.openml.connection import Connection
from hepml_tasks.openml.registration import read_dataset

_PENDING_FEATURES = {273}
_PENDING_QUALITIES = {362, 363}
_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 30.0


def pending(connection: Connection, dataset_id: int) -> str | None:
    """Say what a server has still to do before a task can be made on a dataset, or None.

    Raises
    ------
    ServerError
        If it can't be processed, or was deactivated.
    """
    described = read_dataset(connection, dataset_id)
    if problem := described.get("oml:error"):
        raise ServerError(f"{connection.root}: dataset {dataset_id} has an error: {problem}")
    status = str(described.get("oml:status") or "active")
    if status == "deactivated":
        raise ServerError(
            f"{connection.root}: dataset {dataset_id} was deactivated; ask its administrator"
        )
    for part, codes in (("features", _PENDING_FEATURES), ("qualities", _PENDING_QUALITIES)):
        try:
            connection.get(f"data/{part}/{dataset_id}")
        except ServerError as error:
            if error.code not in codes:
                raise
            return f"its {part} are not computed yet"
    return None if status == "active" else f"its status is {status}"


def wait_until_ready(
    connection: Connection,
    dataset_id: int,
    *,
    seconds: float,
    on_wait: Callable[[str], None] = lambda _reason: None,
) -> str | None:
    """Wait until tasks can be made on a dataset.

    Parameters
    ----------
    connection : Connection
    dataset_id : int
    seconds : float
        The time limit; 0 looks once.
    on_wait : callable
        Told once what is waited for.

    Returns
    -------
    str or None
        What is still to be done when the time is over, or None: it is ready.
    """
    end, pause, told = time.monotonic() + seconds, _FIRST_PAUSE, ""
    while True:
        reason = pending(connection, dataset_id)
        left = end - time.monotonic()
        if reason is None or not left > 0:
            return reason
        if reason != told:
            on_wait(reason)
            told = reason
        time.sleep(min(pause, left))
        pause = min(2 * pause, _LONGEST_PAUSE)
