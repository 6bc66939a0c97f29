"""Uploads with one fault each: production's code, one clear message, and nothing kept."""

from __future__ import annotations

import gzip
import re
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import requests

from hepml_tasks.server.errors import MESSAGES
from hepml_tasks.server.process import ServerProcess

from .conftest import (
    NAMESPACE,
    Wire,
    code_of,
    dataset_description,
    description,
    id_in,
    make_arff,
    task_description,
)
from .test_official_tasks import predictions_arff, run_description, splits_arff

DATABASES = ("sqlite", "postgresql")

# Production's kinds of text, as its XSDs have them: a text that is none of the kind.
NOT_OF = {
    "system": "a b",
    "casual": "a b",
    "call": "a b",
    "latin": "\u00e4",
    "int": "one",
    "entity": "flow",
    "status": "asleep",
}


@dataclass(frozen=True)
class Element:
    """An element of a description: must it be there, how often, how long, and of which kind."""

    name: str
    kind: str
    longest: int | None = None
    required: bool = False
    many: bool = False

    def faults(self) -> Iterator[tuple[str, list[str]]]:
        """Name what can be wrong with it, and give the texts that it then has, in order."""
        if self.required:
            yield "missing", []
        if not self.many:
            yield "twice", ["1", "1"]
        yield "empty", [""]
        yield "wrong type", [NOT_OF[self.kind]]
        if self.longest:
            yield "ten times too long", ["1" * (10 * self.longest)]


def of(names: str, kind: str, longest: int | None = None, **options: bool) -> list[Element]:
    return [Element(name, kind, longest, **options) for name in names.split()]


ELEMENTS = {
    "data_set_description": [
        *of("name", "casual", 128, required=True),
        *of("description", "latin", 16384, required=True),
        *of("format", "casual", 64, required=True),
        *of("creator contributor", "latin", 128, many=True),
        *of("collection_date update_comment", "latin", 128),
        *of("language row_id_attribute version_label", "casual", 128),
        *of("licence", "latin", 64),
        *of("default_target_attribute", "casual", 1024),
        *of("ignore_attribute", "casual", 128, many=True),
        *of("citation", "latin", 1024),
        *of("tag", "system", 64, many=True),
        *of("md5_checksum", "system", 64),
        *of("id file_id", "int"),
    ],
    "data_edit_parameters": [
        *of("description", "latin", 16384),
        *of("creator contributor", "latin", 128, many=True),
        *of("collection_date", "latin", 128),
        *of("language row_id_attribute", "casual", 128),
        *of("default_target_attribute", "casual", 1024),
        *of("ignore_attribute", "casual", 128, many=True),
        *of("citation", "latin", 1024),
    ],
    "task_inputs": [*of("task_type_id", "int", required=True), *of("tag", "system", many=True)],
    "flow": [
        *of("name", "call", 1024, required=True),
        *of("custom_name", "latin", 128),
        *of("class_name", "call", 128),
        *of("external_version", "latin", 128, required=True),
        *of("description", "latin", 1024, required=True),
        *of("creator contributor", "call", 128, many=True),
        *of("licence", "call", 64),
        *of("language implements", "call", 128),
        *of("full_description installation_notes dependencies", "latin", 1024),
        *of("tag", "system", 128, many=True),
        *of("source_format binary_format source_md5 binary_md5", "system", 128),
        *of("id uploader version", "int"),
    ],
    "run": [
        *of("task_id flow_id", "int", required=True),
        *of("error_message", "latin", 128),
        *of("run_details", "call", 1024),
        *of("tag", "system", 128, many=True),
    ],
    "study": [
        *of("alias", "system", 32),
        *of("main_entity_type", "entity", required=True),
        *of("benchmark_suite", "int"),
        *of("name", "latin", 256, required=True),
        *of("description", "latin", 4096),
        *of("status", "status"),
    ],
}
# Which call takes it, under which name, and the error for a description that is none.
CALLS = {
    "data_set_description": ("data/", "description", 131),
    "data_edit_parameters": ("data/edit", "edit_parameters", 1060),
    "task_inputs": ("task/", "description", 613),
    "flow": ("flow/", "description", 163),
    "run": ("run/", "description", 202),
    "study": ("study/", "description", 1032),
}
LISTS = ("data/list/status/all", "task/list/status/all", "flow/list", "run/list/show_errors/true")


def with_element(root: str, text: str, name: str, values: list[str]) -> str:
    """Replace an element of a description (or add it) by as many as there are values."""
    text = re.sub(rf"<oml:{name}>.*?</oml:{name}>", "", text)
    new = "".join(f"<oml:{name}>{value}</oml:{name}>" for value in values)
    return text.replace(f"</oml:{root}>", f"{new}</oml:{root}>")


def good(root: str, ground: Ground | None = None) -> str:
    """A description that is accepted."""
    dataset, task, flow = (ground.dataset, ground.task, ground.flow) if ground else (0, 0, 0)
    return {
        "data_set_description": dataset_description("bad-input"),
        "data_edit_parameters": description(root, "<oml:language>English</oml:language>"),
        "task_inputs": task_description(dataset),
        "flow": description(
            "flow",
            "<oml:name>bad.Input</oml:name><oml:external_version>1</oml:external_version>"
            "<oml:description>d</oml:description>",
        ),
        "run": run_description(task, flow),
        "study": description(
            "study",
            "<oml:main_entity_type>task</oml:main_entity_type><oml:name>n</oml:name>"
            f"<oml:tasks><oml:task_id>{task}</oml:task_id></oml:tasks>",
        ),
    }[root]


@dataclass(frozen=True)
class Ground:
    """What is on the server: a dataset, a task on it, a flow."""

    dataset: int
    task: int
    flow: int


@pytest.fixture(scope="module")
def ground(server: ServerProcess) -> Ground:
    wire = Wire(server)
    files = {"description": dataset_description("ground"), "dataset": ("t.arff", make_arff())}
    dataset = id_in(wire.post("data/", files), "upload_data_set")
    splits = splits_arff(range(80), range(80, 120))
    files = {"description": task_description(dataset, 16), "splits": ("s.arff", splits)}
    task = id_in(wire.post("task/", files), "upload_task")
    flow = good("flow").replace("bad.Input", "bad.Ground")
    return Ground(dataset, task, id_in(wire.post("flow/", {"description": flow}), "upload_flow"))


@pytest.fixture
def unchanged(wire: Wire, ground: Ground) -> Iterator[None]:
    """What is on the server, and that a test leaves it as it was."""

    def state() -> list[str]:
        return [wire.get(path).text for path in (*LISTS, "study/list/status/all")]

    del ground  # it is made before
    before = state()
    yield
    assert state() == before


def clear(answer: requests.Response, code: int) -> str:
    """Check an error that a person can act on; give what it says beside production's words."""
    assert code_of(answer) == code, answer.text
    assert MESSAGES[code].split("&")[0] in answer.text.replace("&quot;", '"')
    for word in ("Traceback", "sqlalchemy", ".py", "/files/", "psycopg"):
        assert word not in answer.text
    found = re.search(r"<oml:additional_information>(.*?)</oml:add", answer.text, re.DOTALL)
    return found[1] if found else ""


def post(
    wire: Wire, root: str, text: str | bytes, ground: Ground, **fields: Any
) -> requests.Response:
    path, name, _ = CALLS[root]
    files: dict[str, Any] = {name: text if isinstance(text, bytes) else text.encode()}
    if root == "data_set_description":
        files["dataset"] = ("t.arff", make_arff())
    if root == "run":
        files["predictions"] = ("p.arff", predictions_arff(range(80, 120)))
    if root == "data_edit_parameters":
        fields["data_id"] = ground.dataset
    return wire.post(path, files, **fields)


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize("root", ELEMENTS)
def test_an_element_with_a_fault_is_named(wire: Wire, ground: Ground, root: str) -> None:
    fine = good(root, ground)
    for element in ELEMENTS[root]:
        for fault, values in element.faults():
            text = with_element(root, fine, element.name, values)
            said = clear(post(wire, root, text, ground), CALLS[root][2])
            assert element.name in said, (fault, said)


SPOILT: dict[str, Callable[[str, str], str | bytes]] = {
    "another namespace": lambda text, _: text.replace(NAMESPACE, "http://example.org/other"),
    "a child of another namespace": lambda text, root: text.replace(
        f"</oml:{root}>", f"<name xmlns='urn:x'>a</name></oml:{root}>"
    ),
    "cut off": lambda text, _: text[:-5],
    "twice": lambda text, _: text * 2,
    "external document type": lambda text, _: (
        f"<!DOCTYPE x SYSTEM 'http://127.0.0.1:1/x.dtd'>{text}"
    ),
    "entities": lambda text, _: f"<!DOCTYPE x [<!ENTITY a 'b'>]>{text}",
    "UTF-16": lambda text, _: text.encode("utf-16"),
    "UTF-16 without its mark": lambda text, _: text.encode("utf-16-le"),
    "UTF-32": lambda text, _: text.encode("utf-32"),
    "not UTF-8": lambda text, _: text.replace("<oml:", "<oml:\u00e4", 1).encode("latin-1"),
    "another encoding": lambda text, _: (
        f'<?xml version="1.0" encoding="latin-1"?>{text}'.replace("</oml:", "\u00e4</oml:", 1)
    ).encode("latin-1"),
    "compressed": lambda text, _: gzip.compress(text.encode()),
    "NUL": lambda text, _: text.replace("</oml:", "\0</oml:", 1),
    "escaped NUL": lambda text, _: text.replace("</oml:", "&#0;</oml:", 1),
    "HTML": lambda text, _: text.replace("</oml:", "<b>html</b></oml:", 1),
    "itself inside": lambda text, root: text.replace(
        f"</oml:{root}>", f"<oml:{root}/></oml:{root}>"
    ),
}


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize("root", ELEMENTS)
def test_a_description_that_is_none_is_refused(wire: Wire, ground: Ground, root: str) -> None:
    for spoil in SPOILT.values():
        text = spoil(good(root, ground), root)
        assert clear(post(wire, root, text, ground), CALLS[root][2])


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize("root", ELEMENTS)
def test_a_write_needs_the_right_key_exactly(wire: Wire, ground: Ground, root: str) -> None:
    text = good(root, ground)
    assert clear(post(wire, root, text, ground, api_key=""), 102) == ""
    key = wire.server.apikey
    for wrong in ("f" * 32, key[:-1], f"{key}0", key.upper() + "A", "' or ''='", "../apikey"):
        answer = post(wire, root, text, ground, api_key=wrong)
        assert clear(answer, 103) == ""
        assert wrong not in answer.text


NO_NAMES = ("../../etc/passwd", "a/b", "a\\b", "a\nb", "<b>a</b>", "&lt;b&gt;", "a b", "\u00e4")


@pytest.mark.parametrize(
    ("root", "element"),
    [("data_set_description", "name"), ("flow", "name"), ("study", "alias"), ("run", "tag")],
)
@pytest.mark.usefixtures("unchanged")
def test_names_are_no_paths_and_no_pages(
    wire: Wire, ground: Ground, root: str, element: str
) -> None:
    for name in NO_NAMES:
        text = with_element(root, good(root, ground), element, [name])
        clear(post(wire, root, text, ground), CALLS[root][2])


@pytest.mark.parametrize(
    ("files", "code"),
    [
        ([("dataset", "t.arff", make_arff())], 135),
        ([("description", "d.xml", "")], 135),
        ([("description", "d.xml", dataset_description("x"))], 141),
        ([("description", "d.xml", dataset_description("x")), ("dataset", "t.arff", "")], 145),
        (
            [
                ("description", "d.xml", dataset_description("x")),
                ("dataset", "t.arff", make_arff()),
                ("dataset", "t.arff", "nothing that counts"),
            ],
            145,
        ),
        (
            [
                ("description", "d.xml", dataset_description("x")),
                ("dataset", "t.arff", make_arff()),
                ("description", "d.xml", "<the last one counts/>"),
            ],
            131,
        ),
    ],
)
@pytest.mark.usefixtures("unchanged")
def test_fields_of_an_upload_missing_empty_and_twice(
    wire: Wire, files: list[tuple[str, str, str]], code: int
) -> None:
    answer = requests.post(
        f"{wire.server.server}/data/",
        data={"api_key": wire.server.apikey},
        files=[(name, (filename, text)) for name, filename, text in files],
        timeout=60,
    )
    clear(answer, code)


# For a value that is not safe, and for no results: SQL of harmless letters is a text as any other.
LIST_CODES = {
    "data": (371, 372),
    "task": (481, 482),
    "flow": (502, 500),
    "run": (511, 512),
    "evaluation": (541, 542),
    "setup": (672, 674),
    "study": (597, 599),
    "user": (371, 463),
}
WORDS = {"per_fold": 547, "sort_order": 549}
LIST_FILTERS = {
    "data": "tag status data_id data_name data_version uploader number_instances number_features "
    "number_classes number_missing_values limit offset",
    "task": "type tag data_tag status task_id data_id data_name number_instances number_features "
    "number_classes number_missing_values limit offset",
    "flow": "tag uploader limit offset",
    "run": "run task setup flow uploader study tag task_type show_errors limit offset",
    "evaluation": "function run task setup flow uploader study tag per_fold sort_order limit "
    "offset",
    "setup": "flow setup tag limit offset",
    "study": "main_entity_type uploader status benchmark_suite limit offset",
    "user": "user_id",
}
SQL = ("' or ''='", '" or ""="', "1;drop table users;--", "1 union select 'a'", "1' --", "%27 or 1")


@pytest.mark.parametrize("what", LIST_FILTERS)
def test_no_filter_takes_sql(wire: Wire, ground: Ground, what: str) -> None:
    del ground  # there is something to be found
    unsafe, none = LIST_CODES[what]
    for name in LIST_FILTERS[what].split():
        for text in SQL:
            answer = wire.get(f"{what}/list/{name}/{requests.utils.quote(text, safe='')}")
            if code_of(answer) in {none, WORDS.get(name)}:
                assert "'" not in text
                assert '"' not in text
            else:
                assert name in clear(answer, unsafe)
    assert wire.get("user/list").status_code == 200


def test_who_listens_hears_at_once_that_a_body_is_too_large(wire: Wire) -> None:
    """Two gigabytes are announced, and refused before they come."""
    port = int(wire.server.server.split(":")[2].split("/")[0])
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(
            b"POST /api/v1/xml/data/ HTTP/1.1\r\nHost: h\r\n"
            b"Content-Type: multipart/form-data; boundary=b\r\n"
            b"Content-Length: 2100000000\r\n\r\n--b\r\n"
        )
        told = b""
        while b"</oml:error>" not in told:
            piece = connection.recv(4096)
            assert piece
            told += piece
    assert told.startswith(b"HTTP/1.1 413")
    assert b"<oml:code>130</oml:code>" in told
    assert b"more than 2000000000 bytes" in told


def test_a_form_without_files_is_refused_early_too(wire: Wire) -> None:
    body = b"api_key=" + wire.server.apikey.encode() + b"&ids=" + b"1," * 3_000_000
    answer = requests.post(
        f"{wire.server.server}/study/1/attach",
        data=body,
        headers={"content-type": "application/x-www-form-urlencoded"},
        timeout=60,
    )
    assert answer.status_code == 413
    assert "more than 4000000 bytes" in clear(answer, 130)
