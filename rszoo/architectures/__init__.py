"""The architectures of the zoo by name, and how to build one with its normalization."""

from collections.abc import Callable, Sequence
from functools import partial
from importlib.metadata import entry_points

from torch import nn

from rszoo.architectures.cifar_resnet import CifarResNet
from rszoo.architectures.imagenet_resnet import resnet50
from rszoo.architectures.normalize import Normalize, NormalizedNetwork
from rszoo.architectures.timm import timm_network
from rszoo.architectures.torchvision import torchvision_network

ARCHITECTURES: dict[str, Callable[[int, int], nn.Module]] = {
    **{f"resnet{depth}": partial(CifarResNet, depth) for depth in (20, 32, 44, 56, 110)},
    "resnet50": resnet50,
}
"""(num_classes, channels) to a network that takes normalized images and returns logits.

An installed distribution adds one of its own by an entry point of that name in the group `rszoo.architectures`, a program by an
item here.
"""

FAMILIES: dict[str, Callable[[str, int, int], nn.Module]] = {
    "timm": timm_network,
    "torchvision": torchvision_network,
}
"""(name, num_classes, channels) likewise, for the architectures that are called family/name."""


def build(
    architecture: str, *, num_classes: int, mean: Sequence[float], std: Sequence[float]
) -> NormalizedNetwork:
    """A network with random weights, normalization included.

    Args:
        architecture: a key of `ARCHITECTURES`, an entry point in `rszoo.architectures`, or `timm/<name>` or
            `torchvision/<name>` for any image classifier of these.
        num_classes: the number of logits.
        mean: per channel, in pixel units; its length is the number of channels.
        std: likewise.

    Raises:
        ValueError: there is no such architecture.
    """
    family, _, name = architecture.partition("/")
    if name and family in FAMILIES:
        network = FAMILIES[family](name, num_classes, len(mean))
    elif make := ARCHITECTURES.get(architecture) or _installed(architecture):
        network = make(num_classes, len(mean))
    else:
        known = ", ".join(ARCHITECTURES)
        raise ValueError(
            f"Unknown architecture {architecture!r}; use one of {known}, timm/<name> or torchvision/<name>."
        )
    return NormalizedNetwork(Normalize(mean, std), network)


def _installed(name: str) -> Callable[[int, int], nn.Module] | None:
    """The architecture that another distribution adds under this name."""
    found = next(iter(entry_points(group="rszoo.architectures", name=name)), None)
    made: Callable[[int, int], nn.Module] | None = found.load() if found else None
    return made


__all__ = ["ARCHITECTURES", "FAMILIES", "Normalize", "NormalizedNetwork", "build"]
