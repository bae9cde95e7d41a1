"""The smoothed classifier g(x) = argmax_c P(f(x + eps) = c), eps ~ N(0, sigma^2 I).

Source: Cohen, Rosenfeld & Kolter 2019, section 3.2, with PREDICT and CERTIFY.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Any, Literal, overload

import torch
from torch import Tensor, nn
from tqdm import tqdm

from rszoo.bounds.binomial import validate_alpha
from rszoo.data.images import check_images, image_transform
from rszoo.errors import as_int
from rszoo.smoothing import procedures
from rszoo.smoothing.certificate import Certificate, Prediction, SoftCertificate
from rszoo.smoothing.checks import check_arguments, check_form
from rszoo.smoothing.engine import Job, run
from rszoo.smoothing.form import VotingForm
from rszoo.smoothing.grid import grid_error
from rszoo.smoothing.nearest import about, eight_bit
from rszoo.smoothing.noise import STREAMS, Noise, image_key
from rszoo.smoothing.requests import Procedure, Result, Setting, SoftProcedure
from rszoo.smoothing.runtime import default_batch, find_device
from rszoo.smoothing.soft import certification


class SmoothedClassifier:
    """A base classifier f and a noise level sigma: the smoothed classifier g.

    Args:
        base: f, from images (B, C, H, W) in pixel units, noise included, to logits
            (B, num_classes), each image by itself; a copy is used, in evaluation mode.
        sigma: standard deviation of the noise, in pixel units [0, 1].
        num_classes: the number of logits.
        input_shape: (C, H, W).
        precision: "float32" or "bfloat16", the arithmetic in which f votes.
        noise: "float" adds float32 noise: certificates hold up to floating-point effects. "grid"
            adds integer noise to images on the 8-bit grid in exact arithmetic: certificates hold
            for the floating-point program, and for the 8-bit image whose float32 form x is.
        classes: names of the classes, in label order; by default their numbers.
        resize: `transform` scales the shorter side of an image to this; by default the height of
            the input.
        device: where f votes.

    Raises:
        ValueError: an argument is out of range, f does not map (2, C, H, W) to (2, num_classes),
            or the logits of an image depend on the other images of its batch.
    """

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
        self.classes = tuple(classes or map(str, range(num_classes)))
        self.transform = image_transform(input_shape, resize or input_shape[1])
        self.form = VotingForm(base, precision, input_shape, self.device)
        check_form(self.form, self.num_classes, input_shape, self.device)

    def predict(
        self,
        x: Tensor,
        *,
        n: int = 1000,
        alpha: float = 0.001,
        early: bool = False,
        seed: int = 0,
        batch_size: int | None = None,
        keys: Sequence[str] | None = None,
    ) -> Prediction | list[Prediction]:
        """PREDICT: the class g(x), wrong with probability at most alpha; abstains from close votes.

        Args:
            x: an image (C, H, W) or a batch (B, C, H, W), in pixel units [0, 1], before
                normalization.
            n: noise samples per image. Raising it until a class is returned voids the guarantee;
                `early` does not.
            alpha: failure probability per image.
            early: stop once the answer is settled, at the same alpha; n is then a maximum.
            seed: of the noise. Choosing among seeds after looking voids the guarantee.
            batch_size: samples per forward pass; by default chosen for the device. It changes no
                result, but for rounding on a GPU.
            keys: one per image, to tell their noise apart; by default made from the pixels.

        Returns:
            A `Prediction`, or a list of B.

        Raises:
            ValueError: x or an argument is out of range.

        Source: Cohen et al. 2019, PREDICT and Proposition 1; Hung & Fithian 2019; `early`: a union
            bound over the looks.
        """
        setting = self.setting(alpha, seed)
        procedure = procedures.prediction(setting, n=n, early=early)
        options = {"batch_size": batch_size, "samples": None if early else n}
        results = self._results(x, procedure, setting.seed, keys, **options)
        predictions = [prediction for (prediction,) in results]
        return predictions if x.ndim == 4 else predictions[0]

    @overload
    def certify(
        self,
        x: Tensor,
        *,
        n0: int = 100,
        n: int = 100_000,
        alpha: float = 0.001,
        votes: Literal["hard"] = "hard",
        bound: str | None = None,
        radius: float | Sequence[float] | None = None,
        tolerance: float | None = None,
        seed: int = 0,
        batch_size: int | None = None,
        keys: Sequence[str] | None = None,
    ) -> Certificate | list[Certificate]: ...
    @overload
    def certify(
        self,
        x: Tensor,
        *,
        n0: int = 100,
        n: int = 100_000,
        alpha: float = 0.001,
        votes: Literal["soft"],
        bound: str | None = None,
        radius: None = None,
        tolerance: None = None,
        seed: int = 0,
        batch_size: int | None = None,
        keys: Sequence[str] | None = None,
    ) -> SoftCertificate | list[SoftCertificate]: ...
    def certify(  # noqa: PLR0913 - users write this call
        self,
        x: Tensor,
        *,
        n0: int = 100,
        n: int = 100_000,
        alpha: float = 0.001,
        votes: str = "hard",
        bound: str | None = None,
        radius: float | Sequence[float] | None = None,
        tolerance: float | None = None,
        seed: int = 0,
        batch_size: int | None = None,
        keys: Sequence[str] | None = None,
    ) -> Any:
        """CERTIFY: a class and a radius within which g is that class; abstains from close votes.

        A certificate is wrong with probability at most alpha if its settings were chosen before
        looking. Raising n until an image is certified makes a wrong certificate several times as
        likely: 5.6 times in a simulation. Keeping the better of fixed n and `radius` on the same
        votes: 1.27 times. Keeping the best of several alphas, bounds or seeds voids it too.

        Args:
            x: an image (C, H, W) or a batch (B, C, H, W), in pixel units [0, 1], before
                normalization.
            n0: noise samples that select the class.
            n: fresh noise samples that bound its probability.
            alpha: failure probability per image.
            votes: "hard", or "soft" to certify argmax_c of the mean softmax outputs under noise,
                another classifier than the majority vote.
            bound: the radius rule, a key of `rszoo.bounds.BOUNDS`, by default "cohen"; of soft
                votes a key of `rszoo.bounds.SOFT_BOUNDS`, by default "betting". Choosing it after
                looking voids the guarantee.
            radius: decide only whether g is constant within this radius, in pixel units, or find
                the largest of several ascending ones; n is then a maximum; usually far fewer do.
            tolerance: let the n0 samples choose a smaller n that is expected to lose no more radius
                than this, in pixel units; use n0 of 1000 or so.
            seed: of the noise. Choosing among seeds after looking voids the guarantee.
            batch_size, keys: as for `predict`.

        Returns:
            A `Certificate`, or a list of B; of soft votes a `SoftCertificate`, or a list of B.

        Raises:
            ValueError: x or an argument is out of range, or n is too small to certify anything, or
                any of the radii, at alpha.

        Source: Cohen et al. 2019, CERTIFY and Proposition 2; each rule names its own. `radius`: a
            group-sequential test (`rszoo.bounds.RadiusTest`). `tolerance`: Chen et al. 2022, with
            fresh samples (`rszoo.bounds.two_stage_n`). `votes`: Levine et al. 2019; Salman et al.
            2019, Lemma 2.
        """
        setting, fixed = self.setting(alpha, seed), radius is None and tolerance is None
        procedure = certification(
            setting, votes=votes, n0=n0, n=n, bound=bound, radius=radius, tolerance=tolerance
        )
        options = {"batch_size": batch_size, "samples": n0 + n if fixed else None}
        certificates = self._results(x, procedure, setting.seed, keys, **options)
        return certificates if x.ndim == 4 else certificates[0]

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
        return about(results, moved)

    def __repr__(self) -> str:
        shape, classes = "x".join(map(str, self.input_shape)), self.num_classes
        return (
            f"SmoothedClassifier(sigma={self.sigma:g}, num_classes={classes}, input={shape}, "
            f"precision={self.precision!r}, noise={self.noise!r}, device='{self.device}')"
        )
