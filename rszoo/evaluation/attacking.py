"""A data set through an attack and PREDICT into a log: empirical accuracy."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

import torch

from rszoo.attacks import Plan
from rszoo.attacks.attacker import Attacked, Attacker, Target, attack
from rszoo.evaluation.logged import LoggedEvaluation
from rszoo.evaluation.pictures import save_pictures
from rszoo.evaluation.protocols import attack_protocol, prepared
from rszoo.logs.format import AttackProtocol, Record


class AttackEvaluation(LoggedEvaluation[AttackProtocol]):
    """An attack at several distances, judged by PREDICT on fresh noise; see `LoggedEvaluation`.

    The first line of an image is that of `predict(x, keys=[str(idx)])` without an attack. Images are attacked in batches that
    the protocol fixes; an interrupted batch is attacked again, to the same lines.

    Args:
        name: an entry, as for `rszoo.load`.
        out: the log.
        plan: the attack, on the true label.
        eps: ascending l2 distances, in pixel units.
        n: samples of PREDICT, for each line.
        split, stride, alpha, seed: the rest of the protocol; what is absent is as for `Evaluation`.
        start, stop: number of the first image, and of the first one beyond; all if absent.
        sigma: noise other than that of the training.
        precision: of the votes, other than the entry's own.
        shard: (i, k) for the i-th of k parts of the images.
        device: where it attacks and votes.
        download: fetch the data set if it is not there.
        batch_size: samples a forward pass of PREDICT; no effect on the log.
        attack_batch: noisy images that are attacked together, part of the protocol; chosen by image shape and device if absent.
        save_images: a folder for a picture an image and distance; made if only it is absent.

    Raises:
        ValueError: an argument is out of range, or `out` holds another log.
        FileNotFoundError: the data set, or the folder around that for pictures, is not there.
        OSError: `out` cannot be written, or the folder for pictures cannot be made.
    """

    def __init__(
        self,
        name: str,
        out: str | Path,
        *,
        plan: Plan | None = None,
        eps: Sequence[float] = (0.25, 0.5, 1.0),
        n: int = 1000,
        split: Literal["train", "test"] | None = None,
        start: int = 0,
        stop: int | None = None,
        stride: int | None = None,
        sigma: float | None = None,
        alpha: float | None = None,
        precision: str | None = None,
        seed: int | None = None,
        shard: tuple[int, int] | None = None,
        device: str | torch.device = "cpu",
        download: bool = False,
        batch_size: int | None = None,
        attack_batch: int | None = None,
        save_images: Path | None = None,
    ) -> None:
        made = prepared(
            name,
            split=split,
            start=start,
            stop=stop,
            stride=stride,
            sigma=sigma,
            alpha=alpha,
            precision=precision,
            seed=seed,
            shard=shard,
            device=device,
            download=download,
        )
        entry = made.entry
        plan = plan or Plan()
        attacker = Attacker(entry.classifier, plan, batch=attack_batch)
        protocol = attack_protocol(made.shared, plan, eps=eps, n=n, attack_batch=attacker.batch)
        entry.classifier.setting(protocol.alpha, protocol.seed).level(n)
        attacker.seed = protocol.seed
        if save_images is not None:
            save_images.mkdir(exist_ok=True)
        self.attacker, self.folder = attacker, save_images
        super().__init__(
            out, protocol, classifier=entry.classifier, images=made.images, batch_size=batch_size
        )

    def results(self, remaining: Sequence[int]) -> Iterator[Sequence[Record]]:
        """A line for each distance; see `LoggedEvaluation`."""
        left = set(remaining)
        batches = [batch for batch in self.protocol.batches if left & set(batch)]
        found = attack(
            self.attacker,
            ([self._target(idx) for idx in batch] for batch in batches),
            n=self.protocol.n,
            alpha=self.protocol.alpha,
            batch_size=self.batch_size,
        )
        for idx, lines in zip((idx for batch in batches for idx in batch), found, strict=True):
            if idx in left:
                if self.folder is not None:
                    save_pictures(
                        self.folder,
                        idx,
                        [each.image for each in lines],
                        eps=self.protocol.distances,
                    )
                yield [self._attacked(idx, each) for each in lines]

    def estimate(self) -> float:
        """Seconds that the remaining images will take, votes and attack; see `LoggedEvaluation`."""
        if not self.log.remaining:
            return 0.0
        plan = self.attacker.plan
        trial = Attacker(
            self.classifier,
            replace(plan, steps=1, restarts=1),
            seed=self.protocol.seed,
            batch=self.protocol.attack_batch,
        )
        targets = [self._target(idx) for idx in self.protocol.batches[0]]
        for _ in range(2):  # the first time warms up
            started = time.perf_counter()
            trial(targets)
        seconds = (time.perf_counter() - started) * plan.steps * plan.restarts / len(targets)
        return super().estimate() + seconds * len(self.log.remaining)

    def _target(self, idx: int) -> Target:
        return Target(
            str(idx), self.pixels(idx), int(self.images.labels[idx]), self.protocol.distances
        )

    def _attacked(self, idx: int, found: Attacked) -> Record:
        return replace(self.record(idx, found.prediction), eps=found.eps, l2=found.l2)
