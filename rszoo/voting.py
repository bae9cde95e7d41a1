"""Counting the votes of a base classifier under noise: the inner loop of PREDICT and CERTIFY."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import torch
from torch import Tensor
from tqdm import tqdm

from rszoo.inference import VotingForm
from rszoo.sampling import Stream, block_size, grid_block, normal_block

Task = tuple[Tensor, Stream, int]
"""An image (C, H, W), the stream of its noise, and how many samples to count."""

PREFETCHED_BLOCKS = 2


@dataclass(frozen=True)
class Noise:
    """The law of the noise: "float" or "grid", and its standard deviation in pixel units."""

    kind: str
    sigma: float

    def noisy(self, image: Tensor, stream: Stream, block: int) -> Tensor:
        """Noisy copies of one image, one block of its stream: (block_size, C, H, W), float32."""
        shape = (image.shape[0], image.shape[1], image.shape[2])
        if self.kind == "grid":
            steps = grid_block(stream, block, shape, self.sigma, image.device)
            return steps.add_((image * 255).round_().long()).float().div_(255)
        return normal_block(stream, block, shape, image.device).mul_(self.sigma).add_(image)


def count_votes(form: VotingForm, tasks: Sequence[Task], noise: Noise, *, num_classes: int, batch_size: int) -> Tensor:
    """The votes of `form` on noisy copies, for each task.

    The result does not depend on `batch_size` nor on which tasks are counted together: each sample's noise is addressed by its
    place in its stream. Memory does not depend on the number of samples.

    Returns:
        int64 (len(tasks), num_classes) on the CPU; row t sums to the samples of task t.
    """
    device = tasks[0][0].device
    votes = torch.zeros(len(tasks) * num_classes, dtype=torch.int64, device=device)
    total = sum(n for _, _, n in tasks)
    with torch.inference_mode(), tqdm(total=total, unit="sample", delay=1, leave=False, disable=None) as bar:
        for x, offsets in _batches(_chunks(tasks, noise), batch_size, num_classes):
            votes += torch.bincount(form(x) + offsets, minlength=len(votes))
            bar.update(len(x))
    return votes.view(len(tasks), num_classes).cpu()


def _chunks(tasks: Sequence[Task], noise: Noise) -> Iterator[tuple[Tensor, int]]:
    """The samples of all tasks in order, block by block, each with the index of its task; drawn ahead in a thread."""

    def address() -> Iterator[tuple[int, int, int]]:
        for index, (image, _, n) in enumerate(tasks):
            size = block_size(tuple(image.shape))
            for block in range(-(-n // size)):
                yield index, block, min(size, n - block * size)

    def draw(place: tuple[int, int, int]) -> tuple[Tensor, int]:
        index, block, count = place
        with torch.inference_mode():
            return noise.noisy(tasks[index][0], tasks[index][1], block)[:count], index

    with ThreadPoolExecutor(max_workers=1) as pool:
        waiting = []
        for place in address():
            waiting.append(pool.submit(draw, place))
            if len(waiting) > PREFETCHED_BLOCKS:
                yield waiting.pop(0).result()
        for future in waiting:
            yield future.result()


def _batches(chunks: Iterator[tuple[Tensor, int]], size: int, num_classes: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Batches of `size` samples (the last one smaller) and, for each sample, where the votes of its task begin."""
    samples: list[Tensor] = []
    offsets: list[Tensor] = []
    held = 0
    for chunk, index in chunks:
        start = 0
        while start < len(chunk):
            piece = chunk[start : start + size - held]
            samples.append(piece)
            offsets.append(torch.full((len(piece),), index * num_classes, device=piece.device))
            held, start = held + len(piece), start + len(piece)
            if held == size:
                yield _joined(samples), _joined(offsets)
                samples, offsets, held = [], [], 0
    if held:
        yield _joined(samples), _joined(offsets)


def _joined(parts: list[Tensor]) -> Tensor:
    return parts[0] if len(parts) == 1 else torch.cat(parts)
