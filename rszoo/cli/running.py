"""Evaluations at the command line: what they say of themselves, their shards, and the processes of `torchrun`."""

import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from typer import Option

from rszoo.logs.format import AttackProtocol, merge

if TYPE_CHECKING:
    import torch

    from rszoo.evaluation import LoggedEvaluation

LONGEST = timedelta(days=30)  # a process waits that long for the others

Shard = Annotated[
    str | None,
    Option(metavar="I/K", help="Only the I-th of K parts, for batch systems; then 'merge'."),
]


def run_logged(
    out: Path,
    make: "Callable[[Path, tuple[int, int] | None, torch.device], LoggedEvaluation[Any]]",
    *,
    shard: str | None,
    device: str,
) -> None:
    """Run an evaluation into the log `out`; under torchrun each process takes a shard, and the first joins them.

    Args:
        out: the log.
        make: (log, shard, device) to the evaluation.
        shard: as I/K.
        device: its name.
    """
    from rszoo.smoothing.runtime import find_device
    from rszoo.training import distributed as processes

    where = processes.join(find_device(device), timeout=LONGEST)
    part = None if shard is None else _pair(shard)
    shards = _shards(out, processes.count()) if processes.count() > 1 else []
    if shards:
        part = _own_part(part, out)
    with make(shards[processes.rank()] if shards else out, part, where) as evaluation:
        _run(evaluation)
    processes.wait()
    if shards and processes.rank() == 0:
        merge(shards, out)
        print(f"Joined {len(shards)} shards in {out}.")


def _run(evaluation: "LoggedEvaluation[Any]") -> None:
    from tqdm import tqdm

    protocol, log = evaluation.protocol, evaluation.log
    total, done = len(protocol.indices), len(protocol.indices) - len(log.remaining)
    trained = (
        ""
        if protocol.sigma == protocol.trained_sigma
        else f" (trained at {protocol.trained_sigma:g})"
    )
    minutes, most = evaluation.estimate() / 60, "at most " if protocol.adaptive else ""
    print(
        f"{protocol.name} at sigma {protocol.sigma:g}{trained}: {total} images of {protocol.dataset} {protocol.split}, "
        f"{done} done, {most}{protocol.samples_per_image} samples each; {most}about {minutes:.1f} minutes."
    )
    correct = sum(
        record.correct
        for record in log.records[protocol.lines_per_image - 1 :: protocol.lines_per_image]
    )
    started = time.perf_counter()
    with tqdm(
        evaluation, total=total, initial=done, unit="image", disable=None, smoothing=0.1
    ) as bar:
        for number, records in enumerate(bar, 1):
            correct += records[-1].correct
            rate = 60 * number / (time.perf_counter() - started)
            bar.set_postfix_str(
                f"{rate:.1f} images/min, accuracy {correct / (done + number):.3f}", refresh=False
            )
    where = f" at eps {protocol.eps[-1]:g}" if isinstance(protocol, AttackProtocol) else ""
    print(
        f"{log.path} holds {total} images, {correct / total:.4f} of them right{where}; 'rszoo table {log.path}' says more."
    )


def _shards(out: Path, count: int) -> list[Path]:
    return [
        out.with_name(f"{out.name}.shard-{number}-of-{count}") for number in range(1, count + 1)
    ]


def _own_part(part: tuple[int, int] | None, out: Path) -> tuple[int, int]:
    from rszoo.training import distributed as processes

    if part is not None:
        raise ValueError(
            f"Expected no --shard under torchrun, got {part[0]}/{part[1]}; each process takes its own."
        )
    if out.exists():
        raise FileExistsError(
            f"Expected a new file under torchrun, got --out {str(out)!r}, which is there; choose another."
        )
    return processes.rank() + 1, processes.count()


def _pair(shard: str) -> tuple[int, int]:
    first, _, second = shard.partition("/")
    if not (first.isdecimal() and second.isdecimal()):
        raise ValueError(f"Expected --shard I/K, got {shard!r}; write for instance 1/4.")
    return int(first), int(second)
