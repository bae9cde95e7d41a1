"""Evaluations at the command line: options that verbs share, progress, shards, and `torchrun`."""

import os
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from functools import wraps
from inspect import Signature, signature
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar

from typer import Option

from rszoo.cli.together import beginning_together
from rszoo.logs.format import AttackProtocol, merge

if TYPE_CHECKING:
    import torch

    from rszoo.attacks import Plan
    from rszoo.evaluation import BeforeWriting, LoggedEvaluation, Options

USUAL_NOISE = 16
SECONDS_BETWEEN_LINES = 60.0  # of progress, where stderr is no terminal

AttackName = Literal["smoothadv-pgd", "smoothadv-ddn", "stein", "naive", "pgd"]
Start = Annotated[int, Option(help="Number of the first image.")]
Stop = Annotated[
    int | None, Option(help="Stop before the image of this number.", show_default="all")
]
AttackBatch = Annotated[
    int | None,
    Option(
        help="Noisy images attacked at once; part of the protocol.", show_default="by image shape"
    ),
]

Verb = Callable[..., None]
Chosen = TypeVar("Chosen", bound="Options")


def grouped(**groups: Callable[..., object]) -> Callable[[Verb], Verb]:
    """Let a verb take objects for which the command line has options.

    Args:
        groups: for each such parameter of the verb, the function that makes the object. In the
            place of the parameter, the command has that function's keyword arguments as options.
    """

    def decorate(verb: Verb) -> Verb:
        options = {name: signature(make).parameters for name, make in groups.items()}
        parameters = [
            parameter
            for name, own in signature(verb).parameters.items()
            for parameter in (options[name].values() if name in groups else [own])
        ]

        @wraps(verb)
        def command(**values: object) -> None:
            for name, make in groups.items():
                values[name] = make(**{option: values.pop(option) for option in options[name]})
            verb(**values)

        command.__annotations__ = {option.name: option.annotation for option in parameters}
        command.__signature__ = Signature(parameters)  # type: ignore[attr-defined]
        return command

    return decorate


def shared_options(
    *,
    split: Annotated[
        Literal["train", "test"] | None, Option(help="Part of the data set.", show_default="recipe")
    ] = None,
    start: Start = 0,
    stop: Stop = None,
    stride: Annotated[
        int | None, Option(help="Take each STRIDE-th image.", show_default="recipe")
    ] = None,
    sigma: Annotated[
        float | None, Option(help="Noise other than that of the training.", show_default="entry")
    ] = None,
    alpha: Annotated[
        float | None,
        Option(
            help="Failure probability, per line of the log; trying several and keeping the best "
            "voids it.",
            show_default="recipe",
        ),
    ] = None,
    precision: Annotated[
        str | None, Option(help="float32 or bfloat16, for the votes.", show_default="entry")
    ] = None,
    seed: Annotated[
        int | None,
        Option(
            help="Seed of all noise; choosing it after looking voids the guarantee.",
            show_default="recipe",
        ),
    ] = None,
    shard: Annotated[
        str | None,
        Option(
            metavar="I/K|array",
            help="Only the I-th of K parts, or this task's of a job array of SLURM or Grid "
            "Engine; then 'merge'.",
        ),
    ] = None,
) -> "Options":
    """The options that 'evaluate' and 'attack' share."""
    from rszoo.evaluation import Options

    return Options(
        split=split,
        start=start,
        stop=stop,
        stride=stride,
        sigma=sigma,
        alpha=alpha,
        precision=precision,
        seed=seed,
        shard=None if shard is None else _pair(shard),
    )


def plan_options(
    *,
    attack: Annotated[
        AttackName, Option(help="The attack; pgd attacks the base classifier, without noise.")
    ] = "smoothadv-pgd",
    steps: Annotated[int, Option(help="Steps, T.")] = 20,
    num_noise: Annotated[
        int | None,
        Option(help="Noise vectors per step, m; none for pgd.", show_default=str(USUAL_NOISE)),
    ] = None,
    random_start: Annotated[
        bool, Option("--random-start", help="Start at random in the ball.")
    ] = False,
    restarts: Annotated[int, Option(help="Number of runs, of which the best counts.")] = 1,
    targeted: Annotated[bool, Option("--targeted", help="Move to the runner-up class.")] = False,
    no_box: Annotated[bool, Option("--no-box", help="Let images leave [0, 1].")] = False,
    redraw: Annotated[bool, Option("--redraw", help="Draw new noise at each step.")] = False,
) -> "Plan":
    """The attack that 'attack' and 'challenge' run."""
    from rszoo.attacks import Plan

    usual = 0 if attack == "pgd" else USUAL_NOISE
    return Plan(
        attack=attack,
        steps=steps,
        num_noise=usual if num_noise is None else num_noise,
        random_start=random_start,
        restarts=restarts,
        targeted=targeted,
        box=not no_box,
        redraw=redraw,
    )


def run_logged(
    out: Path,
    options: Chosen,
    make: "Callable[[Path, Chosen, torch.device, BeforeWriting], LoggedEvaluation[Any]]",
    *,
    device: str,
) -> None:
    """Run an evaluation; under torchrun each process takes a shard, and the first merges them.

    Args:
        out: the log.
        options: of the evaluation.
        make: from log, options, device and what to call before writing to the evaluation.
        device: its name.
    """
    from rszoo.smoothing.runtime import find_device
    from rszoo.training import distributed as processes

    where = processes.join(find_device(device))
    rank, count = processes.rank(), processes.count()
    shards = [out]
    with beginning_together() as settle:
        if count > 1:
            _check_shardable(out, options)
            shards = [
                out.with_name(f"{out.name}.shard-{i}-of-{count}") for i in range(1, count + 1)
            ]
            options = replace(options, shard=(rank + 1, count))
        evaluation = make(shards[rank], options, where, settle)
    _run(evaluation)
    processes.wait()
    if count > 1 and rank == 0:
        merge(shards, out)
        for shard in shards:
            shard.unlink()
        print(f"Joined {count} shards in {out}.")


def _check_shardable(out: Path, options: "Options") -> None:
    if options.shard is not None:
        number, count = options.shard
        raise ValueError(
            f"Expected no --shard under torchrun, got {number}/{count}; each process takes its own."
        )
    if out.exists():
        raise FileExistsError(
            f"Expected a new file under torchrun, got --out {str(out)!r}, which exists; "
            "choose another."
        )


def _run(evaluation: "LoggedEvaluation[Any]") -> None:
    """Iterate over an evaluation: print what it costs, its progress, and what it found."""
    from tqdm import tqdm

    protocol, log = evaluation.protocol, evaluation.log
    total, lines = len(protocol.indices), protocol.lines_per_image
    done = total - len(log.remaining)
    correct = sum(record.correct for record in log.records[lines - 1 :: lines])
    with evaluation:
        print(_announcement(evaluation, total, done))
        started = said = time.perf_counter()
        with tqdm(
            evaluation, total=total, initial=done, unit="image", disable=None, smoothing=0.1
        ) as bar:
            for number, records in enumerate(bar, 1):
                correct += records[-1].correct
                rate = 60 * number / (time.perf_counter() - started)
                accuracy = correct / (done + number)
                state = f"{rate:.1f} images/min, accuracy {accuracy:.3f}"
                bar.set_postfix_str(state, refresh=False)
                if bar.disable and time.perf_counter() - said > SECONDS_BETWEEN_LINES:
                    said = time.perf_counter()
                    print(f"rszoo: {done + number} of {total} images, {state}", file=sys.stderr)
    where = f" at eps {protocol.eps[-1]:g}" if isinstance(protocol, AttackProtocol) else ""
    print(
        f"{log.path} holds {total} images, {correct / total:.4f} of them right{where}; "
        f"'rszoo table {log.path}' says more."
    )


def _announcement(evaluation: "LoggedEvaluation[Any]", total: int, done: int) -> str:
    protocol = evaluation.protocol
    same = protocol.sigma == protocol.trained_sigma
    trained = "" if same else f" (trained at {protocol.trained_sigma:g})"
    most = "at most " if protocol.adaptive else ""
    return (
        f"{protocol.name} at sigma {protocol.sigma:g}{trained}: "
        f"{total} images of {protocol.dataset} {protocol.split}, {done} done, "
        f"{most}{protocol.samples_per_image} samples each; "
        f"{most}about {evaluation.estimate() / 60:.1f} minutes."
    )


def _pair(shard: str) -> tuple[int, int]:
    if shard == "array":
        from rszoo.training.starters import array_task

        return array_task(os.environ)
    first, _, second = shard.partition("/")
    if not (first.isdecimal() and second.isdecimal()):
        raise ValueError(f"Expected --shard I/K or array, got {shard!r}; write for instance 1/4.")
    return int(first), int(second)
