"""Production's error codes, and requests that no honest client sends."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import requests

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
from .test_official_tasks import flow as flow  # noqa: PLC0414 - a fixture

DATABASES = ("sqlite", "postgresql")
BOMB = (
    '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa">'
    + "".join(f'<!ENTITY a{i} "{f"&a{i - 1};" if i else "&a;"}{"&a;" * 9}">' for i in range(9))
    + "]>"
)
EXTERNAL = '<!DOCTYPE x [<!ENTITY a8 SYSTEM "file:///etc/passwd">]>'


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("data/999999", 111),
        ("data/99999999999999999999", 111),
        ("data/features/999999", 271),
        ("data/qualities/999999", 361),
        ("task/999999", 151),
        ("flow/999999", 181),
        ("setup/999999", 281),
        ("run/999999", 236),
        ("run/trace/999999", 571),
        ("study/999999", 601),
        ("study/no-such-alias", 601),
        ("data/list/tag/nobody", 372),
        ("task/list/tag/nobody", 482),
        ("flow/list/tag/nobody", 500),
        ("run/list/task/999999", 512),
        ("run/list/task/99999999999999", 512),
        ("evaluation/list/function/nothing", 542),
        ("setup/list/flow/999999", 674),
        ("study/list/uploader/999999", 599),
        ("user/list/user_id/999999", 463),
        ("nothing", 100),
        ("data/x", 100),
        ("data/list/nothing/1", 370),
        ("task/list/nothing/1", 480),
        ("flow/list/nothing/1", 501),
        ("run/list/nothing/1", 514),
        ("evaluation/list/nothing/1", 544),
        ("setup/list/nothing/1", 671),
        ("study/list/nothing/1", 596),
        ("data/list/limit/x", 371),
        ("data/list/limit", 370),
        ("data/list/limit/1/limit/2", 370),
        ("data/list/offset/5", 373),
        ("task/list/offset/5", 483),
        ("flow/list/offset/5", 503),
        ("run/list/offset/5", 515),
        ("evaluation/list/function/ams/offset/5", 545),
        ("setup/list/flow/1/offset/5", 675),
        ("study/list/offset/5", 598),
        ("run/list", 510),
        ("run/list/limit/10001", 516),
        ("setup/list/limit/1001", 676),
        ("data/list/limit/0", 372),
        ("evaluation/list/task_type/1", 544),
        ("evaluation/list/function/ams/limit/10001", 546),
        ("evaluation/list", 540),
        ("evaluation/list/function/ams/sort_order/up", 549),
        ("evaluation/list/function/ams/per_fold/maybe", 547),
        ("run/list/study/999999", 517),
        ("evaluation/list/function/ams/study/999999", 555),
        ("setup/list", 670),
        ("data/list/status/asleep", 372),
        ("data/list/number_instances/1..x", 371),
        ("task/list/type/1;drop table tasks", 481),
        ("run/list/task/1 or 1=1", 511),
        ("data/list/data_id/1,2,", 371),
        ("data/list/data_name/%00", 371),
        ("data/list/data_name/a%0Ab", 100),
        ("data/list/data_name/' or ''='", 371),
        ("study/' or ''='", 601),
        ("study/%00", 601),
    ],
)
def test_what_is_not_there_has_production_s_code(wire: Wire, path: str, code: int) -> None:
    assert code_of(wire.get(path)) == code


@pytest.mark.parametrize(
    ("path", "root", "code", "missing"),
    [
        ("data/", "data_set_description", 131, 135),
        ("task/", "task_inputs", 613, 611),
        ("flow/", "flow", 163, 161),
        ("run/", "run", 202, 201),
        ("study/", "study", 1032, 1031),
        ("setup/exists/", "run", 582, 581),
    ],
)
@pytest.mark.parametrize(
    "content",
    [
        "<not closed",
        "plain text",
        "\ud800".encode("utf-8", "surrogatepass"),
        b"\xff\xfe\x00",
        '<?xml version="1.0" encoding="no-such"?><a/>',
        "<other/>",
        "bomb",
        "external",
        "other namespace",
        "unknown child",
        "nested " * 3,
        "",
    ],
)
def test_descriptions_that_are_not_descriptions_are_refused(
    wire: Wire, path: str, root: str, code: int, missing: int, content: str | bytes
) -> None:
    full = {
        "bomb": BOMB + description(root, "<oml:name>&a8;</oml:name>"),
        "external": EXTERNAL + description(root, "<oml:name>&a8;</oml:name>"),
        "other namespace": description(root, "").replace(NAMESPACE, "http://example.org"),
        "unknown child": description(root, "<oml:surprise/>"),
        "nested " * 3: "<a>" * 50_000,
    }.get(content if isinstance(content, str) else "", content)
    answer = wire.post(path, {"description": full})
    assert code_of(answer) == (code if full else missing)
    assert "root:" not in answer.text
    assert code_of(wire.post(path)) == missing


@pytest.mark.parametrize(
    "path", ["data/", "task/", "flow/", "run/", "study/", "run/tag", "flow/exists"]
)
def test_writing_needs_a_key(wire: Wire, path: str) -> None:
    assert code_of(wire.post(path, api_key="")) == 102
    assert code_of(wire.post(path, api_key="f" * 32)) == 103
    assert code_of(wire.post(path, api_key="' or ''='")) == 103
    assert code_of(wire.post(path, api_key="\ud83d\ude00".encode("utf-16", "surrogatepass"))) in {
        103,
        130,
    }


@pytest.mark.parametrize(
    ("path", "unknown", "foreign"),
    [
        ("data", 352, 353),
        ("task", 452, 453),
        ("flow", 322, 323),
        ("run", 392, 393),
        ("study", 592, 594),
    ],
)
def test_deleting_needs_a_key_and_ownership(
    wire: Wire,
    other_key: str,
    new_task: Callable[..., int],
    flow: int,
    path: str,
    unknown: int,
    foreign: int,
) -> None:
    assert code_of(wire.delete(f"{path}/1", key="")) == 102
    assert code_of(wire.delete(f"{path}/1", key="wrong")) == 103
    assert code_of(wire.delete(f"{path}/999999")) == unknown
    task = new_task()
    if path == "run":
        content = f"<oml:task_id>{task}</oml:task_id><oml:flow_id>{flow}</oml:flow_id>"
        failed = description("run", content + "<oml:error_message>x</oml:error_message>")
        entity = id_in(wire.post("run/", {"description": failed}), "upload_run", "run_id")
    elif path == "study":
        entity = id_in(wire.post("study/", {"description": study("task", [task])}), "study_upload")
    else:
        entity = {"data": 1, "task": task, "flow": flow}[path]
    assert code_of(wire.delete(f"{path}/{entity}", key=other_key)) == foreign


def study(entity: str, ids: list[int], **fields: str) -> str:
    members = "".join(f"<oml:{entity}_id>{i}</oml:{entity}_id>" for i in ids)
    fields = {"main_entity_type": entity, "name": "S", "description": "d"} | fields
    content = "".join(f"<oml:{k}>{v}</oml:{k}>" for k, v in fields.items())
    return description("study", f"{content}<oml:{entity}s>{members}</oml:{entity}s>")


def test_users_other_than_the_owner_may_read_and_add_but_not_change(
    wire: Wire, other_key: str, new_dataset: Callable[..., int]
) -> None:
    dataset = new_dataset()
    status = {"data_id": dataset, "status": "deactivated"}
    assert code_of(wire.post("data/status/update", **status, api_key=other_key)) == 693
    assert wire.post("data/tag", data_id=dataset, tag="mine", api_key=other_key).status_code == 200
    assert wire.post("data/tag", data_id=dataset, tag="ours").status_code == 200
    assert code_of(wire.post("data/untag", data_id=dataset, tag="ours", api_key=other_key)) == 476
    assert code_of(wire.post("run/evaluate", api_key=other_key)) == 106
    own = wire.post(
        "data/",
        {"description": dataset_description("own"), "dataset": ("t.arff", make_arff())},
        api_key=other_key,
    )
    status = {"data_id": id_in(own, "upload_data_set"), "status": "deactivated"}
    assert wire.post("data/status/update", **status, api_key=other_key).status_code == 200
    status["status"] = "active"
    assert code_of(wire.post("data/status/update", **status, api_key=other_key)) == 696


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (("<oml:name>toy<", "<oml:name>../../etc<"), 131),
        (("<oml:name>toy<", "<oml:name>a b<"), 131),
        (("<oml:name>toy<", "<oml:name><"), 131),
        (("<oml:name>toy<", "<oml:name>" + "x" * 129 + "<"), 131),
        (("<oml:name>toy<", "<oml:name>toy</oml:name><oml:name>toy<"), 131),
        (("<oml:description>toy<", "<oml:description>\u00e4<"), 131),
        (("<oml:description>toy<", "<oml:description>" + "x" * 16385 + "<"), 131),
        (("<oml:description>toy</oml:description>", ""), 131),
        (("<oml:format>arff<", "<oml:format>csv<"), 133),
        ((">Label<", ">Lable<"), 143),
        ((">Weight<", ">Wait<"), 143),
        ((">EventId<", ">EventID<"), 143),
        (("</oml:data_set", "<oml:url>http://127.0.0.1:1/x.arff</oml:url></oml:data_set"), 140),
    ],
)
def test_faulty_dataset_descriptions_are_refused(
    wire: Wire, change: tuple[str, str], code: int
) -> None:
    text = dataset_description("toy").replace(*change)
    assert text != dataset_description("toy")
    files = {"description": text.encode(), "dataset": ("t.arff", make_arff())}
    assert code_of(wire.post("data/", files)) == code


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"a,b\n1,2\n",
        b"@RELATION x\n@ATTRIBUTE a NUMERIC\n",
        b"@RELATION x\n@ATTRIBUTE Label {b,s}\n@DATA\nb,s\n",
        b"@RELATION x\n@ATTRIBUTE Label {b,s}\n@DATA\ntau\n",
        b"@RELATION x\n@ATTRIBUTE Label {b,s}\n@ATTRIBUTE Label {b,s}\n@DATA\nb,s\n",
        b"@RELATION x\n@ATTRIBUTE Label\n@DATA\nb\n",
        b"@RELATION \xff\xfe\n@ATTRIBUTE Label {b,s}\n@DATA\nb\n",
        b"\x1f\x8b\x08\x00gzip",
        b"PK\x03\x04",
    ],
)
def test_a_file_that_is_not_arff_is_refused(wire: Wire, content: bytes) -> None:
    text = description(
        "data_set_description",
        "<oml:name>t</oml:name><oml:description>d</oml:description><oml:format>arff</oml:format>",
    )
    answer = wire.post("data/", {"description": text, "dataset": ("../../x.arff", content)})
    assert code_of(answer) == 145
    assert "/files/" not in answer.text


@pytest.mark.parametrize(
    "url", ["file:///etc/passwd", "ftp://127.0.0.1/x", "http://127.0.0.1:1/x", "http://[", "x"]
)
def test_a_url_that_cannot_be_fetched_is_refused(wire: Wire, url: str) -> None:
    text = dataset_description("toy", f"<oml:url>{url}</oml:url>")
    assert code_of(wire.post("data/", {"description": text})) == 136
    assert code_of(wire.post("data/", {"description": dataset_description("toy")})) == 141


@pytest.mark.parametrize(
    ("change", "code", "says"),
    [
        (("predictive_accuracy", "no_such"), 622, "problematic input: [evaluation_measures]"),
        ((">Label<", ">nope<"), 622, "acceptable inputs: [Label]"),
        (('procedure">1<', 'procedure">999<'), 622, "problematic input: [estimation_procedure]"),
        (('procedure">1<', 'procedure">7<'), 622, "problematic input: [estimation_procedure]"),
        (('procedure">1<', 'procedure">x<'), 621, "estimation_procedure"),
        (('source_data">', 'source_data">99'), 622, "source_data"),
        (("_type_id>1<", "_type_id>4<"), 616, "task_type_id"),
        (("_type_id>1<", "_type_id>5<"), 622, "acceptable inputs: [17]"),
        (('"target_feature"', '"surprise"'), 616, "surprise"),
        (("evaluation_measures", "source_data"), 617, "source_data"),
        (('<oml:input name="target_feature">Label</oml:input>', ""), 618, "target_feature"),
    ],
)
def test_faulty_tasks_are_refused(
    wire: Wire, new_dataset: Callable[..., int], change: tuple[str, str], code: int, says: str
) -> None:
    good = task_description(new_dataset(), measure="predictive_accuracy")
    text = good.replace(*change)
    assert text != good
    answer = wire.post("task/", {"description": text})
    assert code_of(answer) == code
    assert says in answer.text


def test_too_few_events_for_the_folds_are_refused(
    wire: Wire, new_dataset: Callable[..., int]
) -> None:
    answer = wire.post("task/", {"description": task_description(new_dataset(rows=8))})
    assert code_of(answer) == 615
    assert "too few for 10 parts" in answer.text


FLOW: dict[str, Any] = {"name": "n", "external_version": "v", "description": "d"}


@pytest.mark.parametrize(
    ("extra", "code"),
    [
        ("<oml:parameter><oml:default_value>1</oml:default_value></oml:parameter>", 163),
        ("<oml:parameter><oml:name>a</oml:name></oml:parameter>" * 2, 163),
        ("<oml:component><oml:identifier>a</oml:identifier></oml:component>", 163),
        ("<oml:component><oml:flow/></oml:component>", 163),
        ("<oml:name>again</oml:name>", 163),
    ],
)
def test_faulty_flows_are_refused(wire: Wire, extra: str, code: int) -> None:
    content = "".join(f"<oml:{k}>{v}</oml:{k}>" for k, v in FLOW.items())
    assert (
        code_of(wire.post("flow/", {"description": description("flow", content + extra)})) == code
    )


def test_flows_are_unique_by_name_and_version_and_parts_are_kept(wire: Wire) -> None:
    def flow_xml(name: str, version: str, inside: str = "") -> str:
        return description(
            "flow",
            f"<oml:name>{name}</oml:name><oml:external_version>{version}</oml:external_version>"
            f"<oml:description>&lt;b&gt; &amp; 'quoted'</oml:description>{inside}",
        )

    part = flow_xml("unique.Part", "1").replace(f' xmlns:oml="{NAMESPACE}"', "")
    inside = (
        "<oml:parameter><oml:name>z</oml:name><oml:default_value>2</oml:default_value>"
        "</oml:parameter><oml:parameter><oml:name>a</oml:name><oml:default_value/></oml:parameter>"
        f"<oml:component><oml:identifier>part</oml:identifier>{part}</oml:component>"
    )
    whole = wire.post("flow/", {"description": flow_xml("unique.Whole", "1", inside).encode()})
    whole_id = id_in(whole, "upload_flow")
    again = wire.post("flow/", {"description": flow_xml("unique.Whole", "1").encode()})
    assert code_of(again) == 171
    newer = wire.post("flow/", {"description": flow_xml("unique.Whole", "2").encode()})
    text = wire.get(f"flow/{id_in(newer, 'upload_flow')}").text
    assert "<oml:version>2</oml:version>" in text
    text = wire.get(f"flow/{whole_id}").text
    assert "&lt;b&gt; &amp; 'quoted'" in text
    assert text.index("<oml:name>z<") < text.index("<oml:name>a<")
    known = wire.post("flow/exists", name="unique.Part", external_version="1")
    part_id = id_in(known, "flow_exists")
    assert code_of(wire.delete(f"flow/{part_id}")) == 328
    assert wire.delete(f"flow/{whole_id}").status_code == 200
    assert wire.delete(f"flow/{part_id}").status_code == 200
    assert code_of(wire.post("flow/exists", name="", external_version="1")) == 330


def test_studies_refuse_what_does_not_belong(wire: Wire, new_task: Callable[..., int]) -> None:
    task = new_task()

    def publish(text: str) -> requests.Response:
        return wire.post("study/", {"description": text})

    assert code_of(publish(study("task", [999_999]))) == 1039
    assert code_of(publish(study("task", [task], main_entity_type="flow"))) == 1032
    assert code_of(publish(study("run", [1], main_entity_type="task"))) == 1034
    assert code_of(publish(study("task", [task], benchmark_suite="1"))) == 1035
    assert code_of(publish(study("run", [], benchmark_suite="999999"))) == 1036
    suite = id_in(publish(study("task", [task], alias="wire-suite")), "study_upload")
    assert code_of(publish(study("task", [task], alias="wire-suite"))) == 1038
    assert code_of(wire.get(f"study/{suite}/nonsense")) == 600
    assert code_of(wire.post("study/999999/attach", ids="1")) == 1041
    assert code_of(wire.post(f"study/{suite}/attach")) == 1043
    assert code_of(wire.post(f"study/{suite}/attach", ids="1,x")) == 1044
    assert code_of(wire.post(f"study/{suite}/attach", ids=str(task))) == 1045
    assert code_of(wire.post(f"study/{suite}/attach", ids="999999")) == 1045
    assert wire.post(f"study/{suite}/detach", ids="999999").status_code == 200
    assert code_of(wire.post("study/status/update", study_id=suite, status="odd")) == 1051
    assert code_of(wire.post("study/status/update", study_id="x", status="active")) == 1052
    assert wire.post("study/status/update", study_id=suite, status="active").status_code == 200
    assert code_of(wire.post(f"study/{suite}/detach", ids=str(task))) == 1047
    study_id = id_in(publish(study("run", [], benchmark_suite=str(suite))), "study_upload")
    assert f"<oml:benchmark_suite>{suite}<" in wire.get(f"study/{study_id}").text
    assert code_of(wire.delete(f"study/{suite}")) == 595


def test_a_deleted_task_leaves_its_suites(wire: Wire, new_task: Callable[..., int]) -> None:
    tasks = [new_task(), new_task(6)]
    suite = id_in(wire.post("study/", {"description": study("task", tasks)}), "study_upload")
    assert wire.delete(f"task/{tasks[0]}").status_code == 200
    text = wire.get(f"study/{suite}").text
    assert f"<oml:task_id>{tasks[0]}<" not in text
    assert f"<oml:task_id>{tasks[1]}<" in text


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"tag": "x"}, 471),
        ({"data_id": "1"}, 471),
        ({"data_id": "one", "tag": "x"}, 471),
        ({"data_id": "1", "tag": ""}, 471),
        ({"data_id": "1", "tag": "x" * 65}, 477),
        ({"data_id": "1", "tag": "line\nbreak"}, 477),
        ({"data_id": "1", "tag": "<b>"}, 477),
    ],
)
def test_faulty_tags_are_refused(
    wire: Wire, new_dataset: Callable[..., int], fields: dict[str, str], code: int
) -> None:
    new_dataset()
    assert code_of(wire.post("data/tag", **fields)) == code
    assert code_of(wire.post("data/tag", data_id="999999", tag="x")) == 472


def test_what_was_uploaded_is_never_served_as_a_page(
    wire: Wire, new_dataset: Callable[..., int]
) -> None:
    text = wire.get(f"data/{new_dataset()}").text
    url = text.split("<oml:url>")[1].split("<")[0]
    answer = requests.get(url, timeout=60)
    assert answer.text == make_arff()
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert requests.head(url, timeout=60).status_code == 200
    for path in ("..%2f..%2fapikey", "../../apikey", "1/..%2f..%2f..%2fapikey"):
        answer = requests.get(f"{wire.server.pages}data/download/{path}", timeout=60)
        assert wire.server.apikey not in answer.text


def test_broken_forms_are_refused(wire: Wire) -> None:
    url = f"{wire.server.server}/data/"
    for body, kind in (
        (b"no boundary", "multipart/form-data"),
        (b"--b\r\nnonsense", "multipart/form-data; boundary=b"),
        (
            b'--b\r\nContent-Disposition: form-data; name="\xff"\r\n\r\n\xff\r\n--b--\r\n',
            "multipart/form-data; boundary=b",
        ),
        (b"api_key=%00&x=%ff", "application/x-www-form-urlencoded"),
        (b"{}", "application/json"),
        (b"", "text/plain"),
    ):
        answer = requests.post(url, data=body, headers={"content-type": kind}, timeout=60)
        assert code_of(answer) in {102, 130}, body
    assert requests.put(url, timeout=60).status_code == 412


@pytest.mark.parametrize("path", ["dataset", "data/x", "flow/owned", "nothing/at/all"])
def test_a_key_is_looked_at_before_the_call(wire: Wire, path: str) -> None:
    assert code_of(wire.get(path)) == 100
    assert code_of(wire.get(path, api_key="f" * 32)) == 103
    for send in (wire.delete, lambda path, key: wire.post(path, api_key=key)):
        assert code_of(send(path, "")) == 102
        assert code_of(send(path, "f" * 32)) == 103
        assert code_of(send(path, wire.server.apikey)) == 100


def test_an_address_can_be_too_long(wire: Wire) -> None:
    ids = ",".join(map(str, range(10_000)))
    answer = wire.get(f"data/list/data_id/{ids}")
    assert answer.status_code == 414
    assert "of at most 8190 characters" in answer.text
    assert wire.get(f"user/list/user_id/{ids[:8000].rpartition(',')[0]}").status_code == 200


def test_reading_with_an_unknown_key_is_refused(wire: Wire) -> None:
    assert code_of(wire.get("evaluationmeasure/list", api_key="f" * 32)) == 103
    assert wire.get("evaluationmeasure/list", api_key="").status_code == 200
