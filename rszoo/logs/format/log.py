"""Reading logs: those of this package, and the files that Cohen et al. 2019 published."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from rszoo.logs.format.cohen import PUBLISHED, Given, PublishedProtocol, published_protocol
from rszoo.logs.format.lines import Record, parse_line
from rszoo.logs.format.tasks import AnyProtocol, AttackProtocol, CertifyProtocol, PredictProtocol


@dataclass(frozen=True)
class Setting:
    """What a radius is computed with, beside the votes.

    Attributes:
        sigma: standard deviation of the noise, in pixel units.
        n: number of samples.
        alpha: failure probability of each line.
        bound: the radius rule, a key of `rszoo.logs.analysis.RULES`.
        loss: of grid noise; see `Protocol`.
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
class Log:
    """A log: its protocol, and its lines in the order of the file.

    `mark` follows its title where that alone does not tell it from the logs beside it.
    """

    path: Path
    protocol: AnyProtocol | PublishedProtocol
    records: Sequence[Record]
    mark: str = field(default="", kw_only=True)

    @property
    def title(self) -> str:
        """What tables and plots call it."""
        return f"{self.protocol.title} ({self.mark})" if self.mark else self.protocol.title

    @property
    def certifies(self) -> bool:
        """Whether it holds certified radii, as logs of CERTIFY do."""
        return "radius" in self.protocol.columns

    @property
    def tested_radii(self) -> tuple[float, ...] | None:
        """The radii that a sequential test was for; None if the radii are the largest possible.

        A test gives certified accuracies at its radii, but no average radius, and its votes say
        nothing about another n, alpha or bound.
        """
        return self.protocol.radii if isinstance(self.protocol, CertifyProtocol) else None

    @property
    def setting(self) -> Setting:
        """What the radii were computed with.

        Raises:
            ValueError: it is no log of CERTIFY, or too little is known about a published file.
        """
        protocol = self.protocol
        if not self.certifies or isinstance(protocol, PredictProtocol | AttackProtocol):
            raise ValueError(
                f"Expected a log of CERTIFY, got {self.path}, one of PREDICT or an attack; "
                "pass a log with radii."
            )
        sigma, n, alpha = protocol.sigma, protocol.n, protocol.alpha
        if sigma is None or n is None or alpha is None:
            known = {"sigma": sigma, "n": n, "alpha": alpha}
            missing = ", ".join(name for name, value in known.items() if value is None)
            raise ValueError(
                f"Expected to know {missing} of {self.path}, "
                "got a published file, which does not say; "
                "pass what its paper states, such as --given n=100000,alpha=0.001,sigma=0.25."
            )
        return Setting(sigma, n, alpha, protocol.bound, protocol.loss)


def read_log(path: str | Path, given: Given | None = None) -> Log:
    """Read a log of this package, or one that Cohen et al. published.

    Args:
        path: the file; a half-written last line is left out.
        given: what the user says about a published file; unused for a log of this package.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is no log, or has a damaged line; the error names the line.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(
            f"Expected a log, got {str(path)!r}, which is no file; pass a file such as certify.tsv."
        )
    return parse_log(path, path.read_bytes(), given)


def parse_log(path: Path, content: bytes, given: Given | None = None) -> Log:
    """The log with these bytes; see `read_log`."""
    try:
        lines = list(enumerate(content.decode().splitlines(), 1))
    except UnicodeDecodeError as error:
        raise ValueError(
            f"Expected a log in {path}, got bytes that are no text ({error}); copy the file again."
        ) from error
    protocol = None
    if content.startswith(b"#"):
        protocol = _protocol(path, lines.pop(0)[1])
        if not content.endswith(b"\n"):  # being written, or cut off; a published file may end so
            lines = lines[:-1]
    columns = tuple(lines.pop(0)[1].split("\t")) if lines else ()
    known = {protocol.columns} if protocol else PUBLISHED
    if columns not in known:
        raise ValueError(
            f"Expected the columns {' '.join(sorted(known)[-1])} in {path}, "
            f"got {' '.join(columns)[:80] or 'none'}; "
            "pass a log of 'rszoo evaluate' or 'rszoo attack', or one that Cohen et al. published."
        )
    records = [parse_line(path, number, columns, text) for number, text in lines if text]
    return Log(path, protocol or published_protocol(path, columns, given), records)


def _protocol(path: Path, line: str) -> AnyProtocol:
    try:
        protocol: AnyProtocol = msgspec.json.decode(line.removeprefix("#"), type=AnyProtocol)
        return protocol
    except (msgspec.DecodeError, ValueError) as error:
        if not line.removeprefix("#").lstrip().startswith("{"):
            raise ValueError(
                f"Expected a log of rszoo, got {path}, whose first line is no protocol; "
                "pass a log of 'rszoo evaluate' or 'rszoo attack'."
            ) from error
        raise ValueError(
            f"Expected a protocol in line 1 of {path}, got this fault: {error}; restore the line."
        ) from error
