"""The state of the stand-in for the Hugging Face Hub: repositories, commits, branches, faults."""

import base64
import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

COMMIT = "0123456789abcdef0123456789abcdef01234567"
WRITER, READER = "hf_LoopbackWriter", "hf_LoopbackReader"
LFS = (".safetensors", ".png")
Files = dict[str, bytes]


@dataclass
class Fault:
    """What goes wrong with the next `times` requests that begin with `request`.

    A request is its method and path, such as "GET /org/repo/resolve".

    Attributes:
        status: the answer instead, if any.
        cut: whether the connection is cut in the middle of the body.
        flip: whether a byte of the body is wrong.
        seconds: how late the answer comes.
        then: called when the answer is ready, before it is sent.
    """

    request: str
    times: int = 1
    status: int | None = None
    cut: bool = False
    flip: bool = False
    seconds: float = 0.0
    then: Callable[[], object] = lambda: None


@dataclass
class Repository:
    """Commits by name, and the names of commits by branch."""

    commits: dict[str, Files] = field(default_factory=dict)
    branches: dict[str, str] = field(default_factory=dict)
    messages: list[str] = field(default_factory=list)
    private: bool = False

    def resolve(self, revision: str) -> str | None:
        """The commit that a revision names."""
        return self.branches.get(revision, revision if revision in self.commits else None)

    def commit(self, files: Files, *, branch: str | None = "main", name: str | None = None) -> str:
        """Add a commit with these files, and let a branch point to it."""
        described = repr(
            (
                len(self.commits),
                sorted((each, hashlib.sha1(files[each]).hexdigest()) for each in files),
            )
        )
        name = name or hashlib.sha1(described.encode()).hexdigest()
        self.commits[name] = files
        if branch is not None:
            self.branches[branch] = name
        return name


@dataclass
class Hub:
    """All that the server keeps, and the requests that it has seen."""

    repositories: dict[str, Repository] = field(default_factory=dict)
    large: Files = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    @property
    def changes(self) -> list[str]:
        """The requests that may have changed something."""
        return [request for request in self.requests if request.split()[0] not in ("GET", "HEAD")]

    def add(self, repo_id: str, folder: Path) -> Repository:
        """A repository with the files of a folder, at `COMMIT`."""
        repository = self.repositories[repo_id] = Repository()
        repository.commit(
            {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()},
            name=COMMIT,
        )
        return repository

    def fault(self, request: str) -> Fault:
        """The fault that this request has, which is then used up."""
        for fault in self.faults:
            if fault.times and request.startswith(fault.request):
                fault.times -= 1
                return fault
        return Fault(request)

    def upload_mode(self, repository: Repository, revision: str, path: str) -> dict[str, object]:
        """The answer to a preupload request for a file."""
        large = path.endswith(LFS)
        old = repository.commits[repository.resolve(revision) or ""].get(path)
        oid = None if old is None else hashlib.sha256(old).hexdigest() if large else _git_sha(old)
        return {
            "path": path,
            "uploadMode": "lfs" if large else "regular",
            "shouldIgnore": False,
            "oid": oid,
        }

    def apply(
        self, repository: Repository, revision: str, body: bytes, *, proposed: bool
    ) -> str | None:
        """Apply a commit, one JSON object a line; None if the branch has moved since its parent."""
        parent = repository.resolve(revision)
        files = dict(repository.commits[parent or ""])
        for line in body.splitlines():
            value = json.loads(line)["value"]
            match json.loads(line)["key"]:
                case "header":
                    repository.messages.append(value["summary"])
                    if value.get("parentCommit") not in (None, parent):
                        return None
                case "file":
                    files[value["path"]] = base64.b64decode(value["content"])
                case "lfsFile":
                    files[value["path"]] = self.large[value["oid"]]
                case "deletedFile":
                    del files[value["path"]]
        return repository.commit(files, branch=None if proposed else revision)


def _git_sha(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
