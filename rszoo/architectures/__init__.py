"""The architectures of the zoo by name, and how to build one with its normalization."""

from collections.abc import Callable, Sequence
from functools import partial

from torch import nn

from rszoo.architectures.cifar_resnet import CifarResNet
from rszoo.architectures.imagenet_resnet import resnet50
from rszoo.architectures.normalize import Normalize, NormalizedNetwork
from rszoo.architectures.timm import timm_network

ARCHITECTURES: dict[str, Callable[[int, int], nn.Module]] = {
    **{f"resnet{depth}": partial(CifarResNet, depth) for depth in (20, 32, 44, 56, 110)},
    "resnet50": resnet50,
}
"""(num_classes, channels) to a network that takes normalized images and returns logits."""

TIMM_PREFIX = "timm/"


def build(architecture: str, *, num_classes: int, mean: Sequence[float], std: Sequence[float]) -> NormalizedNetwork:
    """A network with random weights, normalization included.

    Args:
        architecture: a key of `ARCHITECTURES`, or `timm/<name>` for any model of timm.
        num_classes: the number of logits.
        mean: per channel, in pixel units; its length is the number of channels.
        std: likewise.

    Raises:
        ValueError: there is no such architecture.
    """
    if architecture.startswith(TIMM_PREFIX):
        network = timm_network(architecture.removeprefix(TIMM_PREFIX), num_classes, len(mean))
    elif architecture in ARCHITECTURES:
        network = ARCHITECTURES[architecture](num_classes, len(mean))
    else:
        known = ", ".join(ARCHITECTURES)
        raise ValueError(f"Unknown architecture {architecture!r}; use one of {known}, or timm/<name>.")
    return NormalizedNetwork(Normalize(mean, std), network)


__all__ = ["ARCHITECTURES", "Normalize", "NormalizedNetwork", "build"]
