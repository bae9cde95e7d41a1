"""How the weights of an entry came about: what `rszoo train` logged, held to the entry."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from rszoo.recipe import Recipe
from rszoo.zoo.config import EntryConfig
from rszoo.zoo.layout import TRAINING

RUNS, EPOCHS = TRAINING


class Start(msgspec.Struct, frozen=True):
    """A line of `runs.jsonl`: the run began, or went on."""

    fingerprint: str
    versions: dict[str, str]
    device: str
    processes: int
    threads: int


class Epoch(msgspec.Struct, frozen=True):
    """A line of `log.jsonl`: an epoch, or the accuracy on the test split after the last."""

    step: int
    epoch: float | None = None
    images_per_second: float | None = None
    noisy_test_accuracy: float | None = None


@dataclass(frozen=True)
class History:
    """The starts of a training, its epochs in order, and the images in a step."""

    starts: tuple[Start, ...]
    epochs: tuple[Epoch, ...]
    batch_size: int

    @property
    def seconds(self) -> float:
        """Of the steps, without the pauses between them."""
        found, before = 0.0, 0
        for line in self.epochs:
            if line.images_per_second:
                found += (line.step - before) * self.batch_size / line.images_per_second
                before = line.step
        return found

    @property
    def machines(self) -> list[str]:
        """What it ran on, in order, each once."""
        said = [
            f"{start.device or 'a CPU'} (processes: {start.processes}, threads: {start.threads}, "
            f"torch {start.versions.get('torch', 'unknown')})"
            for start in self.starts
        ]
        return list(dict.fromkeys(said))

    @property
    def noisy_test_accuracy(self) -> float | None:
        """Share of the test split that the network gets right under one draw of noise each."""
        return self.epochs[-1].noisy_test_accuracy


def read_history(folder: Path, config: EntryConfig, recipe: Recipe | None) -> History | None:
    """The logs of the training in the folder of an entry; None if it holds none.

    Raises:
        ValueError: one of two is missing, broken, or of another training than the recipe's.
    """
    paths = [folder / name for name in TRAINING]
    if not any(path.exists() for path in paths):
        return None
    if recipe is None:
        raise ValueError(
            f"Expected no {RUNS} and {EPOCHS} beside imported weights in {folder}, got them; take them away."
        )
    starts, epochs = _lines(paths[0], Start), _lines(paths[1], Epoch)
    if any(start.fingerprint != config.recipe_fingerprint for start in starts):
        raise ValueError(
            f"Expected the training of {config.name} in {paths[0]}, got that of another recipe; take it away."
        )
    if max(line.epoch or 0 for line in epochs) != recipe.training.epochs:
        raise ValueError(
            f"Expected {recipe.training.epochs} epochs in {paths[1]}, got others; copy the log of the finished run."
        )
    return History(starts, epochs, recipe.training.batch_size)


def _lines(path: Path, kind: Any) -> tuple[Any, ...]:
    try:
        found = tuple(
            msgspec.json.decode(line, type=kind) for line in path.read_bytes().splitlines()
        )
    except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ValueError(
            f"Expected a log of 'rszoo train' in {path}, got a file with this fault: {error}."
        ) from error
    if not found:
        raise ValueError(
            f"Expected a log of 'rszoo train' in {path}, got an empty file; copy it again."
        )
    return found
