"""Logs as Cohen et al. 2019 and their successors published them, without protocol and votes.

Some logs of PREDICT have a column `basePredict`: the class that the base network returns without
noise.
"""

import math
import re
from dataclasses import dataclass
from pathlib import Path

import msgspec

from rszoo.logs.format.protocol import RESULT, RESULT_OF_PREDICT, RESULT_WITH_BASE

PUBLISHED = {RESULT, RESULT_OF_PREDICT, RESULT_WITH_BASE}
SIGMA = re.compile(r"(?<![a-z])(?:sigma|noise)_(\d+(?:\.\d+)?)", re.IGNORECASE)


@dataclass(frozen=True)
class Given:
    """What the user says about published files, which have no protocol; None for the rest.

    Raises:
        ValueError: a value is out of range.
    """

    sigma: float | None = None
    n: int | None = None
    alpha: float | None = None

    def __post_init__(self) -> None:
        """Refuse values that no evaluation has."""
        in_range = {
            "sigma": self.sigma is None or 0 < self.sigma < math.inf,
            "n": self.n is None or self.n >= 1,
            "alpha": self.alpha is None or 0 < self.alpha < 1,
        }
        for name, fits in in_range.items():
            if not fits:
                raise ValueError(
                    "Expected sigma > 0, n >= 1 and 0 < alpha < 1, "
                    f"got {name}={getattr(self, name)}; pass what the paper states."
                )


class PublishedProtocol(msgspec.Struct, frozen=True, kw_only=True):
    """What is known about a published file: what the user says, else what its path says.

    It is made when a file is read and never written.

    Attributes:
        title: the last parts of the path.
        columns: the names of the columns.
        sigma: noise of the evaluation, in pixel units.
        sigma_from_path: whether the path says so (as in sigma_0.25 or noise_0.25) and not the user.
        n: samples per image; of PREDICT, those in the file's name (as in N_1000) come first.
        alpha: failure probability of each line.
        bound: the rule of the radii.
        loss: of the noise; see `Protocol`.
        adaptive: whether some images may need fewer than n samples.
    """

    title: str
    columns: tuple[str, ...]
    sigma: float | None = None
    sigma_from_path: bool = False
    n: int | None = None
    alpha: float | None = None
    bound: str = "cohen"
    loss: float = 0.0
    adaptive: bool = False


def published_protocol(
    path: Path, columns: tuple[str, ...], given: Given | None
) -> PublishedProtocol:
    """What is known about the published file at `path`."""
    given = given or Given()
    sigma = _sigma_in(path) if given.sigma is None else None
    n_of_predict = None if columns == RESULT else samples_in_name(path)
    return PublishedProtocol(
        title="/".join(path.parts[-4:]),
        columns=columns,
        sigma=given.sigma if sigma is None else sigma,
        sigma_from_path=sigma is not None,
        n=n_of_predict or given.n,
        alpha=given.alpha,
    )


def samples_in_name(path: Path) -> int | None:
    """The n of a published log of PREDICT, by its file's name (as in N_1000); else None."""
    samples = re.fullmatch(r"N_(\d+)", path.stem)
    return int(samples[1]) if samples else None


def _sigma_in(path: Path) -> float | None:
    """The sigma that the file's own name states, else its nearest folder's; None if two differ."""
    for name in reversed(path.parts):
        stated = {float(number) for number in SIGMA.findall(name)} - {0.0}
        if stated:
            return stated.pop() if len(stated) == 1 else None
    return None
