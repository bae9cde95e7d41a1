"""`load`: a smoothed classifier by name."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import torch

from rszoo.architectures import NormalizedNetwork
from rszoo.errors import HubError, IntegrityError, MissingWeightsError
from rszoo.recipe import recipe_names
from rszoo.smoothing.classifier import SmoothedClassifier
from rszoo.smoothing.runtime import find_device
from rszoo.zoo.config import EntryConfig
from rszoo.zoo.entry import read_entry
from rszoo.zoo.hub import fetch
from rszoo.zoo.registry import (
    FOLDER_PREFIX,
    HUB_PREFIX,
    bundled_folder,
    get_entry,
    is_path,
    list_models,
)


def load(name: str | Path, *, device: str | torch.device = "cpu") -> SmoothedClassifier:
    """A smoothed classifier whose files have passed every check: hashes, strict tensors, self-test.

    Args:
        name: a zoo entry ('rszoo list'), `hf-hub:organisation/repository[@revision]`, or a folder: `local-dir:path`, or a
            path with a separator in it, or the name of a folder that is no zoo entry's.
        device: where it votes.

    Raises:
        rszoo.errors.UnknownModelError: no entry has that name.
        rszoo.errors.MissingWeightsError: it has a recipe, but no weights yet.
        rszoo.errors.IntegrityError: a file is damaged or altered.
        rszoo.errors.HubError: the Hub cannot be reached, or has no such repository.
        FileNotFoundError: the folder is not an entry's.
        ValueError: there is no such device.
    """
    return open_entry(
        f"{FOLDER_PREFIX}{name}" if isinstance(name, Path) else name, device=device
    ).classifier


@dataclass(frozen=True)
class OpenEntry:
    """An entry that has passed every check: its folder, what the folder says of itself, the classifier."""

    folder: Path
    config: EntryConfig
    classifier: SmoothedClassifier


def open_entry(
    name: str,
    *,
    device: str | torch.device = "cpu",
    sigma: float | None = None,
    precision: str | None = None,
) -> OpenEntry:
    """The classifier of an entry with all that is known of it.

    Args:
        name, device: as for `load`.
        sigma, precision: instead of the entry's own, which make another classifier, with other certificates.

    Raises:
        ValueError, FileNotFoundError: as `load`; sigma or precision is out of range.
    """
    found = find_device(device)  # before a download
    folder, network, config = _read(name)
    classifier = SmoothedClassifier(
        network,
        sigma=config.sigma if sigma is None else sigma,
        num_classes=len(config.classes),
        input_shape=config.input_shape,
        precision=config.precision if precision is None else precision,
        noise=config.noise,
        classes=config.classes,
        resize=config.resize,
        device=found,
    )
    return OpenEntry(folder, config, classifier)


def from_pretrained(
    repo_id: str, *, revision: str | None = None, device: str | torch.device = "cpu"
) -> SmoothedClassifier:
    """`load("hf-hub:repo_id@revision")`, under the name that other libraries of the Hub give it.

    It is not that of the client's PyTorchModelHubMixin, which by default loads weights with strict=False: tensors that a file
    lacks, such as the mean and standard deviation of the normalization, keep their initial values without a word, and the
    certificates are those of another classifier. Here every check of `load` is made.

    Args:
        repo_id: `organisation/repository`.
        revision: a commit, which pins the weights, or a tag or branch; the main branch if absent.
        device: where it votes.

    Raises:
        rszoo.errors.IntegrityError, rszoo.errors.HubError, ValueError: as `load`.
    """
    return load(f"{HUB_PREFIX}{repo_id}{f'@{revision}' if revision else ''}", device=device)


def locate(name: str, *, also: Sequence[str] = (), again: bool = False) -> tuple[Path, str | None]:
    """The folder of an entry on this machine, downloaded if need be, and the SHA-256 that its config must have, if pinned.

    Args:
        name: as for `load`.
        also: further files that are downloaded if they are there.
        again: download also what is in the cache.
    """
    place = _place(name)
    folder = place.folder or fetch(place.repo_id, place.revision, also=also, again=again)
    return folder, place.pinned


class _Place(NamedTuple):
    """A folder, or a Hub repository at a revision; and the SHA-256 of the entry's config, if it is pinned."""

    folder: Path | None = None
    repo_id: str = ""
    revision: str | None = None
    pinned: str | None = None


def _place(name: str) -> _Place:
    if not isinstance(name, str):
        raise ValueError(
            f"Expected a name, got {name!r}; 'rszoo list' prints the names of the zoo, and a folder's path is one too."
        )
    if name.startswith(HUB_PREFIX):
        repo_id, _, revision = name.removeprefix(HUB_PREFIX).partition("@")
        return _Place(repo_id=repo_id, revision=revision or None)
    if _is_folder(name):
        return _Place(Path(name.removeprefix(FOLDER_PREFIX)))
    entry = get_entry(name, recipes=recipe_names())
    if bundled_folder(name).is_dir():
        return _Place(bundled_folder(name), pinned=entry.config_sha256)
    if entry.repo_id is None:
        raise MissingWeightsError(
            f"Expected weights of {name} in {bundled_folder(name)}, got none; take them from a checkout of rszoo, "
            f"or make them with 'rszoo train {name} --out DIR', for local-dir:DIR."
        )
    return _Place(repo_id=entry.repo_id, revision=entry.revision, pinned=entry.config_sha256)


def _is_folder(name: str) -> bool:
    """Whether that names a folder; a zoo entry, which is pinned, comes before a folder of its name."""
    return is_path(name) or (name not in list_models() and Path(name).is_dir())


def _read(name: str) -> tuple[Path, NormalizedNetwork, EntryConfig]:
    """The entry after every check; a download that fails one is fetched once more, for it may have been damaged on the way."""
    folder, pinned = locate(name)
    try:
        return folder, *read_entry(folder, expected_sha256=pinned)
    except IntegrityError:
        if _place(name).folder is not None:
            raise
        with suppress(HubError):  # no connection: the first error says what is wrong
            folder, pinned = locate(name, again=True)
            return folder, *read_entry(folder, expected_sha256=pinned)
        raise
