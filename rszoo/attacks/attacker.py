"""Attacks on smoothed classifiers, and PREDICT's judgement of what they find, on noise that the attack has not seen.

What an attack finds is a function of the image, the key of its noise, the distance and the seed, up to rounding; and rounding
depends on which images go through the network together. Those are the images of a batch of the caller's, so that the same
batches give the same bits; on CUDA this holds for convolutions, and not for the max pooling of the ImageNet networks.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from rszoo.attacks import Plan
from rszoo.attacks.base import norms
from rszoo.smoothing import procedures
from rszoo.smoothing.certificate import Prediction
from rszoo.smoothing.classifier import SmoothedClassifier
from rszoo.smoothing.form import AttackedForm
from rszoo.smoothing.noise import Stream, block_size, normal_block
from rszoo.smoothing.precision import isolated
from rszoo.smoothing.requests import Procedure, Stage
from rszoo.smoothing.runtime import attack_batch

SLACKS = (
    1e-6,
    1e-4,
    1e-2,
    1.0,
)  # by which an image outside of the ball by rounding is moved inward, until it is within


@dataclass(frozen=True)
class Target:
    """An image to attack: the key of its noise, pixels (C, H, W) in [0, 1], label, and distances in pixel units.

    Distance 0 stands for the image itself, and comes first if at all.
    """

    key: str
    x: Tensor
    label: int
    eps: Sequence[float]


@dataclass(frozen=True)
class Attacked:
    """An adversarial image (C, H, W), how far it was allowed to be and how far it is, and what PREDICT says of it."""

    image: Tensor
    eps: float
    l2: float
    prediction: Prediction


class Attacker:
    """A plan with a classifier to attack: its folded network in float32, whatever the precision in which it votes.

    Args:
        classifier: the smoothed classifier.
        plan: the attack.
        seed: of the attack's noise, which no vote shares, and of random starts.
        batch: noisy images in a pass; a function of image shape and kind of device if absent.

    Raises:
        ValueError: batch is less than 1.
    """

    def __init__(
        self, classifier: SmoothedClassifier, plan: Plan, *, seed: int = 0, batch: int | None = None
    ) -> None:
        self.classifier, self.plan, self.seed = classifier, plan, seed
        self.batch = (
            attack_batch(classifier.input_shape, classifier.device) if batch is None else batch
        )
        plan.at(1.0, seed=seed, max_batch=self.batch)  # refuses what is out of range
        self.network = AttackedForm(classifier.form)

    def __call__(self, targets: Sequence[Target]) -> Tensor:
        """Adversarial images of targets with equally many distances K > 0, all in one batch: (B, K, C, H, W) on the device.

        Each is within its distance exactly, not only up to rounding. Where the noise is of the grid, so are the images:
        perturbations are rounded toward zero.
        """
        device, each = self.classifier.device, len(distances(targets[0]))
        eps = torch.tensor(
            [distances(target) for target in targets], dtype=torch.float64, device=device
        ).view(-1, 1, 1, 1)
        x = torch.stack([target.x for target in targets]).to(device).repeat_interleave(each, 0)
        x = x.contiguous(memory_format=torch.channels_last)
        y = torch.tensor([target.label for target in targets], device=device).repeat_interleave(
            each
        )
        made = self.plan.at(eps.float(), seed=self.seed, max_batch=self.batch)
        with isolated(device):
            found = made(self.network, x, y, self._noise([target.key for target in targets], each))
        return self._within(x, found, eps).view(len(targets), each, *x.shape[1:])

    def distance(self, x: Tensor, found: Tensor) -> Tensor:
        """The l2 distance of images (B, C, H, W), float64: of what is judged, on the grid if the noise is."""
        delta = found.double() - x.double()
        return norms(
            (delta * 255).round() / 255 if self.classifier.noise == "grid" else delta
        ).flatten()

    def _noise(self, keys: Sequence[str], each: int) -> Tensor:
        """The vectors of the images, `each` times the same for the distances of one: (m, B, C, H, W), channels last."""
        channels, height, width = shape = self.classifier.input_shape
        device, count, size = (
            self.classifier.device,
            self.plan.vectors,
            block_size(shape, self.classifier.device),
        )
        noise = torch.zeros(max(1, count), len(keys), each, height, width, channels, device=device)
        for place, key in enumerate(keys):
            for first in range(0, count, size):
                drawn = normal_block(
                    Stream(self.seed, key, Stage.ATTACK), first // size, shape, device
                )
                noise[first : first + size, place] = (
                    drawn[: count - first].permute(0, 2, 3, 1).unsqueeze(1)
                )
        return noise.mul_(self.classifier.sigma).flatten(1, 2).permute(0, 1, 4, 2, 3)

    def _within(self, x: Tensor, found: Tensor, eps: Tensor) -> Tensor:
        """The images moved toward x where rounding left them outside of their balls, and onto the grid if the noise is."""
        for slack in SLACKS:
            delta = found.double() - x.double()
            length = norms(delta)
            inward = (x + delta * (eps / length * (1 - slack))).float()
            found = torch.where(length > eps, inward, found)
        if self.classifier.noise == "grid":
            found = ((x * 255).round() + ((found.double() - x) * 255).trunc()).float() / 255
        return found


def distances(target: Target) -> list[float]:
    """The distances of a target at which there is something to attack."""
    return [eps for eps in target.eps if eps > 0]


def attack(
    attacker: Attacker,
    batches: Iterable[Sequence[Target]],
    *,
    n: int,
    alpha: float,
    batch_size: int | None = None,
) -> Iterator[list[Attacked]]:
    """Attack the targets, batch by batch, and judge each adversarial image by PREDICT; yields the targets' results in order.

    The votes of an image itself are those of PREDICT with its key; those at a distance have a key of their own.

    Args:
        attacker: what attacks.
        batches: targets, those that are attacked together in one; taken as they are needed.
        n: samples of PREDICT.
        alpha: its failure probability, for each prediction.
        batch_size: samples a forward pass of PREDICT; no effect on the results, but for rounding on a GPU.
    """
    classifier = attacker.classifier
    setting = classifier.setting(alpha, attacker.seed)
    waiting: deque[tuple[Target, float, Tensor, float]] = deque()

    def jobs() -> Iterator[tuple[Tensor, str, Procedure[list[Prediction]]]]:
        for batch in batches:
            for target, image, eps, l2 in _found(attacker, batch):
                waiting.append((target, eps, image, l2))
                key = f"{target.key}/{eps!r}" if eps else target.key
                yield image, key, procedures.predict(setting, n=(n,))

    results: list[Attacked] = []
    for (prediction,) in classifier.run(
        jobs(), seed=attacker.seed, batch_size=batch_size, box=attacker.plan.box
    ):
        target, eps, image, l2 = waiting.popleft()
        results.append(Attacked(image, eps, l2, prediction))
        if len(results) == len(target.eps):
            yield results
            results = []


def _found(
    attacker: Attacker, batch: Sequence[Target]
) -> Iterator[tuple[Target, Tensor, float, float]]:
    """The images to judge: of each target one a distance, with the distance allowed and the distance found."""
    for target, adversarial in zip(batch, attacker(batch), strict=True):
        x = target.x.to(adversarial.device)
        images = torch.cat([x.expand(len(target.eps) - len(adversarial), *x.shape), adversarial])
        lengths = attacker.distance(x.unsqueeze(0), images).tolist()
        for image, eps, l2 in zip(images, target.eps, lengths, strict=True):
            yield target, image, eps, l2
