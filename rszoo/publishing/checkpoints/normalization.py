"""Find the normalization layer that a checkpoint's network was trained with.

Cohen et al. and most others standardize. Salman et al. have a second layer, which only subtracts
the mean, and leave it to the user of their code which of the two a checkpoint needs. MACER's
networks take pixels. Any other layer is not found: the best of these wins, with less accuracy than
the network had.
"""

from collections.abc import Mapping

import torch
from torch import Tensor

from rszoo.architectures import NormalizedNetwork
from rszoo.bounds import hung_fithian
from rszoo.data.datasets import Dataset, image_chunks
from rszoo.publishing.checkpoints.reading import Statistics
from rszoo.smoothing.form import VotingForm
from rszoo.smoothing.noise import gaussian_noise, step_generator

NORMALIZATIONS = ("standard", "center", "none")
AUTHORS_STD = {"cifar10": (0.2023, 0.1994, 0.2010)}
"""Where the authors' code does not divide by the standard deviation of the training images."""

IMAGES = 500
CHUNK = 50
CLEAR = 1e-3


def candidates(
    own: Statistics | None, normalization: str, dataset: Dataset
) -> dict[str, Statistics]:
    """The possible layers: the file's own, the one that is named, or, for "auto", all known ones.

    Raises:
        ValueError: the file has its own layer and another one is named, or its own does not fit the
            data set.
    """
    channels = len(dataset.mean)
    ones = (1.0,) * channels
    standard = Statistics(dataset.mean, AUTHORS_STD.get(dataset.name, dataset.std))
    layers = (standard, Statistics(dataset.mean, ones), Statistics((0.0,) * channels, ones))
    known = dict(zip(NORMALIZATIONS, layers, strict=True))
    if own is None:
        return known if normalization == "auto" else {normalization: known[normalization]}
    if normalization != "auto":
        raise ValueError(
            f"Expected the normalization that the file holds, got {normalization!r}; "
            "leave --normalization out."
        )
    if (len(own.mean), len(own.std)) != (channels, channels):
        raise ValueError(
            f"Expected {channels} means and sds for {dataset.name}, got {len(own.mean)} and "
            f"{len(own.std)} in the file; correct --dataset."
        )
    return {"file": own}


def noisy_hits(
    network: NormalizedNetwork, dataset: Dataset, sigma: float, device: torch.device
) -> Tensor:
    """Which of about `IMAGES` test images the network gets right with one draw of noise, bool (N,).

    The images are evenly spaced; images and noise are the same in every call.

    Raises:
        FileNotFoundError: the test images are not there.
    """
    form = VotingForm(network, "float32", dataset.shape, device)
    generator = step_generator(0, "normalization", 0, device)
    hits = []
    try:
        for images, y in image_chunks(dataset.name, "test", limit=IMAGES, size=CHUNK):
            x = images.to(device).float().div_(255)
            with torch.inference_mode():
                hits.append(form(x + gaussian_noise(x, sigma, generator)).cpu() == y)
    except FileNotFoundError as error:
        raise FileNotFoundError(
            f"Expected test images of {dataset.name} to try normalizations on, got none; set "
            "RSZOO_DATA to the folder of the data set, "
            f"or pass --normalization {', '.join(NORMALIZATIONS)}."
        ) from error
    return torch.cat(hits)


def clear_winner(hits: Mapping[str, Tensor]) -> str:
    """The candidate that beats every other in McNemar's exact test, with p-values up to `CLEAR`.

    If two candidates were equally accurate, then on an image that only one of them gets right, a
    fair coin would decide which one.

    Args:
        hits: for each candidate, on which images it is right, bool (N,).

    Raises:
        ValueError: there is none; the error states all accuracies.

    Source: McNemar 1947, in its exact two-sided form.
    """
    best, *others = sorted(hits, key=lambda name: -int(hits[name].sum()))
    for other in others:
        won = int((hits[best] & ~hits[other]).sum())
        lost = int((hits[other] & ~hits[best]).sum())
        if hung_fithian(won, lost) > CLEAR:
            accuracies = (f"{name} {float(hit.float().mean()):.1%}" for name, hit in hits.items())
            raise ValueError(
                f"Expected one normalization to be clearly the best on {len(hits[best])} noisy "
                f"test images, got {', '.join(accuracies)}; check --sigma and --dataset, or pass "
                "--normalization with the one in the authors' code."
            )
    return best
