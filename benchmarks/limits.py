"""What a piece of work asks of a device, counted, and what the device gives, measured in the same process.

Operations are those of convolutions and matrix products. Bytes are the tensors that every operator reads and writes, each once:
what a program whose operators are not fused moves if no tensor is still in a cache when the next operator wants it. A program
with fused operators, or one whose tensors fit into a cache, moves fewer, and may be faster than this limit.
"""

import time
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

from rszoo.smoothing.precision import bfloat16_products

SECONDS = 0.5


class Work(NamedTuple):
    """Floating-point operations and bytes: of a piece of work, or a second of a device."""

    operations: float
    bytes: float

    def seconds(self, device: "Work") -> float:
        """The least time for this work on a device that does so much a second, both at once."""
        return max(self.operations / device.operations, self.bytes / device.bytes)


class _Traffic(TorchDispatchMode):
    """Adds up the bytes of what each operator reads and writes."""

    def __init__(self) -> None:
        super().__init__()
        self.bytes = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        if not func.is_view and not func.name().startswith("aten::empty"):
            self.bytes += sum(
                leaf.nbytes
                for leaf in tree_leaves((args, kwargs, result))
                if isinstance(leaf, Tensor)
            )
        return result


def count(step: Callable[[], object]) -> Work:
    """What the step asks for; it is run twice."""
    with FlopCounterMode(display=False) as counter:
        step()
    with _Traffic() as traffic:
        step()
    return Work(float(counter.get_total_flops()), float(traffic.bytes))


def measure(device: torch.device, dtype: torch.dtype = torch.bfloat16) -> Work:
    """What the device gives a second: the best rates of a large matrix product, and of a copy that no cache holds."""
    side = 8192 if device.type == "cuda" else 2048
    a = torch.rand(side, side, device=device, dtype=dtype)
    source = torch.rand(2**30 if device.type == "cuda" else 2**26, device=device)
    target = torch.empty_like(source)
    moved = source.nbytes + target.nbytes
    with bfloat16_products(device):
        operations = 2 * side**3 / _least(lambda: F.linear(a, a), device)
    return Work(operations, moved / _least(lambda: target.copy_(source), device))


def _least(step: Callable[[], object], device: torch.device) -> float:
    """The least time of one of the calls that fit into half a second."""
    step()
    best, end = float("inf"), time.perf_counter() + SECONDS
    while time.perf_counter() < end:
        start = time.perf_counter()
        step()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        best = min(best, time.perf_counter() - start)
    return best
