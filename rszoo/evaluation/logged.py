"""What all evaluations share: they go on with a log, image by image, and know what is left to do."""

import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Generic, Self, TypeVar

from torch import Tensor

from rszoo.data.datasets import LabelledImages
from rszoo.logs.format import AnyProtocol, LogWriter, Record
from rszoo.smoothing import procedures
from rszoo.smoothing.certificate import Certificate, Prediction
from rszoo.smoothing.classifier import SmoothedClassifier
from rszoo.smoothing.runtime import default_batch

TRIAL_BATCHES = 4

Kind = TypeVar("Kind", bound=AnyProtocol)


class LoggedEvaluation(ABC, Generic[Kind]):
    """An evaluation that is ready to go on: iterating does it, an image at a time, and yields the lines it appends to the log.

    A log at `out` is continued where it ends. Its lines do not depend on interruptions, batch size or shards.

    Args:
        out: the log.
        protocol: what is evaluated; its options have been checked.
        classifier: votes.
        images: the data set.
        batch_size: samples a forward pass; no effect on the log.

    Raises:
        ValueError: `out` holds another log.
        OSError: `out` cannot be written.
    """

    def __init__(
        self,
        out: str | Path,
        protocol: Kind,
        *,
        classifier: SmoothedClassifier,
        images: LabelledImages,
        batch_size: int | None,
    ) -> None:
        self.protocol, self.classifier, self.images, self.batch_size = (
            protocol,
            classifier,
            images,
            batch_size,
        )
        self.log = LogWriter(Path(out), protocol)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.log.close()

    def __iter__(self) -> Iterator[Sequence[Record]]:
        remaining = list(self.log.remaining)
        before = time.perf_counter()
        for _, found in zip(remaining, self.results(remaining), strict=True):
            now = time.perf_counter()
            records = [replace(record, seconds=now - before) for record in found]
            self.log.append(records)
            before = now
            yield records

    @abstractmethod
    def results(self, remaining: Sequence[int]) -> Iterator[Sequence[Record]]:
        """The lines of the images that remain, an image at a time, in order; without their times."""

    def estimate(self) -> float:
        """Seconds that the remaining images will take, from a measured trial; 0.0 if none remain."""
        if not self.log.remaining:
            return 0.0
        return self._seconds_a_sample() * self.protocol.samples_per_image * len(self.log.remaining)

    def pixels(self, idx: int) -> Tensor:
        """The image of that number, (C, H, W) in pixel units."""
        return self.images.pixels(idx).float().div(255)

    def record(self, idx: int, found: Certificate | Prediction) -> Record:
        """The line of a result, without its time."""
        path, label = None, int(self.images.labels[idx])
        if isinstance(found, Certificate):
            radius, selected = found.radius, found.selected
            path = found.path if found.rule == "sequential" else None
        else:
            radius, selected = None, found.counts.index(max(found.counts))
        votes = {each: count for each, count in enumerate(found.counts) if count}
        return Record(
            idx, label, found.label, found.label == label, 0.0, radius, selected, votes, path
        )

    def _seconds_a_sample(self) -> float:
        voter = self.classifier
        samples = TRIAL_BATCHES * (
            self.batch_size or default_batch(voter.form, voter.input_shape, voter.device)
        )
        setting = voter.setting(self.protocol.alpha, self.protocol.seed)
        for _ in range(2):  # the first time warms up
            started = time.perf_counter()
            jobs = [
                (
                    self.pixels(self.log.remaining[0]),
                    "trial",
                    procedures.predict(setting, n=(samples,)),
                )
            ]
            list(voter.run(jobs, seed=0, batch_size=self.batch_size))
        return (time.perf_counter() - started) / samples
