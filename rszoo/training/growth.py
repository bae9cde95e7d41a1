"""Start a network from a smaller one of its family: wider, deeper, or both, the same function.

Wider: every channel is repeated, and each weight that reads one is divided among the copies, so
that the sums are what they were. The parts are unequal, drawn at random: copies of one channel
compute the same, but get different gradients, and part ways.

Deeper: a residual block whose last batch norm has weight and bias 0 is the identity, because the
input of a block is never negative. New blocks stand behind those of the small network.

Source: Chen, Goodfellow & Shlens 2016 (Net2Net); Goyal et al. 2017, section 5.1 (zero weights).
"""

import torch
from torch import Tensor, nn

from rszoo.architectures.cifar_resnet import BasicBlock, CifarResNet

SPREAD = 0.25
"""The parts of a weight are (1 +- SPREAD) / copies, about."""


def is_growth(network: nn.Module, source: nn.Module) -> bool:
    """Whether both are networks of the family that can grow, of different depth or width."""
    if not (isinstance(network, CifarResNet) and isinstance(source, CifarResNet)):
        return False
    return _size(network) != _size(source)


def grow(network: nn.Module, source: nn.Module, generator: torch.Generator) -> None:
    """Give `network` weights with which it computes what `source` does.

    A deeper network of the same width gives the same logits bit for bit, a wider one up to
    rounding, both in training and in evaluation mode.

    Args:
        network: a CifarResNet at least as deep, and as wide or a whole number of times wider; the
            convolutions of its new blocks keep their weights.
        source: the smaller one, with the same channels and classes.
        generator: draws the parts of weights, on the CPU.

    Raises:
        ValueError: the network is not a larger one of this kind.
    """
    assert isinstance(network, CifarResNet)
    assert isinstance(source, CifarResNet)
    _check(network, source)
    own, smaller = network.state_dict(), source.state_dict()
    for name, value in smaller.items():
        own[name].copy_(_widened(value, own[name].shape, generator))
    for name, block in network.named_modules():
        if isinstance(block, BasicBlock) and f"{name}.bn2.weight" not in smaller:
            nn.init.zeros_(block.bn2.weight)
            nn.init.zeros_(block.bn2.bias)


def _size(network: CifarResNet) -> tuple[int, int]:
    """Blocks per stage, and channels of the last stage."""
    return len(network.layer1), network.fc.in_features


def _check(network: CifarResNet, source: CifarResNet) -> None:
    (blocks, width), (old_blocks, old_width) = _size(network), _size(source)
    ends = [(net.conv1.in_channels, net.fc.out_features) for net in (network, source)]
    if width % old_width or blocks < old_blocks or ends[0] != ends[1]:
        raise ValueError(
            "Expected a network that is deeper or a whole number of times wider than the one it "
            f"starts from, with as many classes, got {_words(network)} from {_words(source)}; "
            "choose a larger architecture or a smaller start."
        )


def _words(network: CifarResNet) -> str:
    blocks, width = _size(network)
    return f"3 x {blocks} blocks up to {width} channels for {network.fc.out_features} classes"


def _widened(value: Tensor, shape: torch.Size, generator: torch.Generator) -> Tensor:
    """A tensor of the smaller network for one of this shape.

    Along its first dimension, the outputs, it is repeated; along the second, the inputs, its values
    are divided among the copies.
    """
    if value.ndim == 0:  # the number of batches that a batch norm has seen
        return value
    repeated = value.repeat_interleave(shape[0] // value.shape[0], 0)
    if value.ndim == 1 or (copies := shape[1] // value.shape[1]) == 1:
        return repeated
    drawn = torch.rand(*repeated.shape[:2], copies, generator=generator) * 2 - 1
    parts = (1 + SPREAD * (drawn - drawn.mean(2, keepdim=True))) / copies
    parts = parts.view(*parts.shape, *[1] * (value.ndim - 2))
    return (repeated.unsqueeze(2) * parts).flatten(1, 2)
