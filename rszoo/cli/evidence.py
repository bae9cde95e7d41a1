"""What the logs beside an entry say at once: accuracies, times, and where they were measured."""

from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

from rszoo.logs.format import CertifyProtocol, Log, logged_radius
from rszoo.zoo.config import FIXED_LOG, GRID_LOG, EntryConfig
from rszoo.zoo.evidence import read_certificates


@dataclass(frozen=True)
class Evidence:
    """A log of an entry.

    Attributes:
        log, protocol: the log, with at least one line.
    """

    log: Log
    protocol: CertifyProtocol

    @property
    def samples(self) -> float:
        """Mean number of samples per image, with those that select the class."""
        return self.protocol.n0 + fmean(record.n for record in self.log.records)

    @property
    def seconds(self) -> float:
        """Mean time per image."""
        return fmean(record.seconds for record in self.log.records)

    def accuracies(self) -> dict[float, float]:
        """Certified accuracy at each radius of a sequential test."""
        right = [record.radius or 0.0 for record in self.log.records if record.correct]
        return {
            radius: sum(each >= logged_radius(radius) for each in right) / len(self.log.records)
            for radius in self.protocol.radii or ()
        }


def read_evidence(folder: Path, config: EntryConfig) -> list[Evidence]:
    """The log with a fixed n, then that of given radii, as far as the folder has them.

    Raises:
        ValueError: a log is of other weights, another setting or another kind.
    """
    pairs = [read_certificates(folder / name, config) for name in (FIXED_LOG, GRID_LOG)]
    return [Evidence(*pair) for pair in pairs if pair is not None and pair[0].records]
