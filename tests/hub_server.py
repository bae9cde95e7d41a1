"""A stand-in for the Hugging Face Hub on loopback: serves the files of repositories at fixed commits to the real client."""

import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

COMMIT = "0123456789abcdef0123456789abcdef01234567"


class Handler(BaseHTTPRequestHandler):
    """GET and HEAD of /<org>/<repo>/resolve/<revision>/<file>, as the client asks for them."""

    repositories: dict[str, Path]
    requests: list[str]

    def do_HEAD(self) -> None:
        self.answer(body=False)

    def do_GET(self) -> None:
        self.answer(body=True)

    def answer(self, *, body: bool) -> None:
        self.requests.append(f"{self.command} {self.path}")
        parts = self.path.strip("/").split("/")
        folder = self.repositories.get("/".join(parts[:2]))
        if folder is None:
            return self.refuse(404, "RepoNotFound")
        if parts[2] != "resolve" or parts[3] not in ("main", COMMIT):
            return self.refuse(404, "RevisionNotFound")
        path = folder / parts[4]
        if not path.is_file():
            return self.refuse(404, "EntryNotFound")
        content = path.read_bytes()
        self.send_response(200)
        self.send_header("ETag", f'"{hashlib.sha256(content).hexdigest()}"')
        self.send_header("X-Repo-Commit", COMMIT)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if body:
            self.wfile.write(content)
        return None

    def refuse(self, status: int, code: str) -> None:
        self.send_response(status)
        self.send_header("X-Error-Code", code)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *arguments: object) -> None:
        """Silence."""


@contextmanager
def serve(repositories: dict[str, Path]) -> Iterator[tuple[str, list[str]]]:
    """Run the server; yields its address and the list of requests it has seen."""
    requests: list[str] = []
    handler = type("BoundHandler", (Handler,), {"repositories": repositories, "requests": requests})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", requests
    finally:
        server.shutdown()
        server.server_close()
