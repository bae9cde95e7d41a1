"""What the caller has set in torch changes no vote, and stays set."""

import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import torch
from support.torch_settings import SETTINGS, products
from torch import nn

import rszoo
from rszoo.smoothing.isolation import PLAIN, _flags, isolated

VALUES = {True, False, torch.float32, (True, True), *PLAIN}

CPU = torch.device("cpu")
MKLDNN: Any = torch.backends.mkldnn
ENTRY = "cifar10-resnet20-gaussian-s0.25"


def network() -> nn.Module:
    torch.manual_seed(5)
    return nn.Sequential(
        nn.Conv2d(3, 16, 3), nn.ReLU(), nn.Flatten(), nn.Linear(16 * 36, 64), nn.Linear(64, 4)
    )


def votes(base: nn.Module) -> list[object]:
    """Of a classifier made and used under the present settings."""
    classifier = rszoo.smooth(base, sigma=0.5, num_classes=4, input_shape=(3, 8, 8))
    x = torch.full((3, 8, 8), 0.4, device="cpu", dtype=torch.float32)
    certificate = classifier.certify(x, n=2000, n0=50)
    assert not isinstance(certificate, list)
    prediction = classifier.predict(x, n=500)
    assert not isinstance(prediction, list)
    return [certificate.counts, certificate.radius, prediction.counts]


@pytest.mark.parametrize("setting", SETTINGS)
def test_votes_do_not_depend_on_the_settings_of_torch(setting: str) -> None:
    base = network()
    expected = votes(base)
    with SETTINGS[setting]():
        assert votes(base) == expected
    with ExitStack() as stack:  # all at once
        for each in SETTINGS.values():
            stack.enter_context(each())
        assert votes(base) == expected


def test_a_bfloat16_classifier_is_that_of_its_own_precision_too() -> None:
    base = network()
    made = {}
    for setting in (None, *SETTINGS):
        with ExitStack() as stack:
            if setting:
                stack.enter_context(SETTINGS[setting]())
            classifier = rszoo.smooth(
                base, sigma=0.5, num_classes=4, input_shape=(3, 8, 8), precision="bfloat16"
            )
            x = torch.full((3, 8, 8), 0.4, device="cpu", dtype=torch.float32)
            prediction = classifier.predict(x, n=500)
            assert not isinstance(prediction, list)
            made[setting] = prediction.counts
    assert len(set(made.values())) == 1


def test_flags_of_the_process_are_restored_when_the_last_thread_leaves() -> None:
    with products():
        before = [flag.read() for flag in _flags()]
        inside = [threading.Event() for _ in range(4)]
        leave = [threading.Event() for _ in range(4)]

        def work(number: int) -> None:
            with isolated(CPU):
                inside[number].set()
                leave[number].wait()

        threads = [threading.Thread(target=work, args=(i,), daemon=True) for i in range(4)]
        for thread, event in zip(threads, inside, strict=True):
            thread.start()
            event.wait()
        for number in (0, 2, 1):
            leave[number].set()
            threads[number].join()
            assert {flag.read() for flag in _flags()} <= VALUES, "others are inside"
        leave[3].set()
        threads[3].join()
        assert [flag.read() for flag in _flags()] == before


def test_a_setting_that_the_caller_changes_meanwhile_is_kept() -> None:
    torch.set_float32_matmul_precision("medium")
    try:
        with isolated(CPU):
            assert {flag.read() for flag in _flags()} <= VALUES
            torch.set_float32_matmul_precision("high")
        assert torch.get_float32_matmul_precision() == "high"
    finally:
        torch.set_float32_matmul_precision("highest")


def test_a_setting_that_the_caller_changes_meanwhile_reaches_nobody_who_enters_later() -> None:
    try:
        with isolated(CPU):
            torch.set_default_dtype(torch.float64)
            with isolated(CPU):
                assert torch.tensor([0.1]).dtype == torch.float32
        assert torch.get_default_dtype() == torch.float64
    finally:
        torch.set_default_dtype(torch.float32)


def test_several_threads_certify_at_once(tmp_path: Path) -> None:
    base = network()
    expected = votes(base)
    found: list[list[object]] = []
    threads = [threading.Thread(target=lambda: found.append(votes(base))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [expected] * 4


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.float16])
def test_numbers_that_a_network_makes_do_not_follow_the_default_type(dtype: torch.dtype) -> None:
    def made() -> list[torch.Tensor]:
        with isolated(torch.device("cpu")):
            return [torch.tensor([0.1]), torch.arange(3) / 7, torch.hann_window(5)]

    expected = made()
    torch.set_default_dtype(dtype)
    try:
        assert all(map(torch.equal, made(), expected))
        assert torch.get_default_dtype() == dtype
    finally:
        torch.set_default_dtype(torch.float32)


@pytest.mark.skipif(not hasattr(MKLDNN, "conv"), reason="this torch has no fp32_precision")
def test_a_precision_that_was_set_stays_set_where_it_equals_the_inherited_one() -> None:
    general: Any = torch.backends
    try:
        general.fp32_precision = MKLDNN.matmul.fp32_precision = "bf16"
        with isolated(CPU):
            assert MKLDNN.matmul.fp32_precision == MKLDNN.conv.fp32_precision == "ieee"
        assert general.fp32_precision == "bf16"
        general.fp32_precision = "none"
        assert MKLDNN.matmul.fp32_precision == "bf16", "set"
        assert MKLDNN.conv.fp32_precision == "none", "inherited"
    finally:
        general.fp32_precision = MKLDNN.matmul.fp32_precision = "none"


def test_products_and_recurrent_layers_are_plain_inside_whatever_is_set() -> None:
    before = MKLDNN.enabled
    try:
        MKLDNN.enabled = False
        if hasattr(MKLDNN, "rnn"):
            MKLDNN.rnn.fp32_precision = "bf16"
        with isolated(CPU):
            assert MKLDNN.enabled
            assert not hasattr(MKLDNN, "rnn") or MKLDNN.rnn.fp32_precision == "ieee"
        assert not MKLDNN.enabled
        assert not hasattr(MKLDNN, "rnn") or MKLDNN.rnn.fp32_precision == "bf16"
    finally:
        MKLDNN.enabled = before
        if hasattr(MKLDNN, "rnn"):
            MKLDNN.rnn.fp32_precision = "none"


@pytest.fixture
def flags_of_a_gpu(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """As on a machine with a GPU; torch keeps the settings of one everywhere."""
    _flags.cache_clear()
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    yield
    _flags.cache_clear()


@pytest.mark.usefixtures("flags_of_a_gpu")
def test_sums_on_a_gpu_are_those_of_torch_by_default() -> None:
    matmul: Any = torch.backends.cuda.matmul
    name = "allow_bf16_reduced_precision_reduction"
    splits = hasattr(matmul, f"{name}_split_k")
    accumulates = hasattr(matmul, "allow_fp16_accumulation")
    try:
        setattr(matmul, name, (False, False) if splits else False)
        if accumulates:
            matmul.allow_fp16_accumulation = True
        with isolated(CPU):
            assert getattr(matmul, name)
            assert not accumulates or not matmul.allow_fp16_accumulation
        assert not getattr(matmul, name)
        assert not splits or not getattr(matmul, f"{name}_split_k")
        assert not accumulates or matmul.allow_fp16_accumulation
    finally:
        setattr(matmul, name, True)
        if accumulates:
            matmul.allow_fp16_accumulation = False
