from __future__ import annotations

import json
import time
from dataclasses import replace

import pytest
import requests
from filelock import FileLock

from hepml_tasks.data.deposit.folder import check_limits, known_files
from hepml_tasks.data.deposit.manifest import BuiltFile
from hepml_tasks.data.deposit.metadata import zenodo_metadata
from hepml_tasks.data.deposit.plan import plan_upload, record_id
from hepml_tasks.data.deposit.upload import publish, upload
from hepml_tasks.data.deposit.zenodo import Zenodo
from hepml_tasks.errors import ChecksumError, OutputError, ServerError, UnreachableError
from hepml_tasks.spec import find_task

SPEC = find_task("toy-higgs")
METADATA = zenodo_metadata(SPEC)


@pytest.fixture
def files(folder):
    found = known_files(SPEC, folder)
    assert found
    return found


@pytest.fixture
def zenodo(server):
    return Zenodo(server.base, pause=0.02)


def changed(folder, files, name, content=b"other content"):
    """Change a file of the folder, and return its files as they are then."""
    import hashlib

    (folder / name).write_bytes(content)
    sums = hashlib.sha256(content).hexdigest(), hashlib.md5(content).hexdigest()
    new = BuiltFile(name, len(content), *sums, made=True)
    return [new if f.name == name else f for f in files]


def stored(deposit):
    return {f["filename"]: f["checksum"] for f in deposit["files"]}


def md5s(files):
    return {f.name: f.md5 for f in files}


def test_an_upload_makes_a_draft_with_all_files_and_publishes_nothing(
    server, zenodo, folder, files
):
    done = upload(folder, files, zenodo, METADATA)
    (draft,) = server.deposits()
    assert stored(draft) == md5s(files)
    assert not draft["submitted"]
    assert done.deposit.id == draft["id"]
    assert done.send == tuple(f.name for f in files)
    described = draft["metadata"]
    assert described["title"] == "Toy H -> tau tau search"
    assert described["license"] == "cc0-1.0"
    assert "not for physics results" in described["description"]
    # the mark by which a draft is found again is for drafts alone
    assert "notes" not in described


def test_the_token_is_in_the_header_alone(server, zenodo, folder, files):
    upload(folder, files, zenodo, METADATA)
    log = server.requests()
    assert {e["token"] for e in log} == {"Bearer all-scopes"}
    assert not any("all-scopes" in e["query"] + e["path"] for e in log)
    assert all(e["agent"].startswith("hepml_tasks/") for e in log)
    assert all(
        "all-scopes" not in path.read_text("latin-1") for path in folder.glob("*") if path.is_file()
    )


def test_a_password_in_netrc_does_not_take_the_tokens_place(
    server, zenodo, folder, files, monkeypatch, tmp_path
):
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login me password secret\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    upload(folder, files, zenodo, METADATA)
    assert {e["token"] for e in server.requests()} == {"Bearer all-scopes"}


def test_a_second_upload_sends_nothing(server, zenodo, folder, files):
    upload(folder, files, zenodo, METADATA)
    server.forget()
    again = upload(folder, files, zenodo, METADATA)
    assert again.send == ()
    assert again.keep == tuple(f.name for f in files)
    assert {e["method"] for e in server.requests()} == {"GET"}
    assert len(server.deposits()) == 1


def test_only_what_changed_is_sent_again(server, zenodo, folder, files):
    upload(folder, files, zenodo, METADATA)
    server.forget()
    files = changed(folder, files, "README.md")
    assert plan_upload(folder, files, zenodo, METADATA).send == ("README.md",)
    upload(folder, files, zenodo, METADATA | {"version": "1.1"})
    assert server.sent() == ["README.md"]
    (draft,) = server.deposits()
    assert stored(draft) == md5s(files)
    assert draft["metadata"]["version"] == "1.1"


def test_metadata_that_were_edited_at_the_archive_are_left_alone(server, zenodo, folder, files):
    done = upload(folder, files, zenodo, METADATA)
    zenodo.describe(done.deposit.id, {**METADATA, "title": "A better title"})
    upload(folder, files, zenodo, METADATA)
    assert server.deposits()[0]["metadata"]["title"] == "A better title"


@pytest.mark.parametrize("share", [i / 10 for i in range(10)])
def test_a_connection_cut_in_a_file_is_sent_again_into_the_same_draft(
    server, zenodo, folder, files, share
):
    cut = next(f for f in files if f.name.endswith(".arff"))
    server.fault("cut", r"PUT .*\.arff", bytes=int(share * cut.size))
    upload(folder, files, zenodo, METADATA)
    (draft,) = server.deposits()
    assert stored(draft) == md5s(files)
    assert server.sent().count(cut.name) == 2
    assert len(server.sent()) == len(files) + 1


def test_an_upload_that_fails_for_good_goes_on_where_it_was(server, zenodo, folder, files):
    server.fault("cut", r"PUT .*\.arff", bytes=1000, times=100)
    with pytest.raises(UnreachableError, match="the same command goes on"):
        upload(folder, files, zenodo, METADATA)
    before = stored(server.deposits()[0])
    assert before
    server.set(faults=[])
    server.forget()
    done = upload(folder, files, zenodo, METADATA)
    assert set(done.keep) == set(before)
    assert not set(server.sent()) & set(before)
    assert stored(server.deposits()[0]) == md5s(files)
    assert len(server.deposits()) == 1


@pytest.mark.parametrize("fault", ["lost", "stored-500"])
def test_a_file_that_arrived_although_the_answer_says_otherwise_is_not_sent_again(
    server, zenodo, folder, files, fault
):
    server.fault(fault, r"PUT .*\.parquet")
    upload(folder, files, zenodo, METADATA)
    assert sorted(server.sent()) == sorted(f.name for f in files)
    assert stored(server.deposits()[0]) == md5s(files)


@pytest.mark.parametrize("fault", ["lost", "stored-500"])
def test_a_draft_whose_making_was_not_answered_is_found_again(server, zenodo, folder, files, fault):
    server.fault(fault, r"POST /api/deposit/depositions$")
    upload(folder, files, zenodo, METADATA)
    (draft,) = server.deposits()
    assert stored(draft) == md5s(files)
    assert "notes" not in draft["metadata"]


def test_a_draft_whose_making_was_not_answered_is_found_by_the_next_command(server, folder, files):
    once = Zenodo(server.base, attempts=1)
    server.fault("lost", r"POST /api/deposit/depositions$")
    with pytest.raises(UnreachableError):
        upload(folder, files, once, METADATA)
    upload(folder, files, once, METADATA)
    assert len(server.deposits()) == 1


@pytest.mark.parametrize("after", [1, None], ids=["Retry-After", "X-RateLimit-Reset"])
def test_a_rate_limit_is_waited_out_as_the_server_asks(server, zenodo, folder, files, after):
    server.fault("status", "PUT /api/files", status=429, message="Too many", after=after)
    begin = time.monotonic()
    upload(folder, files, zenodo, METADATA)
    assert time.monotonic() - begin > (0.9 if after else 0.05)
    assert stored(server.deposits()[0]) == md5s(files)
    assert len(server.deposits()) == 1


def test_a_wait_of_hours_is_told_and_not_waited_for(server, zenodo, folder, files):
    server.fault("status", "PUT /api/files", status=429, message="Too many", after=7200)
    with pytest.raises(ServerError, match="wait for 7200 s before the next request; try again"):
        upload(folder, files, zenodo, METADATA)


@pytest.mark.parametrize("status", [500, 503])
def test_a_passing_fault_of_the_server_passes(server, zenodo, folder, files, status):
    server.fault("status", "(GET|PUT) /api/deposit", status=status, times=2)
    upload(folder, files, zenodo, METADATA)
    assert stored(server.deposits()[0]) == md5s(files)


def test_a_file_that_arrives_damaged_is_sent_again(server, zenodo, folder, files):
    server.fault("damage", r"PUT .*\.csv\.gz")
    upload(folder, files, zenodo, METADATA)
    assert server.sent().count("toy-higgs.csv.gz") == 2
    assert stored(server.deposits()[0]) == md5s(files)


def test_a_file_that_always_arrives_damaged_is_told(server, zenodo, folder, files):
    server.fault("damage", r"PUT .*\.csv\.gz", times=100)
    with pytest.raises(ChecksumError, match=r"toy-higgs.csv.gz arrives with md5 [0-9a-f]{32}"):
        upload(folder, files, zenodo, METADATA)
    assert not server.deposits()[0]["submitted"]


def test_a_file_that_changes_during_the_upload_is_told(server, zenodo, folder, files):
    (folder / "README.md").write_text("changed since it was measured")
    with pytest.raises(ChecksumError, match=r"README.md .*changed meanwhile"):
        upload(folder, files, zenodo, METADATA)


@pytest.mark.parametrize(
    ("request_", "status", "told"),
    [
        ("POST /api/deposit", 400, "400 Refused"),
        ("POST /api/deposit", 401, "set ZENODO_TOKEN"),
        ("POST /api/deposit", 415, "415 Refused"),
        ("PUT /api/deposit", 403, "scopes deposit:write and deposit:actions"),
        ("PUT /api/deposit", 409, "409 Refused"),
        ("PUT /api/files", 404, "404 Refused"),
        ("PUT /api/files", 405, "405 Refused"),
        ("PUT /api/files", 413, "larger than the archive takes"),
    ],
)
def test_a_refusal_is_told_in_one_line_and_not_repeated(
    server, zenodo, folder, files, request_, status, told
):
    server.fault("status", request_, status=status)
    with pytest.raises(ServerError, match=told) as caught:
        upload(folder, files, zenodo, METADATA)
    assert "\n" not in str(caught.value)
    assert server.base in str(caught.value)
    assert caught.value.code == status
    assert not server.state()["faults"]
    # what was done is kept, and the same call goes on
    upload(folder, files, zenodo, METADATA)
    assert stored(server.deposits()[-1]) == md5s(files)
    assert len(server.deposits()) == 1


@pytest.mark.parametrize("answers", ["documented", "present"])
def test_each_wrong_field_is_named(start_server, folder, files, monkeypatch, answers):
    server = start_server("--answers", answers)
    monkeypatch.setenv("HEPML_ZENODO_URL", server.base)
    monkeypatch.setenv("ZENODO_TOKEN", "all-scopes")
    wrong = zenodo_metadata(SPEC, communities=["nobody"]) | {"license": "own-1.0"}
    with pytest.raises(ServerError) as caught:
        upload(folder, files, Zenodo(server.base, pause=0.02), wrong)
    assert "Validation error: metadata.license: Invalid license provided: own-1.0" in str(
        caught.value
    )
    assert "metadata.communities.0.identifier: Not a valid choice" in str(caught.value)


@pytest.mark.parametrize("token", ["", "unknown", "another"])
def test_a_token_that_is_not_the_right_one_is_told(
    server, zenodo, folder, files, monkeypatch, token
):
    upload(folder, files, zenodo, METADATA)
    monkeypatch.setenv("ZENODO_TOKEN", token)
    with pytest.raises(ServerError, match="token"):
        upload(folder, files, zenodo, METADATA)
    if not token:
        with pytest.raises(ServerError, match="set ZENODO_TOKEN, or HEPML_ZENODO_TOKEN_FILE"):
            zenodo.require_token()


def test_a_record_larger_than_the_archive_takes_is_told(start_server, folder, files, monkeypatch):
    server = start_server("--quota", "200000")
    monkeypatch.setenv("HEPML_ZENODO_URL", server.base)
    monkeypatch.setenv("ZENODO_TOKEN", "all-scopes")
    with pytest.raises(ServerError, match=r"can't store \S+: 413 .*larger than the archive takes"):
        upload(folder, files, Zenodo(server.base), METADATA)


def test_an_answer_that_is_no_json_is_told(server, zenodo, folder, files):
    server.fault("html", "POST /api/deposit")
    with pytest.raises(ServerError, match="its answer is no JSON; is it a Zenodo server"):
        upload(folder, files, zenodo, METADATA)


def test_no_server_at_all_is_told(folder, files, monkeypatch):
    monkeypatch.setenv("ZENODO_TOKEN", "all-scopes")
    nobody = Zenodo("http://127.0.0.1:9", attempts=2, pause=0.01)
    with pytest.raises(UnreachableError, match="no answer"):
        upload(folder, files, nobody, METADATA)


def test_files_are_not_sent_to_another_host_than_the_archive(
    server, zenodo, start_server, folder, files
):
    foreign = start_server()
    server.set(bucket_base=foreign.base)
    with pytest.raises(ServerError, match="another host: the token is not sent there"):
        upload(folder, files, zenodo, METADATA)
    assert foreign.requests() == []


@pytest.mark.parametrize("base", ["http://zenodo.example.org", "ftp://127.0.0.1", "zenodo.org"])
def test_a_token_goes_nowhere_in_the_clear(base):
    with pytest.raises(ServerError, match=r"not an https address.*HEPML_ZENODO_URL"):
        Zenodo(base)


def test_a_draft_that_was_deleted_is_made_again(server, zenodo, folder, files):
    done = upload(folder, files, zenodo, METADATA)
    url = f"{server.base}/api/deposit/depositions/{done.deposit.id}"
    requests.delete(url, headers={"Authorization": "Bearer all-scopes"}, timeout=10)
    assert plan_upload(folder, files, zenodo, METADATA).deposit is None
    again = upload(folder, files, zenodo, METADATA)
    assert again.deposit.id != done.deposit.id
    assert stored(server.deposits()[0]) == md5s(files)


def test_two_servers_have_a_draft_each(server, zenodo, start_server, folder, files, monkeypatch):
    first = upload(folder, files, zenodo, METADATA)
    sandbox = start_server()
    monkeypatch.setenv("HEPML_ZENODO_URL", sandbox.base)
    upload(folder, files, Zenodo(sandbox.base), METADATA)
    monkeypatch.setenv("HEPML_ZENODO_URL", server.base)
    assert upload(folder, files, zenodo, METADATA).deposit.id == first.deposit.id
    assert len(server.deposits()) == len(sandbox.deposits()) == 1


def test_two_processes_do_not_upload_the_same_folder(zenodo, folder, files):
    with (
        FileLock(folder / ".deposit.lock"),
        pytest.raises(OutputError, match="another process is at work there"),
    ):
        upload(folder, files, zenodo, METADATA)


@pytest.mark.parametrize("content", ["{", '{"http": 1}', '["x"]'])
def test_a_broken_memory_of_the_draft_is_told(server, zenodo, folder, files, content):
    (folder / ".zenodo.json").write_text(content.replace("http", server.base))
    if content == '["x"]':
        # nothing in it is about this server
        upload(folder, files, zenodo, METADATA)
        return
    with pytest.raises(ServerError, match=r"\.zenodo\.json: .*delete it to begin another draft"):
        upload(folder, files, zenodo, METADATA)
    assert server.deposits() == []


def test_publication_is_for_good_and_only_once(server, zenodo, folder, files):
    done = upload(folder, files, zenodo, METADATA)
    published = publish(folder, files, zenodo, done.deposit.id)
    assert published.doi == f"10.5072/zenodo.{done.deposit.id}"
    assert server.deposits()[0]["submitted"]
    server.forget()
    assert publish(folder, files, zenodo, done.deposit.id).doi == published.doi
    assert upload(folder, files, zenodo, METADATA).deposit.published
    assert {e["method"] for e in server.requests()} == {"GET"}


@pytest.mark.parametrize("fault", ["lost", "stored-500"])
def test_a_publication_whose_answer_is_lost_is_seen(server, zenodo, folder, files, fault):
    done = upload(folder, files, zenodo, METADATA)
    server.fault(fault, "actions/publish")
    assert publish(folder, files, zenodo, done.deposit.id).published
    assert len(server.requests("POST /api/deposit/depositions/")) == 1


def test_a_draft_that_changed_since_is_not_published(server, zenodo, folder, files):
    done = upload(folder, files, zenodo, METADATA)
    zenodo.remove_file(done.deposit.id, done.deposit.files[0])
    with pytest.raises(ServerError, match="changed; upload again first"):
        publish(folder, files, zenodo, done.deposit.id)
    assert not server.deposits()[0]["submitted"]


def test_a_token_that_may_not_publish_is_told(server, zenodo, folder, files, monkeypatch):
    monkeypatch.setenv("ZENODO_TOKEN", "write-only")
    done = upload(folder, files, zenodo, METADATA)
    with pytest.raises(ServerError, match="deposit:actions"):
        publish(folder, files, zenodo, done.deposit.id)


def test_a_published_deposit_whose_files_changed_needs_a_new_version(server, zenodo, folder, files):
    done = upload(folder, files, zenodo, METADATA)
    publish(folder, files, zenodo, done.deposit.id)
    files = changed(folder, files, "README.md")
    with pytest.raises(ServerError, match=f"--new-version-of {done.deposit.id}"):
        upload(folder, files, zenodo, METADATA)


@pytest.mark.parametrize("answers", ["documented", "present"])
def test_a_new_version_keeps_what_is_unchanged(start_server, folder, files, monkeypatch, answers):
    server = start_server("--answers", answers)
    monkeypatch.setenv("HEPML_ZENODO_URL", server.base)
    monkeypatch.setenv("ZENODO_TOKEN", "all-scopes")
    zenodo = Zenodo(server.base, pause=0.02)
    done = upload(folder, files, zenodo, METADATA)
    publish(folder, files, zenodo, done.deposit.id)
    first = stored(server.deposits()[0])
    server.forget()

    files = [f for f in changed(folder, files, "README.md") if f.name != "toy-higgs.arff"]
    doi = f"10.5072/zenodo.{done.deposit.id}"
    later = METADATA | {"version": "2"}
    server.fault("cut", "PUT .*README.md", bytes=3)
    second = upload(folder, files, zenodo, later, new_version_of=doi)
    assert second.send == ("README.md",)
    assert second.remove == ("toy-higgs.arff",)
    assert set(server.sent()) == {"README.md"}
    old, new = server.deposits()
    assert stored(old) == first
    assert stored(new) == md5s(files)
    assert not new["submitted"]

    # the same command goes on with that draft, and once it is published has nothing to do
    server.forget()
    assert upload(folder, files, zenodo, later, new_version_of=doi).send == ()
    publish(folder, files, zenodo, second.deposit.id)
    assert upload(folder, files, zenodo, later, new_version_of=doi).deposit.published
    assert server.sent() == []
    assert len(server.deposits()) == 2

    # a third version is made of the latest, whichever version is named
    files = changed(folder, files, "README.md", b"third")
    third = upload(folder, files, zenodo, METADATA, new_version_of=str(done.deposit.id))
    assert third.send == ("README.md",)
    assert len(server.deposits()) == 3


def test_a_new_version_may_be_named_by_what_stands_for_all_versions(server, zenodo, folder, files):
    done = upload(folder, files, zenodo, METADATA)
    publish(folder, files, zenodo, done.deposit.id)
    files = changed(folder, files, "README.md")
    concept = str(done.deposit.id - 1000)
    assert upload(folder, files, zenodo, METADATA, new_version_of=concept).send == ("README.md",)


def test_a_new_version_of_nothing_is_told(server, zenodo, folder, files):
    with pytest.raises(ServerError, match="can't find record 77: 404"):
        upload(folder, files, zenodo, METADATA, new_version_of="77")
    assert server.deposits() == []


def test_a_new_version_waits_for_the_folders_own_draft(server, zenodo, folder, files):
    upload(folder, files, zenodo, METADATA)
    with pytest.raises(ServerError, match="not published yet"):
        upload(folder, files, zenodo, METADATA, new_version_of="5")


@pytest.mark.parametrize(
    "text",
    [
        "123",
        "10.5281/zenodo.123",
        "10.5072/zenodo.123",
        "https://doi.org/10.5281/zenodo.123",
        "https://zenodo.org/records/123",
        "https://zenodo.org/record/123/",
        "https://sandbox.zenodo.org/uploads/123",
        "zenodo:123",
    ],
)
def test_a_record_is_named_in_every_usual_way(text):
    assert record_id(text) == 123


@pytest.mark.parametrize("text", ["", "x", "10.7483/OPENDATA.ATLAS.ZBP2.M5T8", "12/..", "zenodo."])
def test_what_names_no_record_is_told(text):
    with pytest.raises(ServerError, match="names no Zenodo record"):
        record_id(text)


def test_limits_are_checked_before_anything_is_sent(server, zenodo, folder, files):
    large = [replace(files[0], size=50_000_000_001), *files[1:]]
    with pytest.raises(OutputError, match=r"50\.0 GB where a Zenodo record takes 50 GB"):
        upload(folder, large, zenodo, METADATA)
    many = [replace(files[0], name=f"{i}.csv") for i in range(101)]
    with pytest.raises(OutputError, match="101 files where a Zenodo record takes 100"):
        upload(folder, many, zenodo, METADATA)
    assert server.requests() == []
    check_limits(many[:100])
    total = sum(f.size for f in files[1:])
    check_limits([replace(files[0], size=50_000_000_000 - total), *files[1:]])


def test_the_memory_of_the_draft_is_plain_json(server, zenodo, folder, files):
    done = upload(folder, files, zenodo, METADATA)
    known = json.loads((folder / ".zenodo.json").read_text())[server.base]
    assert known["deposit"] == done.deposit.id
