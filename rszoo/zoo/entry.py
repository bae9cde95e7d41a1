"""The folder of a zoo entry: `config.json` and `model.safetensors`, written together, read strictly."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from rszoo.architectures import NormalizedNetwork, build
from rszoo.data.datasets import get_dataset
from rszoo.errors import IntegrityError
from rszoo.files import replace_content, replacing
from rszoo.recipe import NoiseKind, Precision, Recipe, sigma_text
from rszoo.zoo.config import EntryConfig, read_config, sha256

WEIGHTS = "model.safetensors"
SELF_TEST_IMAGES = 2
SELF_TEST_TOLERANCE = 1e-3


@dataclass(frozen=True)
class Source:
    """What an entry's config says that its network and its data set do not; the fields are those of `EntryConfig`."""

    name: str
    dataset: str
    architecture: str
    method: str
    sigma: float
    precision: Precision
    noise: NoiseKind
    license: str
    recipe_fingerprint: str | None


def recipe_source(recipe: Recipe) -> Source:
    """What a recipe says of the entry that it makes."""
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
    """What is said of weights that no recipe made; the name is made as that of recipes, if absent.

    Raises:
        ValueError: the method or the name is no word of small letters, digits and hyphens, the licence is none of SPDX's.
    """
    check_word("method", method)
    check_license(license)
    if name is not None:
        check_word("name", name)
    chosen = name or f"{dataset}-{architecture.rpartition('/')[2]}-{method}-s{sigma_text(sigma)}"
    return Source(
        chosen,
        dataset,
        architecture,
        method,
        sigma,
        precision,
        noise,
        license,
        recipe_fingerprint=None,
    )


def check_word(kind: str, word: str) -> None:
    """Raise a ValueError if that is no word of small letters, digits and hyphens."""
    if not re.fullmatch(r"[a-z0-9]+([.-][a-z0-9]+)*", word):
        raise ValueError(
            f"Expected a {kind} of small letters, digits and hyphens, got {word!r}; pass a word such as gaussian."
        )


def check_license(text: str) -> None:
    """Raise a ValueError if that is neither an SPDX licence expression nor "unknown"."""
    from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression

    try:
        canonicalize_license_expression("LicenseRef-unknown" if text == "unknown" else text)
    except InvalidLicenseExpression as error:
        raise ValueError(
            f"Expected an SPDX identifier such as MIT or Apache-2.0 as licence, got {text!r}; spdx.org/licenses lists "
            "them, and LicenseRef-<word> is a licence of your own."
        ) from error


def check_new_folder(folder: Path) -> None:
    """Raise a ValueError if the folder holds files."""
    if folder.exists() and any(folder.iterdir()):
        raise ValueError(
            f"Expected a new or an empty folder, got {str(folder)!r}, which holds files; choose another one."
        )


def write_new_entry(folder: Path, network: NormalizedNetwork, source: Source) -> EntryConfig:
    """Write an entry into a new or empty folder, which its files reach only after every check of an entry, the config last.

    Raises:
        ValueError: the folder holds files.
    """
    check_new_folder(folder)
    folder.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=folder) as staging:
        config = write_entry(Path(staging), network, source)
        read_entry(Path(staging))
        for name in (WEIGHTS, "config.json"):
            (Path(staging) / name).replace(folder / name)
    return config


def write_entry(folder: Path, network: NormalizedNetwork, source: Source) -> EntryConfig:
    """Write weights and config of a network; what was there is replaced, file by file, at once."""
    network = network.to("cpu", torch.float32).eval()
    dataset = get_dataset(source.dataset)
    tensors = {name: tensor.contiguous() for name, tensor in network.state_dict().items()}
    with replacing(folder / WEIGHTS) as partial:
        try:
            save_file(tensors, partial)
        except SafetensorError as error:  # its words for a file that cannot be written
            raise OSError(
                f"Expected room for weights in {folder}, got this fault: {error}; make room."
            ) from error
        partial.chmod(0o644)  # safetensors makes files that only their owner may read
    config = EntryConfig(
        name=source.name,
        dataset=dataset.name,
        architecture=source.architecture,
        method=source.method,
        sigma=source.sigma,
        classes=list(dataset.classes),
        input_shape=dataset.shape,
        resize=dataset.resize,
        mean=_shortest(network.normalize.mean),
        std=_shortest(network.normalize.std),
        precision=source.precision,
        noise=source.noise,
        license=source.license,
        recipe_fingerprint=source.recipe_fingerprint,
        weights_sha256=sha256(folder / WEIGHTS),
        self_test=self_test(network, dataset.shape).tolist(),
    )
    replace_content(
        folder / "config.json", msgspec.json.format(msgspec.json.encode(config), indent=2) + b"\n"
    )
    return config


def read_entry(
    folder: Path, *, expected_sha256: str | None = None
) -> tuple[NormalizedNetwork, EntryConfig]:
    """The base classifier of an entry and its config, after every check.

    Args:
        folder: holds `config.json` and `model.safetensors`.
        expected_sha256: of `config.json`, where a registry pins it.

    Raises:
        FileNotFoundError: a file is missing.
        IntegrityError: a wrong hash, a missing, extra or misshapen tensor, or logits that differ from the self-test's.
    """
    config = read_config(folder, expected_sha256=expected_sha256)
    network = build(
        config.architecture, num_classes=len(config.classes), mean=config.mean, std=config.std
    )
    _load_strictly(network, folder / WEIGHTS, config.weights_sha256)
    network.eval()
    expected = torch.tensor(config.self_test)
    got = self_test(network, config.input_shape)
    if got.shape != expected.shape or not torch.allclose(
        got, expected, rtol=SELF_TEST_TOLERANCE, atol=SELF_TEST_TOLERANCE
    ):
        raise IntegrityError(
            f"Expected the self-test of {folder} to give the logits in its config.json, got others; "
            "the entry or the installation of torch is damaged: fetch or install it again."
        )
    return network, config


def _load_strictly(network: NormalizedNetwork, path: Path, expected_sha256: str) -> None:
    if not path.is_file():
        raise FileNotFoundError(
            f"Expected weights in {path}, got no such file; fetch or install the entry again."
        )
    remedy = "the file is cut off or altered: fetch or install the entry again"
    if sha256(path) != expected_sha256:
        raise IntegrityError(
            f"Expected SHA-256 {expected_sha256} for {path}, got {sha256(path)}; {remedy}."
        )
    try:
        tensors = load_file(path)
    except SafetensorError as error:
        raise IntegrityError(
            f"Expected safetensors in {path}, got a file with this fault: {error}; {remedy}."
        ) from error
    own = network.state_dict()
    if wrong := first_difference(own, tensors):
        raise IntegrityError(
            f"Expected the tensors of the architecture in {path}, got a difference at {wrong!r}; {remedy}."
        )
    if any(not torch.equal(own[key], tensors[key]) for key in ("normalize.mean", "normalize.std")):
        raise IntegrityError(
            f"Expected the mean and std of config.json in {path}, got others; {remedy}."
        )
    network.load_state_dict(tensors, strict=True)


def first_difference(one: Mapping[str, Tensor], other: Mapping[str, Tensor]) -> str | None:
    """The name of a tensor that only one of two state dicts has, or that has different shapes in them."""
    wrong = sorted(one.keys() ^ other.keys()) or [
        key for key in one if one[key].shape != other[key].shape
    ]
    return wrong[0] if wrong else None


def _shortest(values: Tensor) -> list[float]:
    """The shortest decimals that are these float32 values when they are read: 0.4914 and not 0.49140000343322754."""
    return [float(str(value)) for value in values.flatten().numpy()]


def self_test(network: nn.Module, shape: tuple[int, int, int]) -> Tensor:
    """Logits on a fixed input that needs no random numbers."""
    count = SELF_TEST_IMAGES * shape[0] * shape[1] * shape[2]
    x = (torch.arange(count, dtype=torch.float64) * 0.1).sin().mul(0.5).add(0.5).float()
    with torch.inference_mode():
        logits: Tensor = network(x.view(SELF_TEST_IMAGES, *shape))
    return logits
