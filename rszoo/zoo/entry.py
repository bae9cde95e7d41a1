"""The folder of a zoo entry: config and weights, written together, read strictly."""

from collections.abc import Mapping
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
from rszoo.zoo.config import CONFIG, WEIGHTS, EntryConfig, Source, check_sha256, read_config, sha256

SELF_TEST_IMAGES = 2
SELF_TEST_TOLERANCE = 1e-3


def check_new_folder(folder: Path) -> None:
    """Raise a ValueError if the folder holds files."""
    if folder.exists() and any(folder.iterdir()):
        raise ValueError(
            f"Expected a new or an empty folder, got {str(folder)!r}, which holds files; "
            "choose another one."
        )


def write_new_entry(folder: Path, network: NormalizedNetwork, source: Source) -> EntryConfig:
    """Write an entry into a new or empty folder.

    The files reach the folder only after every check of an entry, the config last.

    Raises:
        ValueError: the folder holds files.
    """
    check_new_folder(folder)
    folder.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=folder) as staging:
        config = write_entry(Path(staging), network, source)
        read_entry(Path(staging))
        for name in (WEIGHTS, CONFIG):
            (Path(staging) / name).replace(folder / name)
    return config


def write_entry(folder: Path, network: NormalizedNetwork, source: Source) -> EntryConfig:
    """Write weights and config of a network; each file replaces an earlier one in one step."""
    network = network.to("cpu", torch.float32).eval()
    dataset = get_dataset(source.dataset)
    tensors = {name: tensor.contiguous() for name, tensor in network.state_dict().items()}
    with replacing(folder / WEIGHTS) as partial:
        try:
            save_file(tensors, partial)
        except SafetensorError as error:  # raised for a full disk, without saying so
            raise OSError(
                f"Expected room for weights in {folder}, got this fault: {error}; make room."
            ) from error
        partial.chmod(0o644)  # safetensors makes files that only their owner may read
    config = EntryConfig(
        **vars(source),
        classes=list(dataset.classes),
        input_shape=dataset.shape,
        resize=dataset.resize,
        mean=_shortest(network.normalize.mean),
        std=_shortest(network.normalize.std),
        weights_sha256=sha256(folder / WEIGHTS),
        self_test=self_test(network, dataset.shape).tolist(),
    )
    replace_content(
        folder / CONFIG, msgspec.json.format(msgspec.json.encode(config), indent=2) + b"\n"
    )
    return config


def read_entry(
    folder: Path, *, expected_sha256: str | None = None
) -> tuple[NormalizedNetwork, EntryConfig]:
    """The base classifier of an entry and its config, after every check.

    Args:
        folder: holds config and weights.
        expected_sha256: of the config, where a registry pins it.

    Raises:
        FileNotFoundError: a file is missing.
        IntegrityError: a hash is wrong, a tensor is missing, extra or of another shape, or the
            logits differ from the self-test's.
    """
    config = read_config(folder, expected_sha256=expected_sha256)
    network = build(
        config.architecture, num_classes=len(config.classes), mean=config.mean, std=config.std
    )
    _load_strictly(network, folder / WEIGHTS, config.weights_sha256)
    network.eval()
    expected, actual = torch.tensor(config.self_test), self_test(network, config.input_shape)
    if actual.shape != expected.shape or not torch.allclose(
        actual, expected, rtol=SELF_TEST_TOLERANCE, atol=SELF_TEST_TOLERANCE
    ):
        raise IntegrityError(
            f"Expected the self-test of {folder} to give the logits in its {CONFIG}, got others; "
            "the entry or the installation of torch is damaged: fetch or install it again."
        )
    return network, config


def _load_strictly(network: NormalizedNetwork, path: Path, expected_sha256: str) -> None:
    if not path.is_file():
        raise FileNotFoundError(
            f"Expected weights in {path}, got no such file; fetch or install the entry again."
        )
    remedy = "the file is cut off or altered: fetch or install the entry again"
    check_sha256(path, expected_sha256, remedy)
    try:
        tensors = load_file(path)
    except SafetensorError as error:
        raise IntegrityError(
            f"Expected safetensors in {path}, got a file with this fault: {error}; {remedy}."
        ) from error
    own = network.state_dict()
    if key := first_difference(own, tensors):
        raise IntegrityError(
            f"Expected the tensors of the architecture in {path}, got a difference at {key!r}; "
            f"{remedy}."
        )
    if any(not torch.equal(own[key], tensors[key]) for key in ("normalize.mean", "normalize.std")):
        raise IntegrityError(
            f"Expected the mean and std of {CONFIG} in {path}, got others; {remedy}."
        )
    network.load_state_dict(tensors, strict=True)


def first_difference(one: Mapping[str, Tensor], other: Mapping[str, Tensor]) -> str | None:
    """The first tensor that only one of two state dicts has, or whose shapes differ."""
    keys = sorted(one.keys() ^ other.keys()) or [
        key for key in one if one[key].shape != other[key].shape
    ]
    return keys[0] if keys else None


def _shortest(values: Tensor) -> list[float]:
    """The shortest decimals that read as these float32: 0.4914, not 0.49140000343322754."""
    return [float(str(value)) for value in values.flatten().numpy()]


def self_test(network: nn.Module, shape: tuple[int, int, int]) -> Tensor:
    """Logits on a fixed input that needs no random numbers."""
    count = SELF_TEST_IMAGES * shape[0] * shape[1] * shape[2]
    x = (torch.arange(count, dtype=torch.float64) * 0.1).sin().mul(0.5).add(0.5).float()
    with torch.inference_mode():
        logits: Tensor = network(x.view(SELF_TEST_IMAGES, *shape))
    return logits
