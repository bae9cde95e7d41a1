"""`load`: a smoothed classifier by name."""

from pathlib import Path

import torch

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
    found = find_device(device)  # before a download
    folder, pinned = locate(name)
    network, config = read_entry(folder, expected_sha256=pinned)
    return SmoothedClassifier(
        network,
        sigma=config.sigma,
        num_classes=len(config.classes),
        input_shape=config.input_shape,
        precision=config.precision,
        noise=config.noise,
        classes=config.classes,
        resize=config.resize,
        device=found,
    )


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
