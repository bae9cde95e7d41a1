"""The form of a base classifier that votes: evaluation mode, batch norm folded, channels_last, in its precision.

The form is part of the classifier's identity, because rounding decides votes. It is made on the CPU, so that its weights are
the same on every device, and on one device it rounds alike at every call.
"""

import copy
import math

import torch
from torch import Tensor, nn
from torch.fx.experimental.optimization import fuse

from rszoo.architectures import NormalizedNetwork
from rszoo.smoothing.precision import bfloat16_products, exact_arithmetic

PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16}
FOLDING_TOLERANCE = 1e-3


class VotingForm(nn.Module):
    """A frozen copy of a base classifier that maps float32 images (B, C, H, W) in pixel units to votes, int64 (B,).

    A vote is -1 where the largest logit is NaN or infinite: there is no class to vote for.

    Normalization runs in float32, the network in `precision`.

    Args:
        base: images to logits; a `NormalizedNetwork`, or any module that takes pixels.
        precision: a key of `PRECISIONS`.
        shape: (C, H, W) of the images.
        device: where it votes.

    Raises:
        ValueError: an unknown precision, or base is no module, or one in TorchScript.
    """

    def __init__(
        self, base: nn.Module, precision: str, shape: tuple[int, int, int], device: torch.device
    ) -> None:
        super().__init__()
        if precision not in PRECISIONS:
            raise ValueError(
                f"Expected precision 'float32' or 'bfloat16', got {precision!r}; choose one of these."
            )
        if not isinstance(base, nn.Module):
            raise ValueError(
                f"Expected a torch module, got {type(base).__name__}; wrap it in an nn.Module."
            )
        if any(isinstance(module, torch.jit.ScriptModule) for module in base.modules()):
            raise ValueError(
                "Expected a module of Python code, got one in TorchScript; pass the module that it was made of."
            )
        self.dtype = PRECISIONS[precision]
        base = copy.deepcopy(base).eval().cpu()
        network: nn.Module = base.network if isinstance(base, NormalizedNetwork) else base
        self.normalize: nn.Module = (
            base.normalize if isinstance(base, NormalizedNetwork) else nn.Identity()
        )
        with torch.inference_mode():
            probe = self.normalize(torch.linspace(0, 1, 2 * math.prod(shape)).view(2, *shape))
        self.network = (
            _folded(network, probe).to(device, self.dtype).to(memory_format=torch.channels_last)
        )
        self.normalize.to(device)
        self.requires_grad_(False)

    def logits(self, x: Tensor) -> Tensor:
        """Logits (B, classes) in the form's precision."""
        x = self.normalize(x).to(self.dtype, memory_format=torch.channels_last)
        with exact_arithmetic(), bfloat16_products(x.device):
            logits: Tensor = self.network(x)
        if not isinstance(logits, Tensor):
            kind = type(logits).__name__
            raise ValueError(
                f"Expected a network that returns logits, got one that returns {kind}; wrap it in one that does."
            )
        return logits

    def forward(self, x: Tensor) -> Tensor:
        """Votes: the class with the largest logit, the first of equals."""
        if (
            len(x) == 1
        ):  # matrix products of one row are rounded differently: a batch of one would vote differently
            return self.forward(x.expand(2, -1, -1, -1))[:1]
        logits = self.logits(x)
        return logits.argmax(1).where(logits.amax(1).isfinite(), -1)


class AttackedForm(nn.Module):
    """The network of a `VotingForm` as attacks need it: logits, float32, differentiable in the image; not in its parameters.

    The weights are those that vote, folded and rounded to the form's precision; only the arithmetic is float32, so that a form
    that votes in bfloat16 is attacked without the rounding of its activations.
    """

    def __init__(self, form: VotingForm) -> None:
        super().__init__()
        self.form = form if form.dtype == torch.float32 else copy.deepcopy(form).float()
        self.form.dtype = torch.float32

    def forward(self, x: Tensor) -> Tensor:
        """Images (B, C, H, W) in pixel units to logits (B, classes)."""
        return self.form.logits(x)


def _folded(network: nn.Module, probe: Tensor) -> nn.Module:
    """The network with batch norm folded into its convolutions, or the network itself where that fails or changes it."""
    try:
        folded: nn.Module = fuse(network)
        with torch.inference_mode():
            expected, got = network(probe), folded(probe)
        same = torch.allclose(
            got,
            expected,
            rtol=FOLDING_TOLERANCE,
            atol=FOLDING_TOLERANCE * float(expected.abs().max()),
        )
    except (
        Exception
    ):  # tracing runs the user's code and may fail in any way; folding is only for speed
        return network
    return folded if same else network
