"""From options to a protocol: the recipe's protocol, overlaid by the options, all of it checked."""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TypeVar

import msgspec
import numpy as np
import torch

from rszoo.bounds import POWER, minimum_n_predict
from rszoo.data.datasets import LabelledImages, open_images
from rszoo.errors import ascending
from rszoo.evaluation.options import (
    AttackOptions,
    CertifyOptions,
    Options,
    PredictOptions,
    SoftOptions,
)
from rszoo.logs.format import (
    AnyProtocol,
    AttackProtocol,
    CertifyProtocol,
    PredictProtocol,
    SoftProtocol,
    validated,
)
from rszoo.recipe import Certification, load_recipe, recipe_names
from rszoo.smoothing.classifier import SmoothedClassifier
from rszoo.smoothing.noise import STREAMS
from rszoo.smoothing.runtime import attack_batch, device_name
from rszoo.smoothing.soft import USUAL as USUAL_SOFT
from rszoo.zoo.config import RECIPE, EntryConfig
from rszoo.zoo.loading import is_local, open_entry

PAPERS = Certification(
    split="test", stride=20, n0=100, n=100_000, alpha=0.001, bound="cohen", seed=0
)

TABLE_4 = (100, 1000, 10_000)

Kind = TypeVar("Kind", CertifyProtocol, SoftProtocol, PredictProtocol, AttackProtocol)


def usual_protocol(config: EntryConfig, folder: Path | None = None) -> Certification:
    """The protocol of the recipe that made an entry; the papers' if that recipe is not at hand.

    Args:
        config: of the entry.
        folder: of the entry; a recipe in it comes before the package's.

    Raises:
        ValueError: the recipe in the folder cannot be read.
    """
    own = [] if folder is None or not (folder / RECIPE).is_file() else [str(folder / RECIPE)]
    packaged = [config.name] if config.name in recipe_names() else []
    for recipe in map(load_recipe, own + packaged):
        if recipe.fingerprint == config.recipe_fingerprint:
            return recipe.certification
    return PAPERS


def check_same_data(protocol: AnyProtocol, images: LabelledImages) -> None:
    """Raise ValueError if a log says of which images it is, and these are others."""
    if protocol.data_sha256 not in (None, images.digest()):
        raise ValueError(
            f"Expected the images of {protocol.dataset} {protocol.split} that the log is of, with "
            f"SHA-256 {protocol.data_sha256}, got others, with {images.digest()}; "
            "put those of the log back, or evaluate these."
        )


@dataclass(frozen=True)
class Subject:
    """What is evaluated: a classifier on a data set, and what each protocol says of the two."""

    classifier: SmoothedClassifier
    images: LabelledImages
    usual: Certification
    facts: Mapping[str, object]


def open_subject(
    name: str, options: Options, *, device: str | torch.device, download: bool
) -> Subject:
    """The entry and the images that the options choose.

    Raises:
        ValueError: start, stop or shard is out of range; as `open_entry`.
        FileNotFoundError: the data set is not there.
    """
    entry = open_entry(name, device=device, sigma=options.sigma, precision=options.precision)
    config, classifier = entry.config, entry.classifier
    usual = usual_protocol(config, entry.folder if is_local(name) else None)
    images = open_images(config.dataset, options.split or usual.split, download=download)
    if options.shard is not None and not 1 <= options.shard[0] <= options.shard[1]:
        number, count = options.shard
        raise ValueError(
            f"Expected a shard from 1/{count} to {count}/{count}, got {number}/{count}; "
            "count from 1."
        )
    size = len(images.labels)
    stop = size if options.stop is None else options.stop
    if not 0 <= options.start < stop <= size:
        raise ValueError(
            f"Expected 0 <= start < stop <= {size}, got start={options.start}, stop={stop}; "
            "choose images of the data set."
        )
    facts = {
        "name": config.name,
        "weights_sha256": config.weights_sha256,
        "dataset": config.dataset,
        "num_classes": len(config.classes),
        "trained_sigma": config.sigma,
        "sigma": classifier.sigma,
        "noise": classifier.noise,
        "precision": classifier.precision,
        "software": software(classifier),
        "stop": stop,
        "loss": classifier.loss,
        "stream": STREAMS[classifier.noise],
        "data_sha256": images.digest(),
    }
    return Subject(classifier, images, usual, facts)


def software(classifier: SmoothedClassifier) -> str:
    """The versions and the processor that draw the noise and vote."""
    return f"{versions()}, {device_name(classifier.device)}"


def versions() -> str:
    """The versions of what draws the noise and votes."""
    return f"rszoo {version('rszoo')}, torch {torch.__version__}, numpy {np.__version__}"


def voting_protocol(
    subject: Subject, options: CertifyOptions | SoftOptions | PredictOptions
) -> CertifyProtocol | SoftProtocol | PredictProtocol:
    """The protocol of CERTIFY or PREDICT; radii and soft votes have rules of their own."""
    if isinstance(options, CertifyOptions):
        tested = options.radii is not None
        rule = {"power": POWER, "bound": "cohen"} if tested else {"power": 0.0}
        return _overlaid(CertifyProtocol, subject, rule, vars(options))
    if isinstance(options, SoftOptions):
        return _overlaid(SoftProtocol, subject, {"bound": USUAL_SOFT}, vars(options))
    n = TABLE_4 if options.n is None else options.n
    numbers = (n,) if isinstance(n, int) else tuple(n)
    if not ascending(numbers, positive=True):
        raise ValueError(
            f"Expected ascending n > 0, got {list(numbers)}; pass for instance 100,1000."
        )
    protocol = _overlaid(PredictProtocol, subject, vars(options), {"n": numbers})
    check_decides(protocol.n[0], protocol.alpha)
    return protocol


def attack_protocol(subject: Subject, options: AttackOptions) -> AttackProtocol:
    """The protocol of an attack."""
    if not ascending(options.eps, positive=True):
        raise ValueError(
            f"Expected ascending eps > 0 in pixel units, got {list(options.eps)}; "
            "the log has the image itself anyway."
        )
    classifier = subject.classifier
    usual = {"attack_batch": attack_batch(classifier.input_shape, classifier.device)}
    protocol = _overlaid(AttackProtocol, subject, usual, vars(options.plan), vars(options))
    check_decides(protocol.n, protocol.alpha)
    return protocol


def check_decides(n: int, alpha: float) -> None:
    """Raise ValueError unless n unanimous votes are a prediction at level alpha."""
    if n < (smallest := minimum_n_predict(alpha)):
        raise ValueError(
            f"Expected n large enough to decide at alpha={alpha}, got n={n}; use n >= {smallest}."
        )


def _overlaid(kind: type[Kind], subject: Subject, *layers: Mapping[str, object]) -> Kind:
    """The usual protocol, then what each layer says other than None, then the facts.

    Raises:
        ValueError: no evaluation can follow the protocol, or its shard has no images.
    """
    values = {"shard": None, **msgspec.structs.asdict(subject.usual)}
    for layer in (*layers, subject.facts):
        values |= {key: value for key, value in layer.items() if value is not None}
    fields = kind.__struct_fields__
    protocol = validated(kind, {key: value for key, value in values.items() if key in fields})
    if protocol.shard is not None and not protocol.indices:
        raise ValueError(
            f"Expected images in each shard, got none for {protocol.shard[0]}/{protocol.shard[1]}; "
            "make fewer shards."
        )
    return protocol
