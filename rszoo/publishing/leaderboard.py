"""The entries of the zoo side by side, by the logs in their folders.

Logs are read, not audited; a log of weights that are not the entry's is refused. No torch.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from rszoo.errors import as_float
from rszoo.recipe import load_recipe
from rszoo.zoo.config import EVIDENCE, read_config
from rszoo.zoo.registry import bundled_folder, get_entry, list_models

if TYPE_CHECKING:
    from rszoo.logs.analysis.norms import Norm
    from rszoo.logs.format import CertifyProtocol, Log

MEGABYTE = 10**6
Key = Literal["acr", "name", "dataset", "method", "sigma", "size"]


@dataclass(frozen=True)
class Standing:
    """What is known about an entry; None means not known, which is not 0.

    Attributes:
        name, dataset, architecture, method, sigma, license: as in its recipe.
        size: of the weights in the package, in bytes.
        radii: in pixel units.
        norm: of the radii: "l2", or "linf" for l-infinity radii that l2 radii imply.
        accuracies: certified accuracy at each radius: from the log of given radii if that tested
            this one, on the same images and at the same alpha; else from the log with a fixed n. In
            l-infinity from the log with a fixed n, if there is one. None above the largest radius
            that n votes can certify, where nothing was measured.
        samples: the most samples per image, at each radius.
        average_radius: ACR, in l2, from the log with a fixed n.
        abstention: share of images, from the log with a fixed n if there is one.
        images: how many were certified.
        n: samples per image behind the ACR.
        alpha: failure probability per image.
        logs: the files that the numbers come from.
    """

    name: str
    dataset: str
    architecture: str
    method: str
    sigma: float
    license: str
    size: int | None = None
    radii: tuple[float, ...] = ()
    accuracies: tuple[float | None, ...] = ()
    samples: tuple[int | None, ...] = ()
    average_radius: float | None = None
    abstention: float | None = None
    images: int | None = None
    n: int | None = None
    alpha: float | None = None
    logs: tuple[str, ...] = ()
    norm: "Norm" = "l2"

    def accuracy(self, radius: float) -> float | None:
        """Certified accuracy at one of the radii."""
        return self.accuracies[self.radii.index(radius)]


@dataclass(frozen=True)
class Filter:
    """Which entries are wanted; None admits all.

    Attributes:
        dataset, architecture, method, sigma: as in `Standing`.
        max_size: of the weights, in MB of 10**6 bytes; weights of unknown size are not admitted.

    Raises:
        ValueError: no entry can have this sigma or size.
    """

    dataset: str | None = None
    architecture: str | None = None
    method: str | None = None
    sigma: float | None = None
    max_size: float | None = None

    def __post_init__(self) -> None:
        if self.sigma is not None and not 0 < as_float("sigma", self.sigma) < math.inf:
            raise ValueError(
                f"Expected a finite sigma above 0, got {self.sigma:g}; "
                "pass that of the noise, in pixel units."
            )
        if self.max_size is not None and not as_float("max_size", self.max_size) >= 0:
            raise ValueError(
                f"Expected a maximal size >= 0, got {self.max_size:g}; pass MB of 10**6 bytes."
            )

    def __str__(self) -> str:
        """The conditions, as "dataset 'cifar10', sigma 0.25"."""
        conditions = {key: value for key, value in vars(self).items() if value is not None}
        return ", ".join(f"{key.replace('_', ' ')} {value!r}" for key, value in conditions.items())

    def admits(self, standing: Standing) -> bool:
        """Whether the entry is wanted."""
        keys = ("dataset", "architecture", "method", "sigma")
        if any(getattr(self, key) not in (None, getattr(standing, key)) for key in keys):
            return False
        if self.max_size is None:
            return True
        return standing.size is not None and standing.size <= self.max_size * MEGABYTE


def standings(
    names: Iterable[str],
    radii: Sequence[float] | None = None,
    *,
    norm: "Norm" = "l2",
    wanted: Filter | None = None,
) -> list[Standing]:
    """What is known about these entries, in the order of the names.

    Args:
        names: of recipes, with or without weights.
        radii: in pixel units, at which to give the certified accuracy; None reads no log.
        norm: of the radii; "linf" gives the accuracy at l-infinity radii that l2 radii imply.
        wanted: the entries to keep.

    Raises:
        FileNotFoundError: there is no recipe of that name.
        ValueError: a log is unfinished, of other weights, of another setting, or of another kind
            than its name says.
    """
    entries = [_described(name) for name in names]
    if wanted is not None:
        entries = [entry for entry in entries if wanted.admits(entry)]
    if radii is None:
        return entries
    return [_certified(entry, tuple(radii), norm) for entry in entries]


def _described(name: str) -> Standing:
    recipe, weights = load_recipe(name), bundled_folder(name) / "model.safetensors"
    return Standing(
        name=name,
        dataset=recipe.model.dataset,
        architecture=recipe.model.architecture,
        method=recipe.method_name,
        sigma=recipe.model.sigma,
        license=recipe.about.license,
        size=weights.stat().st_size if weights.is_file() else None,
    )


def _certified(standing: Standing, radii: tuple[float, ...], norm: "Norm") -> Standing:
    """`standing` with the numbers of its logs."""
    logs, unknown = _read_logs(standing.name), (None,) * len(radii)
    standing = replace(standing, radii=radii, norm=norm, accuracies=unknown, samples=unknown)
    if not logs:
        return standing
    from rszoo.logs.analysis.tabulation import log_row

    rows = [log_row(log, radii, norm) for log in logs]
    first = rows[0]
    # a test of given radii comes first at these; what a larger one of them implies comes last
    preferred = rows[::-1] if norm == "l2" else rows
    chosen = [
        next((row for row in preferred if row.accuracies[j] is not None), None)
        for j in range(len(radii))
    ]
    return replace(
        standing,
        accuracies=tuple(row.accuracies[j] if row else None for j, row in enumerate(chosen)),
        samples=tuple(row.n if row else None for row in chosen),
        average_radius=first.average_radius,
        abstention=first.abstention,
        images=first.images,
        n=None if first.average_radius is None else first.n,
        alpha=first.alpha,
        logs=tuple(
            log.path.name
            for log, row in zip(logs, rows, strict=True)
            if row is first or row in chosen
        ),
    )


def _read_logs(name: str) -> "list[Log]":
    """The log with a fixed n, then the log of given radii, if the entry is here and has them.

    The second is left out if it is of other images, or at another alpha, than the first.
    """
    from rszoo.zoo.evidence import read_certificates  # scipy is slow to import

    folder = bundled_folder(name)
    if name not in list_models() or not folder.is_dir():
        return []
    config = read_config(folder, expected_sha256=get_entry(name).config_sha256)
    pairs = [pair for log in EVIDENCE if (pair := read_certificates(folder / log, config))]
    for log, protocol in pairs:
        _check_images(log, protocol)
    tests = [(list(protocol.indices), protocol.alpha) for _, protocol in pairs]
    return [log for (log, _), test in zip(pairs, tests, strict=True) if test == tests[0]]


def _check_images(log: "Log", protocol: "CertifyProtocol") -> None:
    if protocol.split != "test":
        raise ValueError(
            f"Expected certificates of test images in {log.path}, got {protocol.split}; "
            "evaluate the test split."
        )
    if [record.idx for record in log.records] != list(protocol.indices):
        raise ValueError(
            f"Expected the {len(protocol.indices)} images of its protocol in {log.path}, "
            f"got {len(log.records)} lines that are not these; finish it with 'rszoo evaluate'."
        )


def ordered(entries: Iterable[Standing], by: float | Key) -> list[Standing]:
    """The entries in order; those without the number come last, ties go by name.

    Args:
        entries: what to sort.
        by: "name", "dataset", "method" or "sigma", ascending, ties by sigma; "size", ascending;
            "acr", descending; or one of their radii: certified accuracy descending, ties by ACR.
    """
    return sorted(entries, key=lambda entry: (*_rank(entry, by), entry.name))


def _rank(standing: Standing, by: float | Key) -> list[Any]:
    """Smaller is earlier."""
    match by:
        case "acr":
            return [_descending(standing.average_radius)]
        case "size":
            return [math.inf if standing.size is None else standing.size]
        case str():
            return [getattr(standing, by), standing.sigma]
        case _:
            return [_descending(standing.accuracy(by)), _descending(standing.average_radius)]


def _descending(value: float | None) -> float:
    return math.inf if value is None else -value
