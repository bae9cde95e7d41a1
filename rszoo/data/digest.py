"""SHA-256 of a split of a data set, so that another one does not pass for it."""

import hashlib
import json
import os

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from rszoo.data.folders import LabelledFiles


def digest_of(images: Tensor, labels: Tensor) -> str:
    """SHA-256 of pixels and labels, with their shapes and in their order, in hexadecimal.

    Neither the type of the numbers, nor their layout in memory, nor the device matters.

    Args:
        images: whole numbers from 0 to 255, (N, C, H, W).
        labels: whole numbers, (N,).

    Raises:
        ValueError: there is not one label per image, or a number is not whole or out of range.
    """
    if len(images) != len(labels):
        raise ValueError(
            f"Expected one label per image, got {len(labels)} for {len(images)} images; "
            "pass those of the same split."
        )
    digest = hashlib.sha256()
    for name, kind, tensor in (("images", "u1", images), ("labels", "<i8", labels)):
        digest.update(f"{name} {tuple(tensor.shape)}\n".encode())
        digest.update(_exactly(kind, name, tensor).data)
    return digest.hexdigest()


def _exactly(kind: str, name: str, tensor: Tensor) -> NDArray[np.generic]:
    """The numbers in this type and in row-major order."""
    numbers = tensor.detach().cpu().numpy()
    with np.errstate(invalid="ignore"):  # of NaN, which is refused below
        exact = np.ascontiguousarray(numbers, dtype=kind)
    if exact.dtype != numbers.dtype and not np.array_equal(exact, numbers):
        raise ValueError(
            f"Expected {name} of whole numbers that {np.dtype(kind).name} holds, got others, "
            f"from {numbers.min()} to {numbers.max()}; pass bytes for pixels, int64 for labels."
        )
    return exact


def digest_of_files(files: LabelledFiles, shape: tuple[int, int, int], resize: int) -> str:
    """SHA-256 of the files of a split, and of how they are resized, in hexadecimal.

    For a data set that is too large to be read twice. Hashed are the names relative to the folder
    of the split, the sizes in bytes, and the labels, in their order, which is sorted by folder and
    name. Contents that change while their size stays are not noticed.

    Args:
        files: of the split.
        shape, resize: of the data set.

    Raises:
        FileNotFoundError: a file is gone.
    """
    digest = hashlib.sha256(f"files {tuple(shape)} {resize}\n".encode())
    for path, label in zip(files.paths, files.labels.tolist(), strict=True):
        name = os.path.relpath(path, files.folder).replace(os.sep, "/")
        digest.update(json.dumps([name, os.path.getsize(path), label]).encode() + b"\n")
    return digest.hexdigest()
