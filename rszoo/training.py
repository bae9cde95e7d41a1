"""The one training loop: a recipe in, a run folder out.

A run folder holds `recipe.toml`, `checkpoint.pt` (replaced atomically), `log.jsonl` (one line an interval) and, at the end, the
files of a zoo entry. All randomness of a step comes from (seed, step), so a run that was killed goes on to the same weights.
"""

import json
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

import msgspec
import torch
from torch import Tensor
from torch.optim.lr_scheduler import LRScheduler, OneCycleLR
from tqdm import tqdm

from rszoo.architectures import NormalizedNetwork, build
from rszoo.augmentation import AUGMENTATIONS
from rszoo.datasets import get_dataset, load_images
from rszoo.entry import write_entry
from rszoo.methods import Method, build_method
from rszoo.recipe import Recipe
from rszoo.sampling import gaussian_noise, step_generator

MONITOR_IMAGES = 2000
CHECKPOINT_SECONDS = 60.0


@dataclass
class _Run:
    """Everything a step needs; what a checkpoint holds is in `state`."""

    recipe: Recipe
    device: torch.device
    images: Tensor
    labels: Tensor
    network: NormalizedNetwork
    method: Method
    optimizer: torch.optim.Optimizer
    scheduler: LRScheduler
    step: int = 0

    @property
    def steps_per_epoch(self) -> int:
        return len(self.images) // self.recipe.training.batch_size

    @property
    def steps(self) -> int:
        return self.steps_per_epoch * self.recipe.training.epochs

    def state(self) -> dict[str, object]:
        return {
            "fingerprint": self.recipe.fingerprint,
            "step": self.step,
            "network": self.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "scheduler": self.scheduler.state_dict(),
        }


def train(recipe: Recipe, out: Path, *, device: torch.device, time_limit: float | None = None, download: bool = False) -> bool:
    """Train a recipe into the run folder `out`, from its checkpoint if it has one.

    The same recipe on the same machine gives the same weights, bit for bit, however often the run was interrupted.

    Args:
        recipe: what to train.
        out: the run folder; made if absent.
        device: where to train.
        time_limit: stop with a checkpoint after that many seconds.
        download: fetch the data set if it is not there.

    Returns:
        True when the run is complete and the folder holds a zoo entry, False when it stopped before.

    Raises:
        ValueError: the folder holds a run of another recipe, or the recipe names something unknown.
        FileNotFoundError: the data set is not there.
    """
    run = _start(recipe, device, download)
    out.mkdir(parents=True, exist_ok=True)
    _resume(run, out)
    _write(out / "recipe.json", msgspec.json.format(msgspec.json.encode(recipe), indent=2))
    with _stop_signals() as stopped, _progress(run) as bar:
        _steps(run, out, bar, deadline=time.monotonic() + (time_limit or float("inf")), stopped=stopped)
    if run.step < run.steps:
        return False
    _finish(run, out)
    return True


def _start(recipe: Recipe, device: torch.device, download: bool) -> _Run:
    training, dataset = recipe.training, get_dataset(recipe.model.dataset)
    method = build_method(recipe.method)
    images, labels = load_images(dataset.name, "train", download=download)
    torch.manual_seed(training.seed)
    network = build(recipe.model.architecture, num_classes=dataset.num_classes, mean=dataset.mean, std=dataset.std)
    network = network.to(device).to(memory_format=torch.channels_last)
    options, steps = training.optimizer, len(images) // training.batch_size * training.epochs
    optimizer = torch.optim.SGD(
        network.parameters(),
        lr=training.schedule.rate,
        momentum=options.momentum,
        nesterov=options.nesterov,
        weight_decay=options.weight_decay,
        fused=True,
    )
    scheduler = OneCycleLR(
        optimizer,
        training.schedule.rate,
        total_steps=steps + 1,
        pct_start=training.schedule.warmup,
        cycle_momentum=False,
    )
    return _Run(recipe, device, images.to(device), labels.to(device), network, method, optimizer, scheduler)


def _resume(run: _Run, out: Path) -> None:
    path = out / "checkpoint.pt"
    if not path.exists():
        return
    state = torch.load(path, map_location=run.device, weights_only=True)
    if state["fingerprint"] != run.recipe.fingerprint:
        raise ValueError(f"Expected a run of {run.recipe.name} in {out}, got one of another recipe; choose another --out.")
    run.step = state["step"]
    run.network.load_state_dict(state["network"])
    run.optimizer.load_state_dict(state["optimizer"])
    run.scheduler.load_state_dict(state["scheduler"])
    log = out / "log.jsonl"
    if log.exists():  # what was logged after the checkpoint will be logged again
        lines = [line for line in log.read_text().splitlines(keepends=True) if line.endswith("\n")]
        _write(log, "".join(line for line in lines if json.loads(line)["step"] <= run.step).encode())


def _steps(run: _Run, out: Path, bar: "tqdm[None]", *, deadline: float, stopped: list[int]) -> None:
    saved = started = time.monotonic()
    losses: list[Tensor] = []
    run.network.train()
    while run.step < run.steps:
        losses.append(_step(run))
        bar.update()
        if run.step % run.steps_per_epoch == 0:
            seconds, started = time.monotonic() - started, time.monotonic()
            _log(run, out, losses, seconds)
            losses.clear()
        now = time.monotonic()
        stop = bool(stopped) or now > deadline
        if stop or now - saved > CHECKPOINT_SECONDS or run.step == run.steps:
            _save(run, out)
            saved = now
        if stop:
            return


def _step(run: _Run) -> Tensor:
    training = run.recipe.training
    epoch, position = divmod(run.step, run.steps_per_epoch)
    order = torch.randperm(
        len(run.images), generator=step_generator(training.seed, "order", epoch, run.device), device=run.device
    )
    chosen = order[position * training.batch_size :][: training.batch_size]
    generator = step_generator(training.seed, "step", run.step, run.device)
    images = AUGMENTATIONS[training.augmentation](run.images[chosen], generator)
    x = images.to(memory_format=torch.channels_last).float().div_(255)
    with torch.autocast(run.device.type, dtype=torch.bfloat16, enabled=training.precision == "bfloat16"):
        loss = run.method.loss(
            run.network,
            x,
            run.labels[chosen],
            sigma=run.recipe.model.sigma,
            progress=run.step / run.steps_per_epoch,
            generator=generator,
        )
    run.optimizer.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    run.optimizer.step()
    run.scheduler.step()
    run.step += 1
    return loss.detach()


def _log(run: _Run, out: Path, losses: list[Tensor], seconds: float) -> None:
    images = len(losses) * run.recipe.training.batch_size
    line = {
        "step": run.step,
        "epoch": run.step / run.steps_per_epoch,
        "loss": float(torch.stack(losses).mean()),
        "noisy_accuracy": noisy_accuracy(run.network, run.recipe, run.device, limit=MONITOR_IMAGES),
        "rate": run.scheduler.get_last_lr()[0],
        "images_per_second": images / seconds,
        "seconds_left": seconds * (run.steps - run.step) / len(losses),
    }
    with (out / "log.jsonl").open("a") as log:
        log.write(json.dumps(line) + "\n")


def noisy_accuracy(network: NormalizedNetwork, recipe: Recipe, device: torch.device, *, limit: int | None = None) -> float:
    """The accuracy of the base classifier on the test images under one draw of N(0, sigma^2) noise each, in [0, 1]."""
    images, labels = load_images(recipe.model.dataset, "test")
    mode, correct, total = network.training, 0, len(images[:limit])
    network.eval()
    generator = step_generator(recipe.training.seed, "noisy accuracy", 0, device)
    with (
        torch.inference_mode(),
        torch.autocast(device.type, dtype=torch.bfloat16, enabled=recipe.training.precision == "bfloat16"),
    ):
        for chunk, y in zip(torch.split(images[:limit], 256), torch.split(labels[:limit], 256), strict=True):
            x = chunk.to(device, memory_format=torch.channels_last).float().div_(255)
            logits = network(x + gaussian_noise(x, recipe.model.sigma, generator))
            correct += int((logits.argmax(1).cpu() == y).sum())
    network.train(mode)
    return correct / total


def _finish(run: _Run, out: Path) -> None:
    log = out / "log.jsonl"
    if "noisy_test_accuracy" not in json.loads(log.read_text().splitlines()[-1]):
        line = {"step": run.step, "noisy_test_accuracy": noisy_accuracy(run.network, run.recipe, run.device)}
        with log.open("a") as file:
            file.write(json.dumps(line) + "\n")
    write_entry(out, run.network, run.recipe)


def _save(run: _Run, out: Path) -> None:
    partial = out / "checkpoint.partial"
    torch.save(run.state(), partial)
    os.replace(partial, out / "checkpoint.pt")


def _write(path: Path, content: bytes) -> None:
    partial = path.with_suffix(".partial")
    partial.write_bytes(content)
    os.replace(partial, path)


@contextmanager
def _stop_signals() -> Iterator[list[int]]:
    """Turn SIGINT and SIGTERM into a stop after the current step."""
    received: list[int] = []

    def receive(number: int, frame: FrameType | None) -> None:
        received.append(number)

    before = {number: signal.signal(number, receive) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _progress(run: _Run) -> "tqdm[None]":
    return tqdm(total=run.steps, initial=run.step, unit="step", desc=run.recipe.name, disable=None)
