"""The YAML front matter of a card, by the classes of the Hub's own client.

The client groups results by task, data set, configuration, split and revision, and holds two results that differ in nothing
but their value for one. So all that tells two numbers apart, the radius first, is in `metric_args`.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rszoo.logs.format import CertifyProtocol, logged_radius
from rszoo.publishing.cards.evidence import Evidence
from rszoo.publishing.cards.numbers import table_radii

if TYPE_CHECKING:
    from huggingface_hub import EvalResult


@dataclass(frozen=True)
class HubDataset:
    """What a data set is called on the Hub: title, repository, and the split with the papers' test images."""

    title: str
    repository: str
    test: str = "test"

    @property
    def link(self) -> str:
        """Markdown that leads to it."""
        return f"[{self.title}](https://huggingface.co/datasets/{self.repository})"


HUB_DATASETS = {
    "cifar10": HubDataset("CIFAR-10", "uoft-cs/cifar10"),
    "cifar100": HubDataset("CIFAR-100", "uoft-cs/cifar100"),
    "svhn": HubDataset("SVHN", "ufldl-stanford/svhn"),
    "mnist": HubDataset("MNIST", "ylecun/mnist"),
    "fashionmnist": HubDataset("Fashion-MNIST", "zalando-datasets/fashion_mnist"),
    "imagenet": HubDataset("ImageNet", "ILSVRC/imagenet-1k", test="validation"),
}


def hub_split(protocol: CertifyProtocol) -> str:
    """What the Hub calls the split of an evaluation: the papers test on the validation images of ImageNet."""
    hub = HUB_DATASETS.get(protocol.dataset)
    return hub.test if hub and protocol.split == "test" else protocol.split


def front_matter(evidence: Evidence) -> str:
    """The metadata as YAML between two lines of dashes."""
    from huggingface_hub import ModelCardData  # slow to import

    config = evidence.config
    hub = HUB_DATASETS.get(config.dataset)
    found = list(eval_results(evidence))
    license = config.license.lower()
    listed = (
        not license.startswith("licenseref-") and " " not in license
    )  # an expression is no word of the Hub's
    data = ModelCardData(
        license=license if listed else "other",
        license_name=None if listed else license,
        library_name="rszoo",
        pipeline_tag="image-classification",
        tags=["randomized-smoothing", "certified-robustness", "l2", config.method],
        datasets=[hub.repository] if hub else None,
        model_name=config.name if found else None,
        eval_results=found or None,
    )
    return f"---\n{data.to_yaml(line_break=chr(10))}\n---\n"


def eval_results(evidence: Evidence) -> "Iterator[EvalResult]":
    """One result a number: certified accuracy at each radius, ACR (rounded down), abstentions; shares are in [0, 1]."""
    if fixed := evidence.fixed:
        radii = table_radii(fixed)
        for bound, found in (
            (fixed.protocol.bound, fixed.results),
            (fixed.other_bound, fixed.projected),
        ):
            args = _budget(fixed.protocol, bound, len(found))
            for radius in radii:
                yield _accuracy(fixed.protocol, found.accuracy(radius), {"radius": radius, **args})
            name = f"Average certified L2 radius ({bound})"
            acr = logged_radius(
                found.average_radius
            )  # its last digits depend on the versions of numpy and scipy
            yield _result(fixed.protocol, "average_certified_radius", name, acr, args)
            yield _result(
                fixed.protocol,
                "abstention_rate",
                f"Abstention rate ({bound})",
                found.abstention,
                args,
            )
    if grid := evidence.grid:
        args = _budget(grid.protocol, "sequential", len(grid.results))
        for radius in grid.radii:
            yield _accuracy(
                grid.protocol, grid.results.accuracy(radius), {"radius": radius, **args}
            )


def _budget(protocol: CertifyProtocol, bound: str, images: int) -> dict[str, object]:
    return {
        "norm": "l2",
        "sigma": protocol.sigma,
        "n0": protocol.n0,
        "n": protocol.n,
        "alpha": protocol.alpha,
        "bound": bound,
        "examples": images,
        "indices": f"{protocol.start}:{protocol.stop}:{protocol.stride}",
        "seed": protocol.seed,
    }


def _accuracy(protocol: CertifyProtocol, value: float, args: dict[str, object]) -> "EvalResult":
    name = f"Certified accuracy at L2 radius {args['radius']:g} ({args['bound']})"
    return _result(protocol, "certified_accuracy", name, value, args)


def _result(
    protocol: CertifyProtocol, kind: str, name: str, value: float, args: dict[str, object]
) -> "EvalResult":
    from huggingface_hub import EvalResult

    hub = HUB_DATASETS.get(protocol.dataset)
    return EvalResult(
        task_type="image-classification",
        task_name="Certified image classification",
        dataset_type=hub.repository if hub else protocol.dataset,
        dataset_name=hub.title if hub else protocol.dataset,
        dataset_split=hub_split(protocol),
        metric_type=kind,
        metric_name=name,
        metric_value=value,
        metric_args=dict(args),
    )
