"""What `SmoothedClassifier` checks of its arguments, and of its network by a forward pass."""

from collections import Counter
from collections.abc import Sequence

import torch
from scipy import stats
from torch import Tensor

from rszoo.errors import as_float
from rszoo.smoothing.form import VotingForm
from rszoo.smoothing.grid import check_sigma
from rszoo.smoothing.isolation import seeded

PROBES = 5
ROUNDING = 1e-3  # how much a gap between logits may change with the batch, relative to these logits
REPEATS, CHANCE = 200, 1e-6  # for networks that draw random numbers which cannot be repeated


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
            are finite, or the vote of an image depends on the other images of its batch.
    """
    generator = torch.Generator().manual_seed(0)
    images = torch.rand(PROBES + 1, 1, *input_shape, generator=generator, device="cpu")
    *probes, companion = images.to(device)
    companions = (companion, 1 - companion)
    logits = _logits(form, probes[0], companion)
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
    if any(_depends_on_company(form, image, companions) for image in probes):
        raise ValueError(
            "Expected a network that votes on each image by itself, got votes that change with "
            "the other images of the batch; let its normalization layers keep running statistics."
        )


def _logits(form: VotingForm, image: Tensor, companion: Tensor) -> Tensor:
    """Logits of an image beside another one; random numbers of the network itself are repeated."""
    try:
        with torch.inference_mode(), seeded(0, image.device):
            return form.logits(torch.cat([image, companion])).float()
    except (RuntimeError, AssertionError) as error:  # torch's, and timm's, for shapes that misfit
        fault = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ValueError(
            f"Expected a network for images {tuple(image.shape[1:])}, got one that fails on them "
            f"({fault}); pass the input shape of this network."
        ) from error


def _depends_on_company(form: VotingForm, image: Tensor, companions: Sequence[Tensor]) -> bool:
    """Whether one of two companions may give an image another vote than the other one does.

    What decides a vote are the gaps between the largest logits, however large others are. A network
    whose random numbers cannot be repeated is judged by its votes.
    """
    one, other = companions
    logits, again, moved = (_logits(form, image, each)[0] for each in (one, one, other))
    if not torch.equal(logits, again):
        return _votes_depend_on_company(form, image, companions)
    top = int(logits.argmax())
    leading = torch.cat([each.topk(min(2, len(each))).indices for each in (logits, moved)])
    change = (logits - logits[top] - moved + moved[top])[leading]
    scale = logits[leading].nan_to_num(0.0, 0.0, 0.0).abs().max()
    return bool(change.nan_to_num(0.0).abs().max() > ROUNDING * scale)  # -inf masks a class


def _votes_depend_on_company(form: VotingForm, image: Tensor, companions: Sequence[Tensor]) -> bool:
    """Whether the shares of votes differ by more than chance explains."""
    with torch.inference_mode():
        counts = [
            Counter(int(form(torch.cat([image, companion]))[0]) for _ in range(REPEATS))
            for companion in companions
        ]
    top = counts[0].most_common(1)[0][0]
    table = [[count[top], REPEATS - count[top]] for count in counts]
    return float(stats.fisher_exact(table).pvalue) < CHANCE
