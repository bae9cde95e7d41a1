"""Bytes from the Hugging Face Hub, by its own client: cache, offline mode, endpoint and tokens are the client's."""

from pathlib import Path

FILES = ("config.json", "model.safetensors")


class HubError(OSError):
    """The files of an entry could not be had from the Hub."""


def fetch(repo_id: str, revision: str | None) -> Path:
    """The folder in the client's cache that holds the files of a Hub repository at a revision.

    Honours `HF_HOME`, `HF_ENDPOINT`, `HF_HUB_OFFLINE`, `HF_TOKEN`. Files that are in the cache are not fetched again.

    Args:
        repo_id: `organisation/repository`.
        revision: a commit, tag or branch; None for the main branch.

    Raises:
        HubError: no such repository, revision or file, no permission, no connection, or offline with an empty cache.
    """
    from huggingface_hub import hf_hub_download  # slow to import, and most entries are bundled
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    place = f"{repo_id}@{revision}" if revision else repo_id
    try:
        paths = [Path(hf_hub_download(repo_id, name, revision=revision)) for name in FILES]
    except HFValidationError as error:
        raise HubError(f"Expected hf-hub:organisation/repository[@revision], got {place!r}; correct the name.") from error
    except LocalEntryNotFoundError as error:
        raise HubError(
            f"Expected {place} in the cache or from the Hub, got no connection and no cached copy; "
            "check the network, HF_ENDPOINT and HF_HUB_OFFLINE."
        ) from error
    except HfHubHTTPError as error:
        status = getattr(error.response, "status_code", "no status")
        raise HubError(f"Expected {place} from the Hub, got {status}; check the name, the revision and HF_TOKEN.") from error
    except OSError as error:
        raise HubError(f"Expected {place} from the Hub, got {type(error).__name__}: {error}; try again.") from error
    return paths[0].parent
