"""The YAML front matter of a card, written by the Hub's own client.

The client groups results by task, data set, configuration, split and revision, and takes two
results that differ only in value for one. So whatever distinguishes two numbers, the radius first,
stands in `metric_args`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rszoo.logs.analysis import Results
from rszoo.logs.format import CertifyProtocol, in_full, logged_radius
from rszoo.publishing.cards.evidence import Evidence
from rszoo.publishing.cards.numbers import table_radii

if TYPE_CHECKING:
    from huggingface_hub import EvalResult


@dataclass(frozen=True)
class HubDataset:
    """A data set on the Hub: title, repository, and the split with the papers' test images."""

    title: str
    repository: str
    test: str = "test"

    @property
    def link(self) -> str:
        """A Markdown link to it."""
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
    """The Hub's name for the split: on ImageNet the papers test on the validation images."""
    hub = HUB_DATASETS.get(protocol.dataset)
    return hub.test if hub and protocol.split == "test" else protocol.split


def front_matter(evidence: Evidence) -> str:
    """The metadata as YAML between two lines of dashes."""
    from huggingface_hub import ModelCardData  # slow to import

    config = evidence.config
    hub = HUB_DATASETS.get(config.dataset)
    evaluated = list(eval_results(evidence))
    license = config.license.lower()
    # the Hub lists single licences, no expressions
    listed = not license.startswith("licenseref-") and " " not in license
    data = ModelCardData(
        license=license if listed else "other",
        license_name=None if listed else license,
        library_name="rszoo",
        pipeline_tag="image-classification",
        tags=["randomized-smoothing", "certified-robustness", "l2", config.method],
        datasets=[hub.repository] if hub else None,
        model_name=config.name if evaluated else None,
        eval_results=evaluated or None,
    )
    return f"---\n{data.to_yaml(line_break=chr(10))}\n---\n"


def eval_results(evidence: Evidence) -> "Iterator[EvalResult]":
    """One result per number: certified accuracy at each radius, ACR, abstention rate.

    Shares are in [0, 1]; the average certified radius (ACR) is rounded down.
    """
    if fixed := evidence.fixed:
        rules = ((fixed.protocol.bound, fixed.results), (fixed.other_bound, fixed.projected))
        for bound, results in rules:
            args = _budget(fixed.protocol, bound, len(results))
            yield from _accuracies(fixed.protocol, results, table_radii(fixed), args)
            name = f"Average certified L2 radius ({bound})"
            # rounded, because its last digits depend on the versions of numpy and scipy
            acr = logged_radius(results.average_radius)
            yield _result(fixed.protocol, "average_certified_radius", name, acr, args)
            name = f"Abstention rate ({bound})"
            yield _result(fixed.protocol, "abstention_rate", name, results.abstention, args)
    if grid := evidence.grid:
        args = _budget(grid.protocol, "sequential", len(grid.results))
        yield from _accuracies(grid.protocol, grid.results, grid.radii, args)


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


def _accuracies(
    protocol: CertifyProtocol, results: Results, radii: Sequence[float], args: dict[str, object]
) -> "Iterator[EvalResult]":
    for radius in radii:
        name = f"Certified accuracy at L2 radius {in_full(radius)} ({args['bound']})"
        if (value := results.measured(radius)) is not None:
            yield _result(protocol, "certified_accuracy", name, value, {"radius": radius, **args})


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
