"""The processes that `torchrun`, SLURM or MPI started: how they find and what they tell each other.

Evaluation divides its images among them, training each of its batches.
"""

import atexit
import os
import signal
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from functools import cache
from typing import Any

import torch
from torch import Tensor
from torch import distributed as dist

from rszoo.training.starters import environment

MEETING = timedelta(minutes=5)  # how long a process waits for the others at the start
LONGEST = timedelta(days=30)  # and where they do different work; a lost one is noticed at once


def join(device: torch.device) -> torch.device:
    """Join the process group if one was started; returns this process's device.

    Args:
        device: only its kind counts.

    Raises:
        ValueError: what the starter says is incomplete, or there are too few devices.
        ConnectionError: the other processes did not come.
    """
    found = environment(os.environ)
    if found is None:
        return device
    if device.type == "cuda":
        if found.local_rank >= (count := torch.cuda.device_count()):
            raise ValueError(
                f"Expected a CUDA device for each process of this machine, got {count} for process "
                f"{found.local_rank + 1}; start fewer processes."
            )
        device = torch.device("cuda", found.local_rank)
        torch.cuda.set_device(device)
    if not dist.is_initialized():
        try:
            dist.init_process_group(
                "gloo",  # in every process alike, also in one that fails before it needs a GPU
                init_method=f"tcp://{found.address}" if found.address else "env://",
                rank=found.rank,
                world_size=found.count,
                timeout=MEETING,
            )
            _messages()
        except dist.DistError as error:
            raise ConnectionError(
                f"Expected {found.count} processes, got no answer from some of them within "
                f"{MEETING.seconds // 60} minutes; start all of them again."
            ) from error
        # else gloo's threads may still run while the interpreter ends, and abort the process,
        # whose exit code is then not ours
        atexit.register(dist.destroy_process_group)
    return device


def rank() -> int:
    """The number of this process; process 0 writes."""
    return dist.get_rank() if dist.is_initialized() else 0


def count() -> int:
    """How many processes there are."""
    return dist.get_world_size() if dist.is_initialized() else 1


def gather(value: object) -> list[Any]:
    """The values of all processes, which pickle can carry, in the order of their numbers."""
    values: list[Any] = [value] * count()
    if count() > 1:
        with _answering():
            dist.all_gather_object(values, value, group=_messages())
    return values


def from_first(value: object) -> Any:
    """The value of process 0, which pickle can carry, in every process."""
    values = [value]
    if count() > 1:
        with _answering():
            dist.broadcast_object_list(values, src=0, group=_messages())
    return values[0]


def wait() -> None:
    """Wait until all processes are here."""
    if count() > 1:
        with _answering():
            dist.barrier(group=_messages())


def add_up(tensors: Sequence[Tensor]) -> None:
    """Replace tensors of one type by their sums over all processes, in one message."""
    if count() == 1:
        return
    bucket = torch.cat([tensor.flatten() for tensor in tensors])
    with _answering():
        dist.all_reduce(bucket, group=_sums(bucket.device.type))
    parts = torch.split(bucket, [tensor.numel() for tensor in tensors])
    for tensor, part in zip(tensors, parts, strict=True):
        tensor.copy_(part.view_as(tensor))


def largest(*values: int) -> tuple[int, ...]:
    """The largest of each value over all processes, without waiting for a GPU."""
    if count() == 1:
        return values
    numbers = torch.tensor(values)
    with _answering():
        dist.all_reduce(numbers, dist.ReduceOp.MAX, group=_messages())
    return tuple(numbers.tolist())


def exit_unless_same(states: Sequence[Mapping[str, Any] | str], verb: str) -> None:
    """Exit with code 2 if a process has an error, which is a string, or a state other than 0's.

    Process 0 says which.

    Args:
        states: of all processes.
        verb: what they are to do alike.
    """
    faults = [state for state in states if isinstance(state, str)]
    faults += [] if faults else list(_differences(states, verb))
    if not faults:
        return
    if rank() == 0:
        print(f"rszoo: {faults[0]}", file=sys.stderr, flush=True)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # which torchrun sends once one has left
    gather(None)
    sys.exit(2)


def _differences(states: Sequence[Any], verb: str) -> Iterator[str]:
    for number, state in enumerate(states):
        keys = [key for key in states[0] | state if states[0].get(key) != state.get(key)]
        if keys:
            got = ", ".join(f"{key}: {states[0].get(key)} and {state.get(key)}" for key in keys)
            yield (
                f"Expected all processes to {verb} the same, got {got} in processes 0 and "
                f"{number}; give them the same files and versions."
            )


@cache
def _messages() -> Any:
    """The group that carries objects, over gloo, which needs no GPU."""
    return dist.new_group(backend="gloo", timeout=LONGEST)


@cache
def _sums(kind: str) -> Any:
    """The group that adds up tensors on this kind of device."""
    return dist.new_group(backend="nccl", timeout=LONGEST) if kind == "cuda" else _messages()


@contextmanager
def _answering() -> Iterator[None]:
    """Say in one sentence that another process is lost."""
    try:
        yield
    except RuntimeError as error:  # torch's DistError among them
        raise ConnectionError(
            "Expected all processes to go on, got a lost connection to one of them; see its own "
            "message, and start the same command again: it goes on from what was written."
        ) from error
