"""Tasks with withheld labels: what they give away, who scores them, who may send how often."""

from __future__ import annotations

import itertools
import json
import re
import shutil
import stat
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import fastapi.routing
import numpy as np
import openml
import pytest
import requests
import yaml
from sqlalchemy import select, update

import hepml_tasks as hep
from hepml_tasks.bot.log import Event, Log
from hepml_tasks.bot.plan import plan
from hepml_tasks.bot.worker import work
from hepml_tasks.errors import RunError, ServerError, SpecError, UnknownNameError
from hepml_tasks.evaluation.evaluate import evaluate
from hepml_tasks.evaluation.predictions import read_predictions
from hepml_tasks.evaluation.truth import truth_from_table
from hepml_tasks.flows import find_flow
from hepml_tasks.formats.arff import read_arff
from hepml_tasks.openml.connection import Connection
from hepml_tasks.openml.private import create_private, private_spec, reveal_private
from hepml_tasks.openml.publication import publish_run, wait_for_evaluation
from hepml_tasks.openml.registration import register_suite
from hepml_tasks.running.task import as_task
from hepml_tasks.server.app import create_app
from hepml_tasks.server.context import Services
from hepml_tasks.server.database import PrivateScore, Run, Submission, connect
from hepml_tasks.server.process import ServerProcess
from hepml_tasks.server.settings import Settings
from hepml_tasks.server.storage import FileStore
from hepml_tasks.spec import EvaluationSpec, SuiteSpec, TaskSpec, find_task, from_mapping
from hepml_tasks.spec.task import SuiteTask

from ..conftest import Hepml
from ..forks import start_server
from .challenge import (
    ROOT,
    Challenge,
    Secrets,
    challenge_data,
    challenge_spec,
    random_predictions,
    start_challenge,
)
from .conftest import Backend, Wire, code_of, id_in, new_backend, pointed_at
from .test_official_tasks import run_description

FLOWS = ("logistic", "prior")


@pytest.fixture(
    scope="module",
    params=["sqlite", pytest.param("postgresql", marks=pytest.mark.needs("postgresql"))],
)
def place(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[ServerProcess, Backend]]:
    """A server for this module alone."""
    backend = new_backend(request, tmp_path_factory)
    with start_server(backend.data, database=backend.database) as server:
        yield server, backend


@pytest.fixture(scope="module")
def challenge(
    place: tuple[ServerProcess, Backend], tmp_path_factory: pytest.TempPathFactory
) -> Challenge:
    """A private task with two runs by a user, not revealed."""
    made = start_challenge(*place, "toy-challenge")
    alice = Connection(place[0].server, place[1].add_user("alice"))
    suite = SuiteSpec(name="toy-suite", title="t", description="d", tasks=(SuiteTask(task="t"),))
    register_suite(Connection(place[0].server, place[0].apikey), suite, [made.task_id])
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("HEPML_CACHE", str(tmp_path_factory.mktemp("cache")))
        task = hep.load_private_task("toy-challenge", place[0].server)
        for name in FLOWS:
            spool = tmp_path_factory.mktemp("spool")
            run = hep.run(find_flow(name).build(), task, name=name, spool=spool, n_jobs=1)
            published = publish_run(alice, run.folder)
            wait_for_evaluation(alice, published.run_id)
    return made


@pytest.fixture
def wire(place: tuple[ServerProcess, Backend]) -> Wire:
    return Wire(place[0])


def upload(
    challenge: Challenge, key: str | None = None, *, seed: int = 0, lines: int | None = None
) -> requests.Response:
    """Send random predictions for a flow that is there."""
    text = random_predictions(challenge, seed)
    if lines is not None:
        text = "\n".join(text.splitlines()[:lines]) + "\n"
    return Wire(challenge.server).post(
        "run/",
        {
            "description": run_description(challenge.task_id, flow_of(challenge)),
            "predictions": ("predictions.arff", text),
        },
        **({} if key is None else {"api_key": key}),
    )


def flow_of(challenge: Challenge) -> int:
    wire = Wire(challenge.server)
    fields = {"name": "toy.Flow", "external_version": "toy==1", "description": "A toy."}
    known = wire.post("flow/exists", **fields)
    if "<oml:exists>true" in known.text:
        return id_in(known, "flow_exists")
    from .conftest import description

    content = "".join(f"<oml:{k}>{v}</oml:{k}>" for k, v in fields.items())
    return id_in(wire.post("flow/", {"description": description("flow", content)}), "upload_flow")


def own_scores(challenge: Challenge, predictions: Path, part: str) -> Mapping[str, Any]:
    """Score predictions with the withheld labels, as their owner could."""
    told = requests.get(f"{challenge.server.pages}hepml/task/{challenge.task_id}/spec", timeout=60)
    spec = {
        **told.json(),
        "partitions": {"column": "Partition", "parts": {part: [part]}},
    }
    checked = from_mapping(spec, EvaluationSpec, origin="spec")
    truth = truth_from_table(challenge.kept, checked, origin="truth")
    found = evaluate(read_predictions(predictions, checked), truth, checked)
    return {name: score.value for name, score in found.partitions[part].items()}


def forget_the_day(challenge: Challenge, *, instead: str = "2020-02-29") -> None:
    """Let all that was sent today be of another day."""
    database = connect(challenge.backend.database, challenge.backend.data, upgrade=False)
    try:
        with database.write() as session:
            session.execute(
                update(Submission)
                .where(Submission.task_id == challenge.task_id)
                .where(Submission.day > "2021")
                .values(day=instead)
            )
    finally:
        database.engine.dispose()


def hidden_scores(challenge: Challenge) -> dict[int, dict[str, Any]]:
    """Read the private scores that the database keeps, by run."""
    database = connect(challenge.backend.database, challenge.backend.data, upgrade=False)
    try:
        with database.read() as session:
            runs = select(Run.id).where(Run.task_id == challenge.task_id)
            rows = session.scalars(select(PrivateScore).where(PrivateScore.run_id.in_(runs)))
            return {row.run_id: row.scores for row in rows}
    finally:
        database.engine.dispose()


# --- what is served ------------------------------------------------------------------------------


def test_features_are_served_and_nothing_else_of_a_test_event(challenge: Challenge) -> None:
    spec = private_spec(Connection(challenge.server.server), "toy-challenge")
    task = as_task(spec)
    served, full = task.events.table, challenge.in_order
    assert set(served.column_names) == {*task.events.features, "Label", "Weight", "Split"}
    (split,) = task.splits
    assert len(split.test) == len(full) // 2
    for name in task.events.features:
        expected = [None if v == -999.0 else v for v in full[name].to_pylist()]
        assert served[name].to_pylist() == expected
    for name in ("Label", "Weight"):
        told = served[name].to_pylist()
        assert [told[row] for row in split.test] == [None] * len(split.test)
        values = full[name].to_pylist()
        assert [told[row] for row in split.train] == [values[row] for row in split.train]
    assert challenge.kept["Label"].to_pylist() == full["Label"].to_pylist()


def test_rows_say_nothing_by_their_order(challenge: Challenge) -> None:
    """The simulator's own order is not the served one, and the public rows are not a block."""
    numbers = challenge.in_order["EventId"].to_numpy()
    assert abs(np.corrcoef(numbers, np.arange(len(numbers)))[0, 1]) < 0.15
    part = challenge.kept["Partition"].to_pylist()
    tested = [p for p in part if p != "train"]
    assert tested.count("public") == round(0.4 * len(tested))
    changes = sum(a != b for a, b in itertools.pairwise(tested))
    assert changes > len(tested) / 4


def test_qualities_count_the_training_rows_alone(challenge: Challenge, wire: Wire) -> None:
    task = wire.get(f"task/{challenge.task_id}").text
    found = re.search(r"data_set_id>(\d+)<", task)
    assert found is not None
    answer = wire.get(f"data/qualities/{found[1]}").text
    qualities = dict(re.findall(r"name>(\w+)</oml:name>\s*<oml:value>([^<]*)", answer))
    labels, parts = (challenge.kept[c].to_pylist() for c in ("Label", "Partition"))
    train = [label for label, part in zip(labels, parts, strict=True) if part == "train"]
    assert int(qualities["MinorityClassSize"]) == min(train.count("s"), train.count("b"))
    assert int(qualities["MajorityClassSize"]) == max(train.count("s"), train.count("b"))
    assert int(qualities["NumberOfInstances"]) == len(labels)


@pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")
def test_the_stock_client_reads_the_features(challenge: Challenge, tmp_path: Path) -> None:
    with pointed_at(challenge.server, tmp_path):
        task = openml.tasks.get_task(challenge.task_id)
        data, *_ = task.get_dataset().get_data(include_ignore_attribute=True)
        task.download_split()
        _, test = task.get_train_test_split_indices()
    assert data.loc[test, "Label"].isna().all()
    assert data.loc[test, "Weight"].isna().all()
    assert data.loc[test, "PRI_tau_pt"].notna().all()


# --- every route ---------------------------------------------------------------------------------


def routes() -> list[str]:
    """The paths of all routes that answer a GET; that of a new one is among them."""
    services = Services(
        database=None,  # type: ignore[arg-type]
        files=FileStore(Path("nowhere")),
        settings=Settings(),
        wake_evaluator=lambda: None,
    )
    # newer versions keep the included routers as they are
    each = getattr(fastapi.routing, "iter_route_contexts", iter)
    found = []
    for route in each(create_app(services).routes):
        methods = getattr(route, "methods", None)
        # a mounted folder would have paths that can't be listed
        assert methods is not None, f"say here how {route} is asked"
        if "GET" in methods:
            found.append(route.path)
    assert len(found) > 30
    return found


NUMBERS = range(1, 26)
PATHS = (
    "limit/1000/offset/0",
    *(f"{kind}/1/limit/1000/offset/0" for kind in ("task", "run", "uploader", "flow", "data_id")),
    *(f"function/{m}/limit/1000/offset/0" for m in ("ams", "roc_auc")),
    "function/ams/per_fold/true/sort_order/desc",
    "status/all",
    "show_errors/true/task/1",
    "tag/hepml_tasks",
)
NAMES = (
    "index.html",
    "suite-1.html",
    *(f"task-1.{end}" for end in ("html", "csv", "json")),
    *(f"run-{n}.html" for n in (1, 2, 3)),
    "truth.arff",
    "seed",
    "toy-challenge",
    "toy-suite",
    "1",
    "2",
    "..%2Fprivate",
)
PARTS = ("x", "data", "tasks", "runs")


def addresses(route: str) -> Iterator[str]:
    """Fill the parameters of a route's path with all that is there."""
    names = re.findall(r"{(\w+)(?::(\w+))?}", route)
    choices: list[Sequence[str]] = []
    for _, kind in names:
        if kind == "id":
            choices.append([str(n) for n in NUMBERS])
        elif kind == "path":
            choices.append(PATHS)
        else:
            # behind a number or a name, what stands is a file's name for people, or a part
            choices.append(PARTS if choices else NAMES)
    for values in itertools.product(*choices):
        path = route
        for (name, kind), value in zip(names, values, strict=True):
            spelled = f"{{{name}:{kind}}}" if kind else f"{{{name}}}"
            path = path.replace(spelled, value if kind == "path" else quote(value, safe="%"))
        yield path


def answers(server: ServerProcess, key: str | None = None) -> Iterator[tuple[str, str, int]]:
    """Get every address of every route."""
    with requests.Session() as session:
        for route in routes():
            for path in addresses(route):
                address = f"{server.pages.rstrip('/')}{path}"
                query = {} if key is None else {"api_key": key}
                answer = session.get(address, params=query, timeout=60)
                assert answer.status_code < 500, address
                yield route, answer.text, answer.status_code


def long_numbers(scores: Mapping[str, Any]) -> Iterator[str]:
    """Give the numbers of scores with more decimals than an event has: none is there by chance."""
    for score in scores.values():
        for number in (score["value"], score["uncertainty"], *(score["interval"] or ())):
            if number is not None and len(repr(number).partition(".")[2]) > 4:
                yield repr(number)


def test_no_route_betrays_a_label(
    challenge: Challenge, place: tuple[ServerProcess, Backend]
) -> None:
    """Every GET route is tried with all ids there are; a new one is tried by itself."""
    secrets = challenge.secrets
    hidden = hidden_scores(challenge)
    assert len(hidden) >= len(FLOWS)
    numbers = {n for scores in hidden.values() for n in long_numbers(scores)}
    # selecting everything has the same score everywhere
    numbers -= {n for run in hidden for n in long_numbers(Wire(place[0]).report(run)["scores"])}
    assert len(numbers) > 6
    seen: dict[str, set[int]] = {}
    found: list[str] = []
    biggest = 0
    read: set[str] = set()
    for route, text, status in answers(place[0]):
        seen.setdefault(route, set()).add(status)
        biggest = max(biggest, len(text))
        if text in read:
            continue
        read.add(text)
        found += [f"{route}: {what}" for what in secrets.found_in(text)]
        found += [f"{route}: private score {n}" for n in numbers if n in text]
    assert not found, sorted(set(found))
    # the search was one: every route has answered but those that want a filter or a trace, and
    # the one of all calls that there are not
    silent = {route for route, statuses in seen.items() if 200 not in statuses}
    api = "/api/v1/xml"
    assert silent <= {
        f"{api}/{{path:path}}",
        f"{api}/evaluation/list",
        f"{api}/run/list",
        f"{api}/setup/list",
        f"{api}/study/list",
        f"{api}/run/trace/{{run_id:id}}",
    }
    assert biggest > 100_000


def test_a_user_s_key_opens_no_more(
    challenge: Challenge, place: tuple[ServerProcess, Backend]
) -> None:
    key = place[1].add_user("mallory")
    for route in ("/hepml/private/1", "/hepml/run/1", "/hepml/task/1/spec", "/hepml/site.json"):
        answer = requests.get(
            f"{place[0].pages.rstrip('/')}{route}", params={"api_key": key}, timeout=60
        )
        assert answer.status_code == 200
        assert not list(challenge.secrets.found_in(answer.text))


def test_the_search_finds_what_is_betrayed(challenge: Challenge) -> None:
    secrets: Secrets = challenge.secrets
    table = challenge.in_order
    tested = [p != "train" for p in challenge.kept["Partition"].to_pylist()]
    rows = [row for row, t in zip(table.to_pylist(), tested, strict=True) if t]
    for text in (
        (challenge.folder / "truth.arff").read_text(),
        json.dumps([row["Label"] for row in rows]),
        json.dumps([int(row["Label"] == "s") for row in rows]),
        json.dumps([row["Weight"] for row in rows[100:200]]),
        "\n".join(f"{row['EventId']},x" for row in rows),
        "\n".join(f"0,b,{row['Label']}" for row in rows),
        f"<seed>{challenge.seed}</seed>",
    ):
        assert list(secrets.found_in(text)), text[:200]
    assert not list(secrets.found_in(random_predictions(challenge)))


def test_the_folder_is_its_owner_s(challenge: Challenge) -> None:
    for path in (challenge.folder, challenge.folder.parent):
        assert stat.S_IMODE(path.stat().st_mode) == 0o700
    for path in challenge.folder.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert challenge.seed > 2**64


# --- running and scoring -------------------------------------------------------------------------


def test_a_run_has_no_score_until_the_server_gives_one(
    challenge: Challenge, tmp_path: Path
) -> None:
    server = challenge.server
    task = hep.load_private_task("toy-challenge", server.server)
    _, y, weight = task.data()
    (split,) = task.splits
    assert set(y[split.train]) == {"b", "s"}
    assert set(y[split.test]) == {""}
    assert np.isnan(weight[split.test]).all()
    run = hep.run(find_flow("logistic").build(), task, name="logistic", spool=tmp_path, n_jobs=1)
    assert run.scores == {}
    assert run.predictions["truth"].null_count == len(split.test)
    published = run.publish(server.server, apikey=server.apikey)
    assert published.task_id == challenge.task_id
    assert run.publish(server.server, apikey=server.apikey).run_id == published.run_id
    report = Wire(server).evaluated(published.run_id)
    assert report["status"] == "done"
    assert report["partitions"].keys() == {"public"}
    assert report["claimed"] == {}
    answer = requests.get(f"{server.server}/run/{published.run_id}", timeout=60).text
    found = re.search(r"http\S+predictions.arff", answer)
    assert found is not None
    path = tmp_path / "predictions.arff"
    path.write_bytes(requests.get(found[0], timeout=60).content)
    assert read_arff(path).table["correct"].null_count == len(split.test)
    for name, value in own_scores(challenge, path, "public").items():
        assert report["scores"][name]["value"] == pytest.approx(value, rel=1e-5)
    hidden = hidden_scores(challenge)[published.run_id]
    for name, value in own_scores(challenge, path, "private").items():
        assert hidden[name]["value"] == pytest.approx(value, rel=1e-5)


def test_labels_of_several_classes_are_withheld_too(
    place: tuple[ServerProcess, Backend], tmp_path: Path
) -> None:
    server = place[0]
    data = yaml.safe_load((ROOT / "tasks" / "toy-higgs-process.yaml").read_text())
    name = data["name"] = data["dataset"]["name"] = f"several-{server.pages.rstrip('/')[-5:]}"
    data["dataset"]["simulator"] = {"name": "toy-higgs", "events": 1000}
    data["dataset"]["rows"] = 1000
    data["splits"] = [{"name": "challenge", "kind": "holdout", "fraction": 0.5}]
    data["class_sums"] = {"H": 1.0, "Z": 1.0, "W": 1.0, "T": 1.0}
    data["private"] = {}
    spec = from_mapping(data, TaskSpec, origin="several.yaml")
    made = create_private(Connection(server.server, server.apikey), spec)
    task = hep.load_private_task(name, server.server)
    assert "Label" not in task.events.table.column_names
    run = hep.run(find_flow("prior").build(), task, name="prior", spool=tmp_path, n_jobs=1)
    published = run.publish(server.server, apikey=server.apikey)
    assert published.task_id == made["task_id"]
    report = Wire(server).evaluated(published.run_id)
    assert report["status"] == "done", report
    assert set(report["scores"]) == set(spec.metrics.names)
    assert report["partitions"].keys() == {"public"}


def test_scores_have_no_more_digits_than_the_task_says(
    place: tuple[ServerProcess, Backend],
) -> None:
    made = start_challenge(*place, digits=3)
    run = id_in(upload(made), "upload_run", "run_id")
    report = Wire(made.server).evaluated(run)
    for score in report["scores"].values():
        for number in (score["value"], score["uncertainty"], *score["interval"]):
            assert number == float(f"{number:.3g}")


def test_only_the_server_that_made_a_task_scores_it(challenge: Challenge, tmp_path: Path) -> None:
    task = hep.load_private_task("toy-challenge", challenge.server.server)
    run = hep.run(find_flow("prior").build(), task, name="prior", spool=tmp_path, n_jobs=1)
    with start_server(tmp_path / "other") as other:
        with pytest.raises(RunError, match="is not the server that made task toy-challenge"):
            run.publish(other.server, apikey=other.apikey)
        assert code_of(requests.get(f"{other.server}/data/list", timeout=60)) == 372
    from hepml_tasks.evaluation.evidence import from_folder

    with pytest.raises(RunError, match="are withheld: the server that made the task"):
        from_folder(run.folder)


def test_a_bot_runs_what_is_missing_and_sends_the_rest_another_day(
    place: tuple[ServerProcess, Backend], tmp_path: Path
) -> None:
    made = start_challenge(*place, per_day=1)
    connection = Connection(place[0].server, place[0].apikey)
    task = hep.load_private_task(str(made.task_id), place[0].server)
    flows = [find_flow("prior"), find_flow("logistic")]
    told: list[Event] = []
    for day in range(2):
        jobs = plan([task], flows, spool=tmp_path, connection=connection)
        log = Log([told.append])
        outcome = work(jobs, spool=tmp_path, connection=connection, log=log)
        assert (outcome.published, outcome.waiting, outcome.failed) == (1 + day, 1 - day, ())
        forget_the_day(made, instead=f"2020-01-0{day + 1}")
    assert [event["found"] for event in told if event["event"] == "run_done"] == ["finished"] * 2
    (reason,) = [event["reason"] for event in told if event["event"] == "not_sent"]
    assert "Unable to store run" in reason


def test_a_failed_evaluation_says_nothing_of_labels(place: tuple[ServerProcess, Backend]) -> None:
    made = start_challenge(*place)
    wire = Wire(made.server)
    run = id_in(upload(made), "upload_run", "run_id")
    before = wire.evaluated(run)
    truth = made.folder / "truth.arff"
    aside = truth.with_suffix(".aside")
    shutil.move(truth, aside)
    # another path, so that the evaluator doesn't remember what it has read
    for state, moved in (("failed", False), ("done", True)):
        if moved:
            shutil.move(aside, truth)
        answer = requests.post(
            f"{made.server.pages}hepml/task/{made.task_id}/rescore",
            data={"api_key": made.server.apikey},
            timeout=60,
        )
        assert answer.json()["waiting"] == 1
        report = wire.evaluated(run)
        if report["status"] == "done":
            assert report["scores"] == before["scores"]
            continue
        assert report["status"] == state
        assert report["error"] == "the evaluation failed; the reason is in the server's log"
        assert report["scores"] == {}


# --- limits --------------------------------------------------------------------------------------


def test_a_user_has_so_many_runs_a_day(place: tuple[ServerProcess, Backend]) -> None:
    server, backend = place
    made = start_challenge(server, backend, per_day=2)
    bob, eve = backend.add_user(f"bob-{made.task_id}"), backend.add_user(f"eve-{made.task_id}")
    # what is refused doesn't count
    assert code_of(upload(made, bob, lines=100)) == 209
    first = id_in(upload(made, bob, seed=1), "upload_run", "run_id")
    id_in(upload(made, bob, seed=2), "upload_run", "run_id")
    third = upload(made, bob, seed=3)
    assert code_of(third) == 210
    assert "takes 2 runs of a user in a day" in third.text
    assert "00:00 UTC" in third.text
    # what is deleted does
    assert Wire(server).delete(f"run/{first}", bob).status_code == 200
    assert code_of(upload(made, bob, seed=3)) == 210
    id_in(upload(made, eve, seed=4), "upload_run", "run_id")
    forget_the_day(made)
    id_in(upload(made, bob, seed=5), "upload_run", "run_id")


def test_who_sends_all_at_once_has_no_more(place: tuple[ServerProcess, Backend]) -> None:
    made = start_challenge(*place, per_day=3)
    key = place[1].add_user(f"fast-{made.task_id}")
    flow_of(made)
    with ThreadPoolExecutor(8) as pool:
        sent = list(pool.map(lambda seed: upload(made, key, seed=seed), range(8)))
    assert sorted(answer.status_code for answer in sent) == [200] * 3 + [412] * 5
    assert {code_of(answer) for answer in sent if answer.status_code == 412} == {210}


def test_the_operator_sets_the_limit_of_tasks_that_have_none(tmp_path: Path) -> None:
    settings = Settings(submissions_per_day=1)
    with start_server(tmp_path, settings=settings) as server:
        made = start_challenge(server, Backend(tmp_path))
        id_in(upload(made), "upload_run", "run_id")
        assert code_of(upload(made, seed=1)) == 210


# --- revealing -----------------------------------------------------------------------------------


def test_the_owner_reveals_the_private_scores(place: tuple[ServerProcess, Backend]) -> None:
    server, backend = place
    made = start_challenge(server, backend)
    wire = Wire(server)
    run = id_in(upload(made), "upload_run", "run_id")
    public = wire.evaluated(run)
    hidden = hidden_scores(made)[run]
    other = Connection(server.server, backend.add_user(f"carol-{made.task_id}"))
    name = str(made.task_id)
    with pytest.raises(ServerError, match="Task is not owned by you") as refused:
        reveal_private(other, name)
    assert refused.value.code == 453
    assert wire.report(run) == public
    owner = Connection(server.server, server.apikey)
    told = reveal_private(owner, name)
    assert told["runs"] == 1
    assert told["revealed"]
    report = wire.report(run)
    assert report["scores"] == public["scores"]
    assert report["partitions"]["private"] == hidden
    again = reveal_private(owner, name)
    assert again["revealed"] == told["revealed"]
    later = id_in(upload(made, seed=1), "upload_run", "run_id")
    assert wire.evaluated(later)["partitions"].keys() == {"public", "private"}
    board = requests.get(f"{server.pages}pages/task-{made.task_id}.html", timeout=60).text
    assert "private part" in board
    listed = requests.get(f"{server.pages}hepml/site.json", timeout=60).json()
    (found,) = [t for t in listed["tasks"] if t["task_id"] == made.task_id]
    assert [m["name"] for m in found["measures"] if m["primary"]] == ["ams, private part"]
    assert not list(made.secrets.found_in(json.dumps(listed) + board))


# --- making --------------------------------------------------------------------------------------


def test_administrators_make_private_tasks(place: tuple[ServerProcess, Backend]) -> None:
    server, backend = place
    user = Connection(server.server, backend.add_user(f"dave-{id(place)}"))
    with pytest.raises(ServerError) as refused:
        create_private(user, challenge_spec())
    assert refused.value.code == 106
    start_challenge(server, backend, "made-twice")
    with pytest.raises(ServerError, match="choose another name than 'made-twice'") as refused:
        create_private(Connection(server.server, server.apikey), challenge_spec("made-twice"))
    assert refused.value.code == 614
    with pytest.raises(SpecError, match="simulator without a seed"):
        create_private(Connection(server.server, server.apikey), find_task("higgsml"))


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", ""),
        (b"[1]", "must be an object"),
        (b"{", "not JSON"),
        (json.dumps({"name": "x"}).encode(), "spec: "),
        (json.dumps({**challenge_data(), "private": None}).encode(), "seed: this field is"),
        (json.dumps(challenge_data(public=1.5)).encode(), "private.public"),
        (json.dumps(challenge_data(events=100)).encode().replace(b"ams", b"amz"), "unknown meas"),
        (
            json.dumps(challenge_data(events=2)).encode(),
            "leave none of process",
        ),
    ],
)
def test_a_wrong_spec_is_one_clear_error(
    place: tuple[ServerProcess, Backend], content: bytes, says: str
) -> None:
    server, backend = place
    directory = backend.data / "private"
    before = set(directory.iterdir()) if directory.is_dir() else set()
    answer = requests.post(
        f"{server.pages}hepml/private",
        data={"api_key": server.apikey},
        files={"spec": ("spec.json", content)},
        timeout=60,
    )
    assert code_of(answer) == 615
    assert says in answer.text
    assert (set(directory.iterdir()) if directory.is_dir() else set()) == before


@pytest.fixture(
    params=["sqlite", pytest.param("postgresql", marks=pytest.mark.needs("postgresql"))]
)
def fresh(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Backend:
    return new_backend(request, tmp_path_factory)


def test_what_is_deleted_is_forgotten_at_the_next_start(fresh: Backend) -> None:
    with start_server(fresh.data, database=fresh.database) as server:
        made = start_challenge(server, fresh)
        kept = start_challenge(server, fresh)
        run = id_in(upload(made), "upload_run", "run_id")
        wire = Wire(server)
        wire.evaluated(run)
        assert code_of(wire.delete(f"task/{made.task_id}")) == 454
        assert wire.delete(f"run/{run}").status_code == 200
        assert wire.delete(f"task/{made.task_id}").status_code == 200
        left = requests.get(f"{server.pages}hepml/private", timeout=60).json()["tasks"]
        assert [t["task_id"] for t in left] == [kept.task_id]
        (fresh.data / "private" / "left-by-a-crash").mkdir()
    with start_server(fresh.data, database=fresh.database) as server:
        assert {p.name for p in (fresh.data / "private").iterdir()} == {kept.folder.name}
        run = id_in(upload(replace(kept, server=server)), "upload_run", "run_id")
        assert Wire(server).evaluated(run)["status"] == "done"


# --- the command line ----------------------------------------------------------------------------


@pytest.mark.slow
def test_a_challenge_from_the_command_line(hepml: Hepml, tmp_path: Path) -> None:
    file = tmp_path / "challenge.yaml"
    file.write_text(yaml.safe_dump(challenge_data("toy-cli", events=800)))
    with start_server(tmp_path / "server") as server:
        key = tmp_path / "server" / "apikey"
        where = ("--server", server.server)
        made = hepml("private", "create", file, *where, "--key-file", key)
        assert made.returncode == 0, made.stderr
        assert made.stdout == "task 1, toy-cli: 5 runs a user and day\n"
        assert "toy-cli" in hepml("private", "list", *where).stdout
        done = hepml("run", "toy-cli", "--flow", "prior", *where, "--key-file", key)
        assert done.returncode == 0, done.stderr
        assert "Published as run 1 of task 1" in done.stdout
        shown = tmp_path / "toy-cli.yaml"
        shown.write_text(hepml("private", "show", "toy-cli", *where).stdout)
        alone = hepml("run", shown, "--flow", "prior")
        assert alone.returncode == 0, alone.stderr
        assert "the server scores it" in alone.stdout
        told = hepml("private", "reveal", "toy-cli", *where, "--key-file", key)
        assert told.stdout == "task 1, toy-cli: 1 private scores are told\n"
        wrong = hepml("private", "reveal", "toy-clj", *where, "--key-file", key)
        assert wrong.returncode == 1
        assert "did you mean 'toy-cli'" in wrong.stderr
    local = hepml("run", file, "--flow", "prior")
    assert local.returncode == 1
    assert "made by a server, with a seed of its own" in local.stderr


def test_an_unknown_private_task_is_told(challenge: Challenge) -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'toy-challenge'"):
        hep.load_private_task("toy-chalenge", challenge.server.server)
