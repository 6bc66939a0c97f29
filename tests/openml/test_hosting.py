from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from hepml_tasks.openml.hosting import archive_arff, refusal
from hepml_tasks.spec import DatasetSpec, FileSpec, find_task

from .archive import Archive, archive

CONTENT = b"@RELATION x\n@ATTRIBUTE a NUMERIC\n@DATA\n" + b"1.5\n" * 400_000


@pytest.fixture
def host() -> Iterator[Archive]:
    with archive() as running:
        yield running


@pytest.fixture
def local(tmp_path: Path) -> Path:
    path = tmp_path / "x.arff"
    path.write_bytes(CONTENT)
    return path


def test_a_host_that_spells_its_headers_as_production_wants_is_taken(host, local):
    assert refusal(host.add("x.arff", CONTENT), local, strict=True) is None


@pytest.mark.parametrize(
    ("headers", "reason"),
    [
        (("content-type", "Content-Length"), "answers with 'content-type' and not 'Content-Type'"),
        (("Content-Type", "content-length"), "with 'content-length' and not 'Content-Length'"),
        (("", "Content-Length"), "answers without 'Content-Type'"),
    ],
)
def test_a_host_that_spells_them_otherwise_is_taken_by_our_server_alone(
    host, local, headers, reason
):
    host.headers = headers
    url = host.add("x.arff", CONTENT)
    assert reason in (refusal(url, local, strict=True) or "")
    assert refusal(url, local, strict=False) is None


def test_other_bytes_another_size_or_no_file_are_refused(host, local):
    other = host.add("other.arff", CONTENT.replace(b"x", b"y", 1))
    short = host.add("short.arff", CONTENT[:-4])
    assert "has other bytes" in (refusal(other, local, strict=False) or "")
    assert f"has {len(CONTENT) - 4} bytes, and {len(CONTENT)}" in (
        refusal(short, local, strict=False) or ""
    )
    assert "answers 404" in (refusal(f"{host.address}/none.arff", local, strict=False) or "")
    assert "does not answer" in (refusal("http://127.0.0.1:9/x.arff", local, strict=True) or "")


def test_a_redirect_and_compression_are_refused(host, local):
    url = host.add("x.arff", CONTENT)
    host.more = {"Content-Encoding": "gzip"}
    assert "comes compressed" in (refusal(url, local, strict=True) or "")
    host.status, host.more = 302, {"Location": f"{host.address}/y.arff"}
    assert "redirects" in (refusal(url, local, strict=True) or "")


def test_the_archives_arff_is_the_one_declared_or_the_file_itself() -> None:
    given = find_task("higgsml").dataset
    assert archive_arff(given) is None
    web = FileSpec(name="a.arff", urls=("root://h//a.arff", "https://h/a.arff"))
    near = FileSpec(name="a.arff", urls=("/eos/a.arff",))
    assert archive_arff(_with(given, arff=web)) == web
    assert archive_arff(_with(given, arff=near)) is None
    assert archive_arff(_with(given, files=(web,))) == web


def _with(dataset: DatasetSpec, **changes: object) -> DatasetSpec:
    from dataclasses import replace

    return replace(dataset, **changes)  # type: ignore[arg-type]
