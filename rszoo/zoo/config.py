"""`config.json`: all that is needed to rebuild a zoo entry and to check it, beside its weights."""

import hashlib
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from rszoo.errors import IntegrityError


class EntryConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What the folder of an entry says of itself.

    Attributes:
        format: version of this layout.
        name: the entry's name.
        dataset, architecture, method: keys of `DATASETS`, `ARCHITECTURES`, `METHODS`; the method of an import is any word.
        sigma: standard deviation of the smoothing noise, in pixel units [0, 1].
        classes: their names, in label order.
        input_shape: (channels, height, width) of the tensor that receives the noise.
        resize: side that the shorter side of an image is scaled to before the centre crop.
        mean, std: of the normalization layer, per channel; also buffers of the weights.
        precision, noise: the form in which the classifier votes.
        license: SPDX identifier of the licence of the weights, or "unknown".
        recipe_fingerprint: `Recipe.fingerprint` of the recipe that made the weights; None for imported ones.
        weights_sha256: SHA-256 of `model.safetensors`.
        self_test: logits of the fixed input of the self-test, float32, one row an image.
    """

    format: Literal[1] = 1
    name: str
    dataset: str
    architecture: str
    method: str
    sigma: Annotated[float, Meta(gt=0)]
    classes: list[str]
    input_shape: tuple[int, int, int]
    resize: int
    mean: list[float]
    std: list[float]
    precision: Literal["float32", "bfloat16"]
    noise: Literal["float", "grid"]
    license: str
    recipe_fingerprint: str | None
    weights_sha256: str
    self_test: list[list[float]]


def sha256(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_config(folder: Path, *, expected_sha256: str | None = None) -> EntryConfig:
    """The config of the entry in `folder`.

    Raises:
        FileNotFoundError: the folder holds no `config.json`.
        IntegrityError: the file is not a config, or its SHA-256 is not the expected one.
    """
    path = folder / "config.json"
    if not path.is_file():
        raise FileNotFoundError(
            f"Expected an entry's folder with a config.json, got {str(folder)!r}; check the path."
        )
    if expected_sha256 is not None and sha256(path) != expected_sha256:
        raise IntegrityError(
            f"Expected SHA-256 {expected_sha256} for {path}, got {sha256(path)}; fetch or install the entry again."
        )
    try:
        return msgspec.json.decode(path.read_bytes(), type=EntryConfig)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise IntegrityError(
            f"Expected a valid config in {path}, got a file with this fault: {error}."
        ) from error
