"""A run: what a step needs, what a checkpoint holds."""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler
from torch.optim.swa_utils import AveragedModel

from rszoo.architectures import NormalizedNetwork, build
from rszoo.data.datasets import Labelled, get_dataset
from rszoo.files import replace_content, replacing
from rszoo.recipe import Recipe
from rszoo.smoothing.noise import gaussian_noise, step_generator
from rszoo.smoothing.precision import mixed_precision
from rszoo.training import distributed as processes
from rszoo.training.data import TrainingData, load_data
from rszoo.training.methods import Method, build_method
from rszoo.training.optimization import build_average, build_optimizer, build_scheduler
from rszoo.zoo.entry import read_entry
from rszoo.zoo.layout import WEIGHTS

CHECKPOINT = "checkpoint.pt"
LOG = "log.jsonl"


@dataclass
class Run:
    """A run of a recipe after `step` steps; `model` is `network`, compiled where that was asked for."""

    recipe: Recipe
    device: torch.device
    data: TrainingData
    network: NormalizedNetwork
    model: nn.Module
    method: Method
    optimizer: Optimizer
    scheduler: LRScheduler
    average: AveragedModel | None
    step: int = 0

    @property
    def steps_per_epoch(self) -> int:
        """Whole batches in an epoch; the images left over are others in each epoch."""
        return len(self.data.labels) // self.recipe.training.batch_size

    @property
    def steps(self) -> int:
        """Steps of the whole run."""
        return self.steps_per_epoch * self.recipe.training.epochs

    @property
    def groups(self) -> int:
        """Groups of images in a batch that share batch statistics."""
        return self.recipe.training.batch_size // (
            self.recipe.training.group_size or self.recipe.training.batch_size
        )

    @property
    def result(self) -> NormalizedNetwork:
        """The network that the run makes: the trained one or its average."""
        if self.average is None or self.step == 0:
            return self.network
        averaged = self.average.module
        assert isinstance(averaged, NormalizedNetwork)
        return averaged

    def _parts(self) -> dict[str, Any]:
        parts = {
            "network": self.network,
            "optimizer": self.optimizer,
            "scheduler": self.scheduler,
            "average": self.average,
        }
        return {name: part for name, part in parts.items() if part is not None}

    @property
    def data_digest(self) -> str:
        """What tells data sets of one name apart: SHA-256 of their labels."""
        return hashlib.sha256(self.data.labels.cpu().numpy().tobytes()).hexdigest()

    def save(self, folder: Path) -> None:
        """Replace the checkpoint at once: a run that is killed has the last one or this one."""
        state = {name: part.state_dict() for name, part in self._parts().items()}
        identity = {
            "fingerprint": self.recipe.fingerprint,
            "data": self.data_digest,
            "device": self.device.type,
        }
        with replacing(folder / CHECKPOINT) as partial:
            try:
                torch.save({**state, **identity, "step": self.step}, partial)
            except RuntimeError as error:  # torch's words for a file that cannot be written
                raise OSError(
                    f"Expected room for a checkpoint in {folder}, got this fault: {error}; make room."
                ) from error

    def resume(self, folder: Path) -> None:
        """Go on from the folder's checkpoint, if there is one; log lines after it are dropped, they will come again.

        Raises:
            ValueError: the folder holds a run of another recipe, on other data or on another kind of device, or a damaged
                checkpoint or log.
        """
        if (folder / CHECKPOINT).exists():
            self._restore(folder)
        if (folder / LOG).exists() and processes.rank() == 0:
            self._cut_log(folder)

    def _restore(self, folder: Path) -> None:
        try:
            state = torch.load(folder / CHECKPOINT, map_location=self.device, weights_only=True)
            fingerprint, data, step = state["fingerprint"], state["data"], state["step"]
        except (RuntimeError, EOFError, KeyError, TypeError, UnpicklingError) as error:
            raise ValueError(
                f"Expected a checkpoint of a run, got {folder / CHECKPOINT}, which is damaged or another file; delete it."
            ) from error
        if fingerprint != self.recipe.fingerprint:
            raise ValueError(
                f"Expected a run of {self.recipe.name} as the recipe is now in {folder}, got a run of another recipe; "
                "choose another folder."
            )
        if data != self.data_digest:
            raise ValueError(
                f"Expected a run on {self.recipe.model.dataset} as it is now in {folder}, got a run on other data; "
                "choose another folder, or put the data back."
            )
        if (began := state.get("device", self.device.type)) != self.device.type:
            raise ValueError(
                f"Expected a run on {self.device.type} in {folder}, got one that began on {began}, where noise "
                "is drawn otherwise; go on there, or choose another folder."
            )
        self.step = step
        for name, part in self._parts().items():
            part.load_state_dict(state[name])

    def _cut_log(self, folder: Path) -> None:
        """Keep the lines up to the present step."""
        lines = [
            line
            for line in (folder / LOG).read_text().splitlines(keepends=True)
            if line.endswith("\n")
        ]
        try:
            kept = "".join(line for line in lines if json.loads(line)["step"] <= self.step)
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(
                f"Expected one JSON object a line in {folder / LOG}, got others; restore or delete it."
            ) from error
        replace_content(folder / LOG, kept)


def check_folder(folder: Path) -> None:
    """Raise ValueError if the folder holds an entry without the checkpoint of its run: training would replace it."""
    held = (
        []
        if (folder / CHECKPOINT).exists()
        else [name for name in (WEIGHTS, "config.json") if (folder / name).exists()]
    )
    if held:
        raise ValueError(
            f"Expected a new folder or one with a run, got {folder}, which holds {held[0]}; choose another."
        )


def start(
    recipe: Recipe,
    device: torch.device,
    *,
    download: bool = False,
    initial: Path | None = None,
    compiled: bool = False,
    random_start: bool = False,
) -> Run:
    """A run at step 0.

    Args:
        recipe: what to train.
        device: where.
        download: fetch the data set if it is not there.
        initial: the folder of the entry that the recipe's `init_from` names.
        compiled: run the network through torch.compile, which changes the speed and the rounding.
        random_start: ignore the recipe's `init_from`, for a run that is only measured.

    Raises:
        ValueError: the recipe names something unknown, or does not fit the number of processes.
        FileNotFoundError: the data set or the initial weights are not there.
    """
    training, dataset = recipe.training, get_dataset(recipe.model.dataset)
    method = build_method(recipe.method)
    torch.manual_seed(training.seed)
    network = build(
        recipe.model.architecture,
        num_classes=dataset.num_classes,
        mean=dataset.mean,
        std=dataset.std,
    )
    if training.init_from is not None and not random_start:
        _initialize(network, training.init_from, initial)
    network = network.to(device).to(memory_format=torch.channels_last)
    data = load_data(recipe, device, download=download)
    optimizer = build_optimizer(network.parameters(), training)
    scheduler = build_scheduler(optimizer, training, len(data.labels) // training.batch_size)
    average = build_average(network, training)
    model: nn.Module = torch.compile(network) if compiled else network  # type: ignore[assignment]
    run = Run(recipe, device, data, network, model, method, optimizer, scheduler, average)
    if run.steps == 0:
        raise ValueError(
            f"Expected batch_size of at most {len(data.labels)} images, got {training.batch_size}."
        )
    if run.groups % processes.count():
        raise ValueError(
            f"Expected the {processes.count()} processes to divide the {run.groups} groups of a batch; "
            "start fewer, or train a recipe with a smaller group_size."
        )
    return run


def _initialize(network: NormalizedNetwork, name: str, folder: Path | None) -> None:
    """Copy the weights of an entry; a last layer for another number of classes stays random."""
    if folder is None:
        raise FileNotFoundError(
            f"Expected the folder of {name}, from which this recipe starts, got none; pass its folder."
        )
    source, config = read_entry(folder)
    if config.name != name and not (
        ":" in name or "/" in name or Path(name).is_dir()
    ):  # else the name is a place
        raise ValueError(
            f"Expected the entry {name} in {folder}, got {config.name}; pass the folder of {name}."
        )
    own, given = network.state_dict(), source.state_dict()
    if own.keys() != given.keys():
        raise ValueError(
            f"Expected {name} to have the architecture of this recipe, got {config.architecture}; choose another."
        )
    network.load_state_dict(
        {key: given[key] if given[key].shape == own[key].shape else own[key] for key in own}
    )


def noisy_accuracy(run: Run, chunks: Iterable[Labelled]) -> float:
    """The accuracy of the run's network on images under one draw of N(0, sigma^2) noise each, in [0, 1]."""
    network, training, sigma = run.result, run.recipe.training, run.recipe.model.sigma
    mode, correct, total = network.training, 0, 0
    network.eval()
    generator = step_generator(training.seed, "noisy accuracy", 0, run.device)
    with torch.inference_mode(), mixed_precision(run.device, training.precision):
        for images, y in chunks:
            x = images.to(run.device, memory_format=torch.channels_last).float().div_(255)
            correct += int(
                (network(x + gaussian_noise(x, sigma, generator)).argmax(1).cpu() == y).sum()
            )
            total += len(y)
    network.train(mode)
    return correct / total
