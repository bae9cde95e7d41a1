"""Evaluations of a data set that append to a log and continue it after any interruption."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Generic, Self

import torch

from rszoo.evaluation.attacking import AttackEvaluator
from rszoo.evaluation.evaluator import Evaluator, Kind, VotingEvaluator, VotingProtocol
from rszoo.evaluation.options import (
    ATTACK,
    CERTIFY,
    AttackOptions,
    CertifyOptions,
    PredictOptions,
    SoftOptions,
)
from rszoo.evaluation.protocols import (
    attack_protocol,
    open_subject,
    voting_protocol,
)
from rszoo.logs.format import AnyProtocol, AttackProtocol, LogWriter, Record

BeforeWriting = Callable[[AnyProtocol], None]


class LoggedEvaluation(Generic[Kind]):
    """An evaluation that writes its log while you iterate: one image at a time, yielding its lines.

    Continues a log of the same protocol where it ends. The lines do not depend on interruptions,
    batch size or shards.

    Args:
        out: the log.
        evaluator: what evaluates.

    Raises:
        ValueError: `out` holds another log.
        OSError: `out` cannot be written.
    """

    def __init__(self, out: str | Path, evaluator: Evaluator[Kind]) -> None:
        self.evaluator, self.protocol = evaluator, evaluator.protocol
        self.log = LogWriter(Path(out), evaluator.protocol)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.log.close()

    def __iter__(self) -> Iterator[Sequence[Record]]:
        before = time.perf_counter()
        for untimed in self.evaluator.records(list(self.log.remaining)):
            now = time.perf_counter()
            records = [replace(record, seconds=now - before) for record in untimed]
            self.log.append(records)
            before = now
            yield records

    def estimate(self) -> float:
        """About how many seconds the remaining images will take; 0.0 if none remain."""
        remaining = self.log.remaining
        return self.evaluator.seconds(remaining) if remaining else 0.0


class Evaluation(LoggedEvaluation[VotingProtocol]):
    """CERTIFY or PREDICT on a data set; see `LoggedEvaluation` and `VotingEvaluator`.

    Args:
        name: an entry, as for `rszoo.load`.
        out: the log.
        options: `CertifyOptions`, `SoftOptions` or `PredictOptions`.
        device: where to vote.
        download: fetch the data set if it is not there.
        batch_size: samples per forward pass; no effect on the log.
        before_writing: called with the protocol before the log is opened.

    Raises:
        ValueError: an option is out of range, or `out` holds another log.
        FileNotFoundError: the data set is not there.
        OSError: `out` cannot be written.
    """

    def __init__(
        self,
        name: str,
        out: str | Path,
        options: CertifyOptions | SoftOptions | PredictOptions = CERTIFY,
        *,
        device: str | torch.device = "cpu",
        download: bool = False,
        batch_size: int | None = None,
        before_writing: BeforeWriting | None = None,
    ) -> None:
        if not isinstance(options, CertifyOptions | SoftOptions | PredictOptions):
            kind = type(options).__name__
            raise ValueError(
                f"Expected CertifyOptions, SoftOptions or PredictOptions, got {kind}; "
                "AttackEvaluation takes AttackOptions."
            )
        subject = open_subject(name, options, device=device, download=download)
        evaluator = VotingEvaluator(
            voting_protocol(subject, options),
            subject.classifier,
            subject.images,
            batch_size=batch_size,
        )
        if before_writing is not None:
            before_writing(evaluator.protocol)
        super().__init__(out, evaluator)


class AttackEvaluation(LoggedEvaluation[AttackProtocol]):
    """An attack on a data set; see `LoggedEvaluation` and `AttackEvaluator`.

    Args:
        name, out, device, download, batch_size, before_writing: as for `Evaluation`; batch_size is
            that of PREDICT.
        options: the attack and its judge.
        save_images: a folder for one picture per image and distance, made inside an existing one.

    Raises:
        ValueError: an option is out of range, or `out` holds another log.
        FileNotFoundError: the data set is not there, or the folder around that for pictures.
        OSError: `out` cannot be written, or the folder for pictures cannot be made.
    """

    def __init__(
        self,
        name: str,
        out: str | Path,
        options: AttackOptions = ATTACK,
        *,
        device: str | torch.device = "cpu",
        download: bool = False,
        batch_size: int | None = None,
        save_images: Path | None = None,
        before_writing: BeforeWriting | None = None,
    ) -> None:
        subject = open_subject(name, options, device=device, download=download)
        evaluator = AttackEvaluator(
            attack_protocol(subject, options),
            subject.classifier,
            subject.images,
            batch_size=batch_size,
            pictures=save_images,
        )
        if before_writing is not None:
            before_writing(evaluator.protocol)
        if save_images is not None:
            save_images.mkdir(exist_ok=True)
        super().__init__(out, evaluator)
