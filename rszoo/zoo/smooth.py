"""`smooth`: one's own torch module as a smoothed classifier, and from there into an entry."""

import copy
import math
from collections.abc import Iterable, Sequence
from pathlib import Path

import torch
from torch import nn

from rszoo.architectures import ARCHITECTURES, Normalize, NormalizedNetwork, build
from rszoo.data.datasets import Dataset, get_dataset
from rszoo.smoothing.classifier import SmoothedClassifier
from rszoo.zoo.config import EntryConfig
from rszoo.zoo.entry import first_difference, self_test, source_without_recipe, write_new_entry

SAME = 1e-5  # relative: the same computation on the same machine; the self-test of an entry allows for other machines


class OwnClassifier(SmoothedClassifier):
    """The smoothed classifier of one's own module, which `smooth` makes.

    Attributes:
        base: a copy of the module, in evaluation mode.
    """

    base: nn.Module

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
        """Write an entry that `rszoo.load(folder)` makes the same classifier of; nothing is written if it would not.

        An entry holds no code: its network is rebuilt from the name of the architecture. Besides networks that were made by
        `rszoo.architectures.build`, that goes for a network of such an architecture (without normalization, or with the `mean`
        and `std` of `smooth`), and for `nn.Sequential(normalize, network)`, where `normalize` has a `mean` and a `std`.

        Args:
            folder: new or empty.
            architecture: as for `rszoo.architectures.build`.
            dataset: the data set that it was trained on; one's own is described by a file (`rszoo.data.datasets`).
            method: a word for how it was trained.
            license: SPDX identifier of the licence of the weights.
            name: of the entry; `<dataset>-<architecture>-<method>-s<sigma>` if absent.

        Raises:
            ValueError: the architecture does not rebuild the network, the data set has other classes or images, the folder
                holds files, or an argument is out of range.
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
            self.base, architecture, num_classes=self.num_classes, channels=self.input_shape[0]
        )
        expected, got = self_test(self.base, self.input_shape), self_test(network, self.input_shape)
        if not torch.allclose(got, expected, rtol=SAME, atol=SAME * float(expected.abs().max())):
            raise ValueError(
                f"Expected {architecture} to give the logits of the network, got others; pass the mean and std of a "
                "normalization to smooth() if the network has another one inside, and check the architecture."
            )
        return write_new_entry(Path(folder), network, source)

    def _check_dataset(self, dataset: Dataset) -> None:
        if (dataset.shape, dataset.num_classes) != (tuple(self.input_shape), self.num_classes):
            raise ValueError(
                f"Expected images {tuple(self.input_shape)} of {self.num_classes} classes as this classifier has, got "
                f"{dataset.name} with {dataset.shape} and {dataset.num_classes}; name the data set that it was trained on."
            )
        if self.classes not in (dataset.classes, tuple(map(str, range(self.num_classes)))):
            raise ValueError(
                f"Expected the classes of {dataset.name} in its order, got others; leave out classes=... in smooth()."
            )


def _rebuilt(
    base: nn.Module, architecture: str, *, num_classes: int, channels: int
) -> NormalizedNetwork:
    """The network that an entry of this architecture with the weights of `base` has."""
    mean, std, network = _parts(base, channels)
    rebuilt = build(architecture, num_classes=num_classes, mean=mean, std=std)
    tensors = network.state_dict()
    if wrong := first_difference(rebuilt.network.state_dict(), tensors):
        raise ValueError(
            f"Expected the tensors of {architecture}, got a network that differs at {wrong!r}; name its architecture "
            f"({', '.join(ARCHITECTURES)}, timm/<name>, torchvision/<name>), pass the network itself instead of a wrapper, or "
            "add one of your own: an item of rszoo.architectures.ARCHITECTURES, or an entry point."
        )
    rebuilt.network.load_state_dict(tensors, strict=True)
    return rebuilt.eval()


def _parts(base: nn.Module, channels: int) -> tuple[list[float], list[float], nn.Module]:
    """Mean, standard deviation and the network behind the normalization; 0 and 1 where none is to be seen."""
    first: nn.Module
    if isinstance(base, NormalizedNetwork):
        first, network = base.normalize, base.network
    elif (
        isinstance(base, nn.Sequential)
        and len(base) == 2
        and hasattr(base[0], "mean")
        and hasattr(base[0], "std")
    ):
        first, network = base[0], base[1]
    else:
        return [0.0] * channels, [1.0] * channels, base
    return _values(first.mean, channels), _values(first.std, channels), network


def _values(stated: object, channels: int) -> list[float]:
    values = torch.as_tensor(stated, dtype=torch.float32).flatten().tolist()
    return values * channels if len(values) == 1 else values


def _check_units(mean: Sequence[float], std: Sequence[float]) -> None:
    """The usual mistake is a mean for pixels from 0 to 255: the network would see nothing, and vote the same for all images."""
    for name, values in (("mean", mean), ("std", std)):
        if isinstance(values, str) or not isinstance(values, Iterable):
            raise ValueError(
                f"Expected {name} to have one value a channel, got {values!r}; pass a list."
            )
        for value in map(float, values):
            if not (0 <= value <= 1 if name == "mean" else 0 < value < math.inf):
                raise ValueError(
                    f"Expected {name} in pixel units [0, 1], got {value:g}; divide by 255 what is for bytes."
                )


def smooth(
    module: nn.Module,
    *,
    sigma: float,
    num_classes: int,
    input_shape: tuple[int, int, int],
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    precision: str = "float32",
    noise: str = "float",
    classes: Sequence[str] | None = None,
    device: str | torch.device = "cpu",
) -> OwnClassifier:
    """Smooth one's own torch module; `save` of the result makes an entry of it.

    Args:
        module: takes pixels in [0, 1] plus noise and normalizes inside, if at all; or, with `mean` and `std`, normalized
            images.
        mean, std: per channel, in pixel units [0, 1]: a normalization that is put before the module, after the noise.
        sigma, num_classes, input_shape, precision, noise, classes, device: as for `SmoothedClassifier`.

    Raises:
        ValueError: as `SmoothedClassifier`; or only one of mean and std is given, or they are not in pixel units.
    """
    if (mean is None) != (std is None):
        raise ValueError("Expected both mean and std, got one; pass both, or neither.")
    if mean is not None and std is not None:
        _check_units(mean, std)
        module = NormalizedNetwork(Normalize(mean, std), module)
    classifier = OwnClassifier(
        module,
        sigma=sigma,
        num_classes=num_classes,
        input_shape=input_shape,
        precision=precision,
        noise=noise,
        classes=classes,
        device=device,
    )
    classifier.base = copy.deepcopy(module).to("cpu", torch.float32).eval()
    return classifier
