"""Votes of a base classifier under noise: many images share every batch, each with its procedure.

A procedure (CERTIFY, PREDICT) is a generator: it yields `Request`s, is sent the votes, or the
scores where it asks for these, and returns its result. It knows nothing of batches; the engine
knows nothing of statistics. An image leaves when its procedure returns and another takes its place,
so the device stays full however few samples an image needs.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import compress
from typing import Any, Generic, NamedTuple

import torch
from torch import Tensor

from rszoo.smoothing.form import VotingForm
from rszoo.smoothing.noise import BLOCK, Noise, block_size
from rszoo.smoothing.requests import Procedure, Request, Result, SoftProcedure, Stage
from rszoo.smoothing.tallies import ScoreTally, Tally, VoteTally

WINDOW = 256  # images in progress at once: bounds memory and what an interruption loses


class Piece(NamedTuple):
    """The samples start, ..., stop - 1 of one block of a stage."""

    stage: Stage
    block: int
    start: int
    stop: int


@dataclass(frozen=True)
class Job(Generic[Result]):
    """An image (C, H, W) on the device, the key of its noise, and its procedure."""

    image: Tensor
    key: str
    procedure: Procedure[Result] | SoftProcedure[Result]


@dataclass(eq=False)
class Candidate(Generic[Result]):
    """An image in progress: its row in the tallies, and how many samples it waits for."""

    job: Job[Result]
    row: int
    waiting: int = 0
    scored: bool = False  # whether it waits for scores
    finished: bool = False
    result: Result | None = None
    drawn: tuple[Stage, int, Callable[[], Tensor]] | None = None

    def pieces(self, request: Request) -> Iterator[Piece]:
        """The request, block by block."""
        size = block_size(tuple(self.job.image.shape), self.job.image.device)
        for block in range(request.start // size, -(-request.stop // size)):
            start, stop = request.start - block * size, request.stop - block * size
            yield Piece(request.stage, block, max(start, 0), min(stop, size))


class Engine(Generic[Result]):
    """Runs jobs to their ends; see `run`."""

    def __init__(self, form: VotingForm, noise: Noise, num_classes: int, batch_size: int) -> None:
        self.form, self.noise, self.device = form, noise, form.device
        self.num_classes, self.batch_size = num_classes, batch_size
        workers = torch.get_num_threads() if self.device.type == "cpu" else 1
        self.round = batch_size * max(1, workers * BLOCK // batch_size)
        self.tallies: dict[bool, Tally] = {}  # by whether scores are wanted, once they are
        self.pending = 0  # samples asked for and not yet counted
        self.queue: deque[tuple[Candidate[Result], Iterator[Piece]]] = deque()
        self.rest: tuple[Candidate[Result], Piece] | None = None
        # each core draws a block, then all cores vote: drawing beside voting would stall the
        # network's threads
        self.pool = ThreadPoolExecutor(workers)

    def resume(self, candidate: Candidate[Result], answer: Any) -> None:
        """Hand a candidate its votes or scores; queue what it asks next, or keep its result."""
        procedure = candidate.job.procedure
        try:
            request = next(procedure) if answer is None else procedure.send(answer)
        except StopIteration as stop:
            candidate.result, candidate.finished, candidate.drawn = stop.value, True, None
            return
        candidate.waiting, candidate.scored = request.stop - request.start, request.scores
        self._tally(request.scores).begin(candidate.row, request)
        self.pending += candidate.waiting
        self.queue.append((candidate, candidate.pieces(request)))

    def step(self) -> int:
        """Vote on some batches and resume the images they complete; returns the samples counted."""
        parts = [
            (candidate, piece, self._draw(candidate, piece)) for candidate, piece in self._pieces()
        ]
        if not parts:
            return 0
        with torch.inference_mode():
            drawn = [block()[piece.start : piece.stop] for _, piece, block in parts]
            for scored, tally in self.tallies.items():
                asked = [candidate.scored == scored for candidate, _, _ in parts]
                rows = [candidate.row for candidate, _, _ in compress(parts, asked)]
                if rows:
                    tally.count(list(compress(drawn, asked)), rows)
        for candidate, piece, _ in parts:
            candidate.waiting -= piece.stop - piece.start
            self.pending -= piece.stop - piece.start
        complete = {candidate.row: candidate for candidate, _, _ in parts if candidate.waiting == 0}
        answers: dict[int, Any] = {}
        for scored, tally in self.tallies.items():
            rows = [row for row, candidate in complete.items() if candidate.scored == scored]
            if rows:
                answers |= zip(rows, tally.read(rows), strict=True)
        for row, candidate in complete.items():
            self.resume(candidate, answers[row])
        return sum(map(len, drawn))

    def _tally(self, scored: bool) -> Tally:
        if scored not in self.tallies:
            kind = ScoreTally if scored else VoteTally
            self.tallies[scored] = kind(self.form, self.num_classes, self.batch_size, WINDOW)
        return self.tallies[scored]

    def _draw(self, candidate: Candidate[Result], piece: Piece) -> Callable[[], Tensor]:
        """The block of a piece; it is kept, as the next piece may continue in it.

        On a CPU it is drawn in the pool; on a GPU here, on the caller's stream.
        """
        if candidate.drawn is None or candidate.drawn[:2] != piece[:2]:
            job = candidate.job
            address = (job.image, job.key, piece.stage, piece.block)
            block: Callable[[], Tensor]
            if self.device.type == "cpu":
                block = self.pool.submit(self.noise.noisy, *address).result
            else:
                block = partial(_itself, self.noise.noisy(*address))
            candidate.drawn = piece.stage, piece.block, block
        return candidate.drawn[2]

    def _pieces(self) -> Iterator[tuple[Candidate[Result], Piece]]:
        """Pieces that make full batches, or all that is asked for."""
        room = self.round
        while room and (waiting := self._next_piece()) is not None:
            candidate, piece = waiting
            end = min(piece.stop, piece.start + room)
            if end < piece.stop:
                self.rest = candidate, piece._replace(start=end)
            yield candidate, piece._replace(stop=end)
            room -= end - piece.start

    def _next_piece(self) -> tuple[Candidate[Result], Piece] | None:
        if self.rest is not None:
            rest, self.rest = self.rest, None
            return rest
        while self.queue:
            candidate, pieces = self.queue[0]
            if (piece := next(pieces, None)) is not None:
                return candidate, piece
            self.queue.popleft()
        return None


def _itself(drawn: Tensor) -> Tensor:
    return drawn


def run(
    form: VotingForm,
    jobs: Iterable[Job[Result]],
    noise: Noise,
    *,
    num_classes: int,
    batch_size: int,
    counted: Callable[[int], object] = lambda samples: None,
) -> Iterator[Result]:
    """The results of the jobs in their order, each as soon as it and those before it are known.

    The results do not depend on which jobs run together, nor, apart from rounding on a GPU, on
    `batch_size`: each sample's noise is addressed by its place in its stream. Memory does not
    depend on the number of samples or jobs; jobs are taken as they are needed.

    Args:
        form: votes, on its device.
        jobs: the images, on that device, and what is to be done with them.
        noise: what is added to them.
        num_classes: the number of classes.
        batch_size: samples per forward pass.
        counted: called with the number of samples after each round of batches.

    Raises:
        ValueError: the largest logit of a noisy image is NaN or infinite.
    """
    engine = Engine[Result](form, noise, num_classes, batch_size)
    order: deque[Candidate[Result]] = deque()
    waiting = enumerate(jobs)
    with engine.pool:
        while True:
            while engine.pending < engine.round and len(order) < WINDOW:
                if (numbered := next(waiting, None)) is None:
                    break
                number, job = numbered
                order.append(Candidate(job, number % WINDOW))
                engine.resume(order[-1], None)
            counted(samples := engine.step())
            while order and order[0].finished:
                yield order.popleft().result  # type: ignore[misc]
            if not samples and not order:
                return
