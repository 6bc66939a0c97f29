"""What follows from a task's type: a new type is an entry here, and no question asked elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

TaskType = Literal[
    "binary-classification",
    "multiclass-classification",
    "regression",
    "anomaly-detection",
    "tracking",
    "across-nuisance",
]
"""Two classes, of which one is signal; more than two; a number; two classes of which no label is
told at training; which hits are one particle's; two classes at several values of a nuisance."""

Target = Literal["class", "number", "id"]
"""What the target's values are: a class as text, a number, or whole numbers that say what belongs
together."""


@dataclass(frozen=True, kw_only=True)
class TaskKind:
    """What follows from a task's type.

    Parameters
    ----------
    target : {"class", "number", "id"}
    metrics : frozenset of str
        What its metrics may need: see `hepml_tasks.metrics.registry.Needs`.
    signal : bool
        Whether there are two classes, of which one is signal.
    labelled : bool
        Whether flows see labels at training, and weights, which could tell them.
    openml : str, optional
        OpenML's number of the type. Without one OpenML can't carry it: its dataset there is a
        manifest, and its predictions are a Parquet file that only a server of this package takes.
    grouped : bool
        Whether the rows of a group are predicted together.
    trains : bool
        Whether a flow can't do without training events.
    across : bool
        Whether events are predicted at several values of a nuisance.
    """

    target: Target
    metrics: frozenset[str]
    signal: bool = False
    labelled: bool = True
    openml: str | None = None
    grouped: bool = False
    trains: bool = True
    across: bool = False

    @property
    def several(self) -> bool:
        """Whether there are classes of which none is the signal."""
        return self.target == "class" and not self.signal


_OF_TWO_CLASSES = frozenset({"selection", "labels", "score", "probability"})

KINDS: Mapping[TaskType, TaskKind] = MappingProxyType(
    {
        "binary-classification": TaskKind(
            target="class", metrics=_OF_TWO_CLASSES, signal=True, openml="1"
        ),
        "multiclass-classification": TaskKind(
            target="class", metrics=frozenset({"labels"}), openml="1"
        ),
        "regression": TaskKind(target="number", metrics=frozenset({"regression"}), openml="2"),
        # on OpenML the labels are in the data: who fits to them breaks the task's rule and not its
        "anomaly-detection": TaskKind(
            target="class", metrics=_OF_TWO_CLASSES, signal=True, labelled=False, openml="1"
        ),
        "tracking": TaskKind(
            target="id", metrics=frozenset({"tracks"}), grouped=True, trains=False
        ),
        "across-nuisance": TaskKind(
            target="class",
            metrics=frozenset({"selection", "score"}),
            signal=True,
            grouped=True,
            across=True,
        ),
    }
)
"""By a task's type."""


def kind_of(task_type: TaskType) -> TaskKind:
    """Return what follows from a task's type."""
    return KINDS[task_type]
