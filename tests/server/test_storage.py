"""Files on disk: content-addressed, of one database, and nothing that no row is of."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hepml_tasks.errors import DataError, ServerError
from hepml_tasks.server.storage import open_store

from ..forks import start_server
from .conftest import Backend, Wire, dataset_description, id_in, make_arff, new_backend


@pytest.fixture(
    params=["sqlite", pytest.param("postgresql", marks=pytest.mark.needs("postgresql"))]
)
def fresh(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Backend:
    return new_backend(request, tmp_path_factory)


def publish(wire: Wire, arff: str | None = None) -> int:
    files = {
        "description": dataset_description("t"),
        "dataset": ("t.arff", arff or make_arff()),
    }
    return id_in(wire.post("data/", files), "upload_data_set")


@given(st.binary(max_size=3000), st.sampled_from([".arff", ".ARFF", ".xml", ".exe", "", ".../x"]))
def test_bytes_come_back_from_the_place_that_their_checksum_names(
    tmp_path_factory: pytest.TempPathFactory, data: bytes, suffix: str
) -> None:
    store = open_store(tmp_path_factory.mktemp("store"))
    blob = store.add(io.BytesIO(data), suffix)
    assert blob.path.read_bytes() == data
    assert blob.path.stem == blob.sha256 == hashlib.sha256(data).hexdigest()
    assert blob.md5 == hashlib.md5(data, usedforsecurity=False).hexdigest()
    assert blob.size == len(data)
    assert blob.path.parent.parent == store.directory
    assert blob.suffix in {".arff", ".xml", ""}
    assert store.path(blob.record("any name")) == blob.path
    assert list(store.stored()) == [store.add(io.BytesIO(data), suffix).path]


def test_more_bytes_than_allowed_leave_nothing(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    with pytest.raises(DataError, match="more than 10 bytes"):
        store.add(io.BytesIO(b"x" * 11), ".arff", limit=10)
    assert list(store.stored()) == []
    assert list((store.directory / "incoming").iterdir()) == []


def test_equal_files_are_kept_once(tmp_path: Path) -> None:
    fresh = Backend(tmp_path)
    with start_server(fresh.data, database=fresh.database) as server:
        first, second = publish(Wire(server)), publish(Wire(server))
    assert first != second
    assert len(list((fresh.data / "files").glob("??/*"))) == 1


def test_a_start_removes_what_no_row_is_of_and_nothing_else(fresh: Backend) -> None:
    with start_server(fresh.data, database=fresh.database) as server:
        kept, gone = publish(Wire(server)), publish(Wire(server), make_arff(seed=5))
        assert Wire(server).delete(f"data/{gone}").status_code == 200
    files = fresh.data / "files"
    stored = set(files.glob("??/*"))
    assert len(stored) == 2  # a deleted dataset's bytes stay until the next start
    (files / "incoming" / "half").write_text("half an upload")
    (files / "00").mkdir(exist_ok=True)
    (files / "00" / ("0" * 64)).write_text("a file without a row")
    with start_server(fresh.data, database=fresh.database) as server:
        assert Wire(server).get(f"data/{kept}").status_code == 200
        left = set(files.glob("??/*"))
        assert len(left) == 1
        assert left < stored
        assert not list((files / "incoming").iterdir())


def test_a_missing_file_is_reported_and_stops_nothing_else(tmp_path: Path) -> None:
    fresh = Backend(tmp_path)
    with start_server(fresh.data, database=fresh.database) as server:
        publish(Wire(server))
        lost = next((fresh.data / "files").glob("??/*"))
        other = publish(Wire(server), make_arff(seed=5))
    lost.unlink()
    with start_server(fresh.data, database=fresh.database) as server:
        assert f"{lost} is missing" in (fresh.data / "server.log").read_text()
        assert Wire(server).get(f"data/{other}").status_code == 200


def test_files_of_another_database_are_refused_and_kept(tmp_path: Path) -> None:
    fresh = Backend(tmp_path / "data")
    with start_server(fresh.data, database=fresh.database) as server:
        publish(Wire(server))
    stored = list((fresh.data / "files").glob("??/*"))
    new = f"sqlite:///{tmp_path / 'new.sqlite'}"
    with pytest.raises(ServerError, match="not those of the database .* belong together"):
        start_server(fresh.data, database=new)
    with start_server(tmp_path / "other"):
        pass
    used = f"sqlite:///{tmp_path / 'other' / 'server.sqlite'}"
    with pytest.raises(ServerError, match="not those of the database"):
        start_server(fresh.data, database=used)
    assert list((fresh.data / "files").glob("??/*")) == stored


def test_a_database_whose_files_are_elsewhere_is_refused(fresh: Backend, tmp_path: Path) -> None:
    url = fresh.database or f"sqlite:///{fresh.data / 'server.sqlite'}"
    with start_server(fresh.data, database=fresh.database) as server:
        publish(Wire(server))
    with pytest.raises(ServerError, match="not those of the database"):
        start_server(tmp_path / "empty", database=url)


def test_a_folder_from_before_there_were_identities_is_taken(tmp_path: Path) -> None:
    with start_server(tmp_path) as server:
        dataset = publish(Wire(server))
        assert Wire(server).delete(f"data/{dataset}").status_code == 200
    (tmp_path / "files" / "identity").unlink()
    backend = Backend(tmp_path)
    import sqlite3

    connection = sqlite3.connect(backend.data / "server.sqlite")
    with connection:
        connection.execute("DELETE FROM installation")
    connection.close()
    with start_server(tmp_path):
        assert (tmp_path / "files" / "identity").read_text().strip()
    assert not list((tmp_path / "files").glob("??/*"))
