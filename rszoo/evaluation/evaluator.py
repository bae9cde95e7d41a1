"""Evaluators turn images into the lines of a log, in memory: here by CERTIFY and PREDICT."""

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Generic, TypeVar

from torch import Tensor

from rszoo.data.datasets import LabelledImages
from rszoo.logs.format import (
    AnyProtocol,
    CertifyProtocol,
    Means,
    PredictProtocol,
    Record,
    SoftProtocol,
)
from rszoo.smoothing import procedures
from rszoo.smoothing.certificate import Certificate, Prediction, SoftCertificate
from rszoo.smoothing.classifier import SmoothedClassifier
from rszoo.smoothing.requests import Procedure, SoftProcedure
from rszoo.smoothing.runtime import default_batch
from rszoo.smoothing.soft import soft_certification

TRIAL_BATCHES = 4

Kind = TypeVar("Kind", bound=AnyProtocol)
VotingProtocol = CertifyProtocol | SoftProtocol | PredictProtocol
Outcome = Certificate | SoftCertificate | list[Prediction]


class Evaluator(ABC, Generic[Kind]):
    """Evaluates images by a protocol: the records do not depend on batch size or order.

    Args:
        protocol: what to do.
        classifier: votes.
        images: the data set.
        batch_size: samples per forward pass; chosen if None.

    Raises:
        ValueError: the classifier cannot follow the protocol.
    """

    def __init__(
        self,
        protocol: Kind,
        classifier: SmoothedClassifier,
        images: LabelledImages,
        *,
        batch_size: int | None = None,
    ) -> None:
        self.protocol, self.classifier, self.images = protocol, classifier, images
        self.batch_size = batch_size
        self.setting = classifier.setting(protocol.alpha, protocol.seed)

    @abstractmethod
    def records(self, indices: Sequence[int]) -> Iterator[Sequence[Record]]:
        """The lines of each of these images, in order, without their times."""

    def seconds(self, indices: Sequence[int]) -> float:
        """About how long these images will take, from a timed trial on the first."""
        form, shape = self.classifier.form, self.classifier.input_shape
        size = self.batch_size or default_batch(form, shape, self.classifier.device)
        n = TRIAL_BATCHES * size
        for _ in range(2):  # the first time warms up
            started = time.perf_counter()
            trial = procedures.predict(self.setting, n=(n,))
            jobs = [(self.pixels(indices[0]), "trial", trial)]
            list(self.classifier.run(jobs, seed=0, batch_size=self.batch_size))
        per_sample = (time.perf_counter() - started) / n
        return per_sample * self.protocol.samples_per_image * len(indices)

    def pixels(self, idx: int) -> Tensor:
        """Image number idx, (C, H, W) in pixel units."""
        return self.images.pixels(idx).float().div(255)

    def label(self, idx: int) -> int:
        """The true class of image number idx."""
        return int(self.images.labels[idx])

    def record(self, idx: int, result: Certificate | SoftCertificate | Prediction) -> Record:
        """The line of a result, without its time."""
        evidence: dict[str, Any]
        if isinstance(result, SoftCertificate):
            means = Means(result.means[result.selected], result.lower, result.upper, result.n)
            evidence = {"radius": result.radius, "selected": result.selected, "means": means}
        else:
            votes = {label: count for label, count in enumerate(result.counts) if count}
            evidence = {"selected": result.counts.index(max(result.counts)), "votes": votes}
        if isinstance(result, Certificate):
            evidence |= {"radius": result.radius, "selected": result.selected}
            evidence["path"] = result.path if result.rule == "sequential" else None
        return Record(
            idx=idx,
            label=self.label(idx),
            predict=result.label,
            correct=result.label == self.label(idx),
            seconds=0.0,
            **evidence,
        )


class VotingEvaluator(Evaluator[VotingProtocol]):
    """CERTIFY or PREDICT; see `Evaluator`.

    The noise of an image is that of `certify(x, keys=[str(idx)])` or `predict(x, keys=[str(idx)])`.
    """

    def __init__(
        self,
        protocol: VotingProtocol,
        classifier: SmoothedClassifier,
        images: LabelledImages,
        *,
        batch_size: int | None = None,
    ) -> None:
        super().__init__(protocol, classifier, images, batch_size=batch_size)
        self._procedure = self._maker()

    def records(self, indices: Sequence[int]) -> Iterator[Sequence[Record]]:
        """One line per image, or with PREDICT one per n; see `Evaluator`."""
        jobs = ((self.pixels(idx), str(idx), self._procedure(self.label(idx))) for idx in indices)
        protocol, size = self.protocol, self.batch_size
        results = self.classifier.run(
            jobs, seed=protocol.seed, stream=protocol.stream, batch_size=size
        )
        for idx, result in zip(indices, results, strict=True):
            predictions = result if isinstance(result, list) else [result]
            yield [self.record(idx, prediction) for prediction in predictions]

    def _maker(self) -> Callable[[int], Procedure[Outcome] | SoftProcedure[Outcome]]:
        """From a label to the procedure of its image, once all options have been checked."""
        protocol = self.protocol
        if isinstance(protocol, PredictProtocol):
            return lambda label: procedures.predict(self.setting, n=protocol.n)
        if isinstance(protocol, SoftProtocol):
            soft = soft_certification(
                self.setting, n0=protocol.n0, n=protocol.n, bound=protocol.bound
            )
            return lambda label: soft()
        make = procedures.certification(
            self.setting,
            n0=protocol.n0,
            n=protocol.n,
            bound=protocol.bound,
            radius=protocol.radii,
            tolerance=protocol.tolerance,
            power=protocol.power,
        )
        return lambda label: make(only=label if protocol.correct_only else None)
