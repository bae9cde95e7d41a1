"""What the engine keeps of a forward pass, image by image: votes, or scores and their squares.

Both are integers, so that their sums do not depend on how samples are put into batches.
"""

from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from rszoo.bounds import Scores
from rszoo.smoothing.form import VotingForm
from rszoo.smoothing.noise import block_size
from rszoo.smoothing.requests import Request


class Tally(ABC):
    """A table with one row per image in progress; its first column counts what failed.

    Args:
        form: votes or scores, on its device.
        num_classes: the number of classes.
        batch_size: samples per forward pass.
        rows: images in progress, at most.
    """

    width = 1  # columns per class

    def __init__(self, form: VotingForm, num_classes: int, batch_size: int, rows: int) -> None:
        self.form, self.device = form, form.device
        self.num_classes = num_classes
        self.size, self.fills = batch_size, self.device.type != "cpu"  # of a pass
        size = (rows, 1 + self.width * num_classes)
        self.table = torch.zeros(size, dtype=torch.int64, device=self.device)

    def begin(self, row: int, request: Request) -> None:  # noqa: B027 - most need nothing
        """Prepare for the samples that the image in this row asks for."""

    @abstractmethod
    def count(self, drawn: list[Tensor], rows: list[int]) -> None:
        """Add the results of noisy images, one tensor per row of the table, to their rows."""

    @abstractmethod
    def read(self, rows: list[int]) -> Sequence[list[int] | Scores]:
        """The results in these rows, which are cleared.

        Raises:
            ValueError: the largest logit of a noisy image is NaN or infinite.
        """

    def _cleared(self, rows: list[int]) -> list[list[int]]:
        with torch.inference_mode():
            places = sent(torch.tensor(rows, device="cpu"), self.device)
            counts: list[list[int]] = self.table[places].tolist()  # the one wait for the device
            self.table[places] = 0
        return counts

    def _passed(self, function: Callable[[Tensor], Tensor], drawn: list[Tensor]) -> Tensor:
        """The function of all samples, pass by pass."""
        samples = drawn[0] if len(drawn) == 1 else torch.cat(drawn)
        batches = torch.split(samples, self.size)
        return torch.cat([self._filled(function, batch) for batch in batches])

    def _filled(self, function: Callable[[Tensor], Tensor], batch: Tensor) -> Tensor:
        """The function of a batch, filled up where its shape affects rounding."""
        missing = self.size - len(batch) if self.fills else 0
        filled = torch.cat([batch, batch[:1].expand(missing, -1, -1, -1)]) if missing else batch
        return function(filled)[: len(batch)]

    def _repeated(self, values: Sequence[int], drawn: list[Tensor]) -> Tensor:
        """One value per sample, from one per tensor."""
        lengths = torch.tensor([len(part) for part in drawn], device="cpu")
        each = torch.tensor(values, device="cpu")
        return sent(each.repeat_interleave(lengths), self.device)


class VoteTally(Tally):
    """Votes: one count per class."""

    def count(self, drawn: list[Tensor], rows: list[int]) -> None:
        """Add the votes."""
        offsets = self._repeated([row * (1 + self.num_classes) + 1 for row in rows], drawn)
        places = self._passed(self.form, drawn) + offsets
        self.table.view(-1).scatter_add_(0, places, torch.ones_like(places))

    def read(self, rows: list[int]) -> list[list[int]]:
        """The votes, one count per class."""
        counts = self._cleared(rows)
        for failed, *votes in counts:
            _check(failed, failed + sum(votes))
        return [votes for _, *votes in counts]


class ScoreTally(Tally):
    """Scores: sums and sums of squares per class, and the scores of one class one by one.

    Rounding, which hardly ever turns a vote, shows in scores, and depends on the shape of a pass.
    On a CPU all passes have that of a block of noise, whatever the batch size.
    """

    width = 2

    def __init__(self, form: VotingForm, num_classes: int, batch_size: int, rows: int) -> None:
        super().__init__(form, num_classes, batch_size, rows)
        if self.device.type == "cpu":
            self.size, self.fills = block_size(form.shape, self.device), True
        self.requests: dict[int, Request] = {}
        self.values: dict[int, list[Tensor]] = defaultdict(list)

    def begin(self, row: int, request: Request) -> None:
        """Remember which class to follow."""
        self.requests[row] = request

    def count(self, drawn: list[Tensor], rows: list[int]) -> None:
        """Add the scores, and keep those of the classes that are followed."""
        scores = self._passed(self.form.scores, drawn)
        failed = (scores[:, :1] < 0).long()
        scores = scores.clamp_min(0)
        columns = torch.cat([failed, scores, scores * scores], dim=1)
        self.table.index_add_(0, self._repeated(rows, drawn), columns)
        parts = torch.split(scores, [len(part) for part in drawn])
        for row, part in zip(rows, parts, strict=True):
            if (label := self.requests[row].follow) is not None:
                self.values[row].append(part[:, label].int())

    def read(self, rows: list[int]) -> list[Scores]:
        """The scores, in their steps."""
        return [
            self._scores(row, *cells) for row, cells in zip(rows, self._cleared(rows), strict=True)
        ]

    def _scores(self, row: int, failed: int, *cells: int) -> Scores:
        request, values = self.requests.pop(row), self.values.pop(row, None)
        n = request.stop - request.start
        _check(failed, n)
        return Scores(
            n,
            cells[: self.num_classes],
            cells[self.num_classes :],
            None if values is None else torch.cat(values).cpu().numpy(),
        )


def _check(failed: int, drawn: int) -> None:
    if failed:
        raise ValueError(
            f"Expected finite logits, got NaN or infinity as the largest of {failed} of "
            f"{drawn} noisy images; check the network's weights and its normalization."
        )


def sent(values: Tensor, device: torch.device) -> Tensor:
    """A small CPU tensor on the device, without waiting for it."""
    return values if device.type == "cpu" else values.pin_memory().to(device, non_blocking=True)
