"""`load`: a smoothed classifier by name."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import torch

from rszoo.architectures import NormalizedNetwork
from rszoo.errors import HubError, IntegrityError, MissingWeightsError
from rszoo.smoothing.classifier import SmoothedClassifier
from rszoo.smoothing.runtime import find_device
from rszoo.zoo.config import EntryConfig
from rszoo.zoo.entry import read_entry
from rszoo.zoo.hub import check_name, fetch
from rszoo.zoo.registry import (
    FOLDER_PREFIX,
    HUB_PREFIX,
    bundled_folder,
    get_entry,
    is_path,
    list_models,
)


class LoadedClassifier(SmoothedClassifier):
    """The smoothed classifier of an entry; made by `load`.

    Attributes:
        name: of the entry, as its config states it.
        config: all that the entry says of itself.
    """

    name: str
    config: EntryConfig

    def _setting(self) -> dict[str, str]:
        """As above; where it is not the entry's, the entry's own follows."""
        return {
            key: text
            if (own := getattr(self.config, key)) == getattr(self, key)
            else f"{text} (entry: {own})"
            for key, text in super()._setting().items()
        }


def load(
    name: str | Path,
    *,
    device: str | torch.device = "cpu",
    sigma: float | None = None,
    precision: str | None = None,
    noise: str | None = None,
) -> LoadedClassifier:
    """A smoothed classifier whose files passed every check: hashes, strict tensors, self-test.

    With a `sigma`, `precision` or `noise` of your own it is another classifier than the entry's:
    the entry's evidence, such as certified accuracies, is not about it. Its certificates state all
    three, and its `repr` says which differ.

    Args:
        name: a zoo entry ('rszoo list'), `hf-hub:organisation/repository[@revision]`, or a folder:
            `local-dir:path`, a path with a separator in it, or the name of a folder that is not
            also a zoo entry's.
        device: where it votes.
        sigma: standard deviation of the noise, in pixel units; by default that of the entry, which
            the network was trained for.
        precision, noise: as for `SmoothedClassifier`; by default those of the entry.

    Raises:
        rszoo.UnknownModelError: no entry has this name.
        rszoo.MissingWeightsError: the entry has a recipe, but no weights yet.
        rszoo.IntegrityError: a file is damaged or altered.
        rszoo.HubError: the Hub cannot be reached, or has no such repository.
        FileNotFoundError: the folder is not an entry's.
        ValueError: there is no such device, or sigma, precision or noise is out of range.
    """
    return open_entry(
        f"{FOLDER_PREFIX}{name}" if isinstance(name, Path) else name,
        device=device,
        sigma=sigma,
        precision=precision,
        noise=noise,
    ).classifier


@dataclass(frozen=True)
class OpenEntry:
    """An entry that passed every check: its folder, its config, its classifier."""

    folder: Path
    config: EntryConfig
    classifier: LoadedClassifier


def open_entry(
    name: str,
    *,
    device: str | torch.device = "cpu",
    sigma: float | None = None,
    precision: str | None = None,
    noise: str | None = None,
) -> OpenEntry:
    """The classifier of an entry, with its folder and config.

    Arguments and errors are those of `load`.
    """
    where = find_device(device)  # before a download
    entry = fetched(name)
    config = entry.config
    classifier = LoadedClassifier(
        entry.network,
        sigma=config.sigma if sigma is None else sigma,
        num_classes=len(config.classes),
        input_shape=config.input_shape,
        precision=config.precision if precision is None else precision,
        noise=config.noise if noise is None else noise,
        classes=config.classes,
        resize=config.resize,
        device=where,
    )
    classifier.name, classifier.config = config.name, config
    return OpenEntry(entry.folder, config, classifier)


class Fetched(NamedTuple):
    """An entry that passed every check: its folder, its base network, its config."""

    folder: Path
    network: NormalizedNetwork
    config: EntryConfig


def fetched(name: str) -> Fetched:
    """An entry after every check; a download that fails one may be damaged and is made again.

    Arguments and errors are those of `load`.
    """
    place = _place(name)
    folder = place.fetched()
    try:
        return Fetched(folder, *read_entry(folder, expected_sha256=place.pinned))
    except IntegrityError:
        if place.folder is None:
            with suppress(HubError):  # no connection: the first error says what is wrong
                folder = place.fetched(again=True)
                return Fetched(folder, *read_entry(folder, expected_sha256=place.pinned))
        raise


def from_pretrained(
    repo_id: str, *, revision: str | None = None, device: str | torch.device = "cpu"
) -> LoadedClassifier:
    """`load("hf-hub:repo_id@revision")`, by the name that other libraries of the Hub use.

    This is not the method of the Hub client's PyTorchModelHubMixin. That one loads weights with
    strict=False by default: tensors that a file lacks, such as the mean and standard deviation of
    the normalization, silently keep their initial values, and certificates are those of another
    classifier. This function makes every check of `load`.

    Args:
        repo_id: `organisation/repository`.
        revision: a commit, which pins the weights, or a tag or branch; by default the main branch.
        device: where it votes.

    Raises:
        rszoo.IntegrityError, rszoo.HubError, ValueError: as `load`.
    """
    return load(f"{HUB_PREFIX}{repo_id}{f'@{revision}' if revision else ''}", device=device)


def locate(name: str, *, also: Sequence[str] = ()) -> tuple[Path, str | None]:
    """The folder of an entry, downloaded if need be, and the SHA-256 of its config, if pinned.

    Args:
        name: as for `load`.
        also: further files to download if the repository has them.
    """
    place = _place(name)
    return place.fetched(also=also), place.pinned


def is_local(name: str) -> bool:
    """Whether a name for `load` is a folder of the user's, not of the zoo or the Hub."""
    place = _place(name)
    return place.folder is not None and place.pinned is None


class _Place(NamedTuple):
    """A folder, or else a Hub repository; and the SHA-256 of the entry's config, if pinned."""

    folder: Path | None = None
    repo_id: str = ""
    revision: str | None = None
    pinned: str | None = None

    def fetched(self, *, also: Sequence[str] = (), again: bool = False) -> Path:
        return self.folder or fetch(self.repo_id, self.revision, also=also, again=again)


def _place(name: str) -> _Place:
    if not isinstance(name, str):
        raise ValueError(
            f"Expected a name, got {name!r}; 'rszoo list' prints the names of the zoo, "
            "and the path of a folder is one too."
        )
    if name.startswith(HUB_PREFIX):
        repo_id, _, revision = name.removeprefix(HUB_PREFIX).partition("@")
        check_name(repo_id)
        return _Place(repo_id=repo_id, revision=revision or None)
    # a zoo entry, which is pinned, comes before a folder of the same name
    if is_path(name) or (name not in list_models() and Path(name).is_dir()):
        return _Place(Path(name.removeprefix(FOLDER_PREFIX)))
    entry, folder = get_entry(name), bundled_folder(name)
    if folder.is_dir():
        return _Place(folder, pinned=entry.config_sha256)
    if entry.repo_id is None:
        raise MissingWeightsError(
            f"Expected weights of {name} in {folder}, got none; take them from a checkout of "
            f"rszoo, or make them with 'rszoo train {name} --out DIR', for local-dir:DIR."
        )
    return _Place(repo_id=entry.repo_id, revision=entry.revision, pinned=entry.config_sha256)
