"""The products in which a network computes: which instructions, and where results are rounded."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import cache
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

PRODUCTS = {F.conv2d, F.linear}


@cache
def multiplies_bfloat16() -> bool:
    """Whether this processor multiplies bfloat16 numbers; False where torch cannot tell."""
    known = getattr(torch.cpu, "_is_avx512_bf16_supported", None)  # torch has no public question
    return known is not None and bool(known())


def bfloat16_products(device: torch.device) -> AbstractContextManager[object]:
    """Make convolutions and linear layers of bfloat16 numbers as fast as the device allows.

    A processor without bfloat16 instructions computes them with float32 ones, on the same numbers
    and rounded at the same places, several times faster than torch's own kernels there. Only the
    order of the sums may differ, as it does between any two kinds of processor.
    """
    return nullcontext() if device.type != "cpu" or multiplies_bfloat16() else WideProducts()


@contextmanager
def mixed_precision(device: torch.device, precision: str) -> Iterator[None]:
    """Train in "bfloat16", which is torch's mixed precision, or in "float32" throughout."""
    if precision == "float32":
        with torch.autocast(device.type, enabled=False):
            yield
        return
    try:
        with torch.autocast(device.type, dtype=torch.bfloat16), bfloat16_products(device):
            yield
    finally:
        # torch forgets its bfloat16 copies of the weights only where the outermost autocast ends,
        # which may be that of `isolated`, around a whole run: the next step has other weights.
        torch.clear_autocast_cache()


class WideProducts(TorchFunctionMode):
    """Products of bfloat16 numbers: exact, summed in float32, rounded to bfloat16 at the end."""

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        if func not in PRODUCTS:
            return func(*args, **kwargs)
        x = args[0] if args else kwargs["input"]
        if x.dtype != torch.bfloat16 and not torch.is_autocast_enabled("cpu"):
            return func(*args, **kwargs)
        with torch.autocast("cpu", enabled=False):
            wide = {name: _wide(value) for name, value in kwargs.items()}
            return func(*map(_wide, args), **wide).bfloat16()


def _wide(value: object) -> object:
    return value.bfloat16().float() if isinstance(value, Tensor) else value
