"""The smoothed classifier g(x) = argmax_c P(f(x + eps) = c), eps ~ N(0, sigma^2 I).

Source: Cohen, Rosenfeld & Kolter 2019, section 3.2, with PREDICT and CERTIFY.
"""

from collections.abc import Sequence
from typing import Any, Literal, overload

from torch import Tensor

from rszoo.smoothing import probabilities, procedures
from rszoo.smoothing.certificate import Certificate, Prediction, SoftCertificate
from rszoo.smoothing.probabilities import Probabilities
from rszoo.smoothing.soft import certification
from rszoo.smoothing.voter import Voter


class SmoothedClassifier(Voter):
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

    Attributes:
        base: f itself, for training and attacks; see there.
        name, config: of the zoo's entry; None where there is no entry.
        classes: names of the classes, in label order; a negative label is refused.
        transform: from a PIL image to x, (C, H, W) in pixel units.
        sigma, num_classes, input_shape, precision, noise, device: as given.

    Raises:
        ValueError: an argument is out of range, f does not map (2, C, H, W) to (2, num_classes),
            or the logits of an image depend on the other images of its batch.
    """

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

    def probabilities(
        self,
        x: Tensor,
        *,
        n: int = 1000,
        alpha: float = 0.001,
        seed: int = 0,
        batch_size: int | None = None,
        keys: Sequence[str] | None = None,
    ) -> Probabilities | list[Probabilities]:
        """The share of votes of every class, with intervals for the probabilities behind them.

        Except with probability at most alpha over the noise, the probability under noise of every
        class is in its interval, of all classes at once, if n and seed were chosen before looking.
        The votes are those of `predict` with the same n and seed.

        Args:
            x: an image (C, H, W) or a batch (B, C, H, W), in pixel units [0, 1], before
                normalization.
            n: noise samples per image.
            alpha: failure probability per image, of all intervals together.
            seed, batch_size, keys: as for `predict`.

        Returns:
            A `Probabilities`, or a list of B.

        Raises:
            ValueError: x or an argument is out of range.

        Source: Clopper & Pearson 1934, with a union bound over the two bounds of each class.
        """
        setting = self.setting(alpha, seed)
        procedure = probabilities.estimation(setting, n=n)
        options = {"batch_size": batch_size, "samples": n}
        results = self._results(x, procedure, setting.seed, keys, **options)
        return results if x.ndim == 4 else results[0]
