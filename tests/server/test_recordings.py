"""A production server's recorded exchanges, replayed in their order against ours.

Compared are status, error code and the structure of the XML: which elements stand in which, with
which attributes. What differs is listed below, each with its reason.
"""

from __future__ import annotations

import http.server
import re
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element

import pytest
import requests
from defusedxml.ElementTree import fromstring

from hepml_tasks.server.process import ServerProcess

from ..forks import start_server
from .conftest import NAMESPACE, Wire, new_backend

RECORDED_ADMIN = "0123456789abcdef0123456789abcdef"
RECORDED_USER = "00112233445566778899aabbccddeeff"

NOT_REPLAYED = {
    "0022": "the recording is cut off",
    **dict.fromkeys(
        (f"00{number}" for number in (*range(65, 72), *range(75, 79))),
        "the search index was down",
    ),
}

# Where our server answers otherwise on purpose: the status and error code that it has instead.
ON_PURPOSE: dict[str, tuple[int, str | None]] = {
    "0005": (412, "136"),  # there an empty page and 500, which the client can't read
    "0015": (200, None),  # there a redirection to the archive, to which the client takes its key
    "0043": (412, "426"),  # evaluations come from an administrator there; our server makes its own
}

# Elements that one of the two has and the other has not, wherever they stand.
ONLY_THEIRS = {
    "0012": {"parquet_url"},  # our server does not promise a Parquet store
    "0040": set(),
}
ONLY_OURS = {
    "quality",  # in lists: the recording's first datasets were not processed
    "upload_date",  # of a flow
    "md5_checksum",
    "evaluation_measures",  # of a task in a list
    "additional_information",  # more is said
}
# Elements of a run that are there only once it was evaluated, which our server does at once.
EVALUATED = {"error", "evaluation"}


@dataclass
class Recording:
    """One exchange."""

    number: str
    method: str
    path: str
    key: str | None
    fields: dict[str, str]
    files: dict[str, tuple[str, str]]
    status: int
    body: str


def read(path: Path) -> Recording:
    request, _, response = path.read_text().partition("=== RESPONSE ")
    head, _, body = request.partition("\n\n")
    method, url = head.splitlines()[0].split(" ", 1)
    address, _, query = url.partition("?api_key=")
    fields: dict[str, str] = {}
    files: dict[str, tuple[str, str]] = {}
    parts = re.split(r"^--- part headers=\{(.*?)\} len=\d+\n", body, flags=re.MULTILINE)
    for headers, content in zip(parts[1::2], parts[2::2], strict=True):
        name = re.search(r'name="(\w+)"', headers)
        filename = re.search(r'filename="([^"]+)"', headers)
        assert name is not None
        if filename:
            files[name[1]] = (filename[1], content.rstrip("\n") + "\n")
        else:
            fields[name[1]] = content.strip()
    if not parts[1:] and body.strip():
        fields = dict(requests.compat.urlparse("?" + body.strip()) and _form(body.strip()))
    key = query or fields.pop("api_key", None)
    answer_head, _, answer = response.partition("\n\n")
    status = int(answer_head.split(" ", 1)[0])
    return Recording(path.name[:4], method, address, key, fields, files, status, answer.strip())


def _form(body: str) -> dict[str, str]:
    from urllib.parse import parse_qsl

    return dict(parse_qsl(body))


@dataclass
class Replay:
    """A fresh server, and what its ids are called in the recordings."""

    server: ServerProcess
    keys: dict[str, str]
    archive: str
    splits: dict[str, str]
    ids: dict[tuple[str, str], str] = field(default_factory=dict)

    def translate(self, kind: str, recorded: str) -> str:
        return self.ids.get((kind, recorded), recorded)

    def rewrite(self, text: str) -> str:
        text = text.replace("http://127.0.0.1:8610", self.archive)
        patterns = {
            "data": r'(name="source_data">)(\d+)|(<oml:(?:data_id|did)>)(\d+)',
            "task": r"(<oml:task_id>)(\d+)",
            "flow": r"(<oml:flow_id>)(\d+)|(<oml:component>)(\d+)",
            "run": r"(<oml:run_id>)(\d+)",
        }
        for kind, pattern in patterns.items():
            text = re.sub(
                pattern,
                lambda m, kind=kind: (
                    (m[1] or m[3]) + self.translate(kind, m[2] or m[4])
                    if m.lastindex and m.lastindex > 2
                    else m[1] + self.translate(kind, m[2])
                ),
                text,
            )
        return text

    def path(self, recorded: str) -> str:
        path = recorded.removeprefix("/api/v1/xml/")
        found = re.fullmatch(r"(data|task|flow|run|study)(/features|/qualities)?/(\d+)", path)
        if found:
            return f"{found[1]}{found[2] or ''}/{self.translate(found[1], found[3])}"
        tasks = re.fullmatch(r"(run/list/.*/task/)([\d,]+)", path)
        if tasks:
            translated = (self.translate("task", i) for i in tasks[2].split(","))
            return tasks[1] + ",".join(translated)
        return path

    def send(self, recording: Recording) -> requests.Response:
        key = self.keys.get(recording.key or "", recording.key or "")
        fields = {
            name: self.translate(name.removesuffix("_id"), value) if name.endswith("_id") else value
            for name, value in recording.fields.items()
        }
        files = {n: (f, self.rewrite(text)) for n, (f, text) in recording.files.items()}
        if recording.path == "/api/v1/xml/task/" and recording.number in self.splits:
            files["splits"] = ("splits.arff", self.splits[recording.number])
        if recording.path.startswith("/api_splits/"):
            task = self.translate("task", recording.path.split("/")[3])
            return requests.get(f"{self.server.pages}api_splits/get/{task}/s.arff", timeout=60)
        if recording.path.startswith("/data/"):
            about = requests.get(
                f"{self.server.server}/data/{self.translate('data', '133')}", timeout=60
            )
            return requests.get(fromstring(about.text).findtext(f"{{{NAMESPACE}}}url"), timeout=60)
        url = f"{self.server.server}/{self.path(recording.path)}"
        if recording.method == "POST":
            return requests.post(url, data={"api_key": key, **fields}, files=files, timeout=60)
        return requests.request(recording.method, url, params={"api_key": key}, timeout=60)

    def learn(self, recording: Recording, answer: requests.Response) -> None:
        roots = {
            "upload_data_set": "data",
            "upload_task": "task",
            "upload_flow": "flow",
            "upload_run": "run",
            "study_upload": "study",
        }
        theirs, ours = fromstring(recording.body), fromstring(answer.text)
        if recording.method == "DELETE":
            del self.ids["run", recording.path.rsplit("/", 1)[-1]]
        kind = roots.get(theirs.tag.split("}")[1])
        if kind is not None:
            self.ids[kind, (theirs[0].text or "").strip()] = (ours[0].text or "").strip()
        if kind == "flow":
            # The components got the ids that follow, the client knows them from a GET.
            self._learn_components(ours[0].text or "", recording)

    def _learn_components(self, flow_id: str, recording: Recording) -> None:
        ours = requests.get(f"{self.server.server}/flow/{flow_id}", timeout=60).text
        ids = re.findall(r"<oml:id>(\d+)</oml:id>", ours)
        first = int(fromstring(recording.body)[0].text or 0)
        for offset, our_id in enumerate(ids):
            self.ids["flow", str(first + offset)] = our_id


def structure(element: Element) -> set[str]:
    """The paths of all elements, with the names of their attributes."""

    def walk(element: Element, above: str) -> Iterator[str]:
        name = element.tag.replace(f"{{{NAMESPACE}}}", "")
        attributes = ",".join(sorted(element.attrib))
        path = f"{above}/{name}[{attributes}]" if attributes else f"{above}/{name}"
        yield path
        for child in element:
            yield from walk(child, path)

    return set(walk(element, ""))


def names(paths: set[str]) -> set[str]:
    """The elements at which paths begin to differ, without what is inside them."""
    tops = {p for p in paths if not any(p.startswith(f"{q}/") for q in paths)}
    return {re.sub(r"\[.*", "", path.rsplit("/", 1)[-1]) for path in tops}


@pytest.fixture(scope="module")
def recordings(request: pytest.FixtureRequest) -> list[Recording]:
    folder: Path = request.getfixturevalue("real_data") / "openml_wire"
    return [read(path) for path in sorted(folder.glob("0*.txt"))]


@pytest.fixture(
    scope="module",
    params=["sqlite", pytest.param("postgresql", marks=pytest.mark.needs("postgresql"))],
)
def replay(
    recordings: list[Recording],
    tmp_path_factory: pytest.TempPathFactory,
    request: pytest.FixtureRequest,
) -> Iterator[Replay]:
    by_number = {recording.number: recording for recording in recordings}
    web = tmp_path_factory.mktemp("archive")
    (web / "file.arff").write_text(by_number["0003"].files["dataset"][1])
    (web / "lower-case.arff").write_text(by_number["0003"].files["dataset"][1])
    (web / "notarff.csv").write_text("a,b\n1,2\n")

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *args: Any) -> None:
            super().__init__(*args, directory=str(web))

        def log_message(self, *args: object) -> None:
            pass

        def send_header(self, keyword: str, value: str) -> None:
            # What production takes for missing: it looks for the headers in title case only.
            if "lower-case" not in self.path or not keyword.startswith("Content-"):
                super().send_header(keyword, value)

    holdout = by_number["0030"].body + "\n"
    backend = new_backend(request, tmp_path_factory)
    with (
        http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as archive,
        start_server(backend.data, database=backend.database) as server,
    ):
        threading.Thread(target=archive.serve_forever, daemon=True).start()
        keys = {RECORDED_ADMIN: server.apikey, RECORDED_USER: backend.add_user("recorded")}
        address = f"http://127.0.0.1:{archive.server_address[1]}"
        folds = ten_fold(by_number)
        splits = {"0016": folds, "0017": folds, "0019": holdout}
        yield Replay(server, keys, address, splits)
        archive.shutdown()


def ten_fold(by_number: dict[str, Recording]) -> str:
    """The recorded ten folds: of the first one's order of rows, every tenth is tested in turn."""
    lines = by_number["0022"].body.splitlines()
    rows = [line.split(",")[1] for line in lines if line.endswith(",0,0")]
    assert len(rows) == 200
    made = lines[: lines.index("@DATA") + 1]
    for fold in range(10):
        for position, row in enumerate(rows):
            made.append(f"{'TEST' if position % 10 == fold else 'TRAIN'},{row},0,{fold}")
    return "\n".join(made) + "\n"


def prepare(recording: Recording, replay: Replay) -> None:
    """Bring our server into the state that the recorded one was in."""
    wire = Wire(replay.server)
    if recording.number == "0008":
        # There a new dataset waits for an administrator.
        dataset = replay.ids["data", "133"]
        wire.post("data/status/update", data_id=dataset, status="deactivated")
    if recording.number == "0004":
        name, text = recording.files["description"]
        recording.files["description"] = (name, text.replace("/file.arff", "/lower-case.arff"))
    for number, known in (("0018", "ams"), ("0032", "ams"), ("0033", "ams"), ("0034", "ams")):
        # Production did not know this measure yet; ours does.
        if recording.number == number:
            recording.files = {
                n: (f, t.replace(f">{known}<", ">unheard_of<"))
                for n, (f, t) in recording.files.items()
            }
    if recording.number == "0040":
        # There nothing was evaluated yet; here another measure is as empty.
        recording.path = recording.path.replace("/ams/", "/brier_score/")
    if recording.number == "0046":
        recording.path = recording.path.replace("/ams/", "/predictive_accuracy/")
    if recording.number in {"0028", "0039", "0045", "0046", "0048", "0063", "0064"}:
        end = time.monotonic() + 60
        runs = [our for (kind, _), our in replay.ids.items() if kind == "run"]
        while any(wire.report(int(run))["status"] in {"pending", "running"} for run in runs):
            assert time.monotonic() < end
            time.sleep(0.1)


def compare(recording: Recording, answer: requests.Response) -> str | None:
    """Say in which way our answer is not the recorded one."""
    if recording.number in ON_PURPOSE:
        return compare_on_purpose(recording, answer)
    if answer.status_code != recording.status:
        return f"status {answer.status_code} instead of {recording.status}: {answer.text[:500]}"
    if recording.path.startswith("/api_splits/"):
        header = recording.body.partition("@DATA")[0].lower().split()
        ours = answer.text.partition("@DATA")[0].lower().replace(", ", ",").split()
        return None if ours == header else f"another header: {ours}"
    theirs, ours_xml = fromstring(recording.body), fromstring(answer.text)
    code = f"{{{NAMESPACE}}}code"
    if theirs.findtext(code) != ours_xml.findtext(code):
        return f"error {answer.text}"
    wanted, got = structure(theirs), structure(ours_xml)
    missing = names(wanted - got) - ONLY_THEIRS.get(recording.number, set())
    added = names(got - wanted) - ONLY_OURS
    if theirs.tag.endswith("}run"):
        missing, added = missing - EVALUATED, added - EVALUATED
    if missing or added:
        return f"lacks {sorted(missing)}, adds {sorted(added)}"
    return None


def compare_on_purpose(recording: Recording, answer: requests.Response) -> str | None:
    """Say in which way our answer is not what we want instead of the recorded one."""
    status, code = ON_PURPOSE[recording.number]
    if (status, code) == (recording.status, code_in(recording.body)):
        return "the answer is the recorded one: no difference is needed"
    found = (answer.status_code, code_in(answer.text))
    return None if found == (status, code) else f"{found} instead of {(status, code)}"


def code_in(body: str) -> str | None:
    found = re.search(r"<oml:code>(\d+)<", body)
    return found and found[1]


def test_every_exchange_is_answered_as_production_does(
    recordings: list[Recording], replay: Replay
) -> None:
    differences = {}
    # The first list shows datasets that were there already.
    order = sorted(recordings, key=lambda r: (r.number == "0001" and "0099") or r.number)
    for recording in order:
        if recording.number in NOT_REPLAYED:
            continue
        prepare(recording, replay)
        answer = replay.send(recording)
        problem = compare(recording, answer)
        if problem:
            differences[recording.number] = problem
        elif recording.number in ON_PURPOSE:
            continue
        elif recording.status == 200 and recording.body.startswith("<"):
            replay.learn(recording, answer)
    assert not differences, "\n".join(f"{n}: {text}" for n, text in differences.items())
    assert len(recordings) - len(NOT_REPLAYED) == 66
