"""A run made again, and compared with the first: predictions, scores, versions."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from hepml_tasks.errors import RunError
from hepml_tasks.evaluation.claims import agree
from hepml_tasks.evaluation.runs import score_run
from hepml_tasks.flows.description import rebuild
from hepml_tasks.running.environment import environment
from hepml_tasks.running.folder import RunFolder
from hepml_tasks.running.run import FoldDone, execute
from hepml_tasks.running.task import as_task
from hepml_tasks.spec import TaskSpec, from_mapping

_SAME_MACHINE = 1e-6
"""By how much a score may differ where all versions are the same: the order of sums."""

State = Literal["identical", "equivalent", "different"]


@dataclass(frozen=True, eq=False)
class Recipe:
    """All that is needed to make a run again, and what it gave.

    Parameters
    ----------
    name : str
        What the run is called, for messages.
    description : mapping
        Its run.json.
    environment : mapping
        Its environment.json.
    predictions : pyarrow.Table
        repeat, fold, row, prediction and, of classes, a confidence each.
    scores : mapping
        Its scores.json.
    """

    name: str
    description: Mapping[str, Any]
    environment: Mapping[str, Any]
    predictions: pa.Table
    scores: Mapping[str, Any]


@dataclass(frozen=True)
class Reproduction:
    """What came of it.

    Parameters
    ----------
    state : {"identical", "equivalent", "different"}
    reason : str
    first : str
        The first difference: where it is, and both values.
    versions : mapping
        What was installed then and is now, where they differ.
    folder : str
        The run folder of the second run.
    """

    state: State
    reason: str
    first: str
    versions: Mapping[str, tuple[str | None, str | None]]
    folder: str

    def to_json(self) -> dict[str, Any]:
        """Return plain data for `json.dumps`."""
        return asdict(self)


def recipe_of(folder: RunFolder) -> Recipe:
    """Take a recipe from a run folder."""
    return Recipe(
        str(folder.path), folder.description, folder.environment, folder.predictions, folder.scores
    )


def other_versions(then: Mapping[str, Any]) -> dict[str, tuple[str | None, str | None]]:
    """Return what an environment record has otherwise than this process, by name."""
    now = environment()
    old = {"python": then["python"], **then["packages"]}
    new = {"python": now["python"], **now["packages"]}
    found = {n: (old.get(n), new.get(n)) for n in {**old, **new} if old.get(n) != new.get(n)}
    if then["platform"] != now["platform"]:
        found["platform"] = (then["platform"], now["platform"])
    return found


def requirements_of(then: Mapping[str, Any]) -> str:
    """Return a requirements file that installs what a run was made with."""
    lines = [f"# Python {then['python']}, {then['platform']}"]
    if then.get("image"):
        lines.append(f"# container image {then['image']}")
    lines += [f"{name}=={version}" for name, version in then["packages"].items()]
    return "\n".join(lines) + "\n"


def reproduce(
    recipe: Recipe,
    *,
    spool: Path,
    n_jobs: int | None = None,
    on_fold: FoldDone = lambda _done, _all: None,
) -> Reproduction:
    """Make a run again from its recipe, and compare.

    Parameters
    ----------
    recipe : Recipe
    spool : Path
        Where the second run is made: not the spool of the first one. One that was interrupted
        there is gone on with.
    n_jobs : int, optional
    on_fold : callable

    Raises
    ------
    RunError
        For predictions that were made elsewhere, or where the data are others.
    FlowError
        If its estimator can't be rebuilt here.
    """
    description = recipe.description
    if "elsewhere" in description:
        raise RunError(
            f"{recipe.name}: the predictions were made elsewhere"
            f" ({description['flow']['name']} {description['flow']['version']}): it can't be"
            " reproduced from here, `hepml verify` checks its scores"
        )
    told = description["task"]
    spec = from_mapping(told["spec"], TaskSpec, origin=f"{recipe.name}, run.json")
    task = as_task(spec, split=told["split"])
    recorded = description["data"]["table_sha256"]
    if task.events.sha256 != recorded:
        raise RunError(
            f"{recipe.name}: it was made on other data than dataset {spec.dataset.name} has here"
            f" (sha256 {recorded[:12]}…, here {task.events.sha256[:12]}…); fetch them again"
        )
    estimator = rebuild(description["flow"]["description"])
    again = execute(
        task,
        description["flow"]["name"],
        estimator,
        seed=description["seed"],
        spool=spool,
        n_jobs=n_jobs,
        on_fold=on_fold,
    )
    if not again.is_complete:
        score_run(again, task)
    versions = other_versions(recipe.environment)
    state, reason, first = _compare(recipe, again, same=not versions)
    return Reproduction(state, reason, first, versions, str(again.path))


def _compare(recipe: Recipe, again: RunFolder, *, same: bool) -> tuple[State, str, str]:
    # a server keeps of some runs no more than they are scored from
    kept = [n for n in again.predictions.column_names if n in recipe.predictions.column_names]
    old, new = _sorted(recipe.predictions), _sorted(again.predictions.select(kept))
    place = next(_places(old, new), None)
    scores = list(_scores(recipe.scores, again.scores))
    if place is None:
        wrong = [text for text, _, close in scores if not close]
        if wrong:
            return "different", "the predictions are the same, the scores don't follow", wrong[0]
        return "identical", "every prediction and every score is the same", ""
    far = [text for text, within, _ in scores if not within]
    if far:
        return "different", f"{len(far)} scores differ by more than their uncertainty", place
    if same and not _close(old, new):
        return "different", "all versions are the same and the predictions are not", place
    return "equivalent", "every score is within its uncertainty", place


def _sorted(table: pa.Table) -> pa.Table:
    keys = ("repeat", "fold", "row")
    columns = ["prediction", *sorted(c for c in table.column_names if c.startswith("confidence."))]
    order = [(k, "ascending") for k in keys]
    return table.select([*keys, *columns]).sort_by(order)


def _places(old: pa.Table, new: pa.Table) -> Iterator[str]:
    """Tell where two sorted tables of predictions differ."""
    if old.num_rows != new.num_rows:
        yield f"{old.num_rows} predictions then, {new.num_rows} now"
        return
    if old.column_names != new.column_names:
        yield f"columns {', '.join(old.column_names)} then, {', '.join(new.column_names)} now"
        return
    different = np.zeros(old.num_rows, dtype=bool)
    for name in old.column_names:
        different |= _values(old, name) != _values(new, name)
    for i in np.flatnonzero(different):
        for name in old.column_names:
            one, two = _values(old, name)[i], _values(new, name)[i]
            if one != two:
                where = ", ".join(f"{k} {old[k][int(i)]}" for k in ("repeat", "fold", "row"))
                yield f"{where}: {name} {one} then, {two} now"


def _values(table: pa.Table, name: str) -> npt.NDArray[Any]:
    values: npt.NDArray[Any] = table[name].to_numpy(zero_copy_only=False)
    return values


def _close(old: pa.Table, new: pa.Table) -> bool:
    numbers = [c for c in old.column_names if pa.types.is_floating(old[c].type)]
    return all(
        np.allclose(_values(old, c), _values(new, c), rtol=_SAME_MACHINE, atol=_SAME_MACHINE)
        for c in numbers
    )


def _scores(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[tuple[str, bool, bool]]:
    """Tell of each score what it was and is, whether within its uncertainty, whether the same."""
    for name, then in old["scores"].items():
        now = new["scores"].get(name)
        before, after = then["value"], None if now is None else now["value"]
        text = f"{name} {before} then, {after} now"
        close = agree(before, after)
        within = close
        if not close and before is not None and after is not None:
            within = abs(before - after) <= (then["uncertainty"] or math.nan)
        yield text, within, close
