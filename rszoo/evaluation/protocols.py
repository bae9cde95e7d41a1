"""The protocol of an evaluation: what was asked for, what the entry's recipe says of the rest, all of it checked."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from typing import Literal

import numpy as np
import torch

from rszoo.attacks import Plan
from rszoo.bounds import POWER, minimum_n_predict
from rszoo.data.datasets import LabelledImages, open_images
from rszoo.logs.format import AttackProtocol, CertifyProtocol, PredictProtocol, validated
from rszoo.recipe import Certification, load_recipe, recipe_names
from rszoo.smoothing.runtime import device_name
from rszoo.zoo.config import EntryConfig
from rszoo.zoo.loading import OpenEntry, open_entry

PAPERS = Certification(
    split="test", stride=20, n0=100, n=100_000, alpha=0.001, bound="cohen", seed=0
)
TABLE_4 = (100, 1000, 10_000)

Values = dict[str, object]


def usual_protocol(config: EntryConfig) -> Certification:
    """The protocol of the recipe that made an entry, or that of the papers if its recipe is not at hand."""
    if (
        config.name in recipe_names()
        and (recipe := load_recipe(config.name)).fingerprint == config.recipe_fingerprint
    ):
        return recipe.certification
    return PAPERS


@dataclass(frozen=True)
class Prepared:
    """What every evaluation of a data set begins with: the entry, its usual protocol, the images, and the shared fields."""

    entry: OpenEntry
    usual: Certification
    images: LabelledImages
    shared: Values


def prepared(
    name: str,
    *,
    split: Literal["train", "test"] | None,
    start: int,
    stop: int | None,
    stride: int | None,
    sigma: float | None,
    alpha: float | None,
    precision: str | None,
    seed: int | None,
    shard: tuple[int, int] | None,
    device: str | torch.device,
    download: bool,
) -> Prepared:
    """Open an entry and its images; `shared` has the fields of every `Protocol`. What is absent is as usual.

    Raises:
        ValueError: start, stop or shard is out of range; as `open_entry`.
        FileNotFoundError: the data set is not there.
    """
    entry = open_entry(name, device=device, sigma=sigma, precision=precision)
    config, classifier, usual = entry.config, entry.classifier, usual_protocol(entry.config)
    images = open_images(config.dataset, split or usual.split, download=download)
    kind = device_name(classifier.device)
    shared: Values = {
        "name": config.name,
        "weights_sha256": config.weights_sha256,
        "dataset": config.dataset,
        "num_classes": len(config.classes),
        "trained_sigma": config.sigma,
        "sigma": classifier.sigma,
        "noise": classifier.noise,
        "precision": classifier.precision,
        "software": f"rszoo {version('rszoo')}, torch {torch.__version__}, numpy {np.__version__}, {kind}",
        "split": split or usual.split,
        "start": start,
        "stop": _checked_stop(start, stop, len(images.labels)),
        "stride": usual.stride if stride is None else stride,
        "shard": _checked_shard(shard),
        "alpha": usual.alpha if alpha is None else alpha,
        "seed": usual.seed if seed is None else seed,
        "loss": classifier.loss,
    }
    return Prepared(entry, usual, images, shared)


def certify_protocol(
    shared: Values,
    usual: Certification,
    rule: Values,
    *,
    n0: int | None,
    n: int | Sequence[int] | None,
    bound: str | None,
) -> CertifyProtocol:
    """The protocol of CERTIFY; `rule` says how n comes about."""
    if not isinstance(n, int | None):
        raise ValueError(
            f"Expected one n for CERTIFY, got {list(n)}; several are for task='predict'."
        )
    numbers = {"n0": usual.n0 if n0 is None else n0, "n": usual.n if n is None else n}
    if rule["power"] is None:
        rule = rule | {"power": 0.0 if rule["radii"] is None else POWER}
    usual_bound = usual.bound if rule["radii"] is None else "cohen"
    protocol = validated(
        CertifyProtocol,
        shared | rule | numbers | {"bound": usual_bound if bound is None else bound},
    )
    check_not_empty(len(protocol.indices), protocol.shard)
    return protocol


def predict_protocol(
    shared: Values, n: int | Sequence[int] | None, others: Values
) -> PredictProtocol:
    """The protocol of PREDICT, which takes none of the `others`."""
    if given := [key for key, value in others.items() if value]:
        raise ValueError(f"Expected no {given[0]} for PREDICT, got one; leave it out, or certify.")
    numbers = TABLE_4 if n is None else (n,) if isinstance(n, int) else tuple(n)
    protocol = validated(PredictProtocol, shared | {"n": numbers})
    check_not_empty(len(protocol.indices), protocol.shard)
    if list(numbers) != sorted(set(numbers)):
        raise ValueError(f"Expected ascending n, got {list(numbers)}; sort them.")
    check_decides(numbers[0], protocol.alpha)
    return protocol


def attack_protocol(
    shared: Values, plan: Plan, *, eps: Sequence[float], n: int, attack_batch: int
) -> AttackProtocol:
    """The protocol of an attack."""
    if not all(0 < each < float("inf") for each in eps) or list(eps) != sorted(set(eps)):
        raise ValueError(
            f"Expected ascending eps > 0 in pixel units, got {list(eps)}; the image itself comes by itself."
        )
    made = shared | asdict(plan) | {"eps": tuple(eps), "n": n, "attack_batch": attack_batch}
    protocol = validated(AttackProtocol, made)
    check_decides(n, protocol.alpha)
    check_not_empty(len(protocol.batches), protocol.shard)
    return protocol


def check_not_empty(count: int, shard: tuple[int, int] | None) -> None:
    """Raise ValueError unless a shard has images, or batches of them where the protocol forms batches."""
    if count == 0 and shard is not None:
        raise ValueError(
            f"Expected images in each shard, got none for {shard[0]}/{shard[1]}; make fewer shards."
        )


def check_decides(n: int, alpha: float) -> None:
    """Raise ValueError unless n unanimous votes are a prediction at level alpha."""
    if n < (smallest := minimum_n_predict(alpha)):
        raise ValueError(
            f"Expected n large enough to decide at alpha={alpha}, got n={n}; use n >= {smallest}."
        )


def _checked_stop(start: int, stop: int | None, size: int) -> int:
    end = size if stop is None else stop
    if not 0 <= start < end <= size:
        raise ValueError(
            f"Expected 0 <= start < stop <= {size}, got start={start}, stop={end}; choose images of the data set."
        )
    return end


def _checked_shard(shard: tuple[int, int] | None) -> tuple[int, int] | None:
    if shard is not None and not 1 <= shard[0] <= shard[1]:
        raise ValueError(
            f"Expected a shard from 1/{shard[1]} to {shard[1]}/{shard[1]}, got {shard[0]}/{shard[1]}; count from 1."
        )
    return shard
