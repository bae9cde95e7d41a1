"""The form of a base classifier that votes: evaluation mode, batch norm folded, channels_last, in
its precision.

The form is part of the classifier's identity, because rounding decides votes. It is made on the
CPU, so that its weights are the same on every device, and on one device it rounds alike at every
call.
"""

import copy
import math
from collections import Counter
from functools import cached_property, partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from rszoo.architectures import NormalizedNetwork
from rszoo.smoothing.precision import CPU, bfloat16_products, isolated, seeded

PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16}
FOLDING_TOLERANCE = 1e-3
FOLDED: dict[type, type] = {
    nn.Conv1d: nn.BatchNorm1d,
    nn.Conv2d: nn.BatchNorm2d,
    nn.Conv3d: nn.BatchNorm3d,
}


class VotingForm(nn.Module):
    """A frozen copy of a base classifier that maps images (B, C, H, W) in pixel units to votes.

    Votes are int64 (B,); -1 where the largest logit is NaN or infinite, so that there is no class
    to vote for. Normalization runs in float32, the network in `precision`, whatever settings of
    torch the caller has made (`rszoo.smoothing.precision.isolated`).

    Args:
        base: images to logits; a `NormalizedNetwork`, or any module that takes pixels.
        precision: a key of `PRECISIONS`.
        shape: (C, H, W) of the images.
        device: where it votes.

    Raises:
        ValueError: an unknown precision, or base is not a module, or one in TorchScript.
    """

    def __init__(
        self, base: nn.Module, precision: str, shape: tuple[int, int, int], device: torch.device
    ) -> None:
        super().__init__()
        if precision not in PRECISIONS:
            raise ValueError(
                f"Expected precision 'float32' or 'bfloat16', got {precision!r}; choose one."
            )
        if not isinstance(base, nn.Module):
            kind = type(base).__name__
            raise ValueError(f"Expected a torch module, got {kind}; wrap it in an nn.Module.")
        if any(isinstance(module, torch.jit.ScriptModule) for module in base.modules()):
            raise ValueError(
                "Expected a module of Python code, got one in TorchScript; "
                "pass the module that it was made of."
            )
        self.dtype = PRECISIONS[precision]
        with isolated(CPU), torch.inference_mode(False), seeded(0):
            base = copy.deepcopy(base).eval().cpu().requires_grad_(False)
            network: nn.Module = base
            self.normalize: nn.Module = nn.Identity()
            if isinstance(base, NormalizedNetwork):
                network, self.normalize = base.network, base.normalize
            probe = self.normalize(torch.linspace(0, 1, 2 * math.prod(shape)).view(2, *shape))
            network = _folded(network, probe).to(device, self.dtype)
            self.network = network.to(memory_format=torch.channels_last)
        self.normalize.to(device)
        self.requires_grad_(False)
        self.shape, self.device = shape, device

    @cached_property
    def sample_bytes(self) -> int:
        """Memory that the activations of one sample take, all layers together."""
        sizes: list[int] = []

        def record(module: nn.Module, inputs: object, output: object) -> None:
            sizes.append(output.nbytes if isinstance(output, Tensor) else 0)

        handles = [module.register_forward_hook(record) for module in self.modules()]
        with torch.inference_mode():
            self.logits(torch.zeros(2, *self.shape, device=self.device))
        for handle in handles:
            handle.remove()
        return max(1, sum(sizes) // 2)

    def logits(self, x: Tensor) -> Tensor:
        """Logits (B, classes) in the form's precision."""
        with isolated(x.device), bfloat16_products(x.device):
            x = self.normalize(x).to(self.dtype, memory_format=torch.channels_last)
            logits: Tensor = self.network(x)
        if not isinstance(logits, Tensor):
            kind = type(logits).__name__
            raise ValueError(
                f"Expected a network that returns logits, got one that returns {kind}; "
                "wrap it in one that does."
            )
        return logits

    def forward(self, x: Tensor) -> Tensor:
        """Votes: the class with the largest logit, the first of equals."""
        if len(x) == 1:  # torch rounds matrix products of one row differently
            return self.forward(x.expand(2, -1, -1, -1))[:1]
        logits = self.logits(x)
        return logits.argmax(1).where(logits.amax(1).isfinite(), -1)


class AttackedForm(nn.Module):
    """The network of a `VotingForm` for attacks: float32 logits, differentiable in the image only.

    The weights are those that vote, folded and rounded to the form's precision. Only the arithmetic
    is float32, so that a form that votes in bfloat16 is attacked without rounding its activations.
    """

    def __init__(self, form: VotingForm) -> None:
        super().__init__()
        with torch.inference_mode(False):
            self.form = form if form.dtype == torch.float32 else copy.deepcopy(form).float()
        self.form.dtype = torch.float32

    def forward(self, x: Tensor) -> Tensor:
        """Images (B, C, H, W) in pixel units to logits (B, classes)."""
        return self.form.logits(x)


def _folded(network: nn.Module, probe: Tensor) -> nn.Module:
    """The network with batch norm folded in, or the network itself where folding changes it."""
    try:
        expected, pairs = _followed(network, probe)
        folded = copy.deepcopy(network)
        for conv, norm in pairs:
            parts: Any = folded.get_submodule(conv), folded.get_submodule(norm)
            _replace(folded, conv, fuse_conv_bn_eval(*parts))
            _replace(folded, norm, nn.Identity())
        scale = FOLDING_TOLERANCE * float(expected.abs().max())
        same = torch.allclose(folded(probe), expected, rtol=FOLDING_TOLERANCE, atol=scale)
    except Exception:  # the user's code may fail in any way; folding saves time only
        return network
    return folded if same else network


def _followed(network: nn.Module, probe: Tensor) -> tuple[Tensor, list[tuple[str, str]]]:
    """What the network makes of the probe, and which batch norm takes the output of which conv.

    It is watched by hooks: tracing would replace the call of every module in the process, those of
    other threads too.
    """
    outputs: dict[int, tuple[str, Tensor]] = {}  # by identity, and kept, so that none is reused
    pairs: list[tuple[str, str]] = []
    calls: Counter[str] = Counter()

    def watch(name: str, module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        calls[name] += 1
        if type(module) in FOLDED:
            outputs[id(output)] = name, output
            return
        maker, _ = outputs.get(id(inputs[0]), ("", None))
        kind = FOLDED.get(type(network.get_submodule(maker)))
        if kind is type(module) and module.running_mean is not None:
            pairs.append((maker, name))

    kinds = {*FOLDED, *FOLDED.values()}
    handles = [
        module.register_forward_hook(partial(watch, name))
        for name, module in network.named_modules()
        if type(module) in kinds
    ]
    try:
        result: Tensor = network(probe)
    finally:
        for handle in handles:
            handle.remove()
    return result, [pair for pair in pairs if calls[pair[0]] == calls[pair[1]] == 1]


def _replace(network: nn.Module, name: str, module: nn.Module) -> None:
    parent, _, own = name.rpartition(".")
    setattr(network.get_submodule(parent), own, module)
