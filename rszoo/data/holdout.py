"""Which training images are held out, to monitor a training that does not see them."""

import torch
from torch import Tensor

DEVIATIONS = 5  # by so many standard deviations a class may miss its share in a random order


def held_out(labels: Tensor, count: int) -> Tensor:
    """Indices of `count` images to hold out, ascending, int64: a pure function of the labels.

    The last `count` images, if every class is in both parts and its number among them is about its
    share, as it is where the order is random. Else, as in a folder, where the images are sorted by
    class, the last images of each class in proportion to its size. Where the shares are not whole
    numbers, classes with no image among them yet come first, and those with only one left last.

    Args:
        labels: of all training images, int64 (N,).
        count: how many to hold out, 0 <= count < N.

    Raises:
        ValueError: count is out of range.
    """
    total = len(labels)
    if not 0 <= count < total:
        raise ValueError(
            f"Expected hold_out from 0 to {total - 1}, below the {total} training images, "
            f"got {count}; hold out fewer."
        )
    classes, sizes = torch.unique(labels, return_inverse=True, return_counts=True)[1:]
    last = torch.arange(total - count, total, device=labels.device)
    if count == 0 or _is_fair(torch.bincount(classes[last], minlength=len(sizes)), sizes):
        return last
    quotas = _quotas(sizes.tolist(), count)
    parts = [
        (classes == number).nonzero().flatten()[-quota:]
        for number, quota in enumerate(quotas)
        if quota
    ]
    return torch.cat(parts).sort().values


def _is_fair(taken: Tensor, sizes: Tensor) -> bool:
    """Whether of each class about its share is taken, and not none or all."""
    share, part = sizes / sizes.sum(), taken.sum() / sizes.sum()
    deviation = (sizes.sum() * part * (1 - part) * share * (1 - share)).sqrt()
    near = (taken - part * sizes).abs() <= DEVIATIONS * deviation
    return bool((near & (taken > 0) & (taken < sizes)).all())


def _quotas(sizes: list[int], count: int) -> list[int]:
    """How many images of each class to take: its share rounded down or up, `count` in all."""
    total = sum(sizes)
    quotas = [count * size // total for size in sizes]
    fractions = [count * size % total for size in sizes]

    def urgency(number: int) -> tuple[bool, bool, bool, int]:
        whole, nearly_all = fractions[number] == 0, quotas[number] + 1 >= sizes[number]
        return whole, nearly_all, quotas[number] > 0, -fractions[number]

    for number in sorted(range(len(sizes)), key=urgency)[: count - sum(quotas)]:
        quotas[number] += 1
    return quotas
