"""The architectures of the zoo by name, and how to build one with its normalization."""

from collections.abc import Callable, Sequence
from functools import partial
from importlib.metadata import entry_points

from torch import nn

from rszoo.architectures.cifar_resnet import CifarResNet
from rszoo.architectures.ensemble import FAMILY, ensemble_network
from rszoo.architectures.normalize import Normalize, NormalizedNetwork
from rszoo.architectures.timm import timm_network
from rszoo.architectures.torchvision import torchvision_network

ARCHITECTURES: dict[str, Callable[[int, int], nn.Module]] = {
    **{f"resnet{depth}": partial(CifarResNet, depth) for depth in (8, 20, 32, 44, 56, 110)},
    **{
        f"resnet{depth}-w{width}": partial(CifarResNet, depth, width=width)
        for depth, width in ((14, 2), (20, 2), (20, 4), (32, 2))
    },
    "resnet50": partial(torchvision_network, "resnet50"),
}
"""From (num_classes, channels) to a network that takes normalized images and returns logits.

`resnet8`, with one block per stage, is for MNIST. `resnet50` is the base classifier of Cohen et al.
2019 and their successors on ImageNet; `resnet20-w2` is ResNet-20 with twice the channels. An
installed distribution adds an architecture by an entry point in the group `rszoo.architectures`, a
program by an item here.
"""

FAMILIES: dict[str, Callable[[str, int, int], nn.Module]] = {
    FAMILY: ensemble_network,
    "timm": timm_network,
    "torchvision": torchvision_network,
}
"""From (name, num_classes, channels) to such a network, for architectures called family/name."""


def build(
    architecture: str, *, num_classes: int, mean: Sequence[float], std: Sequence[float]
) -> NormalizedNetwork:
    """A network with random weights, normalization included.

    Args:
        architecture: a key of `ARCHITECTURES`, an entry point in `rszoo.architectures`, or
            `timm/<name>` or `torchvision/<name>` for any image classifier of these, or
            `ensemble/<name>+<name>` for the mean of the logits of such networks. Those of timm
            and torchvision take options: `timm/vit_tiny_patch16_224?img_size=32&patch_size=4`.
        num_classes: number of logits.
        mean: per channel, in pixel units; its length is the number of channels.
        std: likewise.

    Raises:
        ValueError: there is no such architecture, or it takes no such options.
    """
    family, _, name = architecture.partition("/")
    if name and family in FAMILIES:
        network = FAMILIES[family](name, num_classes, len(mean))
    elif factory := ARCHITECTURES.get(architecture) or _installed(architecture):
        network = factory(num_classes, len(mean))
    else:
        known = ", ".join(ARCHITECTURES)
        raise ValueError(
            f"Unknown architecture {architecture!r}; "
            f"use one of {known}, timm/<name> or torchvision/<name>."
        )
    return NormalizedNetwork(Normalize(mean, std), network)


def _installed(name: str) -> Callable[[int, int], nn.Module] | None:
    """The architecture that another distribution adds under this name."""
    points = entry_points(group="rszoo.architectures", name=name)
    return next((point.load() for point in points), None)


__all__ = ["ARCHITECTURES", "FAMILIES", "Normalize", "NormalizedNetwork", "build"]
