"""The arithmetic in which a network computes: which instructions, and where their results are rounded."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import cache
from typing import Any

import torch
from torch import Tensor
from torch.backends import cudnn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

PRODUCTS = {F.conv2d, F.linear}


def exact_arithmetic() -> AbstractContextManager[None]:
    """On a GPU: float32 is float32, not TensorFloat-32, and equal inputs give equal results."""
    return cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False)


@cache
def multiplies_bfloat16() -> bool:
    """Whether this processor has instructions that multiply bfloat16 numbers; torch can tell of x86 alone."""
    return bool(torch.cpu._is_avx512_bf16_supported())


def bfloat16_products(device: torch.device) -> AbstractContextManager[object]:
    """Within it, convolutions and linear layers of bfloat16 numbers are as fast as the device can make them.

    A processor without bfloat16 instructions computes them with float32 ones, on the same numbers and rounded at the same
    places, which is several times faster than what torch does there. Only the order of the sums may differ, as it does between
    any two kinds of processor.
    """
    return nullcontext() if device.type != "cpu" or multiplies_bfloat16() else WideProducts()


@contextmanager
def mixed_precision(device: torch.device, precision: str) -> Iterator[None]:
    """Training in that precision: with "bfloat16" torch's mixed precision, with "float32" nothing of the kind."""
    if precision == "float32":
        yield
        return
    with torch.autocast(device.type, dtype=torch.bfloat16), bfloat16_products(device):
        yield


class WideProducts(TorchFunctionMode):
    """Convolutions and linear layers of bfloat16 numbers in float32: exact products, float32 sums, rounded once at the end."""

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
            return func(
                *map(_wide, args), **{name: _wide(value) for name, value in kwargs.items()}
            ).bfloat16()


def _wide(value: object) -> object:
    return value.bfloat16().float() if isinstance(value, Tensor) else value
