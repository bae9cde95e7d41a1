"""A data set through CERTIFY or PREDICT into a log: streamed, resumable, in shards."""

import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

import numpy as np
import torch
from torch import Tensor

import rszoo
from rszoo import procedures
from rszoo.bounds import minimum_n_predict
from rszoo.certificate import Certificate, Prediction
from rszoo.config import EntryConfig
from rszoo.datasets import open_images
from rszoo.recipe import Certification, load_recipe, recipe_names
from rszoo.records import AnyProtocol, CertifyProtocol, LogWriter, PredictProtocol, Record, validated
from rszoo.smoothing import SmoothedClassifier
from rszoo.voting import Procedure
from rszoo.zoo import open_entry

PAPERS = Certification(split="test", stride=20, n0=100, n=100_000, alpha=0.001, bound="cohen", seed=0)
TABLE_4 = (100, 1000, 10_000)
TRIAL_BATCHES = 4

Task = Literal["certify", "predict"]


class Evaluation:
    """An evaluation that is ready to go on: iterating does it, an image at a time, and yields the lines it appends to the log.

    A log at `out` is continued where it ends. Its lines do not depend on interruptions, batch size or shards; the noise of an
    image is that of `certify(x, keys=[str(idx)])` or `predict(x, keys=[str(idx)])`.

    Args:
        name: an entry, as for `rszoo.load`.
        out: the log.
        task: "certify", or "predict": PREDICT at one or more n.
        split, stride, n0, n, alpha, bound, seed: the protocol; what is absent is as the entry's recipe says, or, without one,
            as in the papers. For "predict", n may be several numbers, and is 100, 1000, 10000 if absent.
        radii: certify with the sequential test of these ascending radii, in pixel units; n is then the most samples.
        tolerance: let the n0 samples choose a smaller n for each image, to lose about that much radius, in pixel units.
        correct_only: do not estimate images whose true class was not selected: their certified accuracy is known to be 0.
        start, stop: number of the first image, and of the first one beyond; all if absent.
        sigma: noise other than that of the training.
        precision: of the votes, other than the entry's own.
        shard: (i, k) for the i-th of k parts of the images.
        device: where it votes.
        batch_size: samples a forward pass; no effect on the log.

    Raises:
        ValueError: an argument is out of range, or `out` holds another log.
        FileNotFoundError: the data set is not there.
        OSError: `out` cannot be written.
    """

    def __init__(
        self,
        name: str,
        out: Path,
        *,
        task: Task = "certify",
        split: Literal["train", "test"] | None = None,
        start: int = 0,
        stop: int | None = None,
        stride: int | None = None,
        sigma: float | None = None,
        n0: int | None = None,
        n: int | Sequence[int] | None = None,
        alpha: float | None = None,
        bound: str | None = None,
        radii: Sequence[float] | None = None,
        tolerance: float | None = None,
        correct_only: bool = False,
        precision: str | None = None,
        seed: int | None = None,
        shard: tuple[int, int] | None = None,
        device: str | torch.device = "cpu",
        batch_size: int | None = None,
    ) -> None:
        entry = open_entry(name, device=device, sigma=sigma, precision=precision)
        self.classifier, self.batch_size = entry.classifier, batch_size
        usual = usual_protocol(entry.config)
        split = split or usual.split
        self.images = open_images(entry.config.dataset, split)
        common = _common(entry.config, entry.classifier) | {
            "split": split,
            "start": start,
            "stop": _checked_stop(start, stop, len(self.images.labels)),
            "stride": stride or usual.stride,
            "shard": _checked_shard(shard),
            "alpha": usual.alpha if alpha is None else alpha,
            "seed": usual.seed if seed is None else seed,
        }
        self.protocol: AnyProtocol
        rule: dict[str, object] = {"radii": radii, "tolerance": tolerance, "correct_only": correct_only}
        if task == "predict":
            self.protocol = _predict_protocol(common, n, {"n0": n0, "bound": bound} | rule)
        else:
            self.protocol = _certify_protocol(common, usual, rule, n0=n0, n=n, bound=bound)
        self._procedure = self._maker()
        self.log = LogWriter(out, self.protocol)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.log.close()

    def __iter__(self) -> Iterator[Sequence[Record]]:
        remaining = list(self.log.remaining)
        before = time.perf_counter()
        for idx, found in zip(remaining, self._results(remaining), strict=True):
            now = time.perf_counter()
            label = int(self.images.labels[idx])
            each = found if isinstance(found, list) else [found]
            records = [_record(idx, label, result, now - before) for result in each]
            self.log.append(records)
            before = now
            yield records

    def estimate(self) -> float:
        """Seconds that the remaining images will take, from a measured trial; 0.0 if none remain."""
        if not self.log.remaining:
            return 0.0
        samples = TRIAL_BATCHES * (self.batch_size or 128)
        setting = self.classifier.setting(self.protocol.alpha, self.protocol.seed)
        for _ in range(2):  # the first time warms up
            started = time.perf_counter()
            jobs = [(self._pixels(self.log.remaining[0]), "trial", procedures.predict(setting, n=(samples,)))]
            list(self.classifier.run(jobs, seed=0, batch_size=self.batch_size))
        return (time.perf_counter() - started) / samples * self.protocol.samples_an_image * len(self.log.remaining)

    def _results(self, remaining: Sequence[int]) -> Iterator[Certificate | list[Prediction]]:
        jobs = ((self._pixels(idx), str(idx), self._procedure(idx)) for idx in remaining)
        return self.classifier.run(jobs, seed=self.protocol.seed, batch_size=self.batch_size)

    def _maker(self) -> Callable[[int], Procedure[Certificate | list[Prediction]]]:
        """The procedure of each image, after all options have been checked."""
        protocol = self.protocol
        setting = self.classifier.setting(protocol.alpha, protocol.seed)
        if isinstance(protocol, PredictProtocol):
            numbers = protocol.n
            return lambda idx: procedures.predict(setting, n=numbers)
        make = self.classifier.certification(
            setting, n0=protocol.n0, n=protocol.n, bound=protocol.bound, radius=protocol.radii, tolerance=protocol.tolerance
        )
        only = protocol.correct_only
        return lambda idx: make(only=int(self.images.labels[idx]) if only else None)

    def _pixels(self, idx: int) -> Tensor:
        return self.images.pixels(idx).float().div(255)


def usual_protocol(config: EntryConfig) -> Certification:
    """The protocol of the recipe that made an entry, or that of the papers if its recipe is not at hand."""
    if config.name in recipe_names() and (recipe := load_recipe(config.name)).fingerprint == config.recipe_fingerprint:
        return recipe.certification
    return PAPERS


def _common(config: EntryConfig, classifier: SmoothedClassifier) -> dict[str, object]:
    device = torch.device(classifier.device)
    kind = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
    return {
        "name": config.name,
        "weights_sha256": config.weights_sha256,
        "dataset": config.dataset,
        "num_classes": len(config.classes),
        "trained_sigma": config.sigma,
        "sigma": classifier.sigma,
        "noise": classifier.noise,
        "precision": classifier.precision,
        "software": f"rszoo {rszoo.__version__}, torch {torch.__version__}, numpy {np.__version__}, {kind}",
    }


def _certify_protocol(
    common: dict[str, object],
    usual: Certification,
    rule: dict[str, object],
    *,
    n0: int | None,
    n: int | Sequence[int] | None,
    bound: str | None,
) -> CertifyProtocol:
    if not isinstance(n, int | None):
        raise ValueError(f"Expected one n for CERTIFY, got {list(n)}; several are for task='predict'.")
    numbers = {"n0": usual.n0 if n0 is None else n0, "n": usual.n if n is None else n}
    usual_bound = usual.bound if rule["radii"] is None else "cohen"
    return validated(CertifyProtocol, common | rule | numbers | {"bound": usual_bound if bound is None else bound})


def _predict_protocol(common: dict[str, object], n: int | Sequence[int] | None, others: dict[str, object]) -> PredictProtocol:
    if given := [key for key, value in others.items() if value]:
        raise ValueError(f"Expected no {given[0]} for PREDICT, got one; leave it out, or certify.")
    numbers = TABLE_4 if n is None else (n,) if isinstance(n, int) else tuple(n)
    protocol = validated(PredictProtocol, common | {"n": numbers})
    if list(numbers) != sorted(set(numbers)):
        raise ValueError(f"Expected ascending n, got {list(numbers)}; sort them.")
    if numbers[0] < (smallest := minimum_n_predict(protocol.alpha)):
        raise ValueError(
            f"Expected n large enough to decide at alpha={protocol.alpha}, got n={numbers[0]}; use n >= {smallest}."
        )
    return protocol


def _checked_stop(start: int, stop: int | None, size: int) -> int:
    end = size if stop is None else stop
    if not 0 <= start < end <= size:
        raise ValueError(f"Expected 0 <= start < stop <= {size}, got start={start}, stop={end}; choose images of the data set.")
    return end


def _checked_shard(shard: tuple[int, int] | None) -> tuple[int, int] | None:
    if shard is not None and not 1 <= shard[0] <= shard[1]:
        raise ValueError(
            f"Expected a shard from 1/{shard[1]} to {shard[1]}/{shard[1]}, got {shard[0]}/{shard[1]}; count from 1."
        )
    return shard


def _record(idx: int, label: int, found: Certificate | Prediction, seconds: float) -> Record:
    path = None
    if isinstance(found, Certificate):
        radius, selected = found.radius, found.selected
        path = found.path if found.rule == "sequential" else None
    else:
        radius, selected = None, found.counts.index(max(found.counts))
    votes = {each: count for each, count in enumerate(found.counts) if count}
    return Record(idx, label, found.label, found.label == label, seconds, radius, selected, votes, path)
