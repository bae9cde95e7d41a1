"""Entries in Python: their names by conditions, the best at a radius, all about one. No torch."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from rszoo.errors import as_float
from rszoo.logs.format import in_full, round_down, round_up
from rszoo.publishing.leaderboard import Filter, Standing, ordered, standings
from rszoo.recipe import recipe_names
from rszoo.zoo import registry
from rszoo.zoo.config import EntryConfig, published, read_config
from rszoo.zoo.registry import Entry, bundled_folder, get_entry

if TYPE_CHECKING:
    from rszoo.logs.analysis.norms import Norm

STEP, REACH = 0.25, 6  # of the radii in `info`: their distance, and the last one in units of sigma


def list_models(
    pattern: str = "*",
    *,
    dataset: str | None = None,
    method: str | None = None,
    architecture: str | None = None,
    sigma: float | None = None,
    max_size: float | None = None,
    radius: float | None = None,
) -> list[str]:
    """Names of the entries with weights that meet every condition, sorted.

    Args:
        pattern: of the name, such as 'cifar10-*-s0.25'.
        dataset, method, architecture, sigma: only entries of these.
        max_size: only entries whose weights take at most this many MB (10**6 bytes).
        radius: only entries that certify an image at this radius, in pixel units, according to
            their bundled logs; the names are then in the order of `leaderboard`, the best first.

    Raises:
        ValueError: sigma, max_size or radius is out of range, or a log is refused, as by `best`.
    """
    names = registry.list_models(pattern)
    wanted = Filter(dataset, architecture, method, sigma, max_size)
    if radius is None:
        if wanted == Filter():
            return names
        return [entry.name for entry in standings(names, wanted=wanted)]
    ranked = _ranked(names, wanted, radius, "l2")
    return [entry.name for entry in ranked if entry.accuracy(radius)]


def leaderboard(
    dataset: str = "cifar10",
    radius: float = 0.5,
    *,
    method: str | None = None,
    architecture: str | None = None,
    sigma: float | None = None,
    max_size: float | None = None,
    norm: "Norm" = "l2",
) -> list[Standing]:
    """The entries that `best` compares, the best first, with the numbers that decide.

    Each states its certified accuracy at the radius, with the samples per image behind it, the ACR
    that breaks ties, the images, alpha and the log files. Entries whose logs say nothing about the
    radius come last, with an accuracy of None. `pandas.DataFrame` takes the list as it is.

    Args, Raises: as for `best`, with `sigma`: only entries of this one. No entry is no error.
    """
    wanted = Filter(dataset, architecture, method, sigma, max_size)
    return _ranked(registry.list_models(), wanted, radius, norm)


def best(
    dataset: str = "cifar10",
    radius: float = 0.5,
    *,
    method: str | None = None,
    architecture: str | None = None,
    max_size: float | None = None,
    norm: "Norm" = "l2",
) -> str:
    """The name of the entry with the largest certified accuracy at a radius, by bundled logs alone.

    It is the first of `leaderboard` with the same arguments, which says why. Logs are compared as
    they are, even if their images, samples or alpha differ, which `leaderboard` shows; an entry
    whose votes cannot certify the radius is left out. The certified accuracy of an entry chosen by
    it is a little optimistic, the more so the more entries there are.

    Args:
        dataset: that the entry classifies.
        radius: in pixel units; at 0, the accuracy of the smoothed classifier counts.
        method, architecture: only entries of these.
        max_size: only entries whose weights take at most this many MB (10**6 bytes).
        norm: of the radius: "l2", or "linf" for an l-infinity radius, such as 2/255, that the l2
            radii imply.

    Returns:
        The name, for `rszoo.load`; ties go to the larger average certified radius, then to the
        first name.

    Raises:
        ValueError: no such entry has certified an image at this radius, or a log is refused, as by
            `rszoo.publishing.leaderboard.standings`.
    """
    wanted = Filter(dataset=dataset, architecture=architecture, method=method, max_size=max_size)
    entries = _ranked(registry.list_models(), wanted, radius, norm)
    if not entries or not entries[0].accuracy(radius):
        at = in_full(radius)
        raise ValueError(
            f"Expected an entry of {wanted} with certificates for radius {at}, got none; "
            f"'rszoo list --radius {at}{'' if norm == 'l2' else ' --norm linf'}' prints what there "
            "is; "
            "'rszoo evaluate RUN --out RUN/certify.tsv' and 'rszoo bundle RUN' add some."
        )
    return entries[0].name


def _ranked(names: Sequence[str], wanted: Filter, radius: float, norm: "Norm") -> list[Standing]:
    _check_radius(radius)
    if norm not in ("l2", "linf"):
        raise ValueError(f"Expected norm 'l2' or 'linf', got {norm!r}; choose one of these.")
    return ordered(standings(names, (radius,), norm=norm, wanted=wanted), radius)


def _check_radius(radius: float) -> None:
    if not 0 <= as_float("a radius", radius) < math.inf:
        raise ValueError(f"Expected a radius >= 0, got {radius}; pass a distance in pixel units.")


@dataclass(frozen=True, repr=False)
class Info:
    """What is known of an entry without loading it.

    Attributes:
        name: of the entry, and of its recipe for `rszoo train` and `rszoo show --recipe`.
        standing: data set, architecture, method, sigma and licence; what its bundled logs certify.
        registry: its pin, the SHA-256 of its config, and its Hub repository; None where the entry
            is a recipe without weights.
        folder: its files on this machine; None where it is not here.
        config: all that the entry says of itself; None where it is not here.
        sizes: bytes of each of those files.
    """

    name: str
    standing: Standing
    registry: Entry | None
    folder: Path | None
    config: EntryConfig | None
    sizes: dict[str, int]

    @property
    def certified(self) -> dict[float, float | None]:
        """Certified accuracy by l2 radius, as a share of the images; None: not measured."""
        return dict(zip(self.standing.radii, self.standing.accuracies, strict=True))

    def to_dict(self) -> dict[str, object]:
        """All fields as plain values that JSON holds."""
        plain = {**vars(self), "folder": None if self.folder is None else str(self.folder)}
        values: dict[str, object] = msgspec.json.decode(msgspec.json.encode(plain))
        return values

    def __repr__(self) -> str:
        rows = "".join(f"\n  {key:<13}{text}" for key, text in self._lines().items())
        return f"Info {self.name}{rows}"

    def _lines(self) -> dict[str, str]:
        """The facts that `repr` prints: accuracies and ACR are rounded down, abstentions up."""
        from rszoo.publishing.cards.numbers import share  # scipy is slow to import

        known, config, size = self.standing, self.config, self.standing.size
        certified, abstains, evidence = "-", "-", "-"
        if known.logs and known.images is not None:
            certified = ", ".join(
                f"{'-' if accuracy is None else share(accuracy, known.images)} at {in_full(radius)}"
                for radius, accuracy in self.certified.items()
            )
            if known.abstention is not None:
                abstains = share(known.abstention, known.images, up=True)
            most = max((n for n in known.samples if n is not None), default="-")
            evidence = (
                f"{known.images} images, alpha={known.alpha}, samples per image: up to {most} for "
                f"the radii, {known.n or '-'} for the ACR"
            )
        acr = known.average_radius
        return {
            "dataset": known.dataset,
            "architecture": known.architecture,
            "method": known.method,
            "sigma": f"{known.sigma:g}",
            "votes": "-" if config is None else f"{config.precision}, {config.noise} noise",
            "license": known.license,
            "weights": "-" if size is None else f"{round_up(size / 10**6, 2)} MB",
            "config": "-" if self.registry is None else f"sha256 {self.registry.config_sha256}",
            "certified": certified,
            "ACR": "-" if acr is None else round_down(acr, 3),
            "abstains": abstains,
            "evidence": evidence,
        }


def info(name: str, *, radii: Sequence[float] | None = None) -> Info:
    """All that is known of an entry or a recipe without loading it or asking the Hub.

    Args:
        name: of the zoo ('rszoo list --all').
        radii: l2 distances in pixel units at which to give certified accuracies; by default 0,
            0.25, 0.5, ... as far as an image is certified.

    Raises:
        rszoo.UnknownModelError: no entry and no recipe has this name.
        rszoo.IntegrityError: the entry's config is not the pinned one.
        ValueError: a radius is out of range, or a log is refused, as by `best`.
    """
    for radius in radii or ():
        _check_radius(radius)
    is_plan = name in recipe_names() and name not in registry.list_models()
    entry = None if is_plan else get_entry(name)
    folder, config = bundled_folder(name), None
    if entry is not None and folder.is_dir():
        config = read_config(folder, expected_sha256=entry.config_sha256)
    files = [] if config is None else [folder / file for file in published(name)]
    return Info(
        name=name,
        standing=_measured(name) if radii is None else standings([name], radii)[0],
        registry=entry,
        folder=None if config is None else folder,
        config=config,
        sizes={path.name: path.stat().st_size for path in files if path.is_file()},
    )


def _measured(name: str) -> Standing:
    """The standing at 0, 0.25, 0.5, ... as far as an image is certified."""
    (plain,) = standings([name])
    steps = [STEP * step for step in range(math.ceil(REACH * plain.sigma / STEP) + 1)]
    (full,) = standings([name], steps)
    certified = [radius for radius in steps if full.accuracy(radius)]
    return standings([name], certified)[0] if certified else plain
