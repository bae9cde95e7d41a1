"""The registry: which entries have weights, where they are, and the hash that pins them.

`entries/registry.json` is written by machine. It pins the SHA-256 of an entry's config, which holds
that of the weights.
"""

import os
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path

import msgspec

from rszoo.errors import MissingWeightsError, UnknownModelError, guess
from rszoo.files import replace_content
from rszoo.recipe import recipe_names

PACKAGE = Path(__file__).parents[1]
HUB_PREFIX = "hf-hub:"
FOLDER_PREFIX = "local-dir:"


class Entry(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Where an entry is and what pins it.

    Attributes:
        config_sha256: SHA-256 of its config.
        repo_id, revision: Hub repository and commit; None if the entry is only bundled.
    """

    config_sha256: str
    repo_id: str | None = None
    revision: str | None = None


def _registry() -> Path:
    return PACKAGE / "entries" / "registry.json"


@cache
def _entries() -> dict[str, Entry]:
    return msgspec.json.decode(_registry().read_bytes(), type=dict[str, Entry])


def in_checkout() -> bool:
    """Whether this package is part of a checkout, with the recipes beside it."""
    return (PACKAGE.parent / "training_recipes").is_dir()


def bundled_folder(name: str) -> Path:
    """The folder of an entry on this machine: staged in the checkout, or else in the package."""
    staged = staged_folder(name)
    return staged if staged.is_dir() else packaged_folder(name)


def packaged_folder(name: str) -> Path:
    """Where the package keeps a small entry, whether or not it is there."""
    return PACKAGE / "entries" / name


def staged_folder(name: str) -> Path:
    """Where a checkout keeps a larger entry as a complete Hub repository, if at all."""
    return PACKAGE.parent / "hub" / name


def list_models(pattern: str = "*") -> list[str]:
    """Names of the entries with weights that match a pattern like 'cifar10-*-s0.25', sorted."""
    return sorted(name for name in _entries() if fnmatchcase(name, pattern))


def get_entry(name: str) -> Entry:
    """The entry of this name.

    Raises:
        MissingWeightsError: there is a recipe of this name, but no weights.
        UnknownModelError: there is neither; the error names the nearest.
    """
    entries = _entries()
    if name in entries:
        return entries[name]
    recipes = recipe_names()
    if name in recipes:
        raise MissingWeightsError(
            f"Expected weights of {name}, got only its recipe; 'rszoo train {name} --out DIR' "
            "makes them, for local-dir:DIR."
        )
    meant = guess(name, entries.keys() | set(recipes))
    raise UnknownModelError(f"Unknown model {name!r}; {meant}'rszoo list --all' prints all names.")


def pin(name: str, entry: Entry) -> None:
    """Write an entry into the registry; the file is replaced in one step."""
    entries = dict(sorted({**_entries(), name: entry}.items()))
    replace_content(
        _registry(), msgspec.json.format(msgspec.json.encode(entries), indent=2) + b"\n"
    )
    _entries.cache_clear()


def is_path(name: str) -> bool:
    """Whether a name for `rszoo.load` has the form of a path, whatever is there."""
    return name.startswith(FOLDER_PREFIX) or (
        not name.startswith(HUB_PREFIX) and (os.sep in name or "/" in name)
    )
