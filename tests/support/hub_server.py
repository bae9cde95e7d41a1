"""A stand-in for the Hugging Face Hub on loopback: downloads, uploads, pull requests, faults."""

import hashlib
import json
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

from support.hub_repositories import COMMIT, READER, WRITER, Fault, Hub, Repository

__all__ = ["COMMIT", "IMPATIENT", "READER", "WRITER", "Fault", "Hub", "environment", "serve"]

IMPATIENT = """
import time
wait = time.sleep
time.sleep = lambda seconds: wait(seconds / 50)
"""
"""The start of a program that downloads or uploads: the client waits up to 8 s before a retry."""

REPO = r"(?P<repo>[^/]+/[^/]+)"
ROUTES = {
    r"(GET|HEAD) /" + REPO + r"/resolve/(?P<revision>[^/]+)/(?P<file>.+)": "resolve",
    r"GET /api/models/" + REPO + r"(/revision/(?P<revision>[^/]+))?": "info",
    r"POST /api/repos/create": "create",
    r"POST /api/validate-yaml": "validate",
    r"POST /api/models/" + REPO + r"/branch/(?P<branch>[^/]+)": "branch",
    r"POST /api/models/" + REPO + r"/preupload/(?P<revision>[^/]+)": "preupload",
    r"POST /" + REPO + r"\.git/info/lfs/objects/batch": "batch",
    r"PUT /large/(?P<oid>[0-9a-f]{64})": "put",
    r"POST /api/models/" + REPO + r"/commit/(?P<revision>[^/]+)": "commit",
}


class Handler(BaseHTTPRequestHandler):
    """The requests that the client makes to load and to publish an entry."""

    hub: Hub
    protocol_version = "HTTP/1.1"
    flaw: Fault

    def answer(self) -> None:
        self.body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        url = urlsplit(self.path)
        self.query = url.query
        request = f"{self.command} {unquote(url.path)}"
        self.hub.requests.append(
            f"{request} range={self.headers['Range']}" if self.headers["Range"] else request
        )
        self.flaw = self.hub.fault(request)
        time.sleep(self.flaw.seconds)
        if self.flaw.status is not None:
            self.refuse(self.flaw.status)
        else:
            self.route(request)

    do_GET = do_HEAD = do_POST = do_PUT = answer

    def route(self, request: str) -> None:
        found = [
            (name, match.groupdict())
            for pattern, name in ROUTES.items()
            if (match := re.fullmatch(pattern, request))
        ]
        if not found:
            return self.refuse(404)
        ((name, parts),) = found
        token = (self.headers["Authorization"] or "").removeprefix("Bearer ")
        if self.command in ("POST", "PUT") and name != "put" and token != WRITER:
            return self.refuse(403 if token == READER else 401)
        if "repo" not in parts:
            getattr(self, name)(parts)
            return None
        repository = self.hub.repositories.get(parts["repo"])
        if repository is None or (repository.private and token not in (WRITER, READER)):
            return self.refuse(404, "RepoNotFound")
        if repository.resolve(parts.get("revision") or "main") is None:
            return self.refuse(404, "RevisionNotFound")
        getattr(self, name)(repository, parts)
        return None

    def resolve(self, repository: Repository, parts: dict[str, str]) -> None:
        commit = repository.resolve(parts["revision"]) or ""
        content = repository.commits[commit].get(parts["file"])
        if content is None:
            return self.refuse(404, "EntryNotFound", {"X-Repo-Commit": commit})
        headers = {
            "ETag": f'"{hashlib.sha256(content).hexdigest()}"',
            "X-Repo-Commit": commit,
            "Accept-Ranges": "bytes",
        }
        wanted = re.fullmatch(r"bytes=(\d+)-", self.headers["Range"] or "")
        if wanted is None:
            return self.reply(200, content, headers)
        start = int(wanted[1])
        return self.reply(
            206,
            content[start:],
            {**headers, "Content-Range": f"bytes {start}-{len(content) - 1}/{len(content)}"},
        )

    def info(self, repository: Repository, parts: dict[str, str]) -> None:
        commit = repository.resolve(parts["revision"] or "main") or ""
        files = [{"rfilename": name} for name in repository.commits[commit]]
        self.say(
            {"id": parts["repo"], "sha": commit, "private": repository.private, "siblings": files}
        )

    def create(self, parts: dict[str, str]) -> None:
        wanted = json.loads(self.body)
        repo_id = f"{wanted['organization']}/{wanted['name']}"
        if repo_id in self.hub.repositories:
            return self.say({"url": f"{self.address}/{repo_id}"}, status=409)
        private = wanted.get("visibility") == "private" or wanted.get(
            "private", False
        )  # clients of now, and of before
        made = self.hub.repositories[repo_id] = Repository(private=private)
        made.commit({".gitattributes": b"*.safetensors filter=lfs\n"})
        return self.say({"url": f"{self.address}/{repo_id}"})

    def validate(self, parts: dict[str, str]) -> None:
        self.say({"errors": [], "warnings": []})

    def branch(self, repository: Repository, parts: dict[str, str]) -> None:
        if parts["branch"] in repository.branches:
            return self.refuse(409)
        repository.branches[parts["branch"]] = repository.branches["main"]
        return self.say({})

    def preupload(self, repository: Repository, parts: dict[str, str]) -> None:
        files = json.loads(self.body)["files"]
        self.say(
            {
                "files": [
                    self.hub.upload_mode(repository, parts["revision"], file["path"])
                    for file in files
                ]
            }
        )

    def batch(self, repository: Repository, parts: dict[str, str]) -> None:
        objects = json.loads(self.body)["objects"]
        self.say(
            {
                "objects": [
                    each | {"actions": {"upload": {"href": f"{self.address}/large/{each['oid']}"}}}
                    for each in objects
                ]
            }
        )

    def put(self, parts: dict[str, str]) -> None:
        if hashlib.sha256(self.body).hexdigest() != parts["oid"]:
            return self.refuse(400)
        self.hub.large[parts["oid"]] = self.body
        return self.say({})

    def commit(self, repository: Repository, parts: dict[str, str]) -> None:
        proposed = "create_pr=1" in self.query
        made = self.hub.apply(repository, parts["revision"], self.body, proposed=proposed)
        if made is None:
            return self.refuse(412)
        place = f"{self.address}/{parts['repo']}"
        url = f"{place}/discussions/1" if proposed else None
        return self.say(
            {"commitOid": made, "commitUrl": f"{place}/commit/{made}", "pullRequestUrl": url}
        )

    @property
    def address(self) -> str:
        return f"http://{self.headers['Host']}"

    def say(self, value: object, *, status: int = 200) -> None:
        self.reply(status, json.dumps(value).encode(), {"Content-Type": "application/json"})

    def refuse(self, status: int, code: str = "", headers: dict[str, str] | None = None) -> None:
        self.reply(
            status, b"{}", {"X-Error-Code": code, **(headers or {})} if code else headers or {}
        )

    def reply(self, status: int, content: bytes, headers: dict[str, str]) -> None:
        if self.flaw.flip:
            content = (
                content[: len(content) // 2]
                + bytes([content[len(content) // 2] ^ 1])
                + content[len(content) // 2 + 1 :]
            )
        self.flaw.then()
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "HEAD":
            return
        self.wfile.write(content[: len(content) // 2] if self.flaw.cut else content)
        self.close_connection |= self.flaw.cut

    def log_message(self, *arguments: object) -> None:
        """Silence."""


@contextmanager
def serve(folders: dict[str, Path]) -> Iterator[tuple[str, Hub]]:
    """Run the server with these folders as repositories; yields its address and what it keeps."""
    hub = Hub()
    for repo_id, folder in folders.items():
        hub.add(repo_id, folder)
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("BoundHandler", (Handler,), {"hub": hub}))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", hub
    finally:
        server.shutdown()
        server.server_close()


def environment(address: str, cache: Path, *, token: str = "", **more: str) -> dict[str, str]:
    """The variables under which the client talks to the server, with a cache of its own."""
    own = {
        "HF_ENDPOINT": address,
        "HF_HOME": str(cache),
        "HF_HUB_DISABLE_XET": "1",
        "OMP_NUM_THREADS": "1",
    }
    return own | ({"HF_TOKEN": token} if token else {}) | more
