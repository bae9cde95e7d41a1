"""The processes that `torchrun` starts: evaluation divides its images among them, training none."""

import atexit
import os
from datetime import timedelta
from functools import cache
from typing import Any

import torch
from torch import distributed as dist

LONGEST = timedelta(days=30)  # how long a process waits for the others


def refuse_several() -> None:
    """Raise ValueError if `torchrun` started other processes beside this one."""
    if (processes := os.environ.get("WORLD_SIZE", "1")) != "1":
        raise ValueError(
            f"Expected one process to train, got {processes}; run 'rszoo train' without torchrun."
        )


def join(device: torch.device) -> torch.device:
    """Join the process group if `torchrun` started this process; returns this process's device.

    Args:
        device: only its kind counts.
    """
    if "WORLD_SIZE" not in os.environ:
        return device
    if not dist.is_initialized():
        dist.init_process_group("nccl" if device.type == "cuda" else "gloo", timeout=LONGEST)
        # else gloo's threads may still run while the interpreter ends, and abort the process,
        # whose exit code is then not ours
        atexit.register(dist.destroy_process_group)
    if device.type == "cuda":
        device = torch.device("cuda", int(os.environ["LOCAL_RANK"]))
        torch.cuda.set_device(device)
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
        dist.all_gather_object(values, value, group=_messages())
    return values


@cache
def _messages() -> Any:
    """The group that carries objects, over gloo, which needs no GPU."""
    return dist.new_group(backend="gloo", timeout=LONGEST)


def wait() -> None:
    """Wait until all processes are here."""
    if dist.is_initialized():
        dist.barrier()
