"""Networks without weights, and the tensors of a file as their weights.

Neither depends on the caller's settings of torch, changes one, or draws one of its random numbers.
"""

import copy
from collections.abc import Iterator, Mapping, Sequence
from functools import partial

import torch
from torch import Tensor

from rszoo.architectures import NormalizedNetwork, build
from rszoo.smoothing.isolation import CPU, PlainDevice, differentiable, seeded


@differentiable(CPU)
def blank(
    architecture: str, *, num_classes: int, mean: Sequence[float], std: Sequence[float]
) -> NormalizedNetwork:
    """The network of an architecture in float32 and evaluation mode, for `fill` to give weights to.

    Its tensors have no values, unless some of them could not be filled from its state dict.
    Arguments and errors are those of `build`.
    """
    make = partial(build, architecture, num_classes=num_classes, mean=mean, std=std)
    try:
        with PlainDevice("meta"):
            network = make().float()
        if _can_be_filled(network):
            return network.eval()
    except Exception:  # it computes with its tensors, or fails below as well
        pass
    with seeded(0):
        return make().float().eval()


@differentiable(CPU)
def fill(network: NormalizedNetwork, tensors: Mapping[str, Tensor]) -> None:
    """Give the network copies of these tensors, one for each of its own, by name."""
    own = network.state_dict()
    copies = {name: tensor.to(own[name].dtype, copy=True) for name, tensor in tensors.items()}
    network.load_state_dict(copies, strict=True, assign=True)


@differentiable(CPU)
def rounded(network: NormalizedNetwork) -> NormalizedNetwork:
    """A copy whose parameters of two or more dimensions are rounded to bfloat16.

    For a classifier that votes in bfloat16, which would round them too, but after batch norm is
    folded in: so this is another network, and evidence must be made from it.
    """
    copied = copy.deepcopy(network)
    for parameter in copied.parameters():
        if parameter.ndim > 1:
            parameter.data = parameter.data.bfloat16().to(parameter.dtype)
    return copied


def compact(network: NormalizedNetwork) -> dict[str, Tensor]:
    """The state dict, with convolutions and matrices in bfloat16 where that holds them exactly."""
    halves = {
        name: tensor.bfloat16()
        for name, tensor in network.named_parameters()
        if tensor.ndim > 1 and torch.equal(tensor.bfloat16().to(tensor.dtype), tensor)
    }
    return {name: tensor.contiguous() for name, tensor in (network.state_dict() | halves).items()}


def first_difference(one: Mapping[str, Tensor], other: Mapping[str, Tensor]) -> str | None:
    """The first tensor that only one of two state dicts has, or whose shapes differ."""
    keys = sorted(one.keys() ^ other.keys()) or [
        key for key in one if one[key].shape != other[key].shape
    ]
    return keys[0] if keys else None


def _can_be_filled(network: NormalizedNetwork) -> bool:
    """Whether all tensors without values are in the state dict."""
    named = {id(tensor): tensor for tensor in network.state_dict(keep_vars=True).values()}
    held = (tensor for module in network.modules() for tensor in _tensors(vars(module)))
    return all(named.get(id(tensor)) is tensor for tensor in held if tensor.is_meta)


def _tensors(value: object) -> Iterator[Tensor]:
    """The tensors in an attribute, or in the lists and dicts in it."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, Mapping | list | tuple | set):
        for part in value.values() if isinstance(value, Mapping) else value:
            yield from _tensors(part)
