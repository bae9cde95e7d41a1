"""`smooth`: turn your own torch module into a smoothed classifier, and save it as an entry."""

import math
from collections.abc import Iterable, Sequence
from pathlib import Path

import torch
from torch import nn

from rszoo.architectures import ARCHITECTURES, Normalize, NormalizedNetwork
from rszoo.data.datasets import Dataset, get_dataset
from rszoo.smoothing.classifier import SmoothedClassifier
from rszoo.smoothing.isolation import CPU, differentiable
from rszoo.zoo.config import EntryConfig, source_without_recipe
from rszoo.zoo.entry import self_test, write_new_entry
from rszoo.zoo.weights import blank, fill, first_difference

SAME = 1e-5  # relative; one machine computes both: an entry's self-test allows for other machines


class OwnClassifier(SmoothedClassifier):
    """A smoothed classifier made by `smooth`, which can be saved as an entry."""

    @differentiable(CPU)
    def save(
        self,
        folder: str | Path,
        *,
        architecture: str,
        dataset: str,
        method: str,
        license: str,
        name: str | None = None,
    ) -> EntryConfig:
        """Write an entry that `rszoo.load(folder)` turns into the same classifier, or nothing.

        The weights are those that vote; for weights of `base` that were trained on, call `smooth`.

        An entry holds no code: its network is rebuilt from the name of the architecture. That
        works for networks made by `rszoo.architectures.build`, for a network of such an
        architecture (without normalization, or with the `mean` and `std` of `smooth`), and for
        `nn.Sequential(normalize, network)`, where `normalize` has a `mean` and a `std`.

        Args:
            folder: new or empty.
            architecture: as for `rszoo.architectures.build`.
            dataset: the data set it was trained on; a file describes one of your own
                (`rszoo.data.datasets`).
            method: a word for how it was trained.
            license: SPDX identifier of the licence of the weights.
            name: of the entry; by default `<dataset>-<architecture>-<method>-s<sigma>`.

        Raises:
            ValueError: the architecture does not rebuild the network, the data set has other
                classes or images, the folder holds files, or an argument is out of range.
        """
        self._check_dataset(get_dataset(dataset))
        source = source_without_recipe(
            dataset=dataset,
            architecture=architecture,
            method=method,
            sigma=self.sigma,
            license=license,
            precision="bfloat16" if self.precision == "bfloat16" else "float32",
            noise="grid" if self.noise == "grid" else "float",
            name=name,
        )
        network = _rebuilt(
            self._network, architecture, num_classes=self.num_classes, channels=self.input_shape[0]
        )
        logits, rebuilt = (
            self_test(module, self.input_shape) for module in (self._network, network)
        )
        if not torch.allclose(rebuilt, logits, rtol=SAME, atol=SAME * float(logits.abs().max())):
            raise ValueError(
                f"Expected {architecture} to give the logits of the network, got others; pass the "
                "mean and std of a normalization to smooth() if the network has another one "
                "inside, and check the architecture."
            )
        return write_new_entry(Path(folder), network, source)

    def _check_dataset(self, dataset: Dataset) -> None:
        if (dataset.shape, dataset.num_classes) != (tuple(self.input_shape), self.num_classes):
            raise ValueError(
                f"Expected images {tuple(self.input_shape)} of {self.num_classes} classes as this "
                f"classifier has, got {dataset.name} with {dataset.shape} and "
                f"{dataset.num_classes}; name the data set that it was trained on."
            )
        if self.classes not in (dataset.classes, tuple(map(str, range(self.num_classes)))):
            raise ValueError(
                f"Expected the classes of {dataset.name} in its order, got others; "
                "leave out classes=... in smooth()."
            )


def _rebuilt(
    base: nn.Module, architecture: str, *, num_classes: int, channels: int
) -> NormalizedNetwork:
    """The network of an entry with this architecture and the weights of `base`."""
    mean, std, network = _parts(base, channels)
    rebuilt = blank(architecture, num_classes=num_classes, mean=mean, std=std)
    tensors = {f"network.{name}": tensor for name, tensor in network.state_dict().items()}
    tensors |= Normalize(mean, std).state_dict(prefix="normalize.")
    if key := first_difference(rebuilt.state_dict(), tensors):
        key = key.removeprefix("network.")
        raise ValueError(
            f"Expected the tensors of {architecture}, got a network that differs at {key!r}; name "
            f"its architecture ({', '.join(ARCHITECTURES)}, timm/<name>, torchvision/<name>), pass "
            "the network itself instead of a wrapper, or add an architecture of your own: an item "
            "of rszoo.architectures.ARCHITECTURES, or an entry point."
        )
    fill(rebuilt, tensors)
    return rebuilt


def _parts(base: nn.Module, channels: int) -> tuple[list[float], list[float], nn.Module]:
    """Mean and std of the normalization, 0 and 1 if none is visible, and the network behind it."""
    parts = list(base) if isinstance(base, nn.Sequential) else []
    if isinstance(base, NormalizedNetwork):
        parts = [base.normalize, base.network]
    if len(parts) != 2 or not (hasattr(parts[0], "mean") and hasattr(parts[0], "std")):
        return [0.0] * channels, [1.0] * channels, base
    normalize, network = parts
    return _values(normalize.mean, channels), _values(normalize.std, channels), network


def _values(stated: object, channels: int) -> list[float]:
    values = torch.as_tensor(stated, dtype=torch.float32).flatten().tolist()
    return values * channels if len(values) == 1 else values


def _check_units(name: str, values: Sequence[float]) -> None:
    """Refuse statistics for bytes: the network would see almost a constant, and vote for one class.

    Raises:
        ValueError: a mean is outside [0, 1], or a std is not positive and finite.
    """
    if isinstance(values, str) or not isinstance(values, Iterable):
        raise ValueError(
            f"Expected {name} to have one value per channel, got {values!r}; pass a list."
        )
    for value in map(float, values):
        if not (0 <= value <= 1 if name == "mean" else 0 < value < math.inf):
            raise ValueError(
                f"Expected {name} in pixel units [0, 1], got {value:g}; "
                "divide statistics of bytes by 255."
            )


@differentiable(CPU)
def smooth(  # noqa: PLR0913 - users write this call
    module: nn.Module,
    *,
    sigma: float,
    num_classes: int,
    input_shape: tuple[int, int, int],
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    precision: str = "float32",
    noise: str = "grid",
    classes: Sequence[str] | None = None,
    device: str | torch.device = "cpu",
) -> OwnClassifier:
    """Smooth your own torch module; `save` turns the result into an entry.

    Args:
        module: takes noisy pixels and normalizes them inside, if at all; with `mean` and `std` it
            takes normalized images.
        mean, std: per channel, in pixel units [0, 1]: a normalization to put before the module,
            after the noise.
        sigma, num_classes, input_shape, precision, noise, classes, device: as for
            `SmoothedClassifier`.

    Raises:
        ValueError: as `SmoothedClassifier`; or only one of mean and std is given, or they are not
            in pixel units.
    """
    if (mean is None) != (std is None):
        raise ValueError("Expected both mean and std, got one; pass both, or neither.")
    if mean is not None and std is not None:
        _check_units("mean", mean)
        _check_units("std", std)
        module = NormalizedNetwork(Normalize(mean, std), module)
    return OwnClassifier(
        module,
        sigma=sigma,
        num_classes=num_classes,
        input_shape=input_shape,
        precision=precision,
        noise=noise,
        classes=classes,
        device=device,
    )
