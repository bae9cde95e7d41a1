"""The smoothed classifier g(x) = argmax_c P(f(x + eps) = c), eps ~ N(0, sigma^2 I), with PREDICT and CERTIFY.

Source: Cohen, Rosenfeld & Kolter 2019, section 3.2.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import TypeVar

import torch
from PIL import Image
from torch import Tensor, nn
from tqdm import tqdm

from rszoo.bounds import BOUNDS, POWER, minimum_n_predict
from rszoo.bounds.binomial import validate_alpha, validate_n
from rszoo.data.images import check_images, image_transform
from rszoo.errors import as_float, as_int
from rszoo.smoothing import procedures
from rszoo.smoothing.certificate import Certificate, Prediction
from rszoo.smoothing.engine import Job, run
from rszoo.smoothing.form import VotingForm
from rszoo.smoothing.grid import check_sigma, grid_error
from rszoo.smoothing.noise import Noise, image_key
from rszoo.smoothing.procedures import Setting
from rszoo.smoothing.requests import Procedure
from rszoo.smoothing.runtime import default_batch, find_device

Result = TypeVar("Result")


class SmoothedClassifier:
    """A base classifier f and a noise level: the smoothed classifier g.

    Args:
        base: f, from images (B, C, H, W) in pixel units, noise included, to logits (B, num_classes), each image's by itself; it
            is copied, and the copy is used in evaluation mode.
        sigma: standard deviation of the noise, in pixel units [0, 1].
        num_classes: the number of logits.
        input_shape: (C, H, W).
        precision: "float32" or "bfloat16", the arithmetic in which f votes.
        noise: "float" adds float32 noise: the certificate holds up to floating-point effects. "grid" adds integer noise to
            images on the 8-bit grid in exact arithmetic: the certificate holds for the floating-point program, and for the
            8-bit image of which x is the float32 form.
        classes: names of the classes, in label order; their numbers if absent.
        resize: side that `transform` scales the shorter side of an image to; the input's height if absent.
        device: where f votes.

    Raises:
        ValueError: an argument is out of range, f does not map (2, C, H, W) to (2, num_classes), or an image's logits depend on
            the other images of its batch.
    """

    def __init__(
        self,
        base: nn.Module,
        *,
        sigma: float,
        num_classes: int,
        input_shape: tuple[int, int, int],
        precision: str = "float32",
        noise: str = "float",
        classes: Sequence[str] | None = None,
        resize: int | None = None,
        device: str | torch.device = "cpu",
    ) -> None:
        if noise not in ("float", "grid"):
            raise ValueError(
                f"Expected noise 'float' or 'grid', got {noise!r}; choose one of these."
            )
        if not 0 < as_float("sigma", sigma) < float("inf"):
            raise ValueError(
                f"Expected sigma > 0, got {sigma}; pass the noise's standard deviation in pixel units."
            )
        if len(input_shape) != 3 or min(input_shape) < 1:
            raise ValueError(
                f"Expected input_shape (C, H, W), got {input_shape}; pass for instance (3, 32, 32)."
            )
        if classes and len(classes) != num_classes:
            raise ValueError(
                f"Expected {num_classes} class names, got {len(classes)}; pass one a logit, in their order."
            )
        if noise == "grid":
            check_sigma(sigma)
        self.device = find_device(device)
        self.sigma, self.noise, self.precision = float(sigma), noise, precision
        self.num_classes, self.input_shape = as_int("num_classes", num_classes), input_shape
        self.classes = tuple(classes or map(str, range(num_classes)))
        self.transform: Callable[[Image.Image], Tensor] = image_transform(
            input_shape, resize or input_shape[1]
        )
        self.form = VotingForm(base, precision, input_shape, self.device)
        self._check_form()

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
        """PREDICT: the class g(x), wrong with probability at most alpha; abstains when the vote is close.

        Args:
            x: an image (C, H, W) or a batch (B, C, H, W), in pixel units [0, 1], before normalization.
            n: noise samples an image.
            alpha: failure probability, for each image.
            early: stop as soon as the answer is settled, at the same alpha; n is then the most samples that are taken.
            seed: of the noise. Choosing among seeds after looking voids the guarantee.
            batch_size: samples a forward pass; no effect on the result, but for rounding on a GPU; chosen if absent.
            keys: what tells the noise of the images apart, one a image; made from their content if absent.

        Returns:
            A `Prediction`, or a list of B.

        Raises:
            ValueError: x or an argument is out of range.

        Source: Cohen et al. 2019, PREDICT and Proposition 1; Hung & Fithian 2019; `early`: a union bound over the looks.
        """
        setting, n = self.setting(alpha, seed), as_int("n", n)
        if n < minimum_n_predict(alpha):
            raise ValueError(
                f"Expected n large enough to decide at alpha={alpha}, got n={n}; use n >= {minimum_n_predict(alpha)}."
            )
        setting.level(n)
        make = (
            partial(procedures.predict_early, n=n) if early else partial(procedures.predict, n=(n,))
        )
        found = self._each(
            x, keys, lambda: make(setting), setting.seed, batch_size, samples=None if early else n
        )
        results = [each[0] for each in found]
        return results if x.ndim == 4 else results[0]

    def certify(
        self,
        x: Tensor,
        *,
        n0: int = 100,
        n: int = 100_000,
        alpha: float = 0.001,
        bound: str = "cohen",
        radius: float | Sequence[float] | None = None,
        tolerance: float | None = None,
        seed: int = 0,
        batch_size: int | None = None,
        keys: Sequence[str] | None = None,
    ) -> Certificate | list[Certificate]:
        """CERTIFY: a class and a radius within which g is that class, wrong with probability at most alpha.

        Args:
            x: an image (C, H, W) or a batch (B, C, H, W), in pixel units [0, 1], before normalization.
            n0: noise samples that select the class.
            n: fresh noise samples that bound its probability.
            alpha: failure probability, for each image.
            bound: the radius rule, a key of `rszoo.bounds.BOUNDS`. Choosing it after looking voids the guarantee.
            radius: decide only whether g is constant within this radius, in pixel units, or find the largest of several
                ascending ones; n is then the most samples that are taken, usually many times fewer.
            tolerance: let the n0 samples choose a smaller n that is expected to lose no more radius than this, in pixel units;
                use n0 of 1000 or so.
            seed: of the noise. Choosing among seeds after looking voids the guarantee.
            batch_size: samples a forward pass; no effect on the result, but for rounding on a GPU; chosen if absent.
            keys: what tells the noise of the images apart, one an image; made from their content if absent.

        Returns:
            A `Certificate`, or a list of B.

        Raises:
            ValueError: x or an argument is out of range, or n is too small to certify anything, or any of the radii, at alpha.

        Source: Cohen et al. 2019, CERTIFY and Proposition 2; the rule's own is in its docstring. `radius`: a group-sequential
            test (`rszoo.bounds.RadiusTest`). `tolerance`: Chen et al. 2022, with fresh samples (`rszoo.bounds.two_stage_n`).
        """
        setting = self.setting(alpha, seed)
        make = self.certification(
            setting, n0=n0, n=n, bound=bound, radius=radius, tolerance=tolerance
        )
        samples = n0 + n if radius is None and tolerance is None else None
        results = self._each(x, keys, make, setting.seed, batch_size, samples=samples)
        return results if x.ndim == 4 else results[0]

    def certification(
        self,
        setting: Setting,
        *,
        n0: int,
        n: int,
        bound: str,
        radius: float | Sequence[float] | None = None,
        tolerance: float | None = None,
        power: float = POWER,
    ) -> Callable[..., Procedure[Certificate]]:
        """What makes the procedures of `certify`, for `run`; the arguments are those of `certify`, and `power` of `RadiusTest`.

        A procedure made with `only=label` ends after the selection if another class is selected.

        Raises:
            ValueError: as `certify`.
        """
        if bound not in BOUNDS:
            raise ValueError(f"Unknown bound {bound!r}; use one of {', '.join(BOUNDS)}.")
        n0, n = as_int("n0", n0), as_int("n", n)
        if n0 < 1:
            raise ValueError(
                f"Expected n0 >= 1, got {n0}; at least one sample must select the class."
            )
        validate_n(n, setting.alpha)
        setting.level(n)
        if radius is None:
            if tolerance is not None and not as_float("tolerance", tolerance) >= 0:
                raise ValueError(
                    f"Expected tolerance >= 0 in pixel units, got {tolerance}; pass a radius such as 0.05."
                )
            return partial(
                procedures.certify, setting, n0=n0, n=n, bound=bound, tolerance=tolerance
            )
        if tolerance is not None or bound != "cohen":
            raise ValueError(
                "Expected radius without a tolerance or a bound, got both; the test of radii has its own rule."
            )
        radii = procedures.checked_radii(setting, radius, n=n)
        return partial(procedures.certify_radii, setting, n0=n0, n=n, radii=radii, power=power)

    def setting(self, alpha: float, seed: int) -> Setting:
        """What the procedures of this classifier need to know.

        Raises:
            ValueError: alpha or seed is out of range.
        """
        validate_alpha(alpha)
        if not 0 <= (seed := as_int("seed", seed)) < 2**63:
            raise ValueError(f"Expected 0 <= seed < 2**63, got {seed}; pass another.")
        return Setting(alpha, self.sigma, self.noise, self.precision, seed, self.loss)

    @property
    def loss(self) -> float:
        """Total variation between the noise of a sample and its stated law, which certificates take off alpha once a sample."""
        return 0.0 if self.noise == "float" else grid_error(self.sigma, self.input_shape)

    def run(
        self,
        jobs: Iterable[tuple[Tensor, str, Procedure[Result]]],
        *,
        seed: int,
        batch_size: int | None = None,
        counted: Callable[[int], object] = lambda samples: None,
        box: bool = True,
    ) -> Iterator[Result]:
        """Run procedures of `rszoo.smoothing.procedures` on a stream of images; yields their results in order.

        Args:
            jobs: images (C, H, W), the keys of their noise, and their procedures; taken as they are needed.
            seed: of the noise.
            batch_size: samples a forward pass; no effect on the results, but for rounding on a GPU; chosen if absent.
            counted: called with the number of samples after each batch.
            box: whether pixels must be in [0, 1]; an attack may leave it, and certificates hold beyond.

        Raises:
            ValueError: an image or the batch size is out of range.
        """
        if batch_size is not None and as_int("batch_size", batch_size) < 1:
            raise ValueError(
                f"Expected batch_size >= 1, got {batch_size}; leave it out to have it chosen."
            )
        grid = self.noise == "grid"
        return run(
            self.form,
            (
                Job(
                    check_images(x, self.input_shape, grid=grid, box=box)[0].to(self.device),
                    key,
                    made,
                )
                for x, key, made in jobs
            ),
            Noise.newest(self.noise, self.sigma, seed),
            num_classes=self.num_classes,
            batch_size=batch_size or default_batch(self.form, self.input_shape, self.device),
            counted=counted,
        )

    def _each(
        self,
        x: Tensor,
        keys: Sequence[str] | None,
        make: Callable[[], Procedure[Result]],
        seed: int,
        batch_size: int | None,
        *,
        samples: int | None,
    ) -> list[Result]:
        """The results of a procedure on each image of x, with a progress bar; `samples`: how many an image takes, if known."""
        images = check_images(x, self.input_shape, grid=self.noise == "grid")
        names = [image_key(image) for image in images] if keys is None else list(keys)
        if len(names) != len(images):
            raise ValueError(
                f"Expected {len(images)} keys, one an image, got {len(names)}; leave keys out to have them made."
            )
        jobs = [(image, name, make()) for image, name in zip(images, names, strict=True)]
        with tqdm(
            total=samples and samples * len(images),
            unit="sample",
            delay=1,
            leave=False,
            disable=None,
        ) as bar:
            return list(self.run(jobs, seed=seed, batch_size=batch_size, counted=bar.update))

    def _check_form(self) -> None:
        probe = torch.rand(1, *self.input_shape, generator=torch.Generator().manual_seed(0)).to(
            self.device
        )
        try:
            with torch.inference_mode():
                logits, repeated, other = (
                    self.form.logits(torch.cat([probe, torch.full_like(probe, beside)])).float()
                    for beside in (0.0, 0.0, 1.0)
                )
        except (
            RuntimeError,
            AssertionError,
        ) as error:  # torch's words for shapes that do not fit, and timm's
            raise ValueError(
                f"Expected a network for images {tuple(self.input_shape)}, got one that fails on them "
                f"({str(error).splitlines()[0] if str(error) else type(error).__name__}); pass the input shape of this network."
            ) from error
        if logits.shape != (2, self.num_classes):
            raise ValueError(
                f"Expected logits of shape (2, {self.num_classes}) for two images, got {tuple(logits.shape)}; "
                "pass the number of classes and the input shape of this network."
            )
        if not bool(logits.amax(1).isfinite().all()):
            raise ValueError(
                "Expected finite logits, got NaN or infinity; check the network's weights and its normalization."
            )
        apart = (logits[0] - other[0]).abs().max() > 1e-3 * logits[0].abs().max()
        if torch.equal(logits[0], repeated[0]) and bool(
            apart
        ):  # else f draws random numbers of its own
            raise ValueError(
                "Expected a network that votes on each image by itself, got logits that change with the other images of the "
                "batch; let its normalization layers keep running statistics."
            )

    def __repr__(self) -> str:
        shape = "x".join(map(str, self.input_shape))
        return (
            f"SmoothedClassifier(sigma={self.sigma:g}, num_classes={self.num_classes}, input={shape}, "
            f"precision={self.precision!r}, noise={self.noise!r}, device='{self.device}')"
        )
