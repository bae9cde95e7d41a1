"""A base network under noise: what it is, where it is, and its votes.

`SmoothedClassifier` adds what the votes prove.
"""

import copy
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Self

import torch
from torch import Tensor, nn
from tqdm import tqdm

from rszoo.bounds.binomial import validate_alpha
from rszoo.data.images import check_images, image_transform
from rszoo.errors import as_int
from rszoo.smoothing.answers import Classes
from rszoo.smoothing.checks import check_arguments, check_form
from rszoo.smoothing.engine import Job, run
from rszoo.smoothing.form import VotingForm
from rszoo.smoothing.grid import grid_error
from rszoo.smoothing.isolation import CPU, differentiable
from rszoo.smoothing.nearest import about, eight_bit
from rszoo.smoothing.noise import STREAMS, Noise, image_key
from rszoo.smoothing.requests import Procedure, Result, Setting, SoftProcedure
from rszoo.smoothing.runtime import default_batch, find_device


class Voter:
    """A base network, a noise level and a device. Arguments are those of `SmoothedClassifier`."""

    name: str | None = None
    config: object = None
    _base: nn.Module | None

    def __init__(  # noqa: PLR0913 - users write this call
        self,
        base: nn.Module,
        *,
        sigma: float,
        num_classes: int,
        input_shape: tuple[int, int, int],
        precision: str = "float32",
        noise: str = "grid",
        classes: Sequence[str] | None = None,
        resize: int | None = None,
        device: str | torch.device = "cpu",
    ) -> None:
        check_arguments(sigma, num_classes, input_shape, noise, classes)
        self.device = find_device(device)
        self.sigma, self.noise, self.precision = float(sigma), noise, precision
        self.num_classes, self.input_shape = as_int("num_classes", num_classes), input_shape
        self.classes = Classes(classes or map(str, range(num_classes)))
        self.transform = image_transform(input_shape, resize or input_shape[1])
        self.form = VotingForm(base, precision, input_shape, self.device)
        check_form(self.form, self.num_classes, input_shape, self.device)
        self._network, self._base = _trainable(base, CPU), None

    @property
    def base(self) -> nn.Module:
        """The base network f, to fine-tune, attack or export: what is done to it changes no vote.

        Images (B, C, H, W) in pixel units to logits (B, num_classes), normalization inside: a
        float32 copy on the classifier's device, in evaluation mode, with every parameter as
        trainable as it was in the network that was passed. Votes come from another copy, frozen,
        with batch norm folded and rounded to `precision`, so a vote may differ where two logits are
        close.

        Memory: the classifier keeps the float32 weights on the CPU beside those that vote; the
        first use of `base` makes one more copy, on the device, and the same one is returned from
        then on.
        """
        if self._base is None:
            self._base = _trainable(self._network, self.device)
        return self._base

    def to(self, device: str | torch.device) -> Self:
        """The classifier on another device: the same weights, noise level and name.

        On CPUs of one kind its votes are the same after any journey. On a GPU the noise is drawn by
        another generator and rounding differs, so votes differ, as they do for `rszoo.load` there.
        This classifier stays where it is; it is returned itself if it is there already.

        Raises:
            ValueError: there is no such device.
        """
        if (found := find_device(device)) == self.device:
            return self
        form = self.form.moved(found)
        check_form(form, self.num_classes, self.input_shape, found)
        moved = copy.copy(self)
        moved.device, moved.form, moved._base = found, form, None
        return moved

    def setting(self, alpha: float, seed: int) -> Setting:
        """What the procedures need to know; raises ValueError if alpha or seed is out of range."""
        validate_alpha(alpha)
        if not 0 <= (seed := as_int("seed", seed)) < 2**63:
            raise ValueError(f"Expected 0 <= seed < 2**63, got {seed}; pass another.")
        return Setting(
            alpha=alpha,
            sigma=self.sigma,
            noise=self.noise,
            precision=self.precision,
            seed=seed,
            stream=STREAMS[self.noise],
            loss=self.loss,
            values=math.prod(self.input_shape),
        )

    @property
    def loss(self) -> float:
        """Total variation between a sample's noise and its stated law: its cost in alpha."""
        return 0.0 if self.noise == "float" else grid_error(self.sigma, self.input_shape)

    def run(
        self,
        jobs: Iterable[tuple[Tensor, str, Procedure[Result] | SoftProcedure[Result]]],
        *,
        seed: int,
        stream: int | None = None,
        batch_size: int | None = None,
        counted: Callable[[int], object] = lambda samples: None,
        box: bool = True,
    ) -> Iterator[Result]:
        """Run procedures of `rszoo.smoothing.procedures` on images; yield their results in order.

        Args:
            jobs: images (C, H, W), keys of their noise, and procedures; taken as they are needed.
            seed: of the noise.
            stream: version of the noise's stream; the present one if absent.
            batch_size: as for `predict`.
            counted: called with the number of samples after each batch.
            box: whether pixels must be in [0, 1]; certificates hold outside too.

        Raises:
            ValueError: an image or the batch size is out of range.
        """
        if batch_size is not None and as_int("batch_size", batch_size) < 1:
            raise ValueError(
                f"Expected batch_size >= 1, got {batch_size}; leave it out to have it chosen."
            )
        grid, shape = self.noise == "grid", self.input_shape
        checked = partial(check_images, shape=shape, grid=grid, box=box)
        return run(
            self.form,
            (Job(checked(x)[0].to(self.device), key, procedure) for x, key, procedure in jobs),
            Noise(self.noise, self.sigma, seed, stream or STREAMS[self.noise]),
            num_classes=self.num_classes,
            batch_size=batch_size or default_batch(self.form, self.input_shape, self.device),
            counted=counted,
        )

    def _results(
        self,
        x: Tensor,
        procedure: Callable[[], Procedure[Result] | SoftProcedure[Result]],
        seed: int,
        keys: Sequence[str] | None,
        *,
        batch_size: int | None,
        samples: int | None,
    ) -> list[Result]:
        """The procedure's result for each image, with a progress bar of `samples` per image."""
        images = check_images(x, self.input_shape)
        moved = [0.0] * len(images)
        if self.noise == "grid":
            images, moved = eight_bit(images, stacklevel=3)
        keys = [image_key(image) for image in images] if keys is None else keys
        if len(keys) != len(images):
            raise ValueError(
                f"Expected {len(images)} keys, one per image, got {len(keys)}; "
                "leave keys out to have them made."
            )
        jobs = [(image, key, procedure()) for image, key in zip(images, keys, strict=True)]
        total = samples and samples * len(images)  # None: how many it takes is not known
        with tqdm(total=total, unit="sample", delay=1, leave=False, disable=None) as bar:
            results = list(self.run(jobs, seed=seed, batch_size=batch_size, counted=bar.update))
        return about(results, moved, self.classes)

    def __repr__(self) -> str:
        name = "" if self.name is None else f"name={self.name!r}, "
        shape = "x".join(map(str, self.input_shape))
        setting = ", ".join(f"{key}={text}" for key, text in self._setting().items())
        return (
            f"SmoothedClassifier({name}{setting}, num_classes={self.num_classes}, input={shape}, "
            f"device='{self.device}')"
        )

    def _setting(self) -> dict[str, str]:
        """What makes another classifier of the same network, as `repr` prints it."""
        return {
            "sigma": f"{self.sigma:g}",
            "noise": repr(self.noise),
            "precision": repr(self.precision),
        }


def _trainable(network: nn.Module, device: torch.device) -> nn.Module:
    """A float32 copy in evaluation mode, whatever mode torch is in."""
    with differentiable(CPU):
        return copy.deepcopy(network).eval().float().to(device)
