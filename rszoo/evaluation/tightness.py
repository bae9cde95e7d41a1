"""Challenges: attacks on certificates. Within a radius they must fail; beyond, they show its slack.

Source: Cohen et al. 2019, section 4, "Empirical tightness of bound": attacks within 1.5 and 2 times
the radius.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import torch

from rszoo.attacks.attacker import Attacked, Attacker, Target, attack
from rszoo.bounds import surprise
from rszoo.data.datasets import open_images
from rszoo.errors import ascending
from rszoo.evaluation.options import CHALLENGE, ChallengeOptions
from rszoo.evaluation.protocols import check_decides, check_same_data
from rszoo.logs.analysis import results
from rszoo.logs.format import CertifyProtocol, Record, read_log
from rszoo.smoothing.certificate import ABSTAIN
from rszoo.zoo.loading import OpenEntry, open_entry

INSIDE = 1 - 1e-6  # a certificate holds below its radius
LEVEL = 0.001  # chance does not explain contradictions that are less probable


@dataclass(frozen=True)
class Tightness:
    """What attacks at one multiple of the radius achieved.

    Attributes:
        factor: distance of the attacks over the radius; at 1 or less they are within it.
        attacked: number of certificates.
        succeeded: keys of the images for which PREDICT returned another class than the certified.
        abstained: number of images on which PREDICT abstained.
        probability: upper bound on that of as many successes or more, if certificates and
            predictions hold at their levels; None beyond the radius, where successes contradict
            nothing.
    """

    factor: float
    attacked: int
    succeeded: Sequence[str]
    abstained: int
    probability: float | None

    @property
    def refutes(self) -> bool:
        """Whether chance does not explain the successes: some certificates miss their level."""
        return self.probability is not None and self.probability < LEVEL


def challenge(
    attacker: Attacker,
    certificates: Iterable[Target],
    *,
    factors: Sequence[float],
    n: int,
    alpha: float,
    batch_size: int | None = None,
) -> Iterator[list[Attacked]]:
    """Attack certificates: targets with the certified class as label and the radius as distance.

    Args:
        attacker, n, alpha, batch_size: as for `attack`.
        certificates: taken as needed.
        factors: multiples of the radius; at 1 the attack stays just below it.

    Yields:
        For each certificate the results at each factor.
    """
    inside = [factor * (INSIDE if factor <= 1 else 1.0) for factor in factors]
    scaled = (
        Target(target.key, target.x, target.label, [factor * target.eps[0] for factor in inside])
        for target in certificates
    )
    size = max(1, attacker.batch // (max(1, attacker.plan.num_noise) * len(factors)))
    return attack(attacker, _batched(scaled, size), n=n, alpha=alpha, batch_size=batch_size)


def tally(
    certified: Mapping[str, int],
    returned: Sequence[Sequence[int]],
    *,
    factors: Sequence[float],
    images: int,
    alpha: float,
) -> list[Tightness]:
    """The results per factor.

    Args:
        certified: certified classes, by key.
        returned: what PREDICT returned at each factor, per certificate, in the same order.
        factors: those of the attacks.
        images: number of images that CERTIFY ran on, abstentions included: each may have given a
            false certificate.
        alpha: failure probability of a certificate and a prediction together.
    """
    rows = []
    for place, factor in enumerate(factors):
        labels = [line[place] for line in returned]
        changed = [
            key
            for (key, label), other in zip(certified.items(), labels, strict=True)
            if other not in (label, ABSTAIN)
        ]
        probability = surprise(len(changed), images, alpha=alpha) if factor <= 1 else None
        rows.append(Tightness(factor, len(labels), changed, labels.count(ABSTAIN), probability))
    return rows


class Challenge:
    """Attacks on the certificates in a log: iterating runs them, one certificate at a time.

    Args:
        log: a log of CERTIFY made by this package; its abstentions are left out.
        options: attack, distances and judge.
        name: the entry that the log is of, as for `rszoo.load`; by default the one the log names.
        device: where to attack and vote.
        batch_size: samples per forward pass of PREDICT.

    Raises:
        ValueError: an option is out of range, or the log is of another entry or has no certificate.
        FileNotFoundError: the log or the data set is not there.
    """

    def __init__(
        self,
        log: Path,
        options: ChallengeOptions = CHALLENGE,
        *,
        name: str | None = None,
        device: str | torch.device = "cpu",
        batch_size: int | None = None,
    ) -> None:
        if not ascending(options.factors, positive=True):
            raise ValueError(
                f"Expected ascending factors > 0, got {list(options.factors)}; "
                "pass for instance 0.9,1.0,1.5,2.0."
            )
        self.options, self.batch_size = options, batch_size
        self.protocol, self.chosen = _chosen(log, options)
        self.certified = [record for record in self.chosen if record.radius]
        if not self.certified:
            raise ValueError(
                f"Expected certificates in {log}, got none among {len(self.chosen)} images; "
                "choose other images."
            )
        self.alpha = self.protocol.alpha if options.alpha is None else options.alpha
        check_decides(options.n, self.alpha)
        entry = open_entry(
            name or self.protocol.name,
            device=device,
            sigma=self.protocol.sigma,
            precision=self.protocol.precision,
        )
        _check_same(entry, self.protocol, log)
        entry.classifier.setting(self.alpha, options.seed).level(options.n)
        self.attacker = Attacker(
            entry.classifier, options.plan, seed=options.seed, batch=options.attack_batch
        )
        self.data = open_images(self.protocol.dataset, self.protocol.split)
        check_same_data(self.protocol, self.data)

    def __len__(self) -> int:
        return len(self.certified)

    def __iter__(self) -> Iterator[list[Attacked]]:
        return challenge(
            self.attacker,
            map(self._target, self.certified),
            factors=self.options.factors,
            n=self.options.n,
            alpha=self.alpha,
            batch_size=self.batch_size,
        )

    def report(self, returned: Sequence[Sequence[int]]) -> list[Tightness]:
        """The results per factor, from what PREDICT returned for each certificate and factor."""
        return tally(
            {str(record.idx): record.predict for record in self.certified},
            returned,
            factors=self.options.factors,
            images=len(self.chosen),
            alpha=self.alpha + self.protocol.alpha,
        )

    def _target(self, record: Record) -> Target:
        x = self.data.pixels(record.idx).float().div(255)
        return Target(str(record.idx), x, record.predict, [record.radius or 0.0])


def _chosen(path: Path, options: ChallengeOptions) -> tuple[CertifyProtocol, list[Record]]:
    """The protocol of a log, and those of its lines that the options choose."""
    log = read_log(path)
    if not isinstance(log.protocol, CertifyProtocol):
        raise ValueError(
            f"Expected a log of CERTIFY with its protocol, got {path}; "
            "make one with 'rszoo evaluate'."
        )
    results(log)  # refuses repeated images and impossible radii
    indices = range(options.start, options.stop or log.protocol.stop, options.stride)
    return log.protocol, [record for record in log.records if record.idx in indices]


def _check_same(entry: OpenEntry, protocol: CertifyProtocol, log: Path) -> None:
    same = (protocol.weights_sha256, protocol.noise)
    if (entry.config.weights_sha256, entry.classifier.noise) != same:
        raise ValueError(
            f"Expected a log of {entry.config.name}, got {log}, one of other weights or noise; "
            "pass its entry."
        )


def _batched(targets: Iterable[Target], size: int) -> Iterator[list[Target]]:
    remaining = iter(targets)
    while batch := list(islice(remaining, size)):
        yield batch
