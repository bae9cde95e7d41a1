"""The one training loop.

A run folder holds `checkpoint.pt` (replaced at once), `log.jsonl` (one line per epoch),
`runs.jsonl` (one line per start: recipe, versions, device, time) and, at the end, the files of a
zoo entry. A run that was killed goes on to the same weights.
"""

import json
import signal
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from types import FrameType

import msgspec
import torch
from tqdm import tqdm

from rszoo.data.datasets import image_chunks
from rszoo.files import append_line, replace_content, try_lock
from rszoo.recipe import Recipe, recipe_text
from rszoo.smoothing.isolation import CPU, differentiable
from rszoo.smoothing.runtime import device_name
from rszoo.training.checkpoint import check_folder, digest, follow_first, resume, save
from rszoo.training.data import load_data
from rszoo.training.distributed import count, exit_unless_same, gather, largest, rank, wait
from rszoo.training.methods import Share
from rszoo.training.run import Run, start, synchronizes
from rszoo.training.step import take_step
from rszoo.training.votes import noisy_accuracy, prepare_teacher, weigh
from rszoo.zoo.config import EPOCHS, RECIPE, RUNS, recipe_source
from rszoo.zoo.entry import write_entry
from rszoo.zoo.weights import rounded

CHECKPOINT_SECONDS = 60.0


def train(
    recipe: Recipe,
    out: str | Path,
    *,
    device: torch.device,
    time_limit: float | None = None,
    download: bool = False,
    initial: Path | None = None,
    teacher: Path | None = None,
    compiled: bool = False,
) -> bool:
    """Train a recipe into the run folder `out`, from its checkpoint if it has one.

    The same recipe on the same machine gives the same weights, bit for bit, however often the run
    was interrupted. Several processes (`rszoo.training.distributed.join`) share each batch: the
    weights are then equal up to rounding, except for batch statistics, which on a CPU are of each
    process's images. Process 0 alone touches the folder.

    Args:
        recipe: what to train.
        out: the run folder; made if missing.
        device: where to train.
        time_limit: stop with a checkpoint after so many seconds.
        download: fetch the data set if it is missing.
        initial: folder of the entry that the recipe's `init_from` names.
        teacher: folder of the entry that the recipe's `teacher` names.
        compiled: run the network through torch.compile, which changes speed and rounding.

    Returns:
        True when the run is complete and the folder holds a zoo entry, False when it stopped early.

    Raises:
        ValueError: the folder holds a run of another recipe or an entry without its run, another
            command trains in it, the recipe names something unknown, or the loss is no longer
            finite.
        FileNotFoundError: the data set or the initial weights are missing.
    """
    out, share = Path(out), Share(rank(), count())
    if download and share.of > 1:
        exit_unless_same(gather(_download(recipe) if share.number == 0 else {}), "train")
        download = False
    with differentiable(device), ExitStack() as claimed:
        try:
            if share.number == 0:
                check_folder(out)
            run = start(
                recipe,
                device,
                download=download,
                initial=initial,
                teacher=teacher,
                compiled=compiled,
                share=share,
            )
            beginning: dict[str, object] | str = _beginning(run) if share.of > 1 else {}
            if share.number == 0:
                claimed.enter_context(_claimed(out))
                resume(run, out)
        except (ValueError, OSError) as error:
            if share.of == 1:
                raise
            beginning = " ".join(str(error).split())
        exit_unless_same(gather(beginning), "train")
        follow_first(run)
        if share.number == 0:
            _append(out / RUNS, _description(run))
        limit = time.monotonic() + time_limit if time_limit is not None else float("inf")
        prepare_teacher(run)
        with _stop_signals() as signals:
            _steps(run, out, limit, signals)
        if run.step == run.steps and share.number == 0:
            _finish(run, out)
        wait()
    return run.step == run.steps


def _download(recipe: Recipe) -> dict[str, object] | str:
    """Fetch the data set, by one process for all; the fault if there is one."""
    try:
        load_data(recipe, CPU, download=True)
    except (ValueError, OSError) as error:
        return " ".join(str(error).split())
    return {}


@contextmanager
def _claimed(out: Path) -> Iterator[None]:
    """The folder, in which no other process trains meanwhile."""
    out.mkdir(parents=True, exist_ok=True)
    with (out / RUNS).open("ab") as file:
        if not try_lock(file):
            raise ValueError(
                f"Expected a folder that nobody trains in, got {out}, where another process "
                "does; choose another."
            )
        yield


def _steps(run: Run, out: Path, limit: float, signals: list[int]) -> None:
    saved = began = time.monotonic()
    timed_from = run.step
    run.network.train()
    name, first = run.recipe.name, run.share.number == 0
    hidden = None if first else True  # None: where stderr is no terminal
    with tqdm(total=run.steps, initial=run.step, unit="step", desc=name, disable=hidden) as bar:
        while run.step < run.steps:
            weigh(run)
            run.losses.append(take_step(run))
            bar.update()
            if run.step % run.steps_per_epoch == 0:
                _check_finite(run)
                if run.share.of > 1:
                    exit_unless_same(gather({"weights": digest(run.network)}), "train to")
                if first:
                    _log(run, out, (time.monotonic() - began) / (run.step - timed_from))
                wait()
                run.losses, began, timed_from = [], time.monotonic(), run.step
            now = time.monotonic()
            due = now - saved > CHECKPOINT_SECONDS or run.step == run.steps
            stop, due = map(bool, largest(bool(signals) or now > limit, first and due))
            if stop or due:
                _check_finite(run)
                if first:
                    save(run, out)
                wait()
                saved = now
                if first and bar.disable:  # stderr is no terminal: a line, now and then
                    print(f"{name}: step {run.step} of {run.steps}", file=sys.stderr)
            if stop:
                return


def _check_finite(run: Run) -> None:
    """A run that has diverged ends before its checkpoint is replaced by one of no use."""
    if run.losses and not bool(torch.stack(run.losses).isfinite().all()):
        raise ValueError(
            f"Expected a finite loss, got NaN or infinity by step {run.step} of {run.recipe.name}, "
            f"at a rate of {run.rate:g}; lower the recipe's rate, or clip "
            "its gradients (clip_norm)."
        )


def _log(run: Run, out: Path, seconds_per_step: float) -> None:
    line: dict[str, float] = {
        "step": run.step,
        "epoch": run.step / run.steps_per_epoch,
        "loss": float(torch.stack(run.losses).mean()),
        "noisy_accuracy": noisy_accuracy(run, run.data.monitored),
        "rate": run.rate,
        "images_per_second": run.recipe.training.batch_size / seconds_per_step,
        "seconds_left": seconds_per_step * (run.steps - run.step),
    }
    _append(out / EPOCHS, {**line, "monitored": run.data.monitored_split})
    if find_spec("tensorboard") is not None:
        from torch.utils.tensorboard import SummaryWriter

        with SummaryWriter(str(out / "tensorboard"), purge_step=run.step) as writer:
            for name in line.keys() - {"step"}:
                writer.add_scalar(name, line[name], run.step)


def _finish(run: Run, out: Path) -> None:
    votes_rounded = run.recipe.inference.precision == "bfloat16"
    network = rounded(run.result) if votes_rounded else run.result
    if "noisy_test_accuracy" not in json.loads((out / EPOCHS).read_text().splitlines()[-1]):
        test = image_chunks(run.recipe.model.dataset, "test")
        accuracy = noisy_accuracy(run, test, network=network)
        _append(out / EPOCHS, {"step": run.step, "noisy_test_accuracy": accuracy})
    replace_content(out / RECIPE, recipe_text(run.recipe) + "\n")
    write_entry(out, network, recipe_source(run.recipe))


def _beginning(run: Run) -> dict[str, object]:
    """What all processes must have alike before the first step."""
    described = _description(run)
    same = {key: described[key] for key in ("fingerprint", "data_sha256", "versions")}
    teacher = run.teacher.weights_sha256 if run.teacher else None
    return {**same, "weights": digest(run.network), "teacher": teacher}


def _description(run: Run) -> dict[str, object]:
    """What was run, where, and with which versions."""
    whole = run.share.of == 1 or synchronizes(run.device, run.share)
    return {
        "recipe": msgspec.to_builtins(run.recipe),
        "fingerprint": run.recipe.fingerprint,
        "data_sha256": run.data.digest(),
        "versions": {name: version(name) for name in ("rszoo", "torch", "torchvision", "numpy")},
        "device": device_name(run.device),
        "processes": run.share.of,
        "batch_statistics": "of the whole batch" if whole else "of each process's share",
        "threads": torch.get_num_threads(),
        "resumed_at_step": run.step,
        "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }


def _append(path: Path, line: Mapping[str, object]) -> None:
    append_line(path, json.dumps(line))


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
