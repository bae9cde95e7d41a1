from typing import Any

import numpy as np
import pytest
import torch
from scipy import stats
from torch.utils._python_dispatch import TorchDispatchMode

from rszoo.smoothing.noise import (
    Noise,
    Stream,
    block_size,
    gaussian_noise,
    grid_block,
    image_key,
    normal_block,
    step_generator,
)
from rszoo.smoothing.requests import Stage

CPU = torch.device("cpu")
SHAPE = (3, 32, 32)
STREAM = Stream(seed=0, image="a", stage=Stage.ESTIMATE)


def test_a_block_is_the_same_whenever_it_is_drawn() -> None:
    first = [normal_block(STREAM, block, SHAPE, CPU) for block in range(3)]
    again = [normal_block(STREAM, block, SHAPE, CPU) for block in (2, 0, 1)]
    for block, place in enumerate((1, 2, 0)):
        assert torch.equal(first[block], again[place])


def test_streams_that_differ_in_anything_are_independent() -> None:
    others = [
        Stream(1, "a", Stage.ESTIMATE),
        Stream(0, "b", Stage.ESTIMATE),
        Stream(0, "a", Stage.SELECT),
    ]
    blocks = [normal_block(stream, 0, SHAPE, CPU).flatten() for stream in [STREAM, *others]]
    blocks.append(normal_block(STREAM, 1, SHAPE, CPU).flatten())
    correlation = torch.corrcoef(torch.stack(blocks)) - torch.eye(len(blocks))
    assert correlation.abs().max() < 5 / blocks[0].numel() ** 0.5


def test_keys_of_streams_do_not_collide_by_concatenation() -> None:
    assert Stream(1, "2/1", Stage.SELECT).key(0) != Stream(1, "2", Stage.ESTIMATE).key(0)
    keys = {
        Stream(s, str(i), stage).key(b)
        for s in range(5)
        for i in range(5)
        for stage in Stage
        for b in range(5)
    }
    assert len(keys) == 5 * 5 * len(Stage) * 5


def test_normal_noise_is_standard_normal() -> None:
    noise = (
        torch.stack([normal_block(STREAM, block, SHAPE, CPU) for block in range(4)])
        .flatten()
        .double()
        .numpy()
    )
    n = len(noise)
    assert abs(noise.mean()) < 4.5 / n**0.5
    assert abs(noise.var() - 1) < 4.5 * (2 / n) ** 0.5
    assert abs((noise**4).mean() - 3) < 4.5 * (96 / n) ** 0.5
    assert stats.kstest(noise, "norm").pvalue > 1e-5
    for lag in (1, 2, 3, 96, 3072):
        assert abs(np.corrcoef(noise[:-lag], noise[lag:])[0, 1]) < 4.5 / n**0.5
    assert 4.5 < np.abs(noise).max() < 6.5


def test_noise_is_in_the_memory_order_of_the_first_convolution() -> None:
    assert normal_block(STREAM, 0, SHAPE, CPU).is_contiguous(memory_format=torch.channels_last)


def test_blocks_of_large_images_are_small() -> None:
    cpu, gpu = torch.device("cpu"), torch.device("cuda")
    assert (block_size(SHAPE, cpu), block_size(SHAPE, gpu)) == (128, 1024)
    for device in (cpu, gpu):
        assert block_size((3, 224, 224), device) * 3 * 224 * 224 <= 2**22


def test_the_key_of_an_image_is_its_content() -> None:
    x = torch.rand(SHAPE)
    assert image_key(x) == image_key(x.clone().to(memory_format=torch.preserve_format))
    assert image_key(x) == image_key(x.permute(1, 2, 0).contiguous().permute(2, 0, 1))
    assert image_key(x) != image_key(x + 1e-6)


def test_training_noise_is_seeded_by_its_step_and_has_the_spread() -> None:
    x = torch.zeros(64, *SHAPE)
    draws = [gaussian_noise(x, 0.5, step_generator(0, "step", step, CPU)) for step in (3, 3, 4)]
    assert torch.equal(draws[0], draws[1])
    assert not torch.equal(draws[0], draws[2])
    assert float(draws[0].std()) == pytest.approx(0.5, rel=0.01)


def test_float_noise_is_not_below_sigma_and_grid_noise_is_an_integer() -> None:
    x = torch.full(SHAPE, 7 / 255)
    copies = Noise.newest("grid", 0.25, 0).noisy(x, "a", Stage.SELECT, 0)
    levels = (copies.double() * 255).round()
    assert torch.equal(copies, (levels / 255).float())
    assert torch.equal((levels - 7).short(), grid_steps(0.25))
    assert copies.is_contiguous(memory_format=torch.channels_last)


def grid_steps(sigma: float) -> torch.Tensor:
    size = (128, 32, 32, 3)
    noise = Noise.newest("grid", sigma, 0)
    steps = grid_block(Stream(0, "a", Stage.SELECT), 0, size, noise, CPU)
    return steps.permute(0, 3, 1, 2)


def test_the_first_version_of_the_grid_stream_can_still_be_drawn() -> None:
    old, new = (Noise("grid", 0.25, 0, version) for version in (1, 2))
    x = torch.full(SHAPE, 0.2)
    drawn = [noise.noisy(x, "a", Stage.SELECT, 0) for noise in (old, new)]
    assert not torch.equal(*drawn)
    for copies in drawn:
        assert float(copies.std()) == pytest.approx(0.25, rel=0.01)


class Computing(TorchDispatchMode):
    """Remembers the operations of torch that are not views."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if not func.is_view:
            self.found.append(str(func))
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("kind", ["float", "grid"])
def test_drawing_on_a_cpu_computes_nothing_with_torch(kind: str) -> None:
    """Else torch's threads of the drawing thread take the processor from those of the network."""
    noise, image = Noise.newest(kind, 0.25, seed=0), torch.rand(SHAPE)
    with Computing() as computing:
        noise.noisy(image, "a", Stage.ESTIMATE, 0)
    assert not computing.found
