"""Thousands of requests that nobody would send: none is a fault of the server's own."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import requests
from fastapi import APIRouter
from fastapi.routing import APIRoute
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

import hepml_tasks.server
from hepml_tasks.server.errors import MESSAGES
from hepml_tasks.server.process import ServerProcess

from ..forks import start_server
from .conftest import (
    NAMESPACE,
    Wire,
    dataset_description,
    description,
    id_in,
    make_arff,
    new_backend,
    task_description,
)
from .test_official_tasks import SPEC, predictions_arff, run_description, splits_arff

CAMPAIGN = 12_000
SLICE = 250

SQL = (
    "' or ''='",
    '" or ""="',
    "1 or 1=1",
    "1;drop table tasks",
    "1) union select key_hash from users--",
    "%27%20or%201",
    "\\'; select 1;--",
)
ODD = (
    "",
    " ",
    "0",
    "-1",
    "1",
    "2",
    "3",
    "1,2",
    "[1, 2]",
    "1..2",
    "2..1",
    "1e9",
    "999999999",
    "9999999999",
    "99999999999999999999999",
    "\u0661",  # an Arabic digit, which Python's int takes
    "nan",
    "NaN",
    "inf",
    "none",
    "true",
    "false",
    "all",
    "active",
    "deactivated",
    "asc",
    "task",
    "run",
    "ams",
    "toy",
    "../../etc/passwd",
    "..",
    "\0",
    "a\nb",
    "\r\nSet-Cookie: a=b",
    "<b>html</b>",
    "&amp;",
    "\u202e",
    "\ufffe",
    "\U0001f600",
    "x" * 300,
    "x" * 20_000,
)
TEXT = st.one_of(st.sampled_from(SQL), st.sampled_from(ODD), st.text(max_size=20))
IDS = st.one_of(st.integers(0, 6).map(str), st.sampled_from(ODD))
FILTERS = (
    "limit",
    "offset",
    "tag",
    "data_tag",
    "status",
    "data_id",
    "data_name",
    "data_version",
    "uploader",
    "number_instances",
    "number_features",
    "number_classes",
    "number_missing_values",
    "type",
    "task_id",
    "task",
    "setup",
    "flow",
    "run",
    "study",
    "task_type",
    "show_errors",
    "function",
    "per_fold",
    "sort_order",
    "main_entity_type",
    "benchmark_suite",
    "user_id",
    "surprise",
)
FIELDS = (
    "data_id",
    "task_id",
    "flow_id",
    "run_id",
    "setup_id",
    "study_id",
    "tag",
    "status",
    "ids",
    "name",
    "external_version",
    "index",
    "ontology",
    "topic",
    "surprise",
)
FILES = ("description", "dataset", "predictions", "trace", "splits", "spec", "edit_parameters", "x")
FLOW = description(
    "flow",
    "<oml:name>fuzz.Flow</oml:name><oml:external_version>1</oml:external_version>"
    "<oml:description>d</oml:description><oml:parameter><oml:name>p</oml:name>"
    "<oml:default_value>1</oml:default_value></oml:parameter>",
)
STUDY = description(
    "study",
    "<oml:main_entity_type>task</oml:main_entity_type><oml:name>n</oml:name>"
    "<oml:description>d</oml:description><oml:tasks><oml:task_id>1</oml:task_id></oml:tasks>",
)
EVALUATION = description(
    "run_evaluation",
    "<oml:run_id>1</oml:run_id><oml:evaluation_engine_id>1</oml:evaluation_engine_id>"
    '<oml:evaluation repeat="0" fold="0"><oml:name>ams</oml:name><oml:value>1</oml:value>'
    "</oml:evaluation>",
)
ENGINE = "<oml:did>1</oml:did><oml:evaluation_engine_id>1</oml:evaluation_engine_id>"
DOCUMENTS = (
    dataset_description("fuzz"),
    task_description(1, measure="ams"),
    FLOW,
    STUDY,
    EVALUATION,
    description(
        "data_features",
        f"{ENGINE}<oml:feature><oml:index>0</oml:index><oml:name>x</oml:name></oml:feature>",
    ),
    description(
        "data_qualities",
        f"{ENGINE}<oml:quality><oml:name>NumberOfInstances</oml:name>"
        "<oml:value>7</oml:value></oml:quality>",
    ),
    description("data_edit_parameters", "<oml:description>d</oml:description>"),
    run_description(
        1,
        1,
        "<oml:parameter_setting><oml:name>p</oml:name><oml:value>2</oml:value>"
        "</oml:parameter_setting><oml:output_data>"
        '<oml:evaluation repeat="0" fold="0"><oml:name>ams</oml:name><oml:value>1</oml:value>'
        "</oml:evaluation></oml:output_data>",
    ),
)
TABLES = (
    make_arff(),
    predictions_arff(range(80, 120)),
    splits_arff(range(80), range(80, 120)),
    str(SPEC).replace("'", '"').replace("None", "null"),
    '{"task": [{}], "metrics": {}}',
    "@RELATION t\n@ATTRIBUTE repeat NUMERIC\n@ATTRIBUTE fold NUMERIC\n"
    "@ATTRIBUTE iteration NUMERIC\n@ATTRIBUTE evaluation NUMERIC\n"
    "@ATTRIBUTE selected {true,false}\n@DATA\n0,0,0,1,true\n",
)


@dataclass(frozen=True)
class Sent:
    """A request."""

    method: str
    path: str
    query: list[tuple[str, str]] = field(default_factory=list)
    fields: list[tuple[str, str]] = field(default_factory=list)
    files: list[tuple[str, str, bytes]] = field(default_factory=list)


@st.composite
def mutated(draw: Callable[..., Any], texts: tuple[str, ...]) -> bytes:
    """A document of the right kind, in which something was taken away, doubled or replaced."""
    text: str = draw(st.sampled_from(texts))
    for _ in range(draw(st.integers(0, 3))):
        pieces = text.split("<") if "<" in text and draw(st.booleans()) else list(text)
        if not pieces:
            break
        at = draw(st.integers(0, len(pieces) - 1))
        how = draw(st.sampled_from(["drop", "double", "replace", "cut"]))
        if how == "drop":
            del pieces[at]
        elif how == "double":
            pieces.insert(at, pieces[at])
        elif how == "cut":
            pieces = pieces[:at]
        elif pieces[at].count(">") == 1:
            pieces[at] = pieces[at].split(">")[0] + ">" + draw(TEXT)
        else:
            pieces[at] = draw(TEXT)
        text = ("<" if "<" in text and len(pieces) < len(text) else "").join(pieces)
    return text.encode("utf-8", "surrogatepass")


CONTENT = st.one_of(
    mutated(DOCUMENTS),
    mutated(DOCUMENTS),
    mutated(TABLES),
    mutated(TABLES),
    st.binary(max_size=50),
    TEXT.map(lambda text: text.encode("utf-8", "surrogatepass")),
)


@st.composite
def values_of_path(draw: Callable[..., Any], template: str) -> str:
    """A path of a route, with something in each of its places."""
    parts = []
    for part in template.split("/"):
        if not part.startswith("{"):
            parts.append(part)
        elif part.endswith(":path}"):
            pairs = st.tuples(st.sampled_from(FILTERS), st.one_of(IDS, TEXT))
            for pair in draw(st.lists(pairs, max_size=3)):
                parts.extend(quote(text, safe="") for text in pair)
        else:
            parts.append(quote(draw(IDS if ":id" in part else st.one_of(IDS, TEXT)), safe=""))
    return "/".join(parts)


def requests_to(routes: list[tuple[str, str]], keys: list[str]) -> st.SearchStrategy[Sent]:
    """Requests to all routes: most of the right method, with a right key."""

    @st.composite
    def build(draw: Callable[..., Any]) -> Sent:
        method, template = draw(st.sampled_from(routes))
        if draw(st.integers(0, 19)) == 0:
            method = draw(st.sampled_from(["GET", "POST", "DELETE", "PUT", "HEAD", "OPTIONS"]))
        path = draw(values_of_path(template))
        some_keys = st.sampled_from([keys[0]] * 6 + keys)
        key = [("api_key", draw(some_keys))]
        if method != "POST":
            return Sent(method, path, query=key if draw(st.booleans()) or method != "GET" else [])
        pairs = st.tuples(st.sampled_from(FIELDS), st.one_of(IDS, TEXT))
        names = [f"{kind}_id" for kind in ("data", "task", "flow", "run", "setup")]
        files = []
        for name in draw(st.lists(st.sampled_from((*FILES, *["description"] * 6)), max_size=3)):
            ending = draw(st.sampled_from([".arff", ".xml", "", ".\0", "/../x.arff"]))
            files.append((name, name + ending, draw(CONTENT)))
        fields = draw(st.lists(pairs, max_size=3))
        if draw(st.booleans()):
            fields += [(name, draw(IDS)) for name in names] + [("tag", draw(TEXT))]
        return Sent(method, path, fields=key + fields, files=files)

    return build()


@cache
def routes() -> list[tuple[str, str]]:
    """Method and path of every route that there is."""
    found = []
    for info in pkgutil.iter_modules(hepml_tasks.server.__path__, "hepml_tasks.server."):
        if info.name.endswith("__main__"):
            continue
        module = importlib.import_module(info.name)
        for name, prefix in (("router", "/api/v1/xml"), ("files_router", "")):
            for route in getattr(module, name, APIRouter()).routes:
                assert isinstance(route, APIRoute)
                path = route.path if info.name.endswith(".site") else prefix + route.path
                found += [(method, path) for method in sorted(route.methods - {"HEAD"})]
    assert len(found) > 70
    return found


@dataclass
class Target:
    """A server with something on it, and all that was sent to it."""

    server: ServerProcess
    keys: list[str]
    log: Path
    session: requests.Session = field(default_factory=requests.Session)
    count: int = 0
    codes: dict[int, int] = field(default_factory=dict)

    def send(self, sent: Sent) -> None:
        url = self.server.pages.rstrip("/") + sent.path
        files = [(name, (filename, content)) for name, filename, content in sent.files]
        answer = self.session.request(
            sent.method,
            url,
            params=sent.query,
            data=[(k, v.encode("utf-8", "surrogatepass")) for k, v in sent.fields],
            files=files or None,
            timeout=60,
            allow_redirects=False,
        )
        self.count += 1
        self.check(sent, answer)

    def check(self, sent: Sent, answer: requests.Response) -> None:
        assert answer.status_code < 500, answer.text
        assert "Traceback" not in answer.text
        for key in self.keys[:2]:
            assert key not in answer.text
        if not sent.path.startswith("/api/") or sent.method in {"HEAD", "OPTIONS"}:
            return
        from defusedxml.ElementTree import fromstring

        root = fromstring(answer.content)
        if answer.status_code == 200:
            assert root.tag != f"{{{NAMESPACE}}}error"
            return
        assert answer.status_code in {412, 413, 414, 450}
        code = int(root.findtext(f"{{{NAMESPACE}}}code"))
        assert root.findtext(f"{{{NAMESPACE}}}message") == MESSAGES[code]
        # "busy, try again" is how the client reads 107: alone on the server it is never right
        assert code != 107, answer.text
        self.codes[code] = self.codes.get(code, 0) + 1


@pytest.fixture(
    scope="module",
    params=["sqlite", pytest.param("postgresql", marks=pytest.mark.needs("postgresql"))],
)
def target(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Target]:
    backend = new_backend(request, tmp_path_factory)
    with start_server(backend.data, database=backend.database) as server:
        wire = Wire(server)
        for name in ("toy", "other"):
            files = {"description": dataset_description(name), "dataset": ("t.arff", make_arff())}
            dataset = id_in(wire.post("data/", files), "upload_data_set")
            splits = splits_arff(range(80), range(80, 120))
            files = {"description": task_description(dataset, 16), "splits": ("s.arff", splits)}
            id_in(wire.post("task/", files), "upload_task")
        id_in(wire.post("flow/", {"description": FLOW}), "upload_flow")
        files = {
            "description": run_description(1, 1, ""),
            "predictions": ("p.arff", predictions_arff(range(80, 120))),
        }
        id_in(wire.post("run/", files), "upload_run", "run_id")
        id_in(wire.post("study/", {"description": STUDY}), "study_upload")
        keys = [server.apikey, backend.add_user("fuzz"), "f" * 32, "", *SQL]
        yield Target(server, keys, backend.data / "server.log")


def fuzz(target: Target, many: int, *, same: bool) -> None:
    @settings(
        max_examples=many,
        deadline=None,
        derandomize=same,
        database=None,
        phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
        print_blob=True,
    )
    @given(requests_to(routes(), target.keys))
    def send(sent: Sent) -> None:
        target.send(sent)

    send()
    assert target.count >= many
    assert "Traceback" not in target.log.read_text()
    # The server still does what it is for.
    assert Wire(target.server).get("evaluationmeasure/list").status_code == 200


def test_no_request_is_answered_with_a_fault_of_the_server(target: Target) -> None:
    fuzz(target, SLICE, same=True)


@pytest.mark.campaign
def test_ten_thousand_requests_are_answered_without_a_fault_of_the_server(target: Target) -> None:
    fuzz(target, CAMPAIGN, same=False)
    # What was tried reached deep: most of the codes that there are were among the answers.
    assert len(target.codes) > 60, sorted(target.codes)
