"""The only place where noise is drawn.

Certification noise comes from streams addressed by (seed, image, stage, block). Any block of any
stream can be drawn without the others, so votes do not depend on the batch size, on the other
images of a call, or on where they are counted. On the CPU a block comes from NumPy's Philox
generator, keyed by a 128-bit hash of its address; on other devices from torch's generator there,
seeded by 64 bits of that hash. Float noise is drawn by the ziggurat method, whose tails are exact;
integer noise by `rszoo.smoothing.grid`.
"""

import hashlib
from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
from torch import Tensor

from rszoo.smoothing import grid
from rszoo.smoothing.requests import Stage

STREAMS = {"float": 1, "grid": 2}
"""The version of the stream that each kind of noise is drawn from now. Version 1 of "grid" had the
same law from other random bits; logs made with it can still be made again."""

BLOCK, DEVICE_BLOCK = 128, 1024  # the latter on a GPU, where each call costs a fixed time
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


@dataclass(frozen=True)
class Noise:
    """The law of the noise, and the stream it is drawn from.

    Attributes:
        kind: "float", or "grid" for integers in steps of 1/255.
        sigma: standard deviation in pixel units.
        seed: of the run.
        version: of the stream, at most `STREAMS[kind]`.
    """

    kind: str
    sigma: float
    seed: int
    version: int

    def __post_init__(self) -> None:
        if not 1 <= self.version <= STREAMS[self.kind]:
            raise ValueError(
                f"Expected a stream of {self.kind} noise up to version {STREAMS[self.kind]}, got "
                f"{self.version}; install a newer rszoo."
            )

    @classmethod
    def newest(cls, kind: str, sigma: float, seed: int) -> Self:
        """Noise from the present stream of its kind."""
        return cls(kind, sigma, seed, STREAMS[kind])

    @property
    def deviation(self) -> np.float32:
        """sigma in float32, rounded up: more noise than stated keeps a certificate true."""
        nearest = np.float32(self.sigma)
        above: np.float32 = np.nextafter(nearest, np.float32(np.inf))
        return nearest if float(nearest) >= self.sigma else above

    def noisy(self, image: Tensor, key: str, stage: Stage, block: int) -> Tensor:
        """Noisy copies of an image (C, H, W): one block of the stream of that key and stage.

        Returns:
            (block_size, C, H, W), float32, in channels_last order, on the device of the image.
        """
        stream = Stream(self.seed, key, stage)
        if self.kind == "float":
            return self._float(image, stream, block)
        channels, height, width = image.shape
        size = (block_size(tuple(image.shape), image.device), height, width, channels)
        steps = grid_block(stream, block, size, self, image.device)
        if image.device.type != "cpu":
            levels = (image.permute(1, 2, 0) * 255).round().short()
            return steps.add_(levels).float().div_(255).permute(0, 3, 1, 2)
        # by NumPy alone: one torch operation here, however small, starts threads for this thread,
        # and they stay beside those of the network, which votes a third more slowly
        values = steps.numpy()
        values += np.rint(image.permute(1, 2, 0).numpy() * np.float32(255)).astype(np.int16)
        noisy = values.astype(np.float32)
        noisy /= np.float32(255)
        return torch.from_numpy(noisy).permute(0, 3, 1, 2)

    def _float(self, image: Tensor, stream: Stream, block: int) -> Tensor:
        channels, height, width = image.shape
        noise = normal_block(stream, block, (channels, height, width), image.device)
        if image.device.type != "cpu":
            return noise.mul_(float(self.deviation)).add_(image)
        values = noise.permute(0, 2, 3, 1).flatten(1).numpy()
        values *= self.deviation
        values += image.permute(1, 2, 0).numpy().reshape(-1)
        return noise


def image_key(x: Tensor) -> str:
    """A key made of an image's content: equal images have equal noise, wherever they stand."""
    content = x.detach().float().cpu().contiguous().numpy().tobytes()
    return hashlib.blake2b(content, digest_size=16).hexdigest()


def block_size(shape: tuple[int, ...], device: torch.device) -> int:
    """Samples per block: a function of image shape and kind of device, smaller for large images."""
    largest = BLOCK if device.type == "cpu" else DEVICE_BLOCK
    return max(1, min(largest, BLOCK_VALUES // int(np.prod(shape))))


def normal_block(
    stream: Stream, block: int, shape: tuple[int, int, int], device: torch.device
) -> Tensor:
    """Standard normal float32 noise, (block_size, C, H, W) in channels_last order."""
    channels, height, width = shape
    size = (block_size(shape, device), height, width, channels)
    key = stream.key(block)
    if device.type == "cpu":
        numbers = np.random.Generator(np.random.Philox(key=key))
        noise = torch.from_numpy(numbers.standard_normal(size, dtype=np.float32))
    else:
        generator = _generator(key, device)
        noise = torch.randn(size, generator=generator, device=device, dtype=torch.float32)
    return noise.permute(0, 3, 1, 2)


def grid_block(
    stream: Stream, block: int, size: tuple[int, ...], noise: Noise, device: torch.device
) -> Tensor:
    """Integer noise K in steps of 1/255, int16 of that size; its law: `rszoo.smoothing.grid`."""
    key = stream.key(block)
    if noise.version == 1:
        return grid.draw_searched(key, size, noise.sigma, device)
    if device.type == "cpu":
        return torch.from_numpy(grid.draw(key, int(np.prod(size)), noise.sigma).reshape(size))
    return grid.draw_on(_generator(key, device), size, noise.sigma)


def _generator(key: int, device: torch.device) -> torch.Generator:
    return torch.Generator(device).manual_seed(key >> 64)


def step_seed(seed: int, purpose: str, step: int) -> int:
    """The 64-bit seed of one purpose at one training step."""
    address = f"{seed}/{purpose}/{step}"
    return int.from_bytes(hashlib.blake2b(address.encode(), digest_size=8).digest())


def step_generator(seed: int, purpose: str, step: int, device: torch.device) -> torch.Generator:
    """The generator of one training step: a resumed run draws what an uninterrupted one draws."""
    return torch.Generator(device).manual_seed(step_seed(seed, purpose, step))


def gaussian_noise(x: Tensor, sigma: float, generator: torch.Generator) -> Tensor:
    """N(0, sigma^2) noise of the shape, type, device and memory order of x, for training."""
    noise = torch.empty_like(x)
    flat = noise.as_strided((noise.numel(),), (1,))  # in memory order it is 8 times faster
    flat.normal_(std=sigma, generator=generator)
    return noise
