"""`import_checkpoint`: turn a checkpoint into an entry."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from rszoo.architectures import ARCHITECTURES, Normalize, NormalizedNetwork
from rszoo.data.datasets import Dataset, get_dataset
from rszoo.publishing.checkpoints.normalization import (
    NORMALIZATIONS,
    candidates,
    clear_winner,
    noisy_hits,
)
from rszoo.publishing.checkpoints.reading import read_checkpoint
from rszoo.smoothing.isolation import CPU, differentiable
from rszoo.zoo.config import EntryConfig, source_without_recipe
from rszoo.zoo.entry import check_new_folder, write_new_entry
from rszoo.zoo.weights import blank, fill


@dataclass(frozen=True)
class Imported:
    """An entry made from a checkpoint.

    Attributes:
        config: its config.
        normalization: one of `NORMALIZATIONS`, or "file" if the file holds the statistics.
        accuracies: of the normalizations that were tried, on noisy test images, in [0, 1].
        checked: whether checksums in the file show that it is undamaged.
    """

    config: EntryConfig
    normalization: str
    accuracies: dict[str, float]
    checked: bool


@differentiable(CPU)
def import_checkpoint(  # noqa: PLR0913 - users write this call
    path: Path,
    out: Path,
    *,
    dataset: str,
    sigma: float,
    architecture: str | None = None,
    normalization: str = "auto",
    method: str = "imported",
    license: str = "unknown",
    device: torch.device = CPU,
) -> Imported:
    """Write the entry of a checkpoint's network into `out`; nothing in the file is executed.

    The network gives the logits of the authors' code. The entry votes in float32 with float noise,
    as that code does. If anything is wrong with the checkpoint or an argument, nothing is written.

    Args:
        path: a file of `torch.save` with a state dict.
        out: a new or empty folder.
        dataset: the data set that the network was trained on.
        sigma: standard deviation of the noise it was trained for, in pixel units [0, 1].
        architecture: a key of `ARCHITECTURES`, or the authors' name for it; by default what the
            file says.
        normalization: one of `NORMALIZATIONS`; "auto" takes the file's own, or else the clear
            winner on noisy test images.
        method: a word for the entry's name.
        license: SPDX identifier of the licence of the weights.
        device: where normalizations are tried.

    Raises:
        FileNotFoundError: there is no such file, or no test images to try normalizations on.
        ValueError: the file needs more than tensors, is damaged, or holds another network; an
            argument is out of range; or no normalization wins clearly.
    """
    _check(out, sigma, normalization)
    images, checkpoint = get_dataset(dataset), read_checkpoint(path)
    architecture = _agreed(checkpoint.architecture, architecture)
    source = source_without_recipe(
        dataset=dataset, architecture=architecture, method=method, sigma=sigma, license=license
    )
    network = _network(checkpoint.tensors, architecture, images)
    networks = {
        name: NormalizedNetwork(Normalize(layer.mean, layer.std), network)
        for name, layer in candidates(checkpoint.statistics, normalization, images).items()
    }
    hits = {}
    if len(networks) > 1:
        hits = {name: noisy_hits(net, images, sigma, device) for name, net in networks.items()}
    chosen = clear_winner(hits) if hits else next(iter(networks))
    accuracies = {name: float(right.float().mean()) for name, right in hits.items()}
    config = write_new_entry(out, networks[chosen], source)
    return Imported(config, chosen, accuracies, checkpoint.checked)


def _check(out: Path, sigma: float, normalization: str) -> None:
    check_new_folder(out)
    if not 0 < sigma < math.inf:
        raise ValueError(
            f"Expected a finite sigma above 0, got {sigma:g}; "
            "pass the one that the network was trained for."
        )
    if normalization not in ("auto", *NORMALIZATIONS):
        raise ValueError(
            f"Unknown normalization {normalization!r}; use auto, {', '.join(NORMALIZATIONS)}."
        )


def _agreed(in_file: str | None, argument: str | None) -> str:
    """The architecture, by the package's name: the authors' cifar_resnet20 is resnet20."""
    stated, wanted = (name and name.removeprefix("cifar_") for name in (in_file, argument))
    if wanted is not None and stated in ARCHITECTURES and wanted != stated:
        raise ValueError(
            f"Expected the architecture that the file names, {in_file!r}, got {argument!r}; "
            "leave --arch out."
        )
    chosen = wanted or stated
    if chosen is None:
        raise ValueError(
            "Expected an architecture, got a file that names none; "
            f"pass --arch {', '.join(ARCHITECTURES)}."
        )
    return chosen


def _network(tensors: Mapping[str, Tensor], architecture: str, dataset: Dataset) -> nn.Module:
    """The network with the file's weights: none missing, none left over, all finite."""
    network = blank(
        architecture, num_classes=dataset.num_classes, mean=dataset.mean, std=dataset.std
    )
    own = network.network.state_dict()
    missing, extra = sorted(own.keys() - tensors.keys()), sorted(tensors.keys() - own.keys())
    if missing or extra:
        raise ValueError(
            f"Expected the tensors of {architecture}, got a file without {len(missing)} of them "
            f"and with {len(extra)} others, one of them {(extra or missing)[0]!r}; "
            "correct --arch, or pass another checkpoint."
        )
    for name, tensor in own.items():
        if _form(tensor) != _form(tensors[name]):
            raise ValueError(
                f"Expected {_form(tensor)} as {name!r} of {architecture} for {dataset.name}, "
                f"got {_form(tensors[name])}; correct --dataset or --arch."
            )
        if not tensors[name].to(tensor.dtype).isfinite().all():
            raise ValueError(
                f"Expected finite weights, got inf or nan in {name!r}; pass another checkpoint."
            )
    normalization = Normalize(dataset.mean, dataset.std).state_dict(prefix="normalize.")
    fill(network, normalization | {f"network.{name}": each for name, each in tensors.items()})
    return network.network


def _form(tensor: Tensor) -> str:
    kind = "floats" if tensor.is_floating_point() else str(tensor.dtype)
    return f"{kind} of shape {tuple(tensor.shape)}"
