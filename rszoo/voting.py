"""Votes of a base classifier under noise: many images, each with a procedure that asks for samples, share every batch.

A procedure (CERTIFY, PREDICT) is a generator: it yields `Request`s, is sent the votes, and returns its result. It knows nothing
of batches; the engine here knows nothing of statistics. An image leaves when its procedure returns and another takes its place,
so the device stays full however few samples an image needs.
"""

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Generic, NamedTuple, TypeVar

import torch
from torch import Tensor

from rszoo.inference import VotingForm
from rszoo.sampling import Stage, Stream, block_size, grid_block, normal_block

Result = TypeVar("Result")
WINDOW = 256  # images that may be begun while an earlier one is unfinished: bounds memory and what an interruption loses
PREFETCHED_PIECES = 3


class Request(NamedTuple):
    """The samples start, ..., stop - 1 of the stream of a stage."""

    stage: Stage
    start: int
    stop: int


Procedure = Generator[Request, list[int], Result]
"""Yields requests, is sent their votes (one number a class), returns a result."""


@dataclass(frozen=True)
class Job(Generic[Result]):
    """An image (C, H, W) on the device, the key of its noise, and its procedure."""

    image: Tensor
    key: str
    procedure: Procedure[Result]


@dataclass(frozen=True)
class Noise:
    """The law of the noise: "float" or "grid", its standard deviation in pixel units, its seed."""

    kind: str
    sigma: float
    seed: int

    def noisy(self, image: Tensor, key: str, stage: Stage, block: int) -> Tensor:
        """Noisy copies of the image of that key, one block of the stage's stream: (block_size, C, H, W), float32."""
        stream = Stream(self.seed, key, stage)
        shape = (image.shape[0], image.shape[1], image.shape[2])
        if self.kind == "grid":
            steps = grid_block(stream, block, shape, self.sigma, image.device)
            return steps.add_((image * 255).round_().long()).float().div_(255)
        return normal_block(stream, block, shape, image.device).mul_(self.sigma).add_(image)


@dataclass(eq=False)
class Candidate(Generic[Result]):
    """An image in progress: its place in the order and in the table of votes, and the samples that it waits for."""

    job: Job[Result]
    number: int
    slot: int
    waiting: int = 0
    finished: bool = False
    result: Result | None = None
    drawn: tuple[Stage, int, Tensor] | None = field(default=None, repr=False)

    def pieces(self, request: Request) -> Iterator[tuple[Stage, int, slice]]:
        """The request, block by block: stage, number of the block, place in it."""
        size = block_size(tuple(self.job.image.shape))
        for block in range(request.start // size, -(-request.stop // size)):
            first = block * size
            yield request.stage, block, slice(max(request.start - first, 0), min(request.stop - first, size))

    def draw(self, noise: Noise, piece: tuple[Stage, int, slice]) -> Tensor:
        """The samples of a piece; the block it is from is kept, as the next request may go on in it."""
        stage, block, place = piece
        if self.drawn is None or self.drawn[:2] != (stage, block):
            with torch.inference_mode():
                self.drawn = stage, block, noise.noisy(self.job.image, self.job.key, stage, block)
        return self.drawn[2][place]


class Engine(Generic[Result]):
    """Runs jobs to their ends; see `run`."""

    def __init__(self, form: VotingForm, noise: Noise, *, num_classes: int, batch_size: int, device: torch.device) -> None:
        self.form, self.noise, self.num_classes, self.batch_size = form, noise, num_classes, batch_size
        self.votes = torch.zeros(WINDOW, num_classes, dtype=torch.int64, device=device)
        self.pending = 0  # samples asked for and not yet in a batch
        self.queue: deque[tuple[Candidate[Result], Iterator[tuple[Stage, int, slice]]]] = deque()
        self.ahead: deque[tuple[Candidate[Result], Future[Tensor]]] = deque()
        self.rest: tuple[Candidate[Result], Tensor] | None = None
        self.pool = ThreadPoolExecutor(max_workers=1)

    def resume(self, candidate: Candidate[Result], counts: list[int] | None) -> None:
        """Hand a candidate its votes; queue what it asks for next, or keep its result."""
        try:
            request = next(candidate.job.procedure) if counts is None else candidate.job.procedure.send(counts)
        except StopIteration as stop:
            candidate.result, candidate.finished, candidate.drawn = stop.value, True, None
            return
        candidate.waiting = request.stop - request.start
        self.pending += candidate.waiting
        self.queue.append((candidate, candidate.pieces(request)))

    def step(self) -> int:
        """Vote on one batch and resume whom it serves; returns the samples counted, 0 when nobody waits."""
        parts = list(self._batch())
        if not parts:
            return 0
        with torch.inference_mode():
            samples = parts[0][1] if len(parts) == 1 else torch.cat([part for _, part in parts])
            begins = torch.tensor([candidate.slot * self.num_classes for candidate, _ in parts])
            offsets = begins.repeat_interleave(torch.tensor([len(part) for _, part in parts])).to(samples.device)
            self.votes += torch.bincount(self.form(samples) + offsets, minlength=self.votes.numel()).view_as(self.votes)
        self.pending -= len(samples)
        for candidate, part in parts:
            candidate.waiting -= len(part)
            if candidate.waiting == 0:
                counts = self.votes[candidate.slot].tolist()
                self.votes[candidate.slot] = 0
                self.resume(candidate, counts)
        return len(samples)

    def _batch(self) -> Iterator[tuple[Candidate[Result], Tensor]]:
        """Parts that make a full batch, or all that is asked for."""
        room = self.batch_size
        while room and (part := self._next_part()) is not None:
            candidate, samples = part
            if len(samples) > room:
                self.rest = candidate, samples[room:]
            yield candidate, samples[:room]
            room -= min(room, len(samples))

    def _next_part(self) -> tuple[Candidate[Result], Tensor] | None:
        self._draw_ahead()
        if self.rest is not None:
            part, self.rest = self.rest, None
            return part
        if not self.ahead:
            return None
        candidate, future = self.ahead.popleft()
        self._draw_ahead()
        return candidate, future.result()

    def _draw_ahead(self) -> None:
        while len(self.ahead) < PREFETCHED_PIECES and self.queue:
            candidate, pieces = self.queue[0]
            if (piece := next(pieces, None)) is None:
                self.queue.popleft()
            else:
                self.ahead.append((candidate, self.pool.submit(candidate.draw, self.noise, piece)))


def run(
    form: VotingForm,
    jobs: Iterable[Job[Result]],
    noise: Noise,
    *,
    num_classes: int,
    batch_size: int,
    device: torch.device,
    counted: Callable[[int], object] = lambda samples: None,
) -> Iterator[Result]:
    """The results of the jobs, in their order, each as soon as it and those before it are known.

    The results do not depend on `batch_size` nor on which jobs run together: each sample's noise is addressed by its place in
    its stream. Memory does not depend on the number of samples or of jobs; jobs are taken as they are needed.

    Args:
        form: votes.
        jobs: the images and what is to be done with them.
        noise: what is added.
        num_classes: the number of classes.
        batch_size: samples a forward pass.
        device: of form and images.
        counted: called with the number of samples after each batch.
    """
    engine = Engine[Result](form, noise, num_classes=num_classes, batch_size=batch_size, device=device)
    order: deque[Candidate[Result]] = deque()
    waiting = enumerate(jobs)
    with engine.pool:
        while True:
            while engine.pending < 2 * batch_size and len(order) < WINDOW and (job := next(waiting, None)) is not None:
                number = job[0]
                order.append(Candidate(job[1], number, number % WINDOW))
                engine.resume(order[-1], None)
            counted(samples := engine.step())
            while order and order[0].finished:
                yield order.popleft().result  # type: ignore[misc]
            if not samples and not order:
                return
