"""The folder of a zoo entry: config and weights, written together, read strictly."""

from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from rszoo.architectures import Normalize, NormalizedNetwork
from rszoo.data.datasets import get_dataset
from rszoo.errors import IntegrityError
from rszoo.files import replacing
from rszoo.smoothing.isolation import CPU, differentiable
from rszoo.zoo.config import CONFIG, WEIGHTS, EntryConfig, Source, check_sha256, read_config, sha256
from rszoo.zoo.weights import blank, compact, fill, first_difference

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


@differentiable(CPU)
def write_entry(folder: Path, network: NormalizedNetwork, source: Source) -> EntryConfig:
    """Write weights and config of a network; both are complete before they replace earlier ones.

    The file holds the network's weights exactly, in half the space where bfloat16 can.
    An earlier entry with these weights, as of the same run, loads at every moment.
    """
    network = network.to("cpu", torch.float32).eval()
    dataset = get_dataset(source.dataset)
    tensors = compact(network)
    with replacing(folder / CONFIG) as config_partial, replacing(folder / WEIGHTS) as partial:
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
            weights_sha256=sha256(partial),
            self_test=self_test(network, dataset.shape).tolist(),
        )
        text = msgspec.json.format(msgspec.json.encode(config), indent=2)
        config_partial.write_bytes(text + b"\n")
    return config


@differentiable(CPU)
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
    network = blank(
        config.architecture, num_classes=len(config.classes), mean=config.mean, std=config.std
    )
    fill(network, _read_strictly(folder / WEIGHTS, config, network))
    expected, actual = torch.tensor(config.self_test), self_test(network, config.input_shape)
    if actual.shape != expected.shape or not torch.allclose(
        actual, expected, rtol=SELF_TEST_TOLERANCE, atol=SELF_TEST_TOLERANCE
    ):
        raise IntegrityError(
            f"Expected the self-test of {folder} to give the logits in its {CONFIG}, got others; "
            "the entry or the installation of torch is damaged: fetch or install it again."
        )
    return network, config


def _read_strictly(
    path: Path, config: EntryConfig, network: NormalizedNetwork
) -> dict[str, Tensor]:
    """The tensors of the file: those that the config and the architecture say, no others."""
    if not path.is_file():
        raise FileNotFoundError(
            f"Expected weights in {path}, got no such file; fetch or install the entry again."
        )
    remedy = "the file is cut off or altered: fetch or install the entry again"
    check_sha256(path, config.weights_sha256, remedy)
    try:
        tensors = load_file(path)
    except SafetensorError as error:
        raise IntegrityError(
            f"Expected safetensors in {path}, got a file with this fault: {error}; {remedy}."
        ) from error
    if key := first_difference(network.state_dict(), tensors):
        raise IntegrityError(
            f"Expected the tensors of the architecture in {path}, got a difference at {key!r}; "
            f"{remedy}."
        )
    stated = Normalize(config.mean, config.std).state_dict()
    if any(not torch.equal(stated[key], tensors[f"normalize.{key}"]) for key in stated):
        raise IntegrityError(
            f"Expected the mean and std of {CONFIG} in {path}, got others; {remedy}."
        )
    return tensors


def _shortest(values: Tensor) -> list[float]:
    """The shortest decimals that read as these float32: 0.4914, not 0.49140000343322754."""
    return [float(str(value)) for value in values.flatten().numpy()]


@differentiable(CPU)
def self_test(network: nn.Module, shape: tuple[int, int, int]) -> Tensor:
    """Logits on a fixed input that needs no random numbers."""
    count = SELF_TEST_IMAGES * shape[0] * shape[1] * shape[2]
    x = (torch.arange(count, dtype=torch.float64) * 0.1).sin().mul(0.5).add(0.5).float()
    with torch.inference_mode():
        logits: Tensor = network(x.view(SELF_TEST_IMAGES, *shape))
    return logits
