"""A lower limit for the time of some work: what it asks of a device against what the device gives.

The first is counted, the second measured in the same process. Operations are those of convolutions
and matrix products. Bytes are the tensors that each operator reads and writes, each once: what a
program moves if its operators are not fused and no tensor is still in a cache when the next
operator needs it. A program with fused operators, or one whose tensors fit into a cache, moves
fewer bytes and may be faster than this limit.
"""

import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode  # as "Extending PyTorch" documents it
from torch.utils.flop_counter import FlopCounterMode

from rszoo.smoothing.precision import bfloat16_products

SECONDS = 0.5


class Work(NamedTuple):
    """Floating-point operations and bytes: of some work, or per second of a device."""

    operations: float
    bytes: float

    def seconds(self, device: "Work") -> float:
        """The least time for this work on a device with these rates, if it does both at once."""
        return max(self.operations / device.operations, self.bytes / device.bytes)


class _Traffic(TorchDispatchMode):
    """Adds up the bytes of what each operator reads and writes."""

    def __init__(self) -> None:
        super().__init__()
        self.bytes = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        if not func.is_view and not func.name().startswith("aten::empty"):
            self.bytes += sum(tensor.nbytes for tensor in _tensors((args, kwargs, result)))
        return result


def _tensors(value: object) -> Iterator[Tensor]:
    """The tensors in nested tuples, lists and dicts."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, dict):
        yield from _tensors(tuple(value.values()))
    elif isinstance(value, tuple | list):
        for item in value:
            yield from _tensors(item)


def count(step: Callable[[], object]) -> Work:
    """What a step asks for; it is run twice."""
    with FlopCounterMode(display=False) as counter:
        step()
    with _Traffic() as traffic:
        step()
    return Work(float(counter.get_total_flops()), float(traffic.bytes))


def measure(device: torch.device, dtype: torch.dtype = torch.bfloat16) -> Work:
    """What the device gives per second.

    The best rates of a large matrix product, and of a copy that no cache holds.
    """
    side = 8192 if device.type == "cuda" else 2048
    a = torch.rand(side, side, device=device, dtype=dtype)
    source = torch.rand(2**30 if device.type == "cuda" else 2**26, device=device)
    target = torch.empty_like(source)
    moved = source.nbytes + target.nbytes
    with bfloat16_products(device):
        operations = 2 * side**3 / _least(lambda: F.linear(a, a), device)
    return Work(operations, moved / _least(lambda: target.copy_(source), device))


def _least(step: Callable[[], object], device: torch.device) -> float:
    """The least time of a call, among those that fit into `SECONDS`."""
    step()
    best, end = float("inf"), time.perf_counter() + SECONDS
    while time.perf_counter() < end:
        start = time.perf_counter()
        step()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        best = min(best, time.perf_counter() - start)
    return best
