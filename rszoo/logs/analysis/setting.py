"""What the radii of a log were computed with. Published files do not say; who reads them may."""

import re
from dataclasses import dataclass

from rszoo.logs.format import CertifyProtocol, Log


@dataclass(frozen=True)
class Given:
    """What the user says of published files, in place of the protocol that they lack; None for what was not said."""

    sigma: float | None = None
    n: int | None = None
    alpha: float | None = None


@dataclass(frozen=True)
class Setting:
    """What a radius is computed with, beside the votes.

    Attributes:
        sigma: standard deviation of the noise, in pixel units.
        n: number of samples.
        alpha: failure probability, for each image.
        bound: the radius rule, a key of `RULES`.
        loss: of grid noise; see `rszoo.logs.format.Protocol`.
    """

    sigma: float
    n: int
    alpha: float
    bound: str
    loss: float = 0.0

    @property
    def level(self) -> float:
        """What is left of alpha for the statistics of n samples."""
        return self.alpha - self.n * self.loss


@dataclass(frozen=True)
class Projection(Log):
    """What a log might have been in another setting; not a log of anything that was run.

    Attributes:
        setting: the one projected to.
        change: what was changed, such as "n=1000".
        estimated: whether n was changed, or the votes of a published file computed from its radii: then the radii are an
            estimate, and no bound on anything.
    """

    setting: Setting
    change: str
    estimated: bool

    @property
    def title(self) -> str:
        """The log's, marked."""
        return f"{super().title} [projected to {self.change}]"


def setting_of(log: Log, given: Given | None = None) -> Setting:
    """The setting of a log of CERTIFY: its protocol's, or what was given for a published file.

    A published file's bound is Cohen's, and its sigma is read from its name (as in sigma_0.25) if it was not given.

    Raises:
        ValueError: it is no log of CERTIFY, or a published file of which too little was given.
    """
    if isinstance(log, Projection):
        return log.setting
    if log.protocol is not None:
        if not isinstance(log.protocol, CertifyProtocol):
            raise ValueError(
                f"Expected a log of CERTIFY, got {log.path}, one of PREDICT or an attack; pass a log with radii."
            )
        found = log.protocol
        return Setting(found.sigma, found.n, found.alpha, found.bound, found.loss)
    given = given or Given()
    sigma = given.sigma or named_sigma(log)
    if sigma is None or given.n is None or given.alpha is None:
        missing = [
            name
            for name, value in (("sigma", sigma), ("n", given.n), ("alpha", given.alpha))
            if value is None
        ]
        raise ValueError(
            f"Expected to know {', '.join(missing)} of {log.path}, got a published file, which does not say; "
            "pass what its paper states, such as --given n=100000,alpha=0.001,sigma=0.25."
        )
    return Setting(sigma, given.n, given.alpha, "cohen")


def tested_radii(log: Log) -> tuple[float, ...] | None:
    """The radii that the sequential test of a log was for; None for a log whose radii are the largest that the votes give.

    Such a log has certified accuracies at these radii, but no average radius, and no votes for another n, alpha or bound.
    """
    return log.protocol.radii if isinstance(log.protocol, CertifyProtocol) else None


def answers(log: Log, radius: float) -> bool:
    """Whether the log tells which images are certified at that radius: a sequential test does where it tested."""
    tested = tested_radii(log)
    return tested is None or radius in tested


def named_sigma(log: Log) -> float | None:
    """The sigma in the name of a published file, or its folder's."""
    found = re.findall(r"sigma_(\d+(?:\.\d+)?)", str(log.path))
    return float(found[-1]) if log.protocol is None and found else None
