"""Register datasets, tasks and suites: what is missing is added, what is there is left alone.

The same walk makes the plan and does the work: a dry run looks, and posts nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hepml_tasks.errors import ServerError, SpecError, UnreachableError
from hepml_tasks.openml import hosting
from hepml_tasks.openml.beyond import dataset_table, refusal
from hepml_tasks.openml.connection import Connection
from hepml_tasks.openml.descriptions import split_text, suite_text
from hepml_tasks.openml.details import TAG, lineage_tag, merit_tag
from hepml_tasks.openml.limits import version_label
from hepml_tasks.openml.linking import compare, linked_id
from hepml_tasks.openml.lockfile import check_writable, entry_of, keep_entry, read_lock
from hepml_tasks.openml.plan import Step
from hepml_tasks.openml.processing import pending, wait_until_ready
from hepml_tasks.openml.publication import runs_on
from hepml_tasks.openml.registration import (
    Procedure,
    choose_measure,
    choose_procedure,
    content_tag,
    create_task,
    find_dataset,
    find_study,
    find_task,
    link_dataset,
    make_study,
    make_suite,
    md5_of,
    read_dataset,
    render_dataset,
    upload_dataset,
)
from hepml_tasks.openml.tags import add_tag, missing_tags, remove_tag, tags_of
from hepml_tasks.openml.targets import Wanted, WantedSuite, WantedTask
from hepml_tasks.openml.versions import (
    SUPERSEDED,
    edit_description,
    notice_of,
    older_tasks,
    older_versions,
    successor,
)
from hepml_tasks.running.task import Task
from hepml_tasks.spec import Official
from hepml_tasks.spec.places import line_of

_LONGEST_ALIAS = 32
_URL_REFUSED = {None, 136, 145}


@dataclass(frozen=True)
class Registration:
    """Where and how things are registered.

    Parameters
    ----------
    connection : Connection
        A dry run needs no key.
    lock : Path
        The file in which ids are kept.
    dry_run : bool
        Whether nothing is changed, neither on the server nor in the lock file.
    seconds : float
        How long a server's processing of a dataset is waited for.
    on_step : callable
        Told each step when it is done.
    on_wait : callable
        Told what is waited for.
    """

    connection: Connection
    lock: Path
    dry_run: bool = False
    seconds: float = 600.0
    on_step: Callable[[Step], None] = lambda _step: None
    on_wait: Callable[[str], None] = lambda _reason: None
    steps: list[Step] = field(default_factory=list)

    def tell(self, step: Step) -> None:
        """Note a step that is done, or that a dry run would do."""
        self.steps.append(step)
        self.on_step(step)

    def keep(self, kind: str, name: str, entry: dict[str, Any]) -> None:
        """Keep an id in the lock file, beside what is kept of it already."""
        if self.dry_run:
            return
        known = entry_of(self.lock, self.connection.root, kind, name) or {}
        keep_entry(self.lock, self.connection.root, kind, name, {**known, **entry})


@dataclass(frozen=True)
class _Dataset:
    """A dataset on the server: `id` is None where a dry run would make it."""

    id: int | None
    ready: bool
    linked: bool = False


@dataclass(frozen=True)
class _Placed:
    """A task on the server, and which rows its split has there."""

    wanted: WantedTask
    id: int | None
    split: str
    older: tuple[int, ...] = ()


def register(work: Registration, wanted: Wanted) -> list[Step]:
    """Put all that is wanted on a server, and return the steps.

    Parameters
    ----------
    work : Registration
    wanted : Wanted
        Checked with `hepml_tasks.openml.targets.problems_of` before.

    Returns
    -------
    list of Step
        With ``wait`` among them where the server has not finished with a dataset in time: the
        same call goes on later.

    Raises
    ------
    ServerError
        With the server's reason. What is registered by then stays, and is found the next time.
        Also for a task that OpenML can't carry where the server is no one of this package: all
        else is registered before it is said, the manifest of its dataset included.
    SpecError
        If a version of a dataset has other content than it had when it was registered, or a
        dataset that should exist is another.
    """
    if not work.dry_run:
        check_writable(work.lock)
    datasets: dict[str, _Dataset] = {}
    placed: dict[str, _Placed] = {}
    refused: list[str] = []
    for entry in wanted.tasks:
        key = _dataset_key(entry.task)
        if key not in datasets:
            datasets[key] = _register_dataset(work, entry)
        suites = [s.suite.name for s in wanted.suites if entry in s.tasks]
        if reason := refusal(work.connection, entry.task):
            refused.append(reason)
            continue
        placed[entry.name] = _register_task(work, entry, datasets[key], suites)
    for suite in wanted.suites:
        if lacking := [t.name for t in suite.tasks if t.name not in placed]:
            refused.append(f"suite {suite.suite.name} needs {', '.join(lacking)}")
            continue
        _register_suite(work, suite, [placed[t.name] for t in suite.tasks])
    if refused:
        raise ServerError("; ".join(refused))
    return work.steps


def _dataset_key(task: Task) -> str:
    return f"{task.spec.dataset.name}@{version_label(task.spec)}"


def _register_dataset(work: Registration, wanted: WantedTask) -> _Dataset:
    task, connection = wanted.task, work.connection
    subject = f"dataset {task.spec.dataset.name}, version {version_label(task.spec)}"
    _refuse_changed_content(work, wanted)
    if (existing := linked_id(connection, task.spec.dataset)) is not None:
        found = compare(connection, task, existing, wanted.path)
        note = "linked, same rows, columns and checksum"
        if not found.verified:
            note = f"linked, same rows and columns; its md5 is {found.md5}, the file names none"
        work.tell(Step("same", subject, existing, note))
        work.keep("datasets", _dataset_key(task), _entry(task, existing, found.md5, "link"))
        return _Dataset(existing, pending(connection, existing) is None, linked=True)
    dataset_id = _place_dataset(work, wanted, subject)
    if dataset_id is None:
        _tell_older(work, task, None)
        return _Dataset(None, ready=True)
    _add_tags(work, "data", subject, dataset_id, [TAG, content_tag(task)])
    seconds = 0.0 if work.dry_run else work.seconds
    reason = wait_until_ready(connection, dataset_id, seconds=seconds, on_wait=work.on_wait)
    if reason is not None:
        work.tell(Step("wait", subject, dataset_id, reason))
    _tell_older(work, task, dataset_id)
    return _Dataset(dataset_id, reason is None)


def _refuse_changed_content(work: Registration, wanted: WantedTask) -> None:
    """Refuse other content for a version that was registered anywhere."""
    key, content = _dataset_key(wanted.task), wanted.task.events.sha256
    for root, kinds in read_lock(work.lock).items():
        known = kinds["datasets"].get(key, {}).get("table")
        if known not in {None, content}:
            line = line_of(wanted.path, ("dataset", "version"))
            raise SpecError(
                f"{wanted.path}, line {line}: dataset.version: the data are no longer those that"
                f" {root} has as version {wanted.task.spec.dataset.version!r} ({work.lock} keeps"
                " the checksum); changed data are a new version"
            )


def _entry(task: Task, dataset_id: int, md5: str, how: str) -> dict[str, Any]:
    return {"id": dataset_id, "how": how, "md5": md5, "table": task.events.sha256}


def _place_dataset(work: Registration, wanted: WantedTask, subject: str) -> int | None:
    """Find a dataset or publish it; None where a dry run would publish it."""
    task, connection = wanted.task, work.connection
    found = _locked_dataset(work, task)
    if found is not None:
        work.tell(Step("same", subject, found))
        return found
    arff = render_dataset(task)
    checksums = {md5_of(arff)}
    carried = task.spec.kind.openml is not None
    offered = hosting.archive_arff(task.spec.dataset) if carried else None
    path = None if offered is None else hosting.fetch_arff(task, offered, wanted.path)
    if path is not None:
        checksums.add(hosting.md5_of_file(path))
    found = find_dataset(connection, task, checksums)
    if found is not None:
        work.tell(Step("same", subject, found))
        _keep_dataset(work, task, found)
        return found
    refused = "the archive offers no plain ARFF"
    if offered is not None and path is not None:
        for url in hosting.web_addresses(offered):
            refused = hosting.refusal(url, path, strict=not connection.is_ours()) or ""
            if not refused:
                found, refused = _publish_address(work, task, checksums, url)
            if not refused:
                work.tell(Step("add", subject, found, f"by its address {url}"))
                return found
    table = dataset_table(task)
    what = "by file" if carried else "by its manifest"
    note = f"{what}, {table.num_rows} rows, {table.num_columns} columns"
    note += f"; {refused}" if carried else ""
    if work.dry_run:
        work.tell(Step("add", subject, None, note))
        return None
    found = _publish(work, task, checksums, lambda: upload_dataset(connection, task, arff))
    work.tell(Step("add", subject, found, note))
    _keep_dataset(work, task, found, how="file")
    return found


def _publish_address(
    work: Registration, task: Task, checksums: set[str], url: str
) -> tuple[int | None, str]:
    """Publish a dataset by its address; give its id, or why the server doesn't take it so."""
    if work.dry_run:
        return None, ""
    try:
        found = _publish(work, task, checksums, lambda: link_dataset(work.connection, task, url))
    except UnreachableError:
        raise
    except ServerError as error:
        if error.code not in _URL_REFUSED:
            raise
        return None, f"the server refuses its address: {error}"
    _keep_dataset(work, task, found, how="url")
    return found, ""


def _publish(work: Registration, task: Task, checksums: set[str], post: Callable[[], int]) -> int:
    """Publish a dataset, and look for it where the server answers with an error."""
    try:
        return post()
    except UnreachableError:
        raise
    except ServerError:
        # its search index may be down: then it answers with an error after it has kept it
        try:
            made = find_dataset(work.connection, task, checksums)
        except ServerError:
            made = None  # the first error is the one to hear of
        if made is None:
            raise
        return made


def _locked_dataset(work: Registration, task: Task) -> int | None:
    """Return the id that the lock file keeps, if the server still has that dataset there."""
    known = entry_of(work.lock, work.connection.root, "datasets", _dataset_key(task))
    # a linked one was compared when the file said so; it may say so no longer
    if known is None or known.get("how") == "link":
        return None
    try:
        described = read_dataset(work.connection, int(known["id"]))
    except ServerError as error:
        if error.code is None:
            raise
        return None
    same = (
        described.get("oml:name") == task.spec.dataset.name
        and described.get("oml:version_label") == version_label(task.spec)
        and described.get("oml:md5_checksum") == known.get("md5")
        and described.get("oml:status") != "deactivated"
    )
    return int(known["id"]) if same else None


def _keep_dataset(
    work: Registration, task: Task, dataset_id: int, *, how: str | None = None
) -> None:
    if work.dry_run:
        return
    known = entry_of(work.lock, work.connection.root, "datasets", _dataset_key(task)) or {}
    md5 = str(read_dataset(work.connection, dataset_id).get("oml:md5_checksum") or "")
    kept = known.get("how", "found") if known.get("id") == dataset_id else "found"
    work.keep("datasets", _dataset_key(task), _entry(task, dataset_id, md5, how or kept))


def _tell_older(work: Registration, task: Task, dataset_id: int | None) -> None:
    """Put the notice of a new version above the descriptions of the old ones."""
    connection = work.connection
    for described in older_versions(connection, task, dataset_id):
        old_id, label = int(described["oml:id"]), described.get("oml:version_label")
        subject = f"notice on dataset {task.spec.dataset.name}, version {label}"
        note = f"superseded by version {version_label(task.spec)}"
        if dataset_id is None:
            work.tell(Step("add", subject, old_id, note))
            continue
        text = notice_of(described, successor(connection, task, dataset_id))
        if text is not None and not work.dry_run:
            edit_description(connection, old_id, text)
        work.tell(Step("same" if text is None else "add", subject, old_id, note))
        old_key = f"{task.spec.dataset.name}@{label}"
        if entry_of(work.lock, connection.root, "datasets", old_key) is not None:
            work.keep("datasets", old_key, {"successor": _dataset_key(task)})


def _register_task(
    work: Registration, wanted: WantedTask, dataset: _Dataset, suites: Iterable[str]
) -> _Placed:
    task, connection = wanted.task, work.connection
    procedure, measure = choose_procedure(connection, task), choose_measure(connection, task)
    split = split_text(task.split, procedure.name, exact=procedure.exact)
    subject = f"task {wanted.name}, version {version_label(task.spec)}"
    note = _task_note(task, split, measure)
    task_id = None
    if dataset.id is not None:
        task_id = find_task(connection, task, dataset.id, procedure, measure)
        if task_id is None and not dataset.ready:
            work.tell(Step("wait", subject, None, f"dataset {dataset.id} is not processed yet"))
            return _Placed(wanted, None, split)
    if task_id is not None:
        work.tell(Step("same", subject, task_id, note))
    elif work.dry_run or dataset.id is None:
        work.tell(Step("add", subject, None, note))
    else:
        task_id = create_task(connection, task, dataset.id, procedure, measure)
        work.tell(Step("add", subject, task_id, note))
    tags = [TAG, lineage_tag(task.spec.name, task.split.name)]
    tags += [merit_tag(task.spec.metrics.primary), *suites]
    tags += [] if procedure.exact else [_split_tag(task, procedure)]
    _add_tags(work, "task", subject, task_id, tags)
    if task_id is not None:
        key = f"{wanted.name}@{version_label(task.spec)}"
        entry = {"id": task_id, "dataset": dataset.id, "measure": measure}
        work.keep("tasks", key, {**entry, "procedure": procedure.name})
    older = () if dataset.linked else _point_to(work, wanted, dataset, task_id)
    return _Placed(wanted, task_id, split, older)


def _task_note(task: Task, split: str, measure: str) -> str:
    primary = task.spec.metrics.primary
    if measure == primary:
        return f"{split}, {measure}"
    return f"{split}, {measure} since the server does not know {primary}"


def _split_tag(task: Task, procedure: Procedure) -> str:
    official = isinstance(task.split, Official)
    return "not_the_official_split" if official else f"not_hepml_rows_procedure_{procedure.id}"


def _point_to(
    work: Registration, wanted: WantedTask, dataset: _Dataset, task_id: int | None
) -> tuple[int, ...]:
    """Let the same task on earlier versions of its dataset point to this one."""
    task, connection = wanted.task, work.connection
    versions = older_versions(connection, task, dataset.id)
    labels = {int(d["oml:id"]): str(d.get("oml:version_label")) for d in versions}
    older = tuple(older_tasks(connection, task, set(labels))) if labels else ()
    for old_id in older:
        subject = f"pointer from task {old_id}"
        if task_id is None:
            work.tell(Step("add", subject, old_id, "to the new version's task"))
            continue
        tag = f"{SUPERSEDED}{task_id}"
        there = tags_of(connection, "task", old_id)
        outdated = [t for t in there if t.startswith(SUPERSEDED) and t != tag]
        for other in outdated if not work.dry_run else ():
            remove_tag(connection, "task", old_id, other)
        if tag not in there and not work.dry_run:
            add_tag(connection, "task", old_id, tag)
        work.tell(Step("same" if tag in there else "add", subject, old_id, f"to task {task_id}"))
        _keep_successor(work, wanted, old_id)
    return older


def _keep_successor(work: Registration, wanted: WantedTask, old_id: int) -> None:
    kept = read_lock(work.lock).get(work.connection.root, {}).get("tasks", {})
    for name, entry in kept.items():
        if entry["id"] == old_id:
            key = f"{wanted.name}@{version_label(wanted.task.spec)}"
            work.keep("tasks", name, {"successor": key})


def _add_tags(
    work: Registration, kind: str, subject: str, number: int | None, wanted: Sequence[str]
) -> None:
    lacking = wanted
    if number is not None:
        lacking = missing_tags(work.connection, kind, number, wanted)
    for tag in lacking:
        if number is not None and not work.dry_run:
            add_tag(work.connection, kind, number, tag)
        work.tell(Step("add", f"tag {tag} on {subject}", number))


def _register_suite(work: Registration, wanted: WantedSuite, placed: Sequence[_Placed]) -> None:
    connection, name = work.connection, wanted.suite.name
    subject = f"suite {name}"
    ids = [p.id for p in placed if p.id is not None]
    found = find_study(connection, name)
    if len(ids) < len(placed) and not work.dry_run:
        note = f"{len(placed) - len(ids)} of its tasks are not there yet"
        work.tell(Step("wait", subject, None if found is None else found.id, note))
        return
    if found is None:
        suite_id = None
        if not work.dry_run:
            text = suite_text(wanted.suite, [(p.wanted.task.spec, p.split) for p in placed])
            suite_id = make_suite(connection, wanted.suite, ids, description=text)
            work.keep("suites", name, {"id": suite_id})
        work.tell(Step("add", subject, suite_id, ", ".join(p.wanted.name for p in placed)))
        # its tasks may have runs from before: left to the next call, that one would not be idle
        _register_study(work, wanted, suite_id, ids)
        return
    work.keep("suites", name, {"id": found.id})
    work.tell(Step("same", subject, found.id))
    missing = [p for p in placed if p.id is None or p.id not in found.members]
    gone = [i for p in placed for i in p.older if i in found.members]
    if (missing or gone) and found.status != "in_preparation":
        line = line_of(wanted.path, ("name",))
        raise SpecError(
            f"{wanted.path}, line {line}: name: suite {name} ({found.id}) is {found.status} on"
            f" {connection.root}, where its tasks are fixed by now: give this one another name"
        )
    for entry in missing:
        if not work.dry_run:
            connection.post(f"study/{found.id}/attach", {"ids": str(entry.id)})
        work.tell(Step("add", f"{entry.wanted.name} in {subject}", entry.id))
    for old_id in gone:
        if not work.dry_run:
            connection.post(f"study/{found.id}/detach", {"ids": str(old_id)})
        work.tell(Step("remove", f"superseded task in {subject}", old_id))
    _register_study(work, wanted, found.id, ids)


def _register_study(
    work: Registration, wanted: WantedSuite, suite_id: int | None, task_ids: Sequence[int]
) -> None:
    """Collect the runs of this package on a suite's tasks; a study without runs is none.

    `suite_id` is None where a dry run would make the suite.
    """
    connection = work.connection
    runs = sorted(
        run_id
        for task_id in task_ids
        for run_id, details in runs_on(connection, task_id).items()
        if "uuid" in details
    )
    if not runs:
        return
    alias = f"{wanted.suite.name[: _LONGEST_ALIAS - 5]}-runs"
    subject = f"study {alias}"
    found = find_study(connection, alias, of="run")
    if found is None:
        study_id = None
        if suite_id is not None and not work.dry_run:
            study_id = make_study(connection, wanted.suite, alias, suite_id, runs)
            work.keep("studies", alias, {"id": study_id})
        work.tell(Step("add", subject, study_id, f"{len(runs)} runs"))
        return
    work.keep("studies", alias, {"id": found.id})
    work.tell(Step("same", subject, found.id))
    missing = [i for i in runs if i not in found.members]
    if not missing or found.status != "in_preparation":
        return
    if not work.dry_run:
        connection.post(f"study/{found.id}/attach", {"ids": ",".join(map(str, missing))})
    work.tell(Step("add", f"{len(missing)} runs in {subject}", found.id))
