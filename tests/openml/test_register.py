from __future__ import annotations

import shutil
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import hepml_tasks as hep
from hepml_tasks.errors import ServerError, SpecError, UnreachableError
from hepml_tasks.flows import find_flow
from hepml_tasks.openml.connection import Connection, as_list
from hepml_tasks.openml.lockfile import entry_of, read_lock
from hepml_tasks.openml.plan import Step
from hepml_tasks.openml.publication import publish_run
from hepml_tasks.openml.register import Registration, register
from hepml_tasks.openml.registration import (
    datasets_named,
    find_study,
    read_dataset,
    register_dataset,
    render_dataset,
    tasks_tagged,
)
from hepml_tasks.openml.tags import tags_of
from hepml_tasks.openml.targets import read_targets

from .archive import Archive, archive
from .front import LOST, Answer, Front, as_production, error, front

# the client leaves files of its cache to the garbage collector
pytestmark = pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")

Put = Callable[..., list[Step]]


@pytest.fixture
def names() -> dict[str, str]:
    """Return names that nobody else has on the shared server."""
    mark = uuid.uuid4().hex[:8]
    return {"task": f"toy-{mark}", "dataset": f"toy-{mark}", "suite": f"suite-{mark}"}


@pytest.fixture
def task_file(small_task: Path, names: dict[str, str]) -> Path:
    text = small_task.read_text()
    text = text.replace("events: 1500", "events: 600").replace("rows: 1500", "rows: 600")
    text = text.replace("name: toy-small\n", f"name: {names['task']}\n", 1)
    text = text.replace("  name: toy-higgs\n", f"  name: {names['dataset']}\n", 1)
    small_task.write_text(text)
    return small_task


@pytest.fixture
def suite_file(task_file: Path, names: dict[str, str]) -> Path:
    path = task_file.with_name("suite.yaml")
    path.write_text(
        f"name: {names['suite']}\ntitle: A suite\ndescription: For tests.\n"
        f"report: https://hep.example.org/suite.html\ntasks:\n  - {{task: {task_file}}}\n"
    )
    return path


@pytest.fixture
def lock(tmp_path: Path) -> Path:
    return tmp_path / "openml.lock"


@pytest.fixture
def put(connection: Connection, lock: Path) -> Put:
    def run(*files: Path | str, to: Connection | None = None, **options: Any) -> list[Step]:
        work = Registration(to or connection, lock, **options)
        return register(work, read_targets([str(f) for f in files]))

    return run


@pytest.fixture
def before(scratch_server: Any) -> Iterator[Front]:
    """Stand before the shared server, changing nothing as long as there are no rules."""
    with front(scratch_server.pages.rstrip("/")) as running:
        yield running


@pytest.fixture
def production(before: Front, scratch_server: Any, real_data: Path) -> tuple[Front, Connection]:
    """Make the shared server look like production."""
    before.rules += as_production(real_data / "openml_wire")
    return before, before.connection(scratch_server.apikey)


@pytest.fixture
def host() -> Iterator[Archive]:
    with archive() as running:
        yield running


def changes(steps: list[Step]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for step in steps:
        found.setdefault(step.change, []).append(step.subject)
    return found


def ids(steps: list[Step], word: str) -> int:
    (found,) = [s.id for s in steps if s.subject.startswith(f"{word} ") and s.change != "remove"]
    assert found is not None
    return found


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def test_a_second_call_changes_nothing_and_sends_nothing(
    put, suite_file, before, scratch_server, lock
):
    to = before.connection(scratch_server.apikey)
    first = put(suite_file, to=to)
    assert set(changes(first)) == {"add"}
    kept = lock.read_bytes()
    before.asked.clear()
    second = put(suite_file, to=to)
    assert set(changes(second)) == {"same"}
    assert before.posts == []
    assert lock.read_bytes() == kept
    for word in ("dataset", "task", "suite"):
        assert ids(first, word) == ids(second, word)


def test_a_dry_run_says_what_the_real_one_does_and_sends_nothing(
    put, suite_file, before, scratch_server, lock
):
    planned = put(suite_file, to=before.connection(None), dry_run=True)
    assert before.posts == []
    assert not lock.exists()
    done = put(suite_file, to=before.connection(scratch_server.apikey))
    assert [(s.change, s.subject) for s in planned] == [(s.change, s.subject) for s in done]


def test_what_is_there_is_found_without_the_lock_file(put, suite_file, lock):
    first = put(suite_file)
    lock.unlink()
    second = put(suite_file)
    assert set(changes(second)) == {"same"}
    assert ids(first, "dataset") == ids(second, "dataset")
    assert lock.exists()


def test_a_lock_file_is_not_believed(put, suite_file, lock, few_events, connection):
    first = put(suite_file)
    other = register_dataset(connection, few_events)
    number = ids(first, "dataset")
    for wrong in (999999, other):
        edit(lock, f"id: {number}\n        how", f"id: {wrong}\n        how")
        assert ids(put(suite_file), "dataset") == number
        assert f"id: {number}\n        how" in lock.read_text()


def test_what_the_demo_registered_is_found_and_tagged(put, task_file, connection):
    task = hep.load_task(task_file)
    number = register_dataset(connection, task)
    steps = put(task_file)
    assert ids(steps, "dataset") == number


@pytest.mark.parametrize("path", ["data/", "task/", "task/tag", "study/"])
def test_a_registration_that_was_interrupted_goes_on(
    put, suite_file, before, scratch_server, names, connection, path
):
    def break_off(method: str, asked: str, _came: Answer) -> Answer | None:
        return LOST if (method, asked) == ("POST", f"/api/v1/xml/{path}") else None

    before.rules.append(break_off)
    with pytest.raises(UnreachableError):
        put(suite_file, to=before.connection(scratch_server.apikey))
    steps = put(suite_file)
    assert len(list(datasets_named(connection, names["dataset"]))) == 1
    assert tasks_tagged(connection, names["suite"]) == [ids(steps, "task")]
    assert set(changes(put(suite_file))) == {"same"}


def test_a_server_that_answers_nonsense_after_it_kept_a_dataset_has_it_once(
    put, task_file, before, scratch_server, names, connection
):
    def answer_nothing(method: str, asked: str, _came: Answer) -> Answer | None:
        nothing = (method, asked) == ("POST", "/api/v1/xml/data/")
        return Answer(500, b"", "text/html") if nothing else None

    before.rules.append(answer_nothing)
    put(task_file, to=before.connection(scratch_server.apikey))
    assert len(list(datasets_named(connection, names["dataset"]))) == 1


def test_a_server_that_says_105_after_it_made_a_task_gets_it_once(put, task_file, production):
    before, to = production
    sent: list[str] = []

    def search_index_is_down(method: str, path: str, _came: Answer) -> Answer | None:
        if (method, path) == ("POST", "/api/v1/xml/task/"):
            sent.append(path)
            return error(105, "An Elastic Search Exception occured. ")
        return None

    before.rules.append(search_index_is_down)
    steps = put(task_file, to=to)
    assert len(sent) == 1
    before.rules.pop()
    assert ids(put(task_file, to=to), "task") == ids(steps, "task")


def test_production_gets_its_own_measure_and_procedure_and_is_told_so(
    put, task_file, names, production
):
    _, to = production
    edit(task_file, "splits:\n", "splits:\n  - {name: h, kind: holdout, fraction: 0.33, seed: 0}\n")
    edit(task_file, "folds: 3, seed: 0", "folds: 10, seed: 0")
    steps = put(f"{task_file}/h", f"{task_file}/3-fold", to=to)
    notes = {s.subject: s.note for s in steps if s.subject.startswith("task ")}
    known = "area_under_roc_curve since the server does not know ams"
    assert notes == {
        f"task {names['task']}/h, version 1": (
            f"33% Holdout set, which is not the split h, {known}"
        ),
        f"task {names['task']}/3-fold, version 1": (
            f"10-fold Crossvalidation, which is not the split 3-fold, {known}"
        ),
    }
    tags = [tags_of(to, "task", s.id) for s in steps if s.subject.startswith("task ") and s.id]
    assert {"hepml_tasks", "figure_of_merit_ams", "not_hepml_rows_procedure_6"} <= tags[0]
    assert "not_hepml_rows_procedure_1" in tags[1]
    assert set(changes(put(f"{task_file}/h", to=to))) == {"same"}


def test_processing_is_waited_for_and_taken_up_later(put, suite_file, production, lock):
    before, to = production
    state = {"features": False, "active": False}

    def processing(method: str, path: str, came: Answer) -> Answer | None:
        if path.startswith("/api/v1/xml/data/features/") and not state["features"]:
            return error(273, "Dataset not processed yet")
        if path.startswith("/api/v1/xml/data/") and not state["active"] and method == "GET":
            body = came.body.replace(b"status>active<", b"status>in_preparation<")
            return Answer(came.status, body, came.kind)
        return None

    before.rules.append(processing)
    waited: list[str] = []
    steps = put(suite_file, to=to, seconds=0.2, on_wait=waited.append)
    assert waited == ["its features are not computed yet"]
    assert [s.subject.split()[0] for s in steps if s.change == "wait"] == [
        "dataset",
        "task",
        "suite",
    ]
    number = ids([s for s in steps if s.change == "add"], "dataset")
    assert entry_of(lock, to.root, "tasks", "anything") is None
    state["features"] = True
    steps = put(suite_file, to=to, seconds=0)
    assert next(s.note for s in steps if s.change == "wait") == "its status is in_preparation"
    state["active"] = True
    steps = put(suite_file, to=to, seconds=0)
    assert "wait" not in changes(steps)
    assert ids(steps, "dataset") == number
    assert ids(steps, "suite")


def test_a_dataset_that_can_not_be_processed_is_an_error(put, task_file, production):
    before, to = production
    before.rules.append(
        lambda _method, path, _came: (
            error(274, "Dataset processed with error") if "data/features/" in path else None
        )
    )
    with pytest.raises(ServerError, match=r"processed with error.*\[274\]"):
        put(task_file, to=to)


def test_changed_data_need_a_new_version(put, task_file):
    put(task_file)
    edit(task_file, "seed: 2014", "seed: 2015")
    line = task_file.read_text().splitlines().index('  version: "1"') + 1
    with pytest.raises(SpecError, match=rf"line {line}: dataset.version: .* are a new version"):
        put(task_file)


def test_a_new_version_gets_its_own_dataset_and_task_and_the_old_ones_point_to_it(
    put, suite_file, task_file, connection, names, lock
):
    first = put(suite_file)
    old = shutil.copy(task_file, task_file.with_name("old.yaml"))
    edit(task_file, 'version: "1"', 'version: "2"')
    edit(task_file, "seed: 2014", "seed: 2015")
    planned = put(suite_file, dry_run=True)
    second = put(suite_file)
    assert len(planned) == len(second)
    old_task, new_task = ids(first, "task"), ids(second, "task")
    old_data, new_data = ids(first, "dataset"), ids(second, "dataset")
    assert old_task != new_task
    assert old_data != new_data
    text = read_dataset(connection, old_data)["oml:description"]
    assert text.startswith(f"Superseded by version 2, dataset {new_data}: ")
    assert f"hepml_superseded_by_{new_task}" in tags_of(connection, "task", old_task)
    boards = {t["task_id"]: t for t in connection.get_json("site.json")["tasks"]}
    assert boards[old_task]["successor"] == new_task
    assert boards[new_task]["successor"] is None
    study = find_study(connection, names["suite"])
    assert study is not None
    assert study.members == (new_task,)
    kept = read_lock(lock)[connection.root]["tasks"]
    assert kept[f"{names['task']}/3-fold@1"]["successor"] == f"{names['task']}/3-fold@2"
    assert set(changes(put(suite_file))) == {"same"}
    # the old file still finds what it made, and makes nothing of it the newest
    again = put(old)
    assert set(changes(again)) == {"same"}
    assert ids(again, "task") == old_task
    assert not read_dataset(connection, new_data)["oml:description"].startswith("Superseded")


def test_an_active_suite_is_not_changed(put, suite_file, task_file, connection):
    number = ids(put(suite_file), "suite")
    connection.post("study/status/update", {"study_id": str(number), "status": "active"})
    assert set(changes(put(suite_file))) == {"same"}
    edit(suite_file, "tasks:\n", f"tasks:\n  - {{task: {task_file}, split: holdout}}\n")
    with pytest.raises(SpecError, match=r"suite.yaml, line 1: name: .* is active"):
        put(suite_file)


def test_a_suite_gets_the_tasks_that_it_lacks(put, suite_file, task_file, connection, names):
    put(suite_file)
    edit(suite_file, "tasks:\n", f"tasks:\n  - {{task: {task_file}, split: holdout}}\n")
    steps = put(suite_file)
    assert f"{names['task']}/holdout in suite {names['suite']}" in changes(steps)["add"]
    study = find_study(connection, names["suite"])
    assert study is not None
    assert len(study.members) == 2


def offer(task_file: Path, host: Archive, content: bytes) -> str:
    url = host.add("toy.arff", content)
    edit(
        task_file,
        "  rows: 600\n",
        f"  rows: 600\n  doi: 10.5281/zenodo.1\n  arff:\n    name: toy.arff\n    urls: [{url!r}]\n",
    )
    return url


def test_a_dataset_is_published_by_the_address_of_its_archive(
    put, task_file, host, lock, connection, names, client
):
    arff = render_dataset(hep.load_task(task_file))
    # another file than ours, of the same table
    url = offer(task_file, host, b"% as the archive has it\n" + arff)
    assert put(task_file, dry_run=True)[0].note == f"by its address {url}"
    (step, *_) = put(task_file)
    assert step.note == f"by its address {url}"
    kept = entry_of(lock, connection.root, "datasets", f"{names['dataset']}@1")
    assert kept is not None
    assert kept["how"] == "url"
    assert set(changes(put(task_file))) == {"same"}
    # the lock file isn't needed to find it
    lock.unlink()
    assert set(changes(put(task_file))) == {"same"}
    assert len(client.datasets.get_dataset(step.id).get_data()[0]) == 600
    # no key came to the archive
    assert not any(connection.apikey in r or "api_key" in r for r in host.received)


def test_an_archive_with_a_table_of_other_values_is_an_error(put, task_file, host):
    arff = render_dataset(hep.load_task(task_file))
    head, _, rows = arff.partition(b"@DATA\n")
    offer(task_file, host, head + b"@DATA\n" + b"\n".join(rows.splitlines()[:-1]) + b"\n")
    with pytest.raises(SpecError, match=r"does not hold the table.*599 rows of 34 columns"):
        put(task_file)


def test_where_the_server_refuses_an_address_the_file_is_sent_with_the_doi(
    put, task_file, host, connection, before, scratch_server
):
    offer(task_file, host, render_dataset(hep.load_task(task_file)))
    before.refuse = lambda _method, _path, body: (
        error(145, "Error parsing dataset ARFF file") if b"<oml:url>" in body else None
    )
    (step, *_) = put(task_file, to=before.connection(scratch_server.apikey))
    assert "by file, 600 rows, 34 columns; the server refuses its address" in step.note
    assert "[145]" in step.note
    described = read_dataset(connection, step.id)
    assert described["oml:original_data_url"] == "https://doi.org/10.5281/zenodo.1"


def test_where_production_would_refuse_an_address_it_is_not_asked(put, task_file, host, production):
    before, to = production
    offer(task_file, host, render_dataset(hep.load_task(task_file)))
    host.headers = ("content-type", "content-length")
    (step, *_) = put(task_file, to=to)
    assert "answers with 'content-length' and not 'Content-Length'" in step.note
    assert sum(p == "POST /api/v1/xml/data/" for p in before.posts) == 1


def link(task_file: Path, connection: Connection, number: int, md5: str = "") -> None:
    extra = f", md5: '{md5}'" if md5 else ""
    edit(
        task_file,
        "  rows: 600\n",
        f"  rows: 600\n  openml: {{id: {number}, server: '{connection.server}'{extra}}}\n",
    )


def test_a_dataset_that_exists_is_linked_and_not_uploaded(
    put, task_file, connection, before, scratch_server, names
):
    number = register_dataset(connection, hep.load_task(task_file))
    md5 = read_dataset(connection, number)["oml:md5_checksum"]
    link(task_file, before.connection(None), number, md5)
    edit(task_file, f"  name: {names['dataset']}\n", "  name: known-by-another-name\n")
    steps = put(task_file, to=before.connection(scratch_server.apikey))
    assert str(steps[0]).endswith("(linked, same rows, columns and checksum)")
    assert ids(steps, "dataset") == number
    assert "POST /api/v1/xml/data/" not in before.posts
    assert set(changes(put(task_file, to=before.connection(None), dry_run=True))) == {"same"}


def test_a_linked_dataset_that_is_another_is_an_error_with_all_differences(
    put, task_file, connection, few_events
):
    other = register_dataset(connection, few_events)
    link(task_file, connection, other, "0" * 32)
    line = next(
        i for i, text in enumerate(task_file.read_text().splitlines(), 1) if "openml:" in text
    )
    with pytest.raises(
        SpecError,
        match=rf"line {line}: dataset.openml.id: dataset {other} of .* is another:"
        r" it has 1000 rows where the task's has 600; its file has md5 .* where 0{32} is expected",
    ):
        put(task_file)


def test_a_linked_dataset_that_is_not_there_is_an_error(put, task_file, connection):
    link(task_file, connection, 999999)
    with pytest.raises(SpecError, match=r"dataset.openml.id: .*Unknown dataset"):
        put(task_file)


def test_the_runs_on_a_suite_become_a_study(put, suite_file, task_file, connection, client, names):
    first = put(suite_file)
    run = hep.run(
        find_flow("logistic").build(),
        hep.load_task(task_file),
        name="logistic",
        spool=task_file.parent / "spool",
    )
    published = publish_run(connection, run.folder)
    assert published.task_id == ids(first, "task")
    steps = put(suite_file)
    study = client.study.get_study(ids(steps, "study"))
    assert study.runs == [published.run_id]
    assert study.alias == f"{names['suite']}-runs"
    assert set(changes(put(suite_file))) == {"same"}


def test_a_new_suite_over_tasks_with_runs_has_its_study_from_the_first_call_on(
    put, suite_file, task_file, before, scratch_server, client
):
    to = before.connection(scratch_server.apikey)
    put(task_file, to=to)
    task = hep.load_task(task_file)
    spool = task_file.parent / "spool"
    run = hep.run(find_flow("logistic").build(), task, name="logistic", spool=spool)
    published = publish_run(to, run.folder)
    planned = put(suite_file, to=to, dry_run=True)
    before.asked.clear()
    first = put(suite_file, to=to)
    assert before.posts != []
    assert [(s.change, s.subject) for s in planned] == [(s.change, s.subject) for s in first]
    assert client.study.get_study(ids(first, "study")).runs == [published.run_id]
    before.asked.clear()
    second = put(suite_file, to=to)
    assert set(changes(second)) == {"same"}
    assert before.posts == []


def test_the_stock_client_finds_all_that_was_registered(put, suite_file, client, names):
    steps = put(suite_file)
    task_id, dataset_id = ids(steps, "task"), ids(steps, "dataset")
    suite = client.study.get_suite(names["suite"])
    assert suite.tasks == [task_id]
    assert "figure of merit ams" in suite.description
    assert "https://hep.example.org/suite.html" in suite.description
    listed = client.tasks.list_tasks(tag=names["suite"], output_format="dataframe")
    assert listed["tid"].tolist() == [task_id]
    dataset = client.datasets.get_dataset(dataset_id, download_data=False)
    assert "Figure of merit: Approximate median significance (AMS)" in dataset.description
    assert "hepml_tasks" in as_list(dataset.tag)
    task = client.tasks.get_task(task_id)
    assert task.evaluation_measure == "ams"
