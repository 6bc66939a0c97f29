"""A deposit server for tests: Zenodo's documented deposit API, in a process of its own.

    python zenodo_server.py FOLDER [--answers documented|present]

prints its address, and keeps files in FOLDER. What each route follows
("docs" is https://developers.zenodo.org, "service" the public code of zenodo/zenodo-rdm):

===================================================  =============================================
route                                                source
===================================================  =============================================
GET, POST /api/deposit/depositions                   docs, "Depositions": List, Create
GET, PUT, DELETE /api/deposit/depositions/:id        docs, "Depositions": Retrieve, Update, Delete
GET …/:id/files, DELETE …/:id/files/:file_id         docs, "Deposition files": List, Delete
PUT, GET, DELETE /api/files/:bucket/:key             docs, "Quickstart - Upload"; service,
                                                     site/zenodo_rdm/legacy/resources.py
POST …/actions/publish, edit, discard, newversion    docs, "Deposition actions"
GET /api/records/:id, …/versions/latest              docs, "Records": Retrieve; the redirect as
                                                     InvenioRDM's record resource
fields of a deposit and its metadata                 docs, "Depositions": Representation
fields of a file                                     docs, "Deposition files": Representation;
                                                     with ``md5:`` in a bucket's answer
===================================================  =============================================

=========  =========================================================================================
status     when, by "HTTP status codes" and "Errors" of developers.zenodo.org
=========  =========================================================================================
400        metadata that aren't valid, with ``errors`` of ``field`` and ``message``; publication
           without files or required metadata; discard of what isn't edited
401        no token, or one that isn't known
403        a token without the scope ("Scopes": deposit:write, deposit:actions), another's deposit,
           change of a published one
404        no such deposit, file or bucket
405        a method that a route doesn't have
409        the state of the deposit doesn't allow it (set as a fault)
413        more than the record takes ("Quickstart - Upload": 50 GB; smaller here by ``--quota``)
415        a body that isn't declared as JSON
429        too many requests, with the ``X-RateLimit-`` headers of "Rate Limiting" and Retry-After
500        without a JSON body, as documented
=========  =========================================================================================

With ``--answers documented`` a new version answers with the old record, as "New version" says;
with ``present`` it answers with the draft, as zenodo-rdm's LegacyRecordResource.new_version does,
and errors of fields carry a list of messages.

Routes below ``/-/`` are the tests' own: faults to come, and a log of what came.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import threading
import time
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

TOKENS = {
    "all-scopes": ("alice", {"deposit:write", "deposit:actions"}),
    "write-only": ("alice", {"deposit:write"}),
    "another": ("bob", {"deposit:write", "deposit:actions"}),
}
LICENSES = {"cc0-1.0", "cc-zero", "cc-by-4.0", "mit", "bsd-3-clause"}
COMMUNITIES = {"hep", "zenodo"}
REQUIRED = ("title", "upload_type", "creators", "description")
FIELDS = {
    *REQUIRED,
    "access_right",
    "communities",
    "keywords",
    "language",
    "license",
    "notes",
    "prereserve_doi",
    "publication_date",
    "references",
    "related_identifiers",
    "version",
}


class Refused(Exception):
    def __init__(self, status, message, errors=()):
        super().__init__(message)
        self.status, self.message, self.errors = status, message, list(errors)


class Broken(Exception):
    """The connection is to be cut."""


class Archive:
    """All deposits, behind one lock."""

    def __init__(self, folder, answers, quota):
        self.folder, self.answers, self.quota = folder, answers, quota
        self.lock = threading.RLock()
        self.base = ""
        self.reset()

    def reset(self):
        self.deposits = {}
        self.next_id = 1001
        self.faults = []
        self.log = []
        self.bucket_base = None
        self.limit, self.remaining = 100, 100

    def add(self, owner, metadata, concept=None, files=()):
        number = self.next_id
        self.next_id += 1
        self.deposits[number] = {
            "id": number,
            "owner": owner,
            "concept": concept or number - 1000,
            "metadata": metadata,
            "files": {f["filename"]: {**f, "id": str(uuid.uuid4())} for f in files},
            "bucket": str(uuid.uuid4()),
            "state": "unsubmitted",
            "submitted": False,
        }
        return self.deposits[number]

    def find(self, number, owner):
        deposit = self.deposits.get(number)
        if deposit is None:
            raise Refused(404, "Deposition not found")
        if deposit["owner"] != owner:
            raise Refused(403, "Permission denied.")
        return deposit

    def by_bucket(self, bucket, owner):
        for deposit in self.deposits.values():
            if deposit["bucket"] == bucket:
                return self.find(deposit["id"], owner)
        raise Refused(404, "Bucket does not exist.")

    def latest(self, concept):
        published = [
            d for d in self.deposits.values() if d["concept"] == concept and d["submitted"]
        ]
        return max(published, key=lambda d: d["id"], default=None)

    def draft_of(self, concept):
        drafts = [
            d for d in self.deposits.values() if d["concept"] == concept and not d["submitted"]
        ]
        return drafts[0] if drafts else None

    def shown(self, deposit):
        number = deposit["id"]
        api = f"{self.base}/api/deposit/depositions/{number}"
        links = {
            "self": api,
            "files": f"{api}/files",
            "bucket": f"{self.bucket_base or self.base}/api/files/{deposit['bucket']}",
            "publish": f"{api}/actions/publish",
            "html": f"{self.base}/deposit/{number}",
        }
        draft = self.draft_of(deposit["concept"])
        if draft:
            links["latest_draft"] = f"{self.base}/api/deposit/depositions/{draft['id']}"
        doi = f"10.5072/zenodo.{number}"
        shown = {
            "id": number,
            "record_id": number,
            "owner": deposit["owner"],
            "title": deposit["metadata"].get("title", ""),
            "metadata": {
                **deposit["metadata"],
                "prereserve_doi": {"doi": doi, "recid": number},
            },
            "files": [
                {k: f[k] for k in ("id", "filename", "filesize", "checksum")}
                for f in deposit["files"].values()
            ],
            "links": links,
            "state": deposit["state"],
            "submitted": deposit["submitted"],
        }
        if deposit["submitted"]:
            shown |= {"doi": doi, "doi_url": f"https://doi.org/{doi}"}
            links["record_html"] = f"{self.base}/records/{number}"
        return shown

    def wrong(self, metadata, complete):
        """Validate metadata as "Deposit metadata" says; a draft may lack what is required."""
        wrong = [(f"metadata.{k}", "Unknown field name.") for k in metadata if k not in FIELDS]
        if complete:
            wrong += [
                (f"metadata.{k}", "Missing data for required field.")
                for k in REQUIRED
                if not metadata.get(k)
            ]
        if metadata.get("license", "cc-zero").lower() not in LICENSES:
            wrong.append(("metadata.license", f"Invalid license provided: {metadata['license']}"))
        if metadata.get("upload_type", "dataset") != "dataset":
            wrong.append(("metadata.upload_type", "Not a valid choice"))
        for i, creator in enumerate(metadata.get("creators", ())):
            if not creator.get("name"):
                wrong.append((f"metadata.creators.{i}.name", "Name is required."))
        for i, community in enumerate(metadata.get("communities", ())):
            if community.get("identifier") not in COMMUNITIES:
                wrong.append((f"metadata.communities.{i}.identifier", "Not a valid choice"))
        if wrong:
            key = "messages" if self.answers == "present" else "message"
            raise Refused(
                400,
                "Validation error",
                [{"field": f, key: [m] if key == "messages" else m} for f, m in wrong],
            )


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    archive: Archive

    def log_message(self, *_):
        pass

    def handle_one(self):
        parts = urlsplit(self.path)
        path, self.query = unquote(parts.path), parse_qs(parts.query)
        if path.startswith("/-/"):
            return self.control(path)
        self.unread = int(self.headers.get("Content-Length") or 0)
        entry = {
            "method": self.command,
            "path": path,
            "query": parts.query,
            "token": self.headers.get("Authorization", ""),
            "agent": self.headers.get("User-Agent", ""),
            "length": self.unread,
        }
        archive = self.archive
        with archive.lock:
            archive.log.append(entry)
            fault = self.take_fault(f"{self.command} {path}")
        self.fault = fault or {}
        kind = self.fault.get("kind")
        try:
            if kind == "status":
                raise Refused(fault["status"], fault.get("message", "Refused"))
            if kind == "html":
                return self.answer(200, b"<html>down for maintenance</html>", type_="text/html")
            if kind == "hang":
                time.sleep(fault["seconds"])
            status, body, headers = self.route(path)
            entry["status"] = status
            if kind == "lost":
                raise Broken
            if kind == "stored-500":
                return self.answer(500, b"", type_="text/html")
            self.answer(status, body, headers)
        except Refused as refused:
            entry["status"] = refused.status
            self.refuse(refused)
        except (Broken, ConnectionError):
            entry["status"] = 0
            self.close_connection = True
            self.connection.close()

    do_GET = do_POST = do_PUT = do_DELETE = handle_one

    def take_fault(self, request):
        for fault in self.archive.faults:
            if re.search(fault["match"], request):
                fault["times"] -= 1
                if fault["times"] <= 0:
                    self.archive.faults.remove(fault)
                return dict(fault)
        return None

    def control(self, path):
        archive = self.archive
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        with archive.lock:
            if path == "/-/faults" and self.command == "POST":
                archive.faults.append({"times": 1, "match": ".", **json.loads(body)})
            elif path == "/-/set" and self.command == "POST":
                for name, value in json.loads(body).items():
                    setattr(archive, name, value)
            elif path == "/-/log" and self.command == "DELETE":
                archive.log.clear()
            elif path == "/-/all" and self.command == "DELETE":
                archive.reset()
            state = {
                "log": archive.log,
                "faults": archive.faults,
                "deposits": [archive.shown(d) for d in archive.deposits.values()],
            }
            self.answer(200, state)

    def refuse(self, refused):
        headers = {}
        if refused.status == 429:
            after = self.fault.get("after")
            if after is not None:
                headers["Retry-After"] = str(after)
            else:
                headers["X-RateLimit-Reset"] = str(int(time.time()) + 1)
        if refused.status >= 500:
            self.answer(refused.status, b"", headers, type_="text/html")
            return
        body = {"message": refused.message, "status": refused.status}
        if refused.errors:
            body["errors"] = refused.errors
        self.answer(refused.status, body, headers)

    def answer(self, status, body, headers=None, type_="application/json"):
        while getattr(self, "unread", 0):
            self.read_body()
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        limit = self.archive
        self.send_response(status)
        self.send_header("Content-Type", type_)
        self.send_header("Content-Length", str(0 if status == 204 else len(content)))
        self.send_header("X-RateLimit-Limit", str(limit.limit))
        self.send_header("X-RateLimit-Remaining", str(limit.remaining))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        if status != 204:
            self.wfile.write(content)

    def read_body(self, at_most=1 << 16):
        data = self.rfile.read(min(self.unread, at_most))
        if not data and self.unread:
            raise Broken
        self.unread -= len(data)
        return data

    def identify(self, scope):
        scheme, _, token = self.headers.get("Authorization", "").partition(" ")
        if scheme != "Bearer" or token not in TOKENS:
            raise Refused(401, "Unauthorized")
        owner, scopes = TOKENS[token]
        if scope and scope not in scopes:
            raise Refused(403, "Permission denied.")
        return owner

    def json_body(self):
        raw = b""
        while self.unread:
            raw += self.read_body()
        if not raw:
            return {}
        if self.headers.get("Content-Type", "").partition(";")[0] != "application/json":
            raise Refused(415, "Unsupported media type: send application/json")
        try:
            body = json.loads(raw)
        except ValueError:
            raise Refused(400, "The browser (or proxy) sent a request not understood.") from None
        unknown = [k for k in body if k not in {"metadata", "files"}]
        if unknown:
            errors = [{"field": k, "message": "Unknown field name."} for k in unknown]
            raise Refused(400, "Validation error", errors)
        return body

    def route(self, path):
        if match := re.fullmatch(r"/api/files/([^/]+)/(.+)", path):
            return self.bucket_file(*match.groups())
        with self.archive.lock:
            if path == "/api/deposit/depositions":
                return self.collection()
            if match := re.fullmatch(r"/api/deposit/depositions/(\d+)", path):
                return self.deposit(int(match[1]))
            if match := re.fullmatch(r"/api/deposit/depositions/(\d+)/files(?:/([^/]+))?", path):
                return self.files(int(match[1]), match[2])
            if match := re.fullmatch(r"/api/deposit/depositions/(\d+)/actions/(\w+)", path):
                return self.action(int(match[1]), match[2])
            if match := re.fullmatch(r"/api/records/(\d+)(/versions/latest)?", path):
                return self.record(int(match[1]), bool(match[2]))
        raise Refused(404, "The requested URL was not found on the server.")

    def wrong_method(self):
        raise Refused(405, "The method is not allowed for the requested URL.")

    def collection(self):
        archive = self.archive
        if self.command == "GET":
            owner = self.identify(None)
            wanted = self.query.get("status", [""])[0]
            size = min(int(self.query.get("size", ["10"])[0]), 100)
            own = [d for d in archive.deposits.values() if d["owner"] == owner]
            if wanted:
                own = [d for d in own if d["submitted"] == (wanted == "published")]
            own.sort(key=lambda d: -d["id"])
            return 200, [archive.shown(d) for d in own[:size]], {}
        if self.command == "POST":
            owner = self.identify("deposit:write")
            metadata = self.json_body().get("metadata", {})
            archive.wrong(metadata, complete=False)
            return 201, archive.shown(archive.add(owner, metadata)), {}
        return self.wrong_method()

    def deposit(self, number):
        archive = self.archive
        owner = self.identify(None if self.command == "GET" else "deposit:write")
        deposit = archive.find(number, owner)
        if self.command == "GET":
            return 200, archive.shown(deposit), {}
        if deposit["state"] == "done":
            raise Refused(403, "The deposit is published.")
        if self.command == "PUT":
            metadata = self.json_body().get("metadata", {})
            archive.wrong(metadata, complete=False)
            deposit["metadata"] = metadata
            return 200, archive.shown(deposit), {}
        if self.command == "DELETE":
            del archive.deposits[number]
            return 204, b"", {}
        return self.wrong_method()

    def files(self, number, file_id):
        archive = self.archive
        owner = self.identify(None if self.command == "GET" else "deposit:write")
        deposit = archive.find(number, owner)
        if self.command == "GET" and file_id is None:
            return 200, archive.shown(deposit)["files"], {}
        if self.command == "DELETE" and file_id is not None:
            if deposit["submitted"]:
                raise Refused(403, "Deleting an already published deposition.")
            name = next((n for n, f in deposit["files"].items() if f["id"] == file_id), None)
            if name is None:
                raise Refused(404, "Deposition file does not exist.")
            del deposit["files"][name]
            return 204, b"", {}
        return self.wrong_method()

    def bucket_file(self, bucket, key):
        archive = self.archive
        with archive.lock:
            owner = self.identify(None if self.command == "GET" else "deposit:write")
            deposit = archive.by_bucket(bucket, owner)
            if self.command in {"PUT", "DELETE"} and deposit["submitted"]:
                raise Refused(403, "Permission denied.")
        if self.command == "PUT":
            return self.store(deposit, key)
        with archive.lock:
            file = deposit["files"].get(key)
            if file is None:
                raise Refused(404, "Object does not exists.")
            if self.command == "DELETE":
                del deposit["files"][key]
                return 204, b"", {}
            if self.command == "GET":
                return 200, Path(file["path"]).read_bytes(), {}
        return self.wrong_method()

    def store(self, deposit, key):
        archive, size = self.archive, self.unread
        held = sum(f["filesize"] for n, f in deposit["files"].items() if n != key)
        if size + held > archive.quota:
            raise Refused(413, "The record's files exceed the quota.")
        path = archive.folder / str(uuid.uuid4())
        digest, kind, got = hashlib.md5(), self.fault.get("kind"), 0
        with path.open("wb") as out:
            while self.unread:
                if kind == "cut" and got >= self.fault["bytes"]:
                    raise Broken
                if kind == "slow":
                    time.sleep(self.fault["seconds"])
                left = self.fault["bytes"] - got if kind == "cut" else 1 << 16
                data = self.read_body(min(left, 1 << 16))
                got += len(data)
                if kind == "damage":
                    data, kind = bytes([data[0] ^ 1]) + data[1:], None
                digest.update(data)
                out.write(data)
        md5 = digest.hexdigest()
        with archive.lock:
            deposit["files"][key] = {
                "id": str(uuid.uuid4()),
                "filename": key,
                "filesize": size,
                "checksum": md5,
                "path": str(path),
            }
        return 201, {"key": key, "size": size, "checksum": f"md5:{md5}"}, {}

    def action(self, number, name):
        archive = self.archive
        if self.command != "POST":
            return self.wrong_method()
        deposit = archive.find(number, self.identify("deposit:actions"))
        if name == "publish":
            if deposit["state"] == "done":
                raise Refused(404, "The deposit has no draft.")
            archive.wrong(deposit["metadata"], complete=True)
            if not deposit["files"]:
                errors = [{"field": "files", "message": "Minimum one file must be provided."}]
                raise Refused(400, "Validation error", errors)
            deposit.update(state="done", submitted=True)
            return 202, archive.shown(deposit), {}
        if name == "edit":
            if deposit["state"] != "done":
                raise Refused(403, "Only a published deposit can be edited.")
            deposit["state"] = "inprogress"
            return 201, archive.shown(deposit), {}
        if name == "discard":
            if deposit["state"] != "inprogress":
                raise Refused(400, "Deposition is not being edited.")
            deposit["state"] = "done"
            return 201, archive.shown(deposit), {}
        if name == "newversion":
            if archive.latest(deposit["concept"]) is not deposit:
                raise Refused(403, "Only the latest version can have a new one.")
            draft = archive.draft_of(deposit["concept"]) or archive.add(
                deposit["owner"],
                {k: v for k, v in deposit["metadata"].items() if k != "publication_date"},
                deposit["concept"],
                deposit["files"].values(),
            )
            answered = deposit if archive.answers == "documented" else draft
            return 201, archive.shown(answered), {}
        raise Refused(404, "The requested URL was not found on the server.")

    def record(self, number, latest):
        archive = self.archive
        if self.command != "GET":
            return self.wrong_method()
        concept = archive.deposits[number]["concept"] if number in archive.deposits else number
        newest = archive.latest(concept)
        if newest is None:
            raise Refused(404, "PID does not exist.")
        if latest or number == concept:
            where = f"{archive.base}/api/records/{newest['id']}"
            return 302, {"location": where}, {"Location": where}
        if not archive.deposits[number]["submitted"]:
            raise Refused(404, "PID does not exist.")
        links = {
            "self": f"{archive.base}/api/records/{number}",
            "latest": f"{archive.base}/api/records/{number}/versions/latest",
        }
        return 200, {"id": number, "conceptrecid": str(concept), "links": links}, {}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--answers", choices=("documented", "present"), default="documented")
    parser.add_argument("--quota", type=int, default=50_000_000_000)
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    archive = Archive(options.folder, options.answers, options.quota)
    handler = type("BoundHandler", (Handler,), {"archive": archive})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    archive.base = f"http://127.0.0.1:{server.server_address[1]}"
    print(archive.base, flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
