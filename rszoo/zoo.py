"""`load`: a smoothed classifier by name."""

from dataclasses import dataclass
from pathlib import Path

import torch

from rszoo.config import EntryConfig
from rszoo.entry import read_entry
from rszoo.hub import fetch
from rszoo.inference import find_device
from rszoo.recipe import recipe_names
from rszoo.registry import MissingWeightsError, bundled_folder, get_entry
from rszoo.smoothing import SmoothedClassifier

HUB_PREFIX = "hf-hub:"
FOLDER_PREFIX = "local-dir:"


def load(name: str, *, device: str | torch.device = "cpu") -> SmoothedClassifier:
    """A smoothed classifier whose files have passed every check: hashes, strict tensors, self-test.

    Args:
        name: a zoo entry ('rszoo list'), `hf-hub:organisation/repository[@revision]`, or `local-dir:path`.
        device: where it votes.

    Raises:
        rszoo.registry.UnknownModelError: no entry has that name.
        rszoo.registry.MissingWeightsError: it has a recipe, but no weights yet.
        rszoo.config.IntegrityError: a file is damaged or altered.
        rszoo.hub.HubError: the Hub cannot be reached, or has no such repository.
        FileNotFoundError: the folder is not an entry's.
        ValueError: there is no such device.
    """
    return open_entry(name, device=device).classifier


@dataclass(frozen=True)
class OpenEntry:
    """An entry that has passed every check: its folder, what the folder says of itself, the classifier."""

    folder: Path
    config: EntryConfig
    classifier: SmoothedClassifier


def open_entry(
    name: str, *, device: str | torch.device = "cpu", sigma: float | None = None, precision: str | None = None
) -> OpenEntry:
    """The classifier of an entry with all that is known of it.

    Args:
        name, device: as for `load`.
        sigma, precision: instead of the entry's own, which make another classifier, with other certificates.

    Raises:
        ValueError, FileNotFoundError: as `load`; sigma or precision is out of range.
    """
    found = find_device(device)  # before a download
    folder, pinned = locate(name)
    network, config = read_entry(folder, expected_sha256=pinned)
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


def locate(name: str) -> tuple[Path, str | None]:
    """The folder of an entry on this machine, downloaded if need be, and the SHA-256 that its config must have, if pinned."""
    if name.startswith(FOLDER_PREFIX):
        return Path(name.removeprefix(FOLDER_PREFIX)), None
    if name.startswith(HUB_PREFIX):
        repo_id, _, revision = name.removeprefix(HUB_PREFIX).partition("@")
        return fetch(repo_id, revision or None), None
    entry = get_entry(name, recipes=recipe_names())
    if bundled_folder(name).is_dir():
        return bundled_folder(name), entry.config_sha256
    if entry.repo_id is None:
        raise MissingWeightsError(
            f"Expected weights of {name} in {bundled_folder(name)}, got none; install rszoo again, or 'rszoo train {name}'."
        )
    return fetch(entry.repo_id, entry.revision), entry.config_sha256
