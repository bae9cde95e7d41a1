"""Training history of an entry: what `rszoo train` logged, checked against the entry."""

from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import msgspec

from rszoo.files import whole_lines
from rszoo.recipe import Recipe
from rszoo.zoo.config import EPOCHS, RUNS, EntryConfig


class Start(msgspec.Struct, frozen=True):
    """A line of the log of runs: training started, or went on."""

    fingerprint: str
    versions: dict[str, str]
    device: str
    processes: int
    threads: int
    batch_statistics: str | None = None


class Epoch(msgspec.Struct, frozen=True):
    """A line of the log of epochs; the last one has the accuracy on the test split."""

    step: int
    epoch: float | None = None
    images_per_second: float | None = None
    noisy_test_accuracy: float | None = None


Line = TypeVar("Line", Start, Epoch)


@dataclass(frozen=True)
class History:
    """The starts of a training, its epochs in order, and the images per step."""

    starts: tuple[Start, ...]
    epochs: tuple[Epoch, ...]
    batch_size: int

    @property
    def seconds(self) -> float:
        """The time that the steps took, without the pauses between them."""
        seconds, before = 0.0, 0
        for line in self.epochs:
            if line.images_per_second:
                seconds += (line.step - before) * self.batch_size / line.images_per_second
                before = line.step
        return seconds

    @property
    def machines(self) -> list[str]:
        """The machines it ran on, in order, each once."""
        machines = [
            f"{start.device or 'a CPU'} (processes: {start.processes}, threads: {start.threads}, "
            f"{_statistics(start)}torch {start.versions.get('torch', 'unknown')})"
            for start in self.starts
        ]
        return list(dict.fromkeys(machines))

    @property
    def noisy_test_accuracy(self) -> float | None:
        """Share of the test split that the network gets right, with one draw of noise per image."""
        return self.epochs[-1].noisy_test_accuracy


def _statistics(start: Start) -> str:
    """Which images batch norm saw, where processes shared the batches."""
    if start.processes == 1 or start.batch_statistics is None:
        return ""
    return f"batch statistics {start.batch_statistics}, "


def read_history(folder: Path, config: EntryConfig, recipe: Recipe | None) -> History | None:
    """The training logs in the folder of an entry; None if it holds none.

    Raises:
        ValueError: one of the two is missing or broken, or they are of another training than the
            recipe's.
    """
    runs, log = folder / RUNS, folder / EPOCHS
    if not runs.exists() and not log.exists():
        return None
    if recipe is None:
        raise ValueError(
            f"Expected no {RUNS} and {EPOCHS} beside imported weights in {folder}, got them; "
            "take them away."
        )
    starts, epochs = _lines(runs, Start), _lines(log, Epoch)
    if any(start.fingerprint != config.recipe_fingerprint for start in starts):
        raise ValueError(
            f"Expected the training of {config.name} in {runs}, got that of another recipe; "
            "take it away."
        )
    if max(line.epoch or 0 for line in epochs) != recipe.training.epochs:
        raise ValueError(
            f"Expected {recipe.training.epochs} epochs in {log}, got others; "
            "copy the log of the finished run."
        )
    return History(starts, epochs, recipe.training.batch_size)


def _lines(path: Path, kind: type[Line]) -> tuple[Line, ...]:
    try:
        lines = whole_lines(path.read_bytes())
        records = tuple(msgspec.json.decode(line, type=kind) for line in lines)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ValueError(
            f"Expected a log of 'rszoo train' in {path}, got a file with this fault: {error}."
        ) from error
    if not records:
        raise ValueError(
            f"Expected a log of 'rszoo train' in {path}, got an empty file; copy it again."
        )
    return records
