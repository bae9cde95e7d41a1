"""Attacks on smoothed classifiers, judged by PREDICT on noise that the attack has not seen.

The result of an attack is a function of the image, the key of its noise, the distance and the
seed, up to rounding; and rounding depends on which images go through the network together. Those
are the images of one of the caller's batches, so the same batches give the same bits. On CUDA this
holds for convolutions, but not for the max pooling of the ImageNet networks.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from rszoo.attacks.base import norms
from rszoo.attacks.plan import Plan
from rszoo.smoothing import procedures
from rszoo.smoothing.certificate import Prediction
from rszoo.smoothing.classifier import SmoothedClassifier
from rszoo.smoothing.form import AttackedForm
from rszoo.smoothing.isolation import differentiable
from rszoo.smoothing.noise import Stream, block_size, normal_block
from rszoo.smoothing.requests import Procedure, Stage
from rszoo.smoothing.runtime import attack_batch

SLACKS = (1e-6, 1e-4, 1e-2, 1.0)
"""Shares of the distance by which an image that rounding left outside its ball moves inward: the
first that brings it inside."""


@dataclass(frozen=True)
class Target:
    """An image to attack.

    Attributes:
        key: of its noise.
        x: pixels (C, H, W) in [0, 1].
        label: the class to attack.
        eps: l2 distances in pixel units. 0 stands for the image itself and comes first if at all.
    """

    key: str
    x: Tensor
    label: int
    eps: Sequence[float]


@dataclass(frozen=True)
class Attacked:
    """An adversarial image (C, H, W): distance allowed, actual l2 distance, and its prediction."""

    image: Tensor
    eps: float
    l2: float
    prediction: Prediction


class Attacker:
    """A plan and a classifier to attack: its folded network in float32, whatever it votes in.

    Args:
        classifier: the smoothed classifier.
        plan: the attack.
        seed: of the attack's noise, which no vote shares, and of random starts.
        batch: noisy images per pass; a function of image shape and kind of device if None.

    Raises:
        ValueError: batch is less than 1.
    """

    def __init__(
        self, classifier: SmoothedClassifier, plan: Plan, *, seed: int = 0, batch: int | None = None
    ) -> None:
        self.classifier, self.plan, self.seed = classifier, plan, seed
        usual = attack_batch(classifier.input_shape, classifier.device)
        self.batch = usual if batch is None else batch
        plan.at(1.0, seed=seed, max_batch=self.batch)  # refuses what is out of range
        self.network = AttackedForm(classifier.form)

    def __call__(self, targets: Sequence[Target]) -> Tensor:
        """Adversarial images of targets, attacked together: (B, K, C, H, W) on the device.

        Each is within its distance exactly, not only up to rounding. Where the noise is of the
        grid, so are the images: perturbations are rounded toward zero.

        Args:
            targets: B of them, all with the same number K > 0 of distances besides 0.
        """
        device, k = self.classifier.device, len(distances(targets[0]))
        with differentiable(device):
            eps = torch.tensor([distances(target) for target in targets], dtype=torch.float64)
            eps = eps.to(device).view(-1, 1, 1, 1)
            x = torch.stack([target.x for target in targets]).to(device).repeat_interleave(k, 0)
            x = x.contiguous(memory_format=torch.channels_last)
            y = torch.tensor([target.label for target in targets], device=device)
            attack = self.plan.at(eps.float(), seed=self.seed, max_batch=self.batch)
            noise = self._noise([target.key for target in targets], k)
            adversarial = attack(self.network, x, y.repeat_interleave(k), noise)
            return self._within(x, adversarial, eps).view(len(targets), k, *x.shape[1:])

    def distance(self, x: Tensor, images: Tensor) -> Tensor:
        """l2 distances of images (B, C, H, W) from x as PREDICT sees them, float64 (B,)."""
        delta = images.double() - x.double()
        if self.classifier.noise == "grid":
            delta = (delta * 255).round() / 255
        return norms(delta).flatten()

    def _noise(self, keys: Sequence[str], k: int) -> Tensor:
        """The vectors of each key, the same for its k distances: (m, B k, C, H, W)."""
        channels, height, width = shape = self.classifier.input_shape
        device, count = self.classifier.device, self.plan.vectors
        size = block_size(shape, device)
        # channels last in memory, as the network reads them
        noise = torch.zeros(max(1, count), len(keys), k, height, width, channels, device=device)
        for place, key in enumerate(keys):
            stream = Stream(self.seed, key, Stage.ATTACK)
            for first in range(0, count, size):
                block = normal_block(stream, first // size, shape, device)[: count - first]
                noise[first : first + size, place] = block.permute(0, 2, 3, 1).unsqueeze(1)
        return noise.mul_(self.classifier.sigma).flatten(1, 2).permute(0, 1, 4, 2, 3)

    def _within(self, x: Tensor, images: Tensor, eps: Tensor) -> Tensor:
        """The images, moved inward where rounding left them outside; on the grid if noise is."""
        for slack in SLACKS:
            delta = images.double() - x.double()
            length = norms(delta)
            inward = (x + delta * (eps / length * (1 - slack))).float()
            images = torch.where(length > eps, inward, images)
        if self.classifier.noise == "grid":
            images = ((x * 255).round() + ((images.double() - x) * 255).trunc()).float() / 255
        return images


def distances(target: Target) -> list[float]:
    """The distances of a target other than 0."""
    return [eps for eps in target.eps if eps > 0]


def attack(
    attacker: Attacker,
    batches: Iterable[Sequence[Target]],
    *,
    n: int,
    alpha: float,
    batch_size: int | None = None,
    stream: int | None = None,
) -> Iterator[list[Attacked]]:
    """Attack targets batch by batch, and let PREDICT judge each adversarial image.

    The votes of an image itself are those of PREDICT with its key; at a distance the key is
    another.

    Args:
        attacker: what attacks.
        batches: targets to attack together, in one batch; taken as needed.
        n: samples of PREDICT.
        alpha: its failure probability, per prediction.
        batch_size: samples per forward pass of PREDICT; no effect on the results, except for
            rounding on a GPU.
        stream: version of the stream of PREDICT's noise; the present one if absent.

    Yields:
        For each target, in order, the results at its distances.
    """
    setting = attacker.classifier.setting(alpha, attacker.seed)
    setting = replace(setting, stream=stream or setting.stream)
    waiting: deque[tuple[Target, Tensor, float, float]] = deque()

    def jobs() -> Iterator[tuple[Tensor, str, Procedure[list[Prediction]]]]:
        for batch in batches:
            for target, image, eps, l2 in _adversarial(attacker, batch):
                waiting.append((target, image, eps, l2))
                key = f"{target.key}/{eps!r}" if eps else target.key
                yield image, key, procedures.predict(setting, n=(n,))

    predictions = attacker.classifier.run(
        jobs(),
        seed=attacker.seed,
        stream=setting.stream,
        batch_size=batch_size,
        box=attacker.plan.box,
    )
    results: list[Attacked] = []
    for (prediction,) in predictions:
        target, image, eps, l2 = waiting.popleft()
        results.append(Attacked(image, eps, l2, prediction))
        if len(results) == len(target.eps):
            yield results
            results = []


def _adversarial(
    attacker: Attacker, batch: Sequence[Target]
) -> Iterator[tuple[Target, Tensor, float, float]]:
    """What to judge, per target and distance: target, image, distance allowed, actual distance."""
    for target, adversarial in zip(batch, attacker(batch), strict=True):
        x = target.x.to(adversarial.device)
        images = torch.cat([x.expand(len(target.eps) - len(adversarial), *x.shape), adversarial])
        lengths = attacker.distance(x.unsqueeze(0), images).tolist()
        for image, eps, l2 in zip(images, target.eps, lengths, strict=True):
            yield target, image, eps, l2
