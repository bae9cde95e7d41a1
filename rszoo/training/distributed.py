"""The processes of a run, one a device: one alone, or those that `torchrun` started."""

import os
from datetime import timedelta

import torch
from torch import Tensor
from torch import distributed as dist


def join(device: torch.device, *, timeout: timedelta | None = None) -> torch.device:
    """Join the process group if `torchrun` started this process; returns the device of this process.

    Args:
        device: its kind is what counts.
        timeout: how long a process waits for the others; torch's own if absent.
    """
    if "WORLD_SIZE" not in os.environ:
        return device
    if not dist.is_initialized():
        dist.init_process_group("nccl" if device.type == "cuda" else "gloo", timeout=timeout)
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


def wait() -> None:
    """Wait until all processes are here."""
    if dist.is_initialized():
        dist.barrier()


def add(tensors: list[Tensor]) -> None:
    """Replace each tensor by its sum over the processes."""
    if not dist.is_initialized():
        return
    flat = torch.cat([tensor.flatten() for tensor in tensors])
    dist.all_reduce(flat)
    for tensor, part in zip(
        tensors, torch.split(flat, [tensor.numel() for tensor in tensors]), strict=True
    ):
        tensor.copy_(part.view_as(tensor))


def any_of(flag: bool, device: torch.device) -> bool:
    """Whether the flag is set in any process."""
    if not dist.is_initialized():
        return flag
    votes = torch.tensor([float(flag)], device=device)
    dist.all_reduce(votes)
    return bool(votes.item() > 0)
