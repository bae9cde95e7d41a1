"""The only place where noise is drawn.

Certification noise comes from streams addressed by (seed, image, stage, block): any block of any stream can be drawn
without the others, so that votes do not depend on batch size, on the other images of a call, or on where they are counted.
On the CPU a block comes from NumPy's Philox generator, keyed by a 128-bit hash of its address, and the ziggurat method,
whose tails are exact; on other devices from torch's generator there, seeded by 64 bits of that hash.
"""

import hashlib
from dataclasses import dataclass
from functools import lru_cache

import mpmath
import numpy as np
import torch
from torch import Tensor

from rszoo.smoothing.requests import Stage

GRID_BITS = 62
BLOCK, DEVICE_BLOCK = 128, 1024  # the latter on a GPU, which each call keeps waiting
BLOCK_VALUES = 2**22


@dataclass(frozen=True)
class Stream:
    """The noise of one image at one stage.

    Attributes:
        seed: the seed of the whole run.
        image: what tells images apart: `image_key(x)`, or the index in a data set.
        stage: what the noise is for.
    """

    seed: int
    image: str
    stage: Stage

    def key(self, block: int) -> int:
        """The 128-bit key of a block."""
        address = f"{self.seed}/{self.image}/{int(self.stage)}/{block}"
        return int.from_bytes(hashlib.blake2b(address.encode(), digest_size=16).digest())


def image_key(x: Tensor) -> str:
    """A key made of the content of an image: equal images have equal noise, wherever they stand."""
    return hashlib.blake2b(
        x.detach().float().cpu().contiguous().numpy().tobytes(), digest_size=16
    ).hexdigest()


def block_size(shape: tuple[int, ...], device: torch.device) -> int:
    """Samples in a block: a function of the image shape and the kind of device alone, smaller for large images."""
    return max(
        1, min(BLOCK if device.type == "cpu" else DEVICE_BLOCK, BLOCK_VALUES // int(np.prod(shape)))
    )


def normal_block(
    stream: Stream, block: int, shape: tuple[int, int, int], device: torch.device
) -> Tensor:
    """Standard normal float32 noise, (block_size, C, H, W) in channels_last order."""
    channels, height, width = shape
    size = (block_size(shape, device), height, width, channels)
    key = stream.key(block)
    if device.type == "cpu":
        noise = torch.from_numpy(
            np.random.Generator(np.random.Philox(key=key)).standard_normal(size, dtype=np.float32)
        )
    else:
        generator = torch.Generator(device).manual_seed(key >> 64)
        noise = torch.randn(size, generator=generator, device=device)
    return noise.permute(0, 3, 1, 2)


def grid_block(
    stream: Stream, block: int, shape: tuple[int, int, int], sigma: float, device: torch.device
) -> Tensor:
    """Integer noise K in steps of 1/255, (block_size, C, H, W) in channels_last order.

    P(K = k) = Phi((k + 1/2) / 255 sigma) - Phi((k - 1/2) / 255 sigma): the law of Gaussian noise rounded to the grid, drawn
    in integer arithmetic, up to `grid_error` in total variation. Source: Voracek & Hein 2023, section 4.
    """
    channels, height, width = shape
    size = (block_size(shape, device), height, width, channels)
    key, limits = stream.key(block), _limits_on(sigma, device)
    if device.type == "cpu":
        raw = np.random.Philox(key=key).random_raw(int(np.prod(size))) >> np.uint64(64 - GRID_BITS)
        uniform = torch.from_numpy(raw.astype(np.int64).reshape(size))
    else:
        generator = torch.Generator(device).manual_seed(key >> 64)
        uniform = torch.randint(0, 2**GRID_BITS, size, generator=generator, device=device)
    half = len(limits) // 2
    return (torch.bucketize(uniform, limits, right=True) - half).permute(0, 3, 1, 2)


def grid_error(sigma: float, shape: tuple[int, ...]) -> float:
    """An upper bound on the total variation between one image of `grid_block` noise and its stated law."""
    return float(np.prod(shape)) * (len(_grid_limits(sigma)) + 1) * 2.0**-GRID_BITS


@lru_cache(maxsize=16)
def _limits_on(sigma: float, device: torch.device) -> Tensor:
    return _grid_limits(sigma).to(device)


@lru_cache(maxsize=16)
def _grid_limits(sigma: float) -> Tensor:
    """floor(Phi((k + 1/2) / 255 sigma) 2^62) for all k between the points where it is 0 and 2^62."""
    steps = 255 * sigma
    last = int(10 * steps) + 1
    with mpmath.workprec(128):
        tail = [
            mpmath.ncdf((mpmath.mpf(k) + mpmath.mpf("0.5")) / steps) * 2**GRID_BITS
            for k in range(-last, 0)
        ]
        lower = [int(mpmath.floor(value)) for value in tail]
    return torch.tensor(lower + [2**GRID_BITS - value for value in reversed(lower)])


def step_seed(seed: int, purpose: str, step: int) -> int:
    """The 64-bit seed of one purpose at one training step."""
    return int.from_bytes(
        hashlib.blake2b(f"{seed}/{purpose}/{step}".encode(), digest_size=8).digest()
    )


def step_generator(seed: int, purpose: str, step: int, device: torch.device) -> torch.Generator:
    """The generator of one training step: a resumed run draws what an uninterrupted one draws."""
    return torch.Generator(device).manual_seed(step_seed(seed, purpose, step))


def gaussian_noise(x: Tensor, sigma: float, generator: torch.Generator) -> Tensor:
    """N(0, sigma^2) noise of the shape, type, device and memory order of x, for training."""
    noise = torch.empty_like(x)
    noise.as_strided((noise.numel(),), (1,)).normal_(
        std=sigma, generator=generator
    )  # in memory order: 8 times faster
    return noise
