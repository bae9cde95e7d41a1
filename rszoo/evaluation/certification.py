"""A data set through CERTIFY or PREDICT into a log: streamed, resumable, in shards."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Literal, get_args

import torch

from rszoo.evaluation.logged import LoggedEvaluation
from rszoo.evaluation.protocols import certify_protocol, predict_protocol, prepared
from rszoo.logs.format import CertifyProtocol, PredictProtocol, Record
from rszoo.smoothing import procedures
from rszoo.smoothing.certificate import Certificate, Prediction
from rszoo.smoothing.classifier import SmoothedClassifier
from rszoo.smoothing.requests import Procedure

Task = Literal["certify", "predict"]


class Evaluation(LoggedEvaluation[CertifyProtocol | PredictProtocol]):
    """CERTIFY or PREDICT; see `LoggedEvaluation`.

    The noise of an image is that of `certify(x, keys=[str(idx)])` or `predict(x, keys=[str(idx)])`.

    Args:
        name: an entry, as for `rszoo.load`.
        out: the log.
        task: "certify", or "predict": PREDICT at one or more n.
        split, stride, n0, n, alpha, bound, seed: the protocol; what is absent is as the entry's recipe says, or, without one,
            as in the papers. For "predict", n may be several numbers, and is 100, 1000, 10000 if absent.
        radii: certify with the sequential test of these ascending radii, in pixel units; n is then the most samples.
        tolerance: let the n0 samples choose a smaller n for each image, to lose about that much radius, in pixel units.
        correct_only: do not estimate images whose true class was not selected: their certified accuracy is known to be 0.
        power: of radii, give up one that n samples would certify with less than this probability; as `certify` does if absent.
        start, stop: number of the first image, and of the first one beyond; all if absent.
        sigma: noise other than that of the training.
        precision: of the votes, other than the entry's own.
        shard: (i, k) for the i-th of k parts of the images.
        device: where it votes.
        download: fetch the data set if it is not there.
        batch_size: samples a forward pass; no effect on the log.

    Raises:
        ValueError: an argument is out of range, or `out` holds another log.
        FileNotFoundError: the data set is not there.
        OSError: `out` cannot be written.
    """

    def __init__(
        self,
        name: str,
        out: str | Path,
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
        power: float | None = None,
        precision: str | None = None,
        seed: int | None = None,
        shard: tuple[int, int] | None = None,
        device: str | torch.device = "cpu",
        download: bool = False,
        batch_size: int | None = None,
    ) -> None:
        if task not in get_args(Task):
            raise ValueError(
                f"Expected task 'certify' or 'predict', got {task!r}; choose one of these."
            )
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
        rule: dict[str, object] = {
            "radii": radii,
            "tolerance": tolerance,
            "correct_only": correct_only,
            "power": power,
        }
        protocol: CertifyProtocol | PredictProtocol
        if task == "predict":
            protocol = predict_protocol(made.shared, n, {"n0": n0, "bound": bound} | rule)
        else:
            protocol = certify_protocol(made.shared, made.usual, rule, n0=n0, n=n, bound=bound)
        self._procedure = _maker(protocol, made.entry.classifier)
        super().__init__(
            out,
            protocol,
            classifier=made.entry.classifier,
            images=made.images,
            batch_size=batch_size,
        )

    def results(self, remaining: Sequence[int]) -> Iterator[Sequence[Record]]:
        """One line an image, or for PREDICT one for each n; see `LoggedEvaluation`."""
        jobs = (
            (self.pixels(idx), str(idx), self._procedure(int(self.images.labels[idx])))
            for idx in remaining
        )
        found = self.classifier.run(jobs, seed=self.protocol.seed, batch_size=self.batch_size)
        for idx, result in zip(remaining, found, strict=True):
            yield [
                self.record(idx, each)
                for each in (result if isinstance(result, list) else [result])
            ]


def _maker(
    protocol: CertifyProtocol | PredictProtocol, classifier: SmoothedClassifier
) -> Callable[[int], Procedure[Certificate | list[Prediction]]]:
    """The procedure of an image with that label, after all options have been checked."""
    setting = classifier.setting(protocol.alpha, protocol.seed)
    if isinstance(protocol, PredictProtocol):
        numbers = protocol.n
        return lambda label: procedures.predict(setting, n=numbers)
    make = procedures.certification(
        setting,
        n0=protocol.n0,
        n=protocol.n,
        bound=protocol.bound,
        radius=protocol.radii,
        tolerance=protocol.tolerance,
        power=protocol.power,
    )
    only = protocol.correct_only
    return lambda label: make(only=label if only else None)
