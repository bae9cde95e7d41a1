"""`ensemble`: make one entry of several, whose base network is the mean of their logits."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import zip_longest
from pathlib import Path
from typing import Literal, TypeVar, cast, get_args

import msgspec
import torch
from torch import Tensor

from rszoo.architectures import Normalize, NormalizedNetwork
from rszoo.architectures.ensemble import Ensemble, ensemble_architecture
from rszoo.data.datasets import get_dataset
from rszoo.errors import MissingWeightsError, UnknownModelError
from rszoo.recipe import NoiseKind, Precision
from rszoo.smoothing.isolation import CPU, differentiable
from rszoo.zoo.config import (
    CONFIG,
    EntryConfig,
    Member,
    check_word,
    default_name,
    sha256,
    source_without_recipe,
)
from rszoo.zoo.entry import check_new_folder, read_entry, write_new_entry
from rszoo.zoo.loading import fetched
from rszoo.zoo.registry import FOLDER_PREFIX, bundled_folder, get_entry
from rszoo.zoo.weights import first_difference

METHOD = "ensemble"
ALIKE = {
    "sigma": "sigma",
    "dataset": "data set",
    "classes": "list of classes",
    "input_shape": "input shape",
    "resize": "resizing",
}

Choice = TypeVar("Choice", bound=str)


@differentiable(CPU)
def ensemble(
    names: Sequence[str | Path],
    folder: str | Path,
    *,
    precision: str | None = None,
    noise: str | None = None,
    license: str | None = None,
    variant: str | None = None,
) -> EntryConfig:
    """Write an entry whose base network is the mean of the logits of other entries' networks.

    Its config records the name of each member and the SHA-256 of the member's config.

    Args:
        names: entries of one sigma, data set and classes, as for `rszoo.load`; two or more.
        folder: new or empty.
        precision: "float32" or "bfloat16"; by default that of the members.
        noise: "float" or "grid"; by default that of the members.
        license: SPDX identifier; by default that of the members.
        variant: a word in the name `<dataset>-<architecture>-ensemble[-<variant>]-s<sigma>`.

    Returns:
        The config of the entry.

    Raises:
        ValueError: the members do not fit together, or differ in what is left to them; an argument
            is out of range; or the folder holds files.
        rszoo.UnknownModelError, rszoo.IntegrityError, ...: as `rszoo.load`.

    Source: Horváth et al. 2022 (arXiv 2106.06946).
    """
    check_new_folder(Path(folder))
    if variant is not None:
        check_word("variant", variant)
    entries = [
        fetched(f"{FOLDER_PREFIX}{name}" if isinstance(name, Path) else name) for name in names
    ]
    configs = [entry.config for entry in entries]
    _check_members(configs)
    first = configs[0]
    source = source_without_recipe(
        dataset=first.dataset,
        architecture=ensemble_architecture([config.architecture for config in configs]),
        method=METHOD,
        sigma=first.sigma,
        license=license or _common("license", configs),
        precision=_choice("precision", precision, configs, get_args(Precision)),
        noise=_choice("noise", noise, configs, get_args(NoiseKind)),
    )
    members = [
        Member(name=entry.config.name, config_sha256=sha256(entry.folder / CONFIG))
        for entry in entries
    ]
    name = default_name(source.dataset, source.architecture, METHOD, source.sigma, variant)
    channels = first.input_shape[0]
    identity = Normalize([0.0] * channels, [1.0] * channels)
    network = NormalizedNetwork(identity, Ensemble([entry.network for entry in entries]))
    return write_new_entry(Path(folder), network, replace(source, name=name, members=members))


def _check_members(configs: Sequence[EntryConfig]) -> None:
    if len(configs) < 2:
        raise ValueError(f"Expected two or more entries, got {len(configs)}; name the others too.")
    first = configs[0]
    for config in configs:
        if config.members is not msgspec.UNSET:
            raise ValueError(
                f"Expected entries of one network each, got the ensemble {config.name}; "
                "name its members."
            )
        for key, words in ALIKE.items():
            one, other = getattr(first, key), getattr(config, key)
            if one != other:
                if key == "classes":
                    one, other = next(
                        pair for pair in zip_longest(one, other) if pair[0] != pair[1]
                    )
                raise ValueError(
                    f"Expected entries of one {words}, got {one} for {first.name} and {other} for "
                    f"{config.name}; choose others."
                )
    weights = [config.weights_sha256 for config in configs]
    for place, config in enumerate(configs):
        if weights.index(config.weights_sha256) < place:
            raise ValueError(
                f"Expected different entries, got the weights of {config.name} twice; "
                "name each entry once."
            )
    dataset = get_dataset(first.dataset)
    if (list(dataset.classes), dataset.shape) != (first.classes, first.input_shape):
        raise ValueError(
            f"Expected the classes and the shape of {dataset.name} in {first.name}, got others; "
            "use the description of the data set that it was made with."
        )


def _common(key: Literal["license", "precision", "noise"], configs: Sequence[EntryConfig]) -> str:
    """What all members state."""
    stated: list[str] = list(dict.fromkeys(getattr(config, key) for config in configs))
    if len(stated) > 1:
        raise ValueError(
            f"Expected members of one {key}, got {' and '.join(stated)}; pass {key} to choose one."
        )
    return stated[0]


def _choice(
    key: Literal["precision", "noise"],
    wanted: str | None,
    configs: Sequence[EntryConfig],
    choices: Sequence[Choice],
) -> Choice:
    chosen = wanted or _common(key, configs)
    if chosen not in choices:
        raise ValueError(f"Expected {key} {' or '.join(choices)}, got {chosen!r}; choose one.")
    return cast(Choice, chosen)


def compare_members(folder: Path, config: EntryConfig) -> tuple[list[str], list[str]]:
    """Compare the weights in an ensemble's folder with those of its members.

    Returns:
        The names of the members that were compared, and of those that were not: not of the zoo, not
        on this machine, or there with another config.

    Raises:
        ValueError: there are more or fewer networks than members, or one has other weights.
    """
    members = config.members or []
    network = read_entry(folder)[0].network
    if not isinstance(network, Ensemble) or len(network.networks) != len(members):
        raise ValueError(
            f"Expected an ensemble of {len(members)} networks, as {CONFIG} lists, got another; "
            "make the entry again."
        )
    compared: list[str] = []
    others: list[str] = []
    for member, part in zip(members, network.networks, strict=True):
        if _at_hand(member):
            original = read_entry(
                bundled_folder(member.name), expected_sha256=member.config_sha256
            )[0]
            if not _same(original.state_dict(), part.state_dict()):
                raise ValueError(
                    f"Expected the weights of {member.name} as a member, got others; "
                    "make the entry again."
                )
        (compared if _at_hand(member) else others).append(member.name)
    return compared, others


def _at_hand(member: Member) -> bool:
    try:
        pinned = get_entry(member.name).config_sha256
    except (UnknownModelError, MissingWeightsError):
        return False
    return pinned == member.config_sha256 and bundled_folder(member.name).is_dir()


def _same(one: Mapping[str, Tensor], other: Mapping[str, Tensor]) -> bool:
    return first_difference(one, other) is None and all(
        torch.equal(one[name], other[name]) for name in one
    )
