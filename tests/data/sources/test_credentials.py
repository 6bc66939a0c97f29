from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hepml_tasks.data.origins import origin_of
from hepml_tasks.data.sources.credentials import headers_for
from hepml_tasks.errors import DataError


@pytest.fixture
def token(monkeypatch) -> None:
    monkeypatch.delenv("HEPML_ZENODO_URL", raising=False)
    monkeypatch.setenv("ZENODO_TOKEN", "let-me-in")


@pytest.mark.usefixtures("token")
@pytest.mark.parametrize(
    "url",
    ["https://zenodo.org", "https://ZENODO.org:443/api/records/5?x#y", "https://zenodo.org/a b"],
)
def test_the_token_goes_to_its_own_archive(url):
    assert headers_for(url) == {"Authorization": "Bearer let-me-in"}


@pytest.mark.usefixtures("token")
@pytest.mark.parametrize(
    "url",
    [
        "http://zenodo.org/",
        "https://zenodo.org:8443/",
        "https://www.zenodo.org/",
        "https://sandbox.zenodo.org/",
        "https://zenodo.org.foreign.net/",
        "https://zenodo.org@foreign.net/",
        "https://foreign.net/https://zenodo.org/",
        "https://foreign.net\\@zenodo.org/",
        "https://foreign.net\\.zenodo.org/",
        "https://zenodo.org\\@foreign.net/",
        "https://foreign.net#@zenodo.org/",
        "https://foreign.net?@zenodo.org/",
        "https:///zenodo.org/",
        "https://[zenodo.org]/",
        "https://zenodo.org:port/",
        "root://zenodo.org//file",
        "zenodo.org",
        "",
    ],
)
def test_the_token_goes_nowhere_else(url):
    assert headers_for(url) == {}


# Which host a library connects to is the library's own reading of the address.
@given(st.text(st.sampled_from("https:/\\@zenod.rgfi?#[]1%\t \n"), max_size=40))
def test_whoever_gets_the_token_is_whom_requests_connects_to(below):
    from requests import Request, RequestException
    from urllib3.util import parse_url

    url = f"https://{below}"
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("ZENODO_TOKEN", "let-me-in")
        environment.delenv("HEPML_ZENODO_URL", raising=False)
        if not headers_for(url):
            return
    try:
        connected = parse_url(Request("GET", url).prepare().url or "")
    except RequestException:
        return
    assert (connected.scheme, connected.host, connected.port or 443) == ("https", "zenodo.org", 443)


def test_the_token_is_not_sent_where_others_can_read_it(monkeypatch):
    monkeypatch.setenv("ZENODO_TOKEN", "let-me-in")
    monkeypatch.setenv("HEPML_ZENODO_URL", "http://zenodo.example.org")
    assert headers_for("http://zenodo.example.org/api") == {}
    monkeypatch.setenv("HEPML_ZENODO_URL", "http://127.0.0.1:8000")
    assert headers_for("http://127.0.0.1:8000/api") == {"Authorization": "Bearer let-me-in"}


def test_a_token_comes_from_a_file_too(monkeypatch, tmp_path):
    monkeypatch.delenv("HEPML_ZENODO_URL", raising=False)
    monkeypatch.delenv("ZENODO_TOKEN", raising=False)
    file = tmp_path / "token"
    monkeypatch.setenv("HEPML_ZENODO_TOKEN_FILE", str(file))
    with pytest.raises(DataError, match=r"token: the token can't be read \(No such file"):
        headers_for("https://zenodo.org/")
    # whoever else is asked needs none
    assert headers_for("https://foreign.net/") == {}
    file.write_text("from-a-file\n")
    assert headers_for("https://zenodo.org/") == {"Authorization": "Bearer from-a-file"}
    for content in (b"", b"two words", b"a\nb", b"\xff\xfe"):
        file.write_bytes(content)
        with pytest.raises(DataError, match="token: holds no token") as caught:
            headers_for("https://zenodo.org/")
        assert "two words" not in str(caught.value)


def test_an_address_that_reads_in_two_ways_is_none():
    assert origin_of("https://zenodo.org/x") == ("https", "zenodo.org", 443)
    assert origin_of("http://[::1]:80/x") == ("http", "::1", 80)
    with pytest.raises(DataError, match="read in one way"):
        origin_of("https://foreign.net\\@zenodo.org/")
