"""The evaluator of attacks: empirical accuracy at several distances, and pictures of the images."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from rszoo.attacks import Plan
from rszoo.attacks.attacker import Attacker, Target, attack
from rszoo.data.datasets import LabelledImages
from rszoo.evaluation.evaluator import Evaluator
from rszoo.logs.format import AttackProtocol, Record
from rszoo.smoothing.classifier import SmoothedClassifier

SIDE = 224  # pixels to which a small picture is enlarged, about


class AttackEvaluator(Evaluator[AttackProtocol]):
    """Attacks judged by PREDICT on fresh noise; see `Evaluator`.

    The first line of an image is that of `predict(x, keys=[str(idx)])` without an attack. The
    protocol fixes which images are attacked together; with some of such a batch wanted, all of it
    is attacked, to the same lines.

    Args:
        protocol, classifier, images, batch_size: as for `Evaluator`.
        pictures: a folder for one picture per image and distance; None for none.
    """

    def __init__(
        self,
        protocol: AttackProtocol,
        classifier: SmoothedClassifier,
        images: LabelledImages,
        *,
        batch_size: int | None = None,
        pictures: Path | None = None,
    ) -> None:
        super().__init__(protocol, classifier, images, batch_size=batch_size)
        self.setting.level(protocol.n)
        self.pictures = pictures
        self.attacker = Attacker(
            classifier,
            Plan(**{option.name: getattr(protocol, option.name) for option in fields(Plan)}),
            seed=protocol.seed,
            batch=protocol.attack_batch,
        )

    def records(self, indices: Sequence[int]) -> Iterator[Sequence[Record]]:
        """One line per image and distance; see `Evaluator`."""
        wanted = set(indices)
        batches = [batch for batch in self.protocol.batches if wanted & set(batch)]
        results = attack(
            self.attacker,
            ([self._target(idx) for idx in batch] for batch in batches),
            n=self.protocol.n,
            alpha=self.protocol.alpha,
            batch_size=self.batch_size,
            stream=self.protocol.stream,
        )
        attacked = (idx for batch in batches for idx in batch)
        for idx, lines in zip(attacked, results, strict=True):
            if idx not in wanted:
                continue
            if self.pictures is not None:
                save_pictures(self.pictures, idx, {line.eps: line.image for line in lines})
            yield [
                replace(self.record(idx, line.prediction), eps=line.eps, l2=line.l2)
                for line in lines
            ]

    def seconds(self, indices: Sequence[int]) -> float:
        """About how long votes and attacks on these images will take, from timed trials."""
        plan, targets = self.attacker.plan, list(map(self._target, self.protocol.batches[0]))
        trial = Attacker(
            self.classifier,
            replace(plan, steps=1, restarts=1),
            seed=self.protocol.seed,
            batch=self.protocol.attack_batch,
        )
        for _ in range(2):  # the first time warms up
            started = time.perf_counter()
            trial(targets)
        per_image = (time.perf_counter() - started) * plan.steps * plan.restarts / len(targets)
        return super().seconds(indices) + per_image * len(indices)

    def _target(self, idx: int) -> Target:
        return Target(str(idx), self.pixels(idx), self.label(idx), self.protocol.distances)


def save_pictures(folder: Path, idx: int, images: dict[float, Tensor]) -> None:
    """One PNG per distance other than 0, such as idx-00007-eps-0.25.png.

    Each shows the image, the perturbation (0 is mid-grey, its largest value black or white), and
    the adversarial image.

    Args:
        folder: where to.
        idx: number of the image.
        images: (C, H, W) in pixel units, by distance; at distance 0 the image itself.
    """
    x = images[0.0].cpu()
    for eps, adversarial in images.items():
        if eps:
            picture = _side_by_side(x, adversarial.cpu())
            picture.save(folder / f"idx-{idx:05}-eps-{eps:g}.png")


def _side_by_side(x: Tensor, adversarial: Tensor) -> Image.Image:
    delta = adversarial - x
    scaled = 0.5 + 0.5 * delta / delta.abs().max().clamp_min(torch.finfo(delta.dtype).tiny)
    row = torch.cat([x, scaled, adversarial], dim=2).clamp(0, 1).mul(255).round().byte()
    pixels = row.permute(1, 2, 0).numpy()
    picture = Image.fromarray(np.squeeze(pixels, 2) if pixels.shape[2] == 1 else pixels)
    times = max(1, SIDE // picture.height)
    return picture.resize((times * picture.width, times * picture.height), Image.Resampling.NEAREST)
