"""Start a network from a smaller one of its family: wider, deeper, or both, the same function.

Wider: every channel is repeated, and each weight that reads one is divided among the copies, so that
the sums are what they were. The parts are unequal, drawn at random: copies of one channel compute
the same, but get different gradients, and part ways.

Deeper: a residual block whose last batch norm has weight and bias 0 is the identity, because the
input of a block is never negative. New blocks stand behind those of the small network.

Source: Chen, Goodfellow & Shlens 2016 (Net2Net); Goyal et al. 2017, section 5.1 (zero weights).
"""

import torch
from torch import Tensor, nn

from rszoo.architectures.cifar_resnet import BasicBlock, CifarResNet

SPREAD = 0.25  # parts of a weight are (1 +- SPREAD) / copies


def grow(network: CifarResNet, source: CifarResNet, generator: torch.Generator) -> None:
    """Give `network` weights with which it computes what `source` does, up to rounding.

    Args:
        network: at least as deep, and as wide or a whole number of times wider.
        source: the smaller network, with the same channels and classes.
        generator: draws the parts of weights; new blocks keep the weights they have.

    Raises:
        ValueError: the network is not a larger one of this kind.
    """
    copies = _copies(network, source)
    _copy_conv(network.conv1, source.conv1, 1, copies, generator)
    _copy_norm(network.bn1, source.bn1, copies)
    for name in ("layer1", "layer2", "layer3"):
        blocks, old = list(getattr(network, name)), list(getattr(source, name))
        for number, block in enumerate(blocks):
            if number < len(old):
                _copy_block(block, old[number], copies, generator)
            else:
                nn.init.zeros_(block.bn2.weight)
                nn.init.zeros_(block.bn2.bias)
    with torch.no_grad():
        network.fc.weight.copy_(_divided(source.fc.weight, copies, generator))
        network.fc.bias.copy_(source.fc.bias)


def _copies(network: CifarResNet, source: CifarResNet) -> int:
    """How many channels of the network stand for one of the source."""
    width, old = network.fc.in_features, source.fc.in_features
    blocks = [len(getattr(each, "layer1")) for each in (network, source)]
    same = network.conv1.in_channels == source.conv1.in_channels
    same &= network.fc.out_features == source.fc.out_features
    if width % old or blocks[0] < blocks[1] or not same:
        raise ValueError(
            f"Expected a network that is deeper or a whole number of times wider than the one it "
            f"starts from, got {blocks[0]} blocks of {width} channels from {blocks[1]} of {old}; "
            "choose a larger architecture with the same classes."
        )
    return width // old


def _copy_block(
    block: BasicBlock, old: BasicBlock, copies: int, generator: torch.Generator
) -> None:
    _copy_conv(block.conv1, old.conv1, copies, copies, generator)
    _copy_norm(block.bn1, old.bn1, copies)
    _copy_conv(block.conv2, old.conv2, copies, copies, generator)
    _copy_norm(block.bn2, old.bn2, copies)
    if isinstance(block.downsample, nn.Sequential) and isinstance(old.downsample, nn.Sequential):
        shortcut, norm = block.downsample
        old_shortcut, old_norm = old.downsample
        assert isinstance(shortcut, nn.Conv2d) and isinstance(old_shortcut, nn.Conv2d)
        assert isinstance(norm, nn.BatchNorm2d) and isinstance(old_norm, nn.BatchNorm2d)
        _copy_conv(shortcut, old_shortcut, copies, copies, generator)
        _copy_norm(norm, old_norm, copies)


def _copy_conv(
    conv: nn.Conv2d, old: nn.Conv2d, inputs: int, outputs: int, generator: torch.Generator
) -> None:
    """Repeat the output channels; divide the weights among the copies of each input channel."""
    with torch.no_grad():
        repeated = old.weight.repeat_interleave(outputs, 0)
        conv.weight.copy_(_divided(repeated, inputs, generator))


def _divided(weight: Tensor, copies: int, generator: torch.Generator) -> Tensor:
    """Weights (out, in, ...) to (out, in * copies, ...): random parts that add up to the weight."""
    parts = torch.ones(*weight.shape[:2], copies)
    if copies > 1:
        drawn = torch.rand(parts.shape, generator=generator) * 2 - 1
        parts += SPREAD * (drawn - drawn.mean(2, keepdim=True))
    parts = (parts / copies).view(*parts.shape, *[1] * (weight.ndim - 2))
    return (weight.unsqueeze(2) * parts).flatten(1, 2)


def _copy_norm(norm: nn.BatchNorm2d, old: nn.BatchNorm2d, copies: int) -> None:
    for name, value in old.state_dict().items():
        repeated = value.repeat_interleave(copies, 0) if value.ndim else value
        norm.state_dict()[name].copy_(repeated)
