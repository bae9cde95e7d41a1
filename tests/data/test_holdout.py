from pathlib import Path

import pytest
import torch
from torch import Tensor

from rszoo.data.datasets import load_images
from rszoo.data.holdout import held_out


def counts(labels: Tensor, indices: Tensor) -> list[int]:
    return torch.bincount(labels[indices], minlength=int(labels.max()) + 1).tolist()


@pytest.mark.parametrize("count", [2000, 5000, 10_000])
def test_of_cifar10_the_last_images_are_held_out(cifar10: Path, count: int) -> None:
    labels = load_images("cifar10", "train")[1]
    assert held_out(labels, count).equal(torch.arange(50_000 - count, 50_000))


@pytest.mark.parametrize("classes", [2, 10, 100])
@pytest.mark.parametrize("seed", range(5))
def test_in_a_random_order_the_last_images_are_held_out(classes: int, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(classes, (20_000,), generator=generator)
    for count in (5000, 10_000, 15_000):
        assert held_out(labels, count).equal(torch.arange(20_000 - count, 20_000))


def test_of_a_sorted_folder_the_last_images_of_each_class_are_held_out() -> None:
    labels = torch.arange(3).repeat_interleave(20)
    assert held_out(labels, 6).tolist() == [18, 19, 38, 39, 58, 59]
    assert counts(labels, held_out(labels, 20)) == [7, 7, 6]
    labels = torch.tensor([0] * 60 + [1] * 30 + [2] * 10)
    assert counts(labels, held_out(labels, 10)) == [6, 3, 1]
    assert counts(labels, held_out(labels, 4)) == [2, 1, 1]
    assert counts(labels, held_out(labels, 99)) == [59, 30, 10]


@pytest.mark.parametrize(
    "sizes", [[1000, 10, 10], [5, 5], [1, 1, 1, 1], [50], [2, 500, 2], [7, 0, 9], [1, 40]]
)
def test_every_class_is_in_both_parts_where_it_can_be(sizes: list[int]) -> None:
    labels = torch.arange(len(sizes)).repeat_interleave(torch.tensor(sizes))
    total, present = len(labels), [size for size in sizes if size]
    for count in range(total):
        held = held_out(labels, count)
        assert held.dtype == torch.int64
        assert len(held) == count == len(set(held.tolist()))
        assert held.equal(held.sort().values)
        taken = counts(labels, held)
        for size, number in zip(sizes, taken, strict=True):
            assert abs(number - count * size / total) < 1  # rounded down or up
            if size > 1 and count * min(present) >= total:
                assert number > 0
            if size > 1 and (total - count) * min(present) >= total:
                assert number < size
        assert held.equal(held_out(labels.clone(), count))


def test_an_order_that_is_nearly_sorted_is_not_taken_for_random() -> None:
    labels = torch.arange(10).repeat(500).sort().values
    labels[-10:] = torch.arange(10)  # every class is among the last
    assert set(counts(labels, held_out(labels, 500))) <= {49, 50, 51}
    skewed = torch.cat([torch.arange(2).repeat(450), torch.ones(100, dtype=torch.int64)])
    assert not held_out(skewed, 150).equal(torch.arange(850, 1000))
    assert counts(skewed, held_out(skewed, 150)) == [68, 82]


@pytest.mark.parametrize("count", [-1, 60, 61])
def test_a_count_out_of_range_is_refused(count: int) -> None:
    labels = torch.arange(3).repeat_interleave(20)
    message = f"Expected hold_out from 0 to 59, below the 60 training images, got {count}; hold out"
    with pytest.raises(ValueError, match=message):
        held_out(labels, count)
