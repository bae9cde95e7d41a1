"""A run: all that a step needs."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler
from torch.optim.swa_utils import AveragedModel

from rszoo.architectures import NormalizedNetwork, build
from rszoo.data.datasets import get_dataset
from rszoo.recipe import Recipe, Training
from rszoo.smoothing.isolation import CPU, differentiable, seeded
from rszoo.smoothing.noise import step_generator
from rszoo.training.data import TrainingData, load_data
from rszoo.training.growth import grow, is_growth
from rszoo.training.methods import WHOLE, Method, Share, build_method
from rszoo.training.optimization import build_average, build_optimizers, build_scheduler
from rszoo.training.sampling import Sampler
from rszoo.training.teacher import Teacher, check_fits, check_teacher
from rszoo.zoo.config import EntryConfig
from rszoo.zoo.entry import read_entry


@dataclass
class Run:
    """A run of a recipe after `step` steps; `model` is `network`, compiled where wanted.

    `losses` are those of the present epoch's steps, over the whole batches. With several processes
    each has its `share` of every batch.
    """

    recipe: Recipe
    device: torch.device
    data: TrainingData
    network: NormalizedNetwork
    model: nn.Module
    method: Method
    optimizers: tuple[Optimizer, ...]
    schedulers: tuple[LRScheduler, ...]
    average: AveragedModel | None
    sampler: Sampler
    teacher: Teacher | None = None
    share: Share = WHOLE
    step: int = 0
    losses: list[Tensor] = field(default_factory=list)

    @property
    def steps_per_epoch(self) -> int:
        """Whole batches in an epoch; each epoch leaves other images over."""
        return len(self.data.labels) // self.recipe.training.batch_size

    @property
    def steps(self) -> int:
        """Steps of the whole run."""
        return self.steps_per_epoch * self.recipe.training.epochs

    @property
    def rate(self) -> float:
        """The learning rate, of the first optimizer where there are two."""
        return float(self.schedulers[0].get_last_lr()[0])

    @property
    def result(self) -> NormalizedNetwork:
        """The network that the run makes: the trained one, or its average."""
        if self.average is None or self.step == 0:
            return self.network
        averaged = self.average.module
        assert isinstance(averaged, NormalizedNetwork)
        return averaged


def start(
    recipe: Recipe,
    device: torch.device,
    *,
    download: bool = False,
    initial: Path | None = None,
    teacher: Path | None = None,
    compiled: bool = False,
    random_start: bool = False,
    share: Share = WHOLE,
) -> Run:
    """A run at step 0.

    Args:
        recipe: what to train.
        device: where to train.
        download: fetch the data set if it is missing.
        initial: folder of the entry that the recipe's `init_from` names.
        teacher: folder of the entry that the recipe's `teacher` names.
        compiled: run the network through torch.compile, which changes speed and rounding.
        random_start: for a run that is only measured: ignore the recipe's `init_from`, and learn
            from a teacher of the recipe's architecture with random weights.
        share: this process's part of each batch, where there are several.

    Raises:
        ValueError: the recipe names something unknown, something that this torch or its network
            does not have, its batch is larger than the data set, or the processes do not divide it.
        FileNotFoundError: the data set or the initial weights are missing.
    """
    training, method = recipe.training, build_method(recipe.method)
    check_teacher(recipe, method)
    if training.batch_size % share.of:
        raise ValueError(
            f"Expected processes that divide batch_size = {training.batch_size}, got {share.of}; "
            "start another number of them."
        )
    with differentiable(device):
        network = _random_network(recipe)
        if training.init_from is not None and not random_start:
            _initialize(network, training, initial)
        network = network.to(device).to(memory_format=torch.channels_last)
        if synchronizes(device, share):
            synchronize_statistics(network)
        data = load_data(recipe, device, download=download, share=share)
        steps_per_epoch = len(data.labels) // training.batch_size
        if steps_per_epoch == 0:
            raise ValueError(
                f"Expected batch_size of at most {len(data.labels)} images, got "
                f"{training.batch_size}; lower it."
            )
        model: nn.Module = network
        if compiled:
            model = torch.compile(network)  # type: ignore[assignment]
        optimizers = build_optimizers(network, training)
        schedulers = tuple(build_scheduler(each, training, steps_per_epoch) for each in optimizers)
        return Run(
            recipe,
            device,
            data,
            network,
            model,
            method,
            optimizers,
            schedulers,
            average=build_average(network, training),
            sampler=Sampler(training.seed, len(data.labels), device),
            teacher=_random_teacher(network, data, recipe)
            if random_start
            else _teacher(recipe, teacher, device),
            share=share,
        )


def synchronize_statistics(network: nn.Module) -> None:
    """Let batch norm see whole batches, in place.

    Raises:
        ValueError: a module only derives from batch norm: torch's conversion would drop what it
            adds, such as an activation.
    """
    convert: Any = nn.SyncBatchNorm.convert_sync_batchnorm
    for name, module in list(network.named_modules()):
        for part, child in list(module.named_children()):
            if type(child) in (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d):
                setattr(module, part, convert(child))
            elif isinstance(child, nn.modules.batchnorm._BatchNorm):
                raise ValueError(
                    f"Expected batch norm of torch itself where several GPUs train, got "
                    f"{type(child).__name__} in {name or 'the network'}; train with one process."
                )


def synchronizes(device: torch.device, share: Share) -> bool:
    """Whether batch norm sees whole batches although processes share them: torch's does on GPUs."""
    return share.of > 1 and device.type == "cuda"


@differentiable(CPU)
def _random_network(recipe: Recipe) -> NormalizedNetwork:
    dataset = get_dataset(recipe.model.dataset)
    with seeded(recipe.training.seed):
        return build(
            recipe.model.architecture,
            num_classes=dataset.num_classes,
            mean=dataset.mean,
            std=dataset.std,
        )


def _initialize(network: NormalizedNetwork, training: Training, folder: Path | None) -> None:
    """Copy the weights of an entry, or grow those of a smaller one of its family.

    A last layer for another number of classes stays random.
    """
    name = str(training.init_from)
    entry, config = _read_named(name, folder, "from which this recipe starts")
    if is_growth(network.network, entry.network):
        generator = step_generator(training.seed, "growth", 0, CPU)
        grow(network.network, entry.network, generator)
        network.normalize.load_state_dict(entry.normalize.state_dict())
        return
    own, copied = network.state_dict(), entry.state_dict()
    if own.keys() != copied.keys():
        raise ValueError(
            f"Expected {name} to have the architecture of this recipe, got {config.architecture}; "
            "choose another."
        )
    fits = {key: value for key, value in copied.items() if value.shape == own[key].shape}
    network.load_state_dict(own | fits)


def _teacher(recipe: Recipe, folder: Path | None, device: torch.device) -> Teacher | None:
    if recipe.training.teacher is None:
        return None
    role = "the teacher of this recipe"
    network, config = _read_named(recipe.training.teacher, folder, role)
    check_fits(config, get_dataset(recipe.model.dataset))
    network = network.to(device).to(memory_format=torch.channels_last)
    return Teacher(network, config.weights_sha256)


def _random_teacher(network: nn.Module, data: TrainingData, recipe: Recipe) -> Teacher | None:
    """A teacher like the network, with made-up votes, for a run that is only measured."""
    if recipe.training.teacher is None:
        return None
    teacher = Teacher(network, "random")
    classes = get_dataset(recipe.model.dataset).num_classes
    teacher.votes = torch.ones(
        len(data.labels), classes, dtype=torch.int64, device=data.labels.device
    )
    return teacher


def _read_named(name: str, folder: Path | None, role: str) -> tuple[NormalizedNetwork, EntryConfig]:
    """The entry in a folder, which must have this name."""
    if folder is None:
        raise FileNotFoundError(
            f"Expected the folder of {name}, {role}, got none; pass its folder."
        )
    entry, config = read_entry(folder)
    is_place = ":" in name or "/" in name or Path(name).is_dir()
    if config.name != name and not is_place:
        raise ValueError(
            f"Expected the entry {name} in {folder}, got {config.name}; pass the folder of {name}."
        )
    return entry, config
