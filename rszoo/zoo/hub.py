"""Downloads from and uploads to the Hugging Face Hub.

They go through the Hub's own client: cache, offline mode, endpoint and tokens are the client's.
"""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from rszoo.errors import HubError
from rszoo.zoo.config import FILES

REMEDIES = {
    401: "log in with 'hf auth login', or set HF_TOKEN",
    403: "use a token that may write there ('hf auth login', HF_TOKEN)",
    404: "check the name and the revision; a private repository needs a token "
    "('hf auth login', HF_TOKEN)",
    412: "somebody else changed the repository meanwhile: try again",
}
OTHER_REMEDY = "check the name, the revision and HF_TOKEN, or try again later"


@dataclass(frozen=True)
class Upload:
    """A commit on the Hub, or a pull request with one, and its address."""

    commit: str
    url: str


def fetch(
    repo_id: str,
    revision: str | None,
    *,
    files: Sequence[str] = FILES,
    also: Sequence[str] = (),
    again: bool = False,
) -> Path:
    """The folder in the client's cache with files of a Hub repository, all of one commit.

    Honours `HF_HOME`, `HF_ENDPOINT`, `HF_HUB_OFFLINE`, `HF_TOKEN`. Cached files are not fetched
    again.

    Args:
        repo_id: `organisation/repository`.
        revision: a commit, tag or branch; None for the main branch.
        files: names of files that must be there.
        also: names of files that may be there.
        again: fetch even what is in the cache.

    Raises:
        HubError: no such repository, revision or file, no permission, no connection, or offline
            with an empty cache.
    """
    from huggingface_hub import hf_hub_download  # slow to import, and most entries are bundled
    from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError

    with _one_sentence(f"{repo_id}@{revision}" if revision else repo_id):
        first = hf_hub_download(repo_id, files[0], revision=revision, force_download=again)
        folder = Path(first).parent
        commit = folder.name  # as in snapshots/<commit>/<file>: a moving branch mixes nothing
        for name in (*files[1:], *also):
            try:
                hf_hub_download(repo_id, name, revision=commit, force_download=again)
            except EntryNotFoundError as error:
                offline = isinstance(error, LocalEntryNotFoundError)  # the file may exist
                if offline or name not in also:
                    raise
        return folder


def upload(
    repo_id: str,
    files: Sequence[Path],
    *,
    among: Sequence[str],
    message: str,
    private: bool = False,
    create_pr: bool = False,
    revision: str | None,
) -> Upload:
    """Upload the files of an entry in one commit, which also removes those of an earlier entry.

    A repository or branch that does not exist is created, but not for a pull request.

    Args:
        repo_id: `organisation/repository`.
        files: they keep their names.
        among: names from `published`; those in the repository but not in `files` are removed.
        message: of the commit.
        private: require the repository to be private.
        create_pr: propose the commit as a pull request.
        revision: the branch; None for the main branch.

    Raises:
        HubError: no permission, no connection, a public repository where a private one is required,
            or somebody else changes the repository at the same time.
    """
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi

    api = HfApi()
    with _one_sentence(repo_id):
        if not create_pr:
            api.create_repo(repo_id, private=private or None, exist_ok=True)
            if revision is not None:
                api.create_branch(repo_id, branch=revision, exist_ok=True)
        before = api.model_info(repo_id, revision=revision)
        if private and not before.private:
            raise HubError(
                f"Expected a private repository, got {repo_id}, which is public; "
                "make it private or leave --private."
            )
        present = {sibling.rfilename for sibling in before.siblings or ()}
        stale = sorted((present & set(among)) - {path.name for path in files})
        commit = api.create_commit(
            repo_id,
            [
                *(CommitOperationAdd(path.name, path) for path in files),
                *map(CommitOperationDelete, stale),
            ],
            commit_message=message,
            revision=revision,
            create_pr=create_pr,
            parent_commit=before.sha,
        )
        return Upload(commit.oid, commit.pr_url or commit.commit_url)


def check_name(repo_id: str) -> None:
    """Raise a ValueError unless this is `organisation/repository`."""
    if not re.fullmatch(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*", repo_id):
        raise ValueError(
            f"Expected a repository as organisation/name, got {repo_id!r}; correct the name."
        )


@contextmanager
def _one_sentence(place: str) -> Iterator[None]:
    """Turn any error of the client into a `HubError` of one sentence, without the token."""
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    token = _checked_token()
    try:
        yield
    except HubError:
        raise
    except HFValidationError as error:
        raise HubError(
            f"Expected hf-hub:organisation/repository[@revision], got {place!r}; correct the name."
        ) from error
    except Exception as error:  # those of the client's transport share no base class with its own
        causes = [error, error.__cause__, error.__context__]
        answers = [cause.response for cause in causes if isinstance(cause, HfHubHTTPError)]
        # before version 1.0 a missing cached file is an HfHubHTTPError too, without an answer
        status = next((answer.status_code for answer in answers if answer is not None), None)
        if status is not None:
            remedy = REMEDIES.get(status, OTHER_REMEDY)
            raise HubError(f"Expected {place} from the Hub, got {status}; {remedy}.") from error
        if isinstance(error, LocalEntryNotFoundError):
            raise HubError(
                f"Expected {place} in the cache or from the Hub, got no connection and no cached "
                "copy; check the network, HF_ENDPOINT and HF_HUB_OFFLINE."
            ) from error
        first_line = str(error).partition("\n")[0].rstrip(".")
        fault = f"{type(error).__name__}: {first_line}".replace(token or "\0", "***")
        raise HubError(
            f"Expected {place} from the Hub, got {fault}; "
            "check the network and HF_ENDPOINT, or try again."
        ) from error


def _checked_token() -> str | None:
    """The client's token; if no HTTP header can carry it, the transport's error would quote it."""
    from huggingface_hub import get_token

    token = get_token()
    if token is not None and not (token.isascii() and token.isprintable()):
        raise HubError(
            "Expected a token of plain characters, got others in HF_TOKEN or the token's file; "
            "log in again."
        )
    return token
