"""Settings of torch that a caller may have made, each as a context that checks that it stays."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Any

import pytest
import torch


@contextmanager
def default_dtype() -> Iterator[None]:
    torch.set_default_dtype(torch.float64)
    try:
        yield
        assert torch.get_default_dtype() == torch.float64
    finally:
        torch.set_default_dtype(torch.float32)


@contextmanager
def products() -> Iterator[None]:
    torch.set_float32_matmul_precision("medium")
    try:
        yield
        assert torch.get_float32_matmul_precision() == "medium"
    finally:
        torch.set_float32_matmul_precision("highest")


@contextmanager
def convolutions() -> Iterator[None]:
    mkldnn: Any = torch.backends.mkldnn
    if not hasattr(torch.backends, "fp32_precision"):
        pytest.skip("this torch has no fp32_precision")
    torch.backends.fp32_precision = "bf16"
    try:
        yield
        assert torch.backends.fp32_precision == mkldnn.conv.fp32_precision == "bf16"
    finally:
        torch.backends.fp32_precision = "none"
    assert mkldnn.conv.fp32_precision == "none", "inherited, as before"


SETTINGS: dict[str, Callable[[], AbstractContextManager[object]]] = {
    "autocast": lambda: torch.autocast("cpu", dtype=torch.bfloat16),
    "default dtype": default_dtype,
    "default device": lambda: torch.device("meta"),
    "matrix products": products,
    "convolutions": convolutions,
    "inference mode": torch.inference_mode,
    "no gradients": torch.no_grad,
}


@contextmanager
def under(setting: str) -> Iterator[None]:
    """One setting, or "all" of them at once."""
    with ExitStack() as stack:
        for name in SETTINGS if setting == "all" else [setting]:
            stack.enter_context(SETTINGS[name]())
        yield


@contextmanager
def random_numbers_stay() -> Iterator[None]:
    """Nothing in here may draw one of torch's global random numbers, or seed them."""
    before = torch.get_rng_state()
    yield
    assert torch.equal(torch.get_rng_state(), before)
