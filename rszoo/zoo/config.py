"""The files of an entry, and `config.json`: what rebuilds and checks it, beside its weights."""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from rszoo.errors import IntegrityError
from rszoo.recipe import NoiseKind, Precision, Recipe, architecture_word, sigma_text

CONFIG, WEIGHTS = "config.json", "model.safetensors"
RECIPE, CARD = "recipe.toml", "README.md"
FIXED_LOG, GRID_LOG = "certify.tsv", "certify-grid.tsv"
RUNS, EPOCHS = "runs.jsonl", "log.jsonl"

FILES = (CONFIG, WEIGHTS)
"""What every entry has."""
EVIDENCE = (FIXED_LOG, GRID_LOG)
"""CERTIFY with n votes per image, and at given radii."""
TWINS = ("certify-float32.tsv", "certify-bfloat16.tsv")
"""The first images of the fixed log, voted on in the other precision."""
TRAINING = (RUNS, EPOCHS)
"""One line per start of the training, and per epoch."""
BESIDE = (*EVIDENCE, *TWINS, *TRAINING)
"""What an entry may have besides."""


class Member(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """An entry in an ensemble: its name, and the SHA-256 of its config, which pins its weights."""

    name: str
    config_sha256: str


class EntryConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What an entry says of itself.

    Attributes:
        format: version of this layout.
        name: the entry's name.
        dataset, architecture, method: keys of `DATASETS`, `ARCHITECTURES`, `METHODS`; the method of
            imported weights is any word.
        sigma: standard deviation of the smoothing noise, in pixel units [0, 1].
        classes: their names, in label order.
        input_shape: (channels, height, width) of the tensor to which the noise is added.
        resize: the shorter side of an image is scaled to this before the centre crop.
        mean, std: of the normalization layer, one value per channel; also buffers of the weights.
        precision, noise: how the classifier votes.
        license: SPDX identifier of the licence of the weights, or "unknown".
        recipe_fingerprint: `Recipe.fingerprint` of the recipe that made the weights; None for
            imported ones.
        weights_sha256: SHA-256 of the weights file.
        self_test: logits of the self-test's fixed input, float32, one row per image.
        members: the entries whose logits an ensemble averages, in its order; absent elsewhere.
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
    precision: Precision
    noise: NoiseKind
    license: str
    recipe_fingerprint: str | None
    weights_sha256: str
    self_test: list[list[float]]
    members: list[Member] | msgspec.UnsetType = msgspec.UNSET


@dataclass(frozen=True)
class Source:
    """The fields of an `EntryConfig` that neither the network nor the data set decides."""

    name: str
    dataset: str
    architecture: str
    method: str
    sigma: float
    precision: Precision
    noise: NoiseKind
    license: str
    recipe_fingerprint: str | None
    members: list[Member] | msgspec.UnsetType = msgspec.UNSET


def recipe_source(recipe: Recipe) -> Source:
    """What a recipe says of its entry."""
    return Source(
        name=recipe.name,
        dataset=recipe.model.dataset,
        architecture=recipe.model.architecture,
        method=recipe.method_name,
        sigma=recipe.model.sigma,
        precision=recipe.inference.precision,
        noise=recipe.inference.noise,
        license=recipe.about.license,
        recipe_fingerprint=recipe.fingerprint,
    )


def source_without_recipe(
    *,
    dataset: str,
    architecture: str,
    method: str,
    sigma: float,
    license: str,
    precision: Precision = "float32",
    noise: NoiseKind = "float",
    name: str | None = None,
) -> Source:
    """What a user says of weights that no recipe made; the name defaults to one like a recipe's.

    Raises:
        ValueError: the method or the name is not a word of small letters, digits and hyphens, or
            the licence is not an SPDX expression.
    """
    check_word("method", method)
    check_license(license)
    if name is None:
        name = default_name(dataset, architecture, method, sigma)
    else:
        check_word("name", name)
    return Source(name, dataset, architecture, method, sigma, precision, noise, license, None)


def default_name(
    dataset: str, architecture: str, method: str, sigma: float, variant: str | None = None
) -> str:
    """`<dataset>-<architecture>-<method>[-<variant>]-s<sigma>`; families are left out."""
    networks = [architecture_word(part) for part in architecture.split("+")]
    parts = (dataset, "-".join(networks), method, variant, f"s{sigma_text(sigma)}")
    return "-".join(part for part in parts if part)


def check_word(kind: str, word: str) -> None:
    """Raise a ValueError unless this is a word of small letters, digits, dots and hyphens."""
    if not re.fullmatch(r"[a-z0-9]+([.-][a-z0-9]+)*", word):
        raise ValueError(
            f"Expected a {kind} of small letters, digits and hyphens, got {word!r}; "
            "pass a word such as gaussian."
        )


def check_license(text: str) -> None:
    """Raise a ValueError unless this is an SPDX licence expression or "unknown"."""
    from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression

    try:
        canonicalize_license_expression("LicenseRef-unknown" if text == "unknown" else text)
    except InvalidLicenseExpression as error:
        raise ValueError(
            "Expected an SPDX identifier such as MIT or Apache-2.0 as licence, "
            f"got {text!r}; choose one from spdx.org/licenses, or write LicenseRef-<word> for a "
            "licence of your own."
        ) from error


def sha256(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def check_sha256(path: Path, expected: str, remedy: str) -> None:
    """Raise an IntegrityError if the SHA-256 of the file is not the expected one."""
    if (actual := sha256(path)) != expected:
        raise IntegrityError(f"Expected SHA-256 {expected} for {path}, got {actual}; {remedy}.")


def read_config(folder: Path, *, expected_sha256: str | None = None) -> EntryConfig:
    """The config of the entry in `folder`.

    Raises:
        FileNotFoundError: the folder holds no config.
        IntegrityError: the file is not a config, or its SHA-256 is not the expected one.
    """
    path = folder / CONFIG
    if not path.is_file():
        raise FileNotFoundError(
            f"Expected an entry's folder with a {CONFIG}, got {str(folder)!r}; check the path."
        )
    if expected_sha256 is not None:
        check_sha256(path, expected_sha256, "fetch or install the entry again")
    try:
        return msgspec.json.decode(path.read_bytes(), type=EntryConfig)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise IntegrityError(
            f"Expected a valid config in {path}, got a file with this fault: {error}."
        ) from error


def published(name: str) -> Sequence[str]:
    """Every file that belongs to the Hub repository of an entry; publishing leaves others alone."""
    return (*FILES, *BESIDE, RECIPE, CARD, picture(name))


def picture(name: str) -> str:
    """The picture of an entry's card; named after the entry, so that cards can share a folder."""
    return re.sub(r"[^\w.+-]", "-", name) + ".png"  # a config from elsewhere may have any name
