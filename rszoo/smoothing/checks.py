"""What `SmoothedClassifier` checks of its arguments, and of its network by a forward pass."""

from collections.abc import Sequence

import torch
from torch import Tensor

from rszoo.errors import as_float
from rszoo.smoothing.form import VotingForm
from rszoo.smoothing.grid import check_sigma

COMPANY = 1e-3  # how much the logits of an image may change with its batch, relative to the largest


def check_arguments(
    sigma: float,
    num_classes: int,
    input_shape: tuple[int, int, int],
    noise: str,
    classes: Sequence[str] | None,
) -> None:
    """Check the arguments of a smoothed classifier against their ranges and each other.

    Raises:
        ValueError: one is out of range, or there is not one class name per logit.
    """
    if noise not in ("float", "grid"):
        raise ValueError(f"Expected noise 'float' or 'grid', got {noise!r}; choose one of these.")
    if not 0 < as_float("sigma", sigma) < float("inf"):
        raise ValueError(
            f"Expected sigma > 0, got {sigma}; "
            "pass the standard deviation of the noise in pixel units."
        )
    if noise == "grid":
        check_sigma(sigma)
    if len(input_shape) != 3 or min(input_shape) < 1:
        raise ValueError(
            f"Expected input_shape (C, H, W), got {input_shape}; pass for instance (3, 32, 32)."
        )
    if classes and len(classes) != num_classes:
        raise ValueError(
            f"Expected {num_classes} class names, got {len(classes)}; "
            "pass one per logit, in their order."
        )


def check_form(
    form: VotingForm, num_classes: int, input_shape: tuple[int, int, int], device: torch.device
) -> None:
    """Check that the network maps images to finite logits, and each image by itself.

    Raises:
        ValueError: it fails on images of this shape, returns logits of another shape or none that
            are finite, or the logits of an image depend on the other images of its batch.
    """
    logits, repeated, other = _probed(form, input_shape, device)
    if logits.shape != (2, num_classes):
        raise ValueError(
            f"Expected logits of shape (2, {num_classes}) for two images, got "
            f"{tuple(logits.shape)}; pass the number of classes and the input shape of the network."
        )
    if not logits.amax(1).isfinite().all():
        raise ValueError(
            "Expected finite logits, got NaN or infinity; "
            "check the weights of the network and its normalization."
        )
    moved = bool((logits[0] - other[0]).abs().max() > COMPANY * logits[0].abs().max())
    if moved and torch.equal(logits[0], repeated[0]):  # else the network itself is random
        raise ValueError(
            "Expected a network that votes on each image by itself, got logits that change with "
            "the other images of the batch; let its normalization layers keep running statistics."
        )


def _probed(
    form: VotingForm, input_shape: tuple[int, int, int], device: torch.device
) -> list[Tensor]:
    """Logits of a random image in a batch with a black one, twice, and with a white one."""
    image = torch.rand(1, *input_shape, generator=torch.Generator().manual_seed(0)).to(device)
    batches = [torch.cat([image, torch.full_like(image, grey)]) for grey in (0.0, 0.0, 1.0)]
    try:
        with torch.inference_mode():
            return [form.logits(batch).float() for batch in batches]
    except (RuntimeError, AssertionError) as error:  # torch's, and timm's, for shapes that misfit
        fault = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ValueError(
            f"Expected a network for images {tuple(input_shape)}, got one that fails on them "
            f"({fault}); pass the input shape of this network."
        ) from error
