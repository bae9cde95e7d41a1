"""Integer noise in steps of 1/255, exact in law: the noise whose certificates hold for the program.

The noise K of a pixel value has the law of Gaussian noise rounded to the grid,

    P(K = k) = Phi((k + 1/2) / 255 sigma) - Phi((k - 1/2) / 255 sigma),

up to the rounding of its cumulative sums to L_k = floor(Phi((k + 1/2) / 255 sigma) 2^62)
(`grid_error`). No number is rounded on the way from random bits to the noisy image 255 x + K, so
nothing about x can be read off low bits (Voracek & Hein 2023).

Sampling is Walker's alias method in integers. 2^16 columns of 2^46 each hold the weights
w_k = L_k - L_(k-1) exactly: a column belongs to one k, or its first `split` to one and the rest to
another. 16 random bits choose the column; 46 more are drawn only where a column is shared. One
64-bit word of Philox serves four values, and the words for shared columns follow from the same key,
so a block is a pure function of its address.

Source: Voracek & Hein 2023, section 4 (the law); Walker 1977, Vose 1991 (the alias method).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import mpmath
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

BITS, COLUMN_BITS = 62, 16
COLUMN = 2 ** (BITS - COLUMN_BITS)
REACH = 10  # standard deviations beyond which 2^62 Phi rounds to 0
LARGEST_SIGMA = 12.0  # steps and levels fit into 16 bits


@dataclass(frozen=True)
class Table:
    """Columns: of the first `shared`, each holds first[c] below split[c] and second[c] from there.

    The other columns hold first[c] alone.
    """

    shared: int
    first: NDArray[np.int16]
    second: NDArray[np.int16]
    split: NDArray[np.int64]


@lru_cache(maxsize=16)
def thresholds(sigma: float) -> NDArray[np.int64]:
    """L_k for all k from -last to last - 1, where it is neither 0 nor 2^62, and some around."""
    steps = 255 * sigma
    last = int(REACH * steps) + 1
    exact = mpmath.MPContext()  # mpmath's own precision belongs to all threads of the caller
    exact.prec = 128
    half = exact.mpf("0.5")
    tail = [exact.ncdf((exact.mpf(k) + half) / steps) * 2**BITS for k in range(-last, 0)]
    lower = [int(exact.floor(value)) for value in tail]
    limits = np.array(lower + [2**BITS - value for value in reversed(lower)], dtype=np.int64)
    limits.flags.writeable = False  # shared by all callers
    return limits


def weights(sigma: float) -> dict[int, int]:
    """2^62 P(K = k), an integer, for each k that has one."""
    limits = thresholds(sigma)
    mass = np.diff(limits, prepend=0, append=2**BITS).tolist()
    return {k: weight for k, weight in enumerate(mass, -(len(limits) // 2)) if weight}


def grid_error(sigma: float, shape: tuple[int, ...]) -> float:
    """Total variation between the noise of one image of that shape and its stated law, at most."""
    return float(np.prod(shape)) * (len(thresholds(sigma)) + 1) * 2.0**-BITS


def check_sigma(sigma: float) -> None:
    """Raise ValueError unless grid noise of this sigma fits into 16 bits."""
    if sigma > LARGEST_SIGMA:
        raise ValueError(
            f"Expected sigma of at most {LARGEST_SIGMA:g} with noise='grid', got {sigma:g}; "
            "pass the standard deviation in pixel units [0, 1], or use noise='float'."
        )


@lru_cache(maxsize=16)
def alias_table(sigma: float) -> Table:
    """The columns of the law: their parts add up to 2^62 P(K = k) for each k, exactly."""
    columns = list(_columns(weights(sigma)))
    shared = [column for column in columns if column[2] < COLUMN]
    alone = [column for column in columns if column[2] == COLUMN]
    first, second, split = zip(*shared, *alone, strict=True)
    int16 = np.int16
    return Table(len(shared), np.array(first, int16), np.array(second, int16), np.array(split))


def _columns(mass: dict[int, int]) -> Iterator[tuple[int, int, int]]:
    """Columns (first, second, split) that hold all mass; the split of one k alone is the column.

    There are never more k left than columns' worth of mass: so while one k has less than a column,
    another has more, and fills up the column of the first.
    """
    small = [(k, weight) for k, weight in mass.items() if weight < COLUMN]
    large = [(k, weight) for k, weight in mass.items() if weight >= COLUMN]
    while large:
        donor, left = large.pop()
        k, weight = small.pop() if small else (donor, COLUMN)
        yield k, donor, weight
        left -= COLUMN - weight if k != donor else COLUMN
        if left >= COLUMN:
            large.append((donor, left))
        elif left:
            small.append((donor, left))


def draw(key: int, count: int, sigma: float) -> NDArray[np.int16]:
    """`count` values of K from the 128-bit key of a block, on the CPU."""
    table, words = alias_table(sigma), np.random.Philox(key=key)
    column = words.random_raw(-(-count // 4)).astype("<u8", copy=False).view("<u2")[:count]
    steps = table.first.take(column, mode="clip")  # "clip" skips a check: all columns exist
    shared = np.flatnonzero(column < table.shared)
    low = words.random_raw(len(shared)) >> np.uint64(64 - BITS + COLUMN_BITS)
    chosen = column[shared]
    rest = low >= table.split[chosen].astype(np.uint64)
    steps[shared[rest]] = table.second[chosen[rest]]
    return steps


def draw_on(generator: torch.Generator, size: tuple[int, ...], sigma: float) -> Tensor:
    """Values of K, int16, on the device of the generator, without waiting for it."""
    device = generator.device
    first, second, split = _table_on(sigma, device)
    column = torch.randint(2**COLUMN_BITS, size, generator=generator, device=device).flatten()
    low = torch.randint(COLUMN, size, generator=generator, device=device).flatten()
    rest = low >= split.index_select(0, column)
    steps = torch.where(rest, second.index_select(0, column), first.index_select(0, column))
    return steps.view(size)


@lru_cache(maxsize=16)
def _table_on(sigma: float, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    table = alias_table(sigma)
    parts = (table.first, table.second, table.split)
    first, second, split = (torch.from_numpy(part).to(device) for part in parts)
    return first, second, split


def draw_searched(key: int, size: tuple[int, ...], sigma: float, device: torch.device) -> Tensor:
    """The same law in the stream's first version: 62 bits per value, searched in `thresholds`."""
    limits = torch.from_numpy(thresholds(sigma).copy()).to(device)
    if device.type == "cpu":
        raw = np.random.Philox(key=key).random_raw(int(np.prod(size))) >> np.uint64(64 - BITS)
        uniform = torch.from_numpy(raw.astype(np.int64).reshape(size))
    else:
        generator = torch.Generator(device).manual_seed(key >> 64)
        uniform = torch.randint(2**BITS, size, generator=generator, device=device)
    return (torch.bucketize(uniform, limits, right=True) - len(limits) // 2).short()
