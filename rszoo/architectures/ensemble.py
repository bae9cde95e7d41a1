"""Ensembles: the mean of the logits of several networks, each with its own normalization.

`ensemble/2xresnet20+resnet110` is two networks `resnet20` and one `resnet110`. Their mean varies
less under noise than each of them does, so that more votes agree and radii are larger.

Source: Horváth et al. 2022 (arXiv 2106.06946), soft ensembles. Differs from it in: all members vote
on every sample (no K-consensus).
"""

import re
from collections.abc import Sequence
from itertools import groupby

import torch
from torch import Tensor, nn

from rszoo.architectures.normalize import NormalizedNetwork

FAMILY = "ensemble"


class Ensemble(nn.Module):
    """The mean of the members' logits, in float32 whatever the members compute in."""

    def __init__(self, members: Sequence[NormalizedNetwork]) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)

    @property
    def networks(self) -> list[NormalizedNetwork]:
        """The members, in order."""
        return [member for member in self.members if isinstance(member, NormalizedNetwork)]

    def forward(self, x: Tensor) -> Tensor:
        """Images (B, C, H, W) in pixel units, noise included, to logits (B, num_classes)."""
        # one after the other: a sum over a stack may be rounded by an image's place in its batch
        first, *rest = (_logits(member, x) for member in self.networks)
        total: Tensor = sum(rest, start=first)
        return total / len(self.networks)


def _logits(member: NormalizedNetwork, x: Tensor) -> Tensor:
    """Logits of a member, which normalizes before it rounds to its network's precision."""
    x = member.normalize(x)
    weight = next(member.network.parameters(), x)
    logits: Tensor = member.network(x.bfloat16() if weight.dtype == torch.bfloat16 else x)
    return logits.float() if logits.dtype == torch.bfloat16 else logits


def ensemble_network(name: str, num_classes: int, channels: int) -> Ensemble:
    """An ensemble of at least two networks, none of them an ensemble.

    Args:
        name: architectures joined by "+"; `3xresnet20` stands for three of them.
        num_classes: number of logits.
        channels: of the images.

    Raises:
        ValueError: the name is not of this form, or a member's architecture is unknown.
    """
    from rszoo.architectures import build  # which knows this family

    members = [member for part in name.split("+") for member in _repeated(part)]
    if len(members) < 2 or any(member.startswith(f"{FAMILY}/") for member in members):
        raise ValueError(
            f"Expected two or more networks in an ensemble, got {FAMILY}/{name}; write for "
            f"instance {FAMILY}/resnet20+resnet110 or {FAMILY}/3xresnet20."
        )
    mean, std = [0.0] * channels, [1.0] * channels
    return Ensemble(
        [build(member, num_classes=num_classes, mean=mean, std=std) for member in members]
    )


def ensemble_architecture(members: Sequence[str]) -> str:
    """The name of the ensemble of these architectures, in this order."""
    groups = [(name, len(list(group))) for name, group in groupby(members)]
    return f"{FAMILY}/" + "+".join(
        f"{count}x{name}" if count > 1 else name for name, count in groups
    )


def _repeated(part: str) -> list[str]:
    many = re.fullmatch(r"(\d+)x(.+)", part)
    return [many[2]] * int(many[1]) if many else [part]
