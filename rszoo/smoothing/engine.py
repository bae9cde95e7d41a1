"""Votes of a base classifier under noise: many images, each with a procedure that asks for samples, share every batch.

A procedure (CERTIFY, PREDICT) is a generator: it yields `Request`s, is sent the votes, and returns its result. It knows nothing
of batches; the engine here knows nothing of statistics. An image leaves when its procedure returns and another takes its place,
so the device stays full however few samples an image needs.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Generic, NamedTuple

import numpy as np
import torch
from torch import Tensor

from rszoo.smoothing.form import VotingForm
from rszoo.smoothing.noise import BLOCK, Stream, block_size, grid_block, normal_block
from rszoo.smoothing.requests import Procedure, Request, Result, Stage

WINDOW = 256  # images that may be begun while an earlier one is unfinished: bounds memory and what an interruption loses


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
    procedure: Procedure[Result]


@dataclass(frozen=True)
class Noise:
    """The law of the noise: "float" or "grid", its standard deviation in pixel units, its seed."""

    kind: str
    sigma: float
    seed: int

    @property
    def deviation(self) -> np.float32:
        """sigma in float32, not below it: with more noise than stated a certificate holds, with less it need not."""
        nearest = np.float32(self.sigma)
        return (
            nearest if float(nearest) >= self.sigma else np.nextafter(nearest, np.float32(np.inf))
        )

    def noisy(self, image: Tensor, key: str, stage: Stage, block: int) -> Tensor:
        """Noisy copies of the image of that key, one block of the stage's stream: (block_size, C, H, W), float32."""
        stream = Stream(self.seed, key, stage)
        shape = (image.shape[0], image.shape[1], image.shape[2])
        if self.kind == "grid":
            steps = grid_block(stream, block, shape, self.sigma, image.device)
            return steps.add_((image * 255).round_().long()).float().div_(255)
        noise = normal_block(stream, block, shape, image.device)
        if image.device.type != "cpu":
            return noise.mul_(float(self.deviation)).add_(image)
        values = (
            noise.permute(0, 2, 3, 1).flatten(1).numpy()
        )  # torch would start threads beside those of the network
        values *= self.deviation
        values += image.permute(1, 2, 0).flatten().numpy()
        return noise


@dataclass(eq=False)
class Candidate(Generic[Result]):
    """An image in progress: its place in the table of votes, and the samples that it waits for."""

    job: Job[Result]
    slot: int
    waiting: int = 0
    finished: bool = False
    result: Result | None = None
    drawn: tuple[Stage, int, Future[Tensor]] | None = None

    def pieces(self, request: Request) -> Iterator[Piece]:
        """The request, block by block: stage, number of the block, place in it."""
        size = block_size(tuple(self.job.image.shape), self.job.image.device)
        for block in range(request.start // size, -(-request.stop // size)):
            first = block * size
            yield Piece(
                request.stage, block, max(request.start - first, 0), min(request.stop - first, size)
            )

    def draw(self, noise: Noise, piece: Piece, pool: ThreadPoolExecutor) -> Future[Tensor]:
        """The block of a piece, drawn in the pool; it is kept, as the next piece may go on in it."""
        if self.drawn is None or self.drawn[:2] != piece[:2]:
            drawn = pool.submit(noise.noisy, self.job.image, self.job.key, piece.stage, piece.block)
            self.drawn = piece.stage, piece.block, drawn
        return self.drawn[2]


class Engine(Generic[Result]):
    """Runs jobs to their ends; see `run`."""

    def __init__(
        self,
        form: VotingForm,
        noise: Noise,
        *,
        num_classes: int,
        batch_size: int,
        device: torch.device,
    ) -> None:
        self.form, self.noise, self.num_classes, self.batch_size = (
            form,
            noise,
            num_classes,
            batch_size,
        )
        workers = torch.get_num_threads() if device.type == "cpu" else 1
        self.round = batch_size * max(1, workers * BLOCK // batch_size)
        self.votes = torch.zeros(
            WINDOW, 1 + num_classes, dtype=torch.int64, device=device
        )  # the first for no class
        self.pending = 0  # samples asked for and not yet counted
        self.queue: deque[tuple[Candidate[Result], Iterator[Piece]]] = deque()
        self.rest: tuple[Candidate[Result], Piece] | None = None
        # a block of noise on each core, then all cores vote: drawing beside the voting would stall the network's threads
        self.pool = ThreadPoolExecutor(workers)

    def resume(self, candidate: Candidate[Result], counts: list[int] | None) -> None:
        """Hand a candidate its votes; queue what it asks for next, or keep its result."""
        try:
            request = (
                next(candidate.job.procedure)
                if counts is None
                else candidate.job.procedure.send(counts)
            )
        except StopIteration as stop:
            candidate.result, candidate.finished, candidate.drawn = stop.value, True, None
            return
        candidate.waiting = request.stop - request.start
        self.pending += candidate.waiting
        self.queue.append((candidate, candidate.pieces(request)))

    def step(self) -> int:
        """Vote on some batches and resume whom they serve; returns the samples counted, 0 when nobody waits."""
        parts = [
            (candidate, piece, candidate.draw(self.noise, piece, self.pool))
            for candidate, piece in self._pieces()
        ]
        if not parts:
            return 0
        with torch.inference_mode():
            drawn = [block.result()[piece.start : piece.stop] for _, piece, block in parts]
            samples = drawn[0] if len(drawn) == 1 else torch.cat(drawn)
            begins = torch.tensor(
                [candidate.slot * (1 + self.num_classes) + 1 for candidate, _, _ in parts]
            )
            offsets = begins.repeat_interleave(torch.tensor([len(part) for part in drawn]))
            chosen = torch.cat(
                [self._vote(batch) for batch in torch.split(samples, self.batch_size)]
            )
            places = chosen + _sent(offsets, samples.device)
            self.votes.view(-1).scatter_add_(0, places, torch.ones_like(places))
        self.pending -= len(samples)
        for candidate, piece, _ in parts:
            candidate.waiting -= piece.stop - piece.start
        served = list(
            {
                candidate.slot: candidate for candidate, _, _ in parts if candidate.waiting == 0
            }.values()
        )
        if served:
            slots = _sent(torch.tensor([candidate.slot for candidate in served]), samples.device)
            counts = self.votes[slots].tolist()  # one wait for the device
            self.votes[slots] = 0
            for candidate, (none, *found) in zip(served, counts, strict=True):
                if none:
                    raise ValueError(
                        f"Expected finite logits, got NaN or infinity as the largest of {none} of {none + sum(found)} noisy "
                        "images; check the network's weights and its normalization."
                    )
                self.resume(candidate, found)
        return len(samples)

    def _vote(self, batch: Tensor) -> Tensor:
        """The votes of a batch; on a GPU, where rounding depends on the shape of a batch, it is filled up."""
        missing = 0 if batch.device.type == "cpu" else self.batch_size - len(batch)
        filled = torch.cat([batch, batch[:1].expand(missing, -1, -1, -1)]) if missing else batch
        votes: Tensor = self.form(filled)
        return votes[: len(batch)]

    def _pieces(self) -> Iterator[tuple[Candidate[Result], Piece]]:
        """Pieces that make full batches, or all that is asked for."""
        room = self.round
        while room and (found := self._next_piece()) is not None:
            candidate, piece = found
            end = min(piece.stop, piece.start + room)
            if end < piece.stop:
                self.rest = candidate, piece._replace(start=end)
            yield candidate, piece._replace(stop=end)
            room -= end - piece.start

    def _next_piece(self) -> tuple[Candidate[Result], Piece] | None:
        if self.rest is not None:
            found, self.rest = self.rest, None
            return found
        while self.queue:
            candidate, pieces = self.queue[0]
            if (piece := next(pieces, None)) is not None:
                return candidate, piece
            self.queue.popleft()
        return None


def _sent(values: Tensor, device: torch.device) -> Tensor:
    """A small CPU tensor on the device, without waiting for it."""
    return values if device.type == "cpu" else values.pin_memory().to(device, non_blocking=True)


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

    The results do not depend on which jobs run together, nor, but for rounding on a GPU, on `batch_size`: each sample's noise
    is addressed by its place in its stream. Memory does not depend on the number of samples or of jobs; jobs are taken as they
    are needed.

    Args:
        form: votes.
        jobs: the images and what is to be done with them.
        noise: what is added.
        num_classes: the number of classes.
        batch_size: samples a forward pass.
        device: of form and images.
        counted: called with the number of samples after each batch.

    Raises:
        ValueError: the largest logit of a noisy image is NaN or infinite.
    """
    engine = Engine[Result](
        form, noise, num_classes=num_classes, batch_size=batch_size, device=device
    )
    order: deque[Candidate[Result]] = deque()
    waiting = enumerate(jobs)
    with engine.pool:
        while True:
            while (
                engine.pending < engine.round
                and len(order) < WINDOW
                and (job := next(waiting, None)) is not None
            ):
                order.append(Candidate(job[1], job[0] % WINDOW))
                engine.resume(order[-1], None)
            counted(samples := engine.step())
            while order and order[0].finished:
                yield order.popleft().result  # type: ignore[misc]
            if not samples and not order:
                return
