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
from rszoo.architectures.ensemble import Ensemble
from rszoo.bounds.scores import STEPS
from rszoo.smoothing.isolation import CPU, isolated, seeded
from rszoo.smoothing.precision import bfloat16_products

PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16}
FOLDING_TOLERANCE, ROUNDING = 1e-3, 1e-5  # of the largest gap; of the largest logit
FOLDED: dict[type, type] = {
    nn.Conv1d: nn.BatchNorm1d,
    nn.Conv2d: nn.BatchNorm2d,
    nn.Conv3d: nn.BatchNorm3d,
}


class VotingForm(nn.Module):
    """A frozen copy of a base classifier that maps images (B, C, H, W) in pixel units to votes.

    Votes are int64 (B,); -1, no vote, where the largest logit is not finite. Normalization
    runs in float32, the network in `precision`, whatever settings of torch the caller has made
    (`rszoo.smoothing.isolation.isolated`).

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
            ramp = torch.linspace(0, 1, 2 * math.prod(shape)).view(2, *shape)
            noisy = ramp + 2 * torch.randn(ramp.shape)  # far outside the box, as noise may be
            network = _folded(network, self.normalize(torch.cat([ramp, noisy])))
            for part in _computing(network):
                part.to(self.dtype)
            self.network = network.to(device).to(memory_format=torch.channels_last)
        self.normalize.to(device)
        self.requires_grad_(False)
        self.shape, self.device = shape, device

    def moved(self, device: torch.device) -> "VotingForm":
        """A copy on another device, of the same weights to the bit."""
        with torch.inference_mode(False):
            form = copy.deepcopy(self).to(device)
        form.device = device
        return form

    @property
    def input_dtype(self) -> torch.dtype:
        """The type of what `network` takes: members of an ensemble normalize first, in float32."""
        return torch.float32 if isinstance(self.network, Ensemble) else self.dtype

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
            x = self.normalize(x).to(self.input_dtype, memory_format=torch.channels_last)
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

    def scores(self, x: Tensor) -> Tensor:
        """Softmax outputs in steps of 2^-20, rounded down: int64 (B, classes).

        They are -1 where the largest logit is NaN or infinite. From float64 logits, whatever the
        precision of the network.
        """
        if len(x) == 1:
            return self.scores(x.expand(2, -1, -1, -1))[:1]
        logits = self.logits(x).double()
        with isolated(x.device):
            steps = logits.softmax(1).mul(STEPS).long()
        return steps.where(logits.amax(1, keepdim=True).isfinite(), -1)


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


def _computing(network: nn.Module) -> list[nn.Module]:
    """The parts that compute in the form's precision: all but the normalization of members."""
    if isinstance(network, Ensemble):
        return [member.network for member in network.networks]
    return [network]


def _folded(network: nn.Module, probe: Tensor) -> nn.Module:
    """The network with batch norm folded in, or the network itself where folding changes it."""
    try:
        expected, pairs = _followed(network, probe)
        folded = copy.deepcopy(network)
        for conv, norm in pairs:
            parts: Any = folded.get_submodule(conv), folded.get_submodule(norm)
            _replace(folded, conv, fuse_conv_bn_eval(*parts))
            _replace(folded, norm, nn.Identity())
        same = _same_gaps(folded(probe), expected)
    except Exception:  # the user's code may fail in any way; folding saves time only
        return network
    return folded if same else network


def _same_gaps(logits: Tensor, expected: Tensor) -> bool:
    """Whether logits agree in what decides votes: the gaps between the two largest.

    An offset that all logits share, or one very negative logit, must not hide a change.
    """
    leading = expected.topk(min(2, expected.shape[1])).indices
    ours, theirs = logits.gather(1, leading), expected.gather(1, leading)
    gaps, known = ours - ours[:, :1], theirs - theirs[:, :1]
    allowed = FOLDING_TOLERANCE * known.abs().max() + ROUNDING * theirs.abs().max()
    return bool(((gaps - known).abs() <= allowed).all())


def _followed(network: nn.Module, probe: Tensor) -> tuple[Tensor, list[tuple[str, str]]]:
    """What the network makes of the probe, and which batch norm takes the output of which conv.

    It is watched by hooks: tracing would replace the call of every module in the process, those of
    other threads too. A tensor that was changed in place since is no longer the conv's output.
    """
    outputs: dict[int, tuple[str, Tensor, int]] = {}  # by identity, and kept, so none is reused
    pairs: list[tuple[str, str]] = []
    calls: Counter[str] = Counter()

    def watch(name: str, module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        calls[name] += 1
        if type(module) in FOLDED:
            outputs[id(output)] = name, output, output._version
            return
        maker, made, version = outputs.get(id(inputs[0]), ("", inputs[0], -1))
        kind = FOLDED.get(type(network.get_submodule(maker)))
        untouched = made._version == version
        if untouched and kind is type(module) and module.running_mean is not None:
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
