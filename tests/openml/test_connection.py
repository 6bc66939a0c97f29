from __future__ import annotations

from pathlib import Path

import pytest

from hepml_tasks.errors import ServerError, UnknownNameError, UnreachableError
from hepml_tasks.openml.connection import Connection, connect, remember_local


def test_an_address_is_taken_with_or_without_the_path_of_the_api():
    for address in ("http://h:1", "http://h:1/", "http://h:1/api/v1/xml"):
        assert connect(address).server == "http://h:1/api/v1/xml"
    assert connect("openml.org").server == "https://www.openml.org/api/v1/xml"


def test_an_unknown_server_is_answered_with_the_nearest():
    with pytest.raises(
        UnknownNameError, match="no server is called 'openml.com'; did you mean 'openml.org'"
    ):
        connect("openml.com")


def test_a_dead_server_is_told_at_once_with_what_to_do():
    with pytest.raises(UnreachableError, match="127.0.0.1:9 does not answer.*stays in the spool"):
        connect("http://127.0.0.1:9").get("data/1")


def test_a_refusal_carries_the_servers_code_and_reason(connection):
    with pytest.raises(ServerError, match=r"Unknown dataset.*\[111\]") as caught:
        connection.get("data/999999")
    assert caught.value.code == 111


def test_writing_without_a_key_says_where_a_key_is_looked_for(connection, monkeypatch):
    monkeypatch.delenv("OPENML_APIKEY", raising=False)
    with pytest.raises(ServerError, match="needs an API key to write: set OPENML_APIKEY"):
        Connection(connection.server).post("task/")


def test_a_key_is_found_in_its_file_the_environment_or_openmls_config(tmp_path: Path, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.delenv("OPENML_APIKEY", raising=False)
    (tmp_path / "openml").mkdir()
    config = tmp_path / "openml" / "config"
    config.write_text("apikey = fromconfig\nserver = http://h:1/api/v1/xml\n")
    assert connect("http://h:1").apikey == "fromconfig"
    monkeypatch.setenv("OPENML_APIKEY", "fromenvironment")
    assert connect("http://h:1").apikey == "fromenvironment"
    (tmp_path / "key").write_text("fromfile\n")
    assert connect("http://h:1", key_file=tmp_path / "key").apikey == "fromfile"
    assert config.read_text() == "apikey = fromconfig\nserver = http://h:1/api/v1/xml\n"


def test_the_key_of_one_server_is_not_sent_to_another(tmp_path: Path, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.delenv("OPENML_APIKEY", raising=False)
    (tmp_path / "openml").mkdir()
    (tmp_path / "openml" / "config").write_text("apikey = secret\n")
    assert connect("openml.org").apikey == "secret"
    assert connect("http://127.0.0.1:9").apikey is None


def test_the_server_that_was_started_here_last_is_called_local(tmp_path: Path, monkeypatch):
    monkeypatch.delenv("OPENML_APIKEY", raising=False)
    with pytest.raises(ServerError, match="no server was started here yet: `hepml serve`"):
        connect("local")
    (tmp_path / "apikey").write_text("secret\n")
    remember_local("http://127.0.0.1:9/api/v1/xml", tmp_path / "apikey")
    assert connect("local") == Connection("http://127.0.0.1:9/api/v1/xml", "secret")


def test_a_server_of_this_package_is_told_from_others(connection):
    assert connection.is_ours()
