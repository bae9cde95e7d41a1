"""Certificates put to the test: attacks within their radii, which must fail, and beyond, which show how tight they are.

Source: Cohen et al. 2019, section 4, "Empirical tightness of bound": within 1.5 and 2 times the radius.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from rszoo.attacks import Plan
from rszoo.attacks.attacker import Attacked, Attacker, Target, attack
from rszoo.bounds import surprise
from rszoo.data.datasets import open_images
from rszoo.evaluation.protocols import check_decides
from rszoo.logs.analysis import results
from rszoo.logs.format import CertifyProtocol, Record, read_log
from rszoo.smoothing.certificate import ABSTAIN
from rszoo.zoo.loading import OpenEntry, open_entry

INSIDE = 1 - 1e-6  # a certificate holds below its radius
LEVEL = 0.001  # contradictions less probable than this are none that chance explains
COHEN = (0.9, 1.0, 1.5, 2.0)


@dataclass(frozen=True)
class Tightness:
    """What attacks at one factor of the radius did.

    Attributes:
        factor: distance of the attacks, over the radius; at 1 or less they are within it.
        attacked: how many certificates were.
        succeeded: how often PREDICT returned another class than the certified one; the keys of these images.
        abstained: how often it returned none.
        probability: of as many successes, or more, if certificates and predictions hold at their levels, at most; None
            beyond the radius, where successes contradict nothing.
    """

    factor: float
    attacked: int
    succeeded: Sequence[str]
    abstained: int
    probability: float | None

    @property
    def refutes(self) -> bool:
        """Whether chance does not explain the contradictions: not all certificates hold at their level."""
        return self.probability is not None and self.probability < LEVEL


def put_to_the_test(
    attacker: Attacker,
    certificates: Iterable[Target],
    *,
    factors: Sequence[float],
    n: int,
    alpha: float,
    batch_size: int | None = None,
) -> Iterator[list[Attacked]]:
    """Attack each certificate, a target with the certified class as label and its radius as only distance.

    Yields:
        For each certificate what was found at each factor of the radius; just below it at factor 1.
    """
    scaled = (
        Target(
            each.key,
            each.x,
            each.label,
            [factor * each.eps[0] * (INSIDE if factor <= 1 else 1.0) for factor in factors],
        )
        for each in certificates
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
    """The results by factor.

    Args:
        certified: the certified classes, by key.
        returned: what PREDICT returned at each factor; one a certificate, in the same order.
        factors: those of the test.
        images: those that CERTIFY was run on, abstentions included: each may have made a false certificate.
        alpha: failure probability of a certificate and a prediction together.
    """
    rows = []
    for place, factor in enumerate(factors):
        labels = [each[place] for each in returned]
        changed = [
            key
            for (key, label), found in zip(certified.items(), labels, strict=True)
            if found not in (label, ABSTAIN)
        ]
        probability = surprise(len(changed), images, alpha=alpha) if factor <= 1 else None
        rows.append(Tightness(factor, len(labels), changed, labels.count(ABSTAIN), probability))
    return rows


class CertificateAttack:
    """The certificates in a log of CERTIFY under attack: iterating does it and yields the results of one after the other.

    Args:
        name: the entry that the log is of.
        log: a log of this package; abstentions are left out.
        plan: the attack, on the certified class.
        factors: ascending distances of the attacks, over the radius.
        n, alpha: samples and failure probability of PREDICT; the certificates' alpha if absent.
        start, stop, stride: only these of the log's images.
        seed: of attack and PREDICT.
        device: where it attacks and votes.
        batch_size: samples a forward pass of PREDICT.
        attack_batch: noisy images that are attacked together.

    Raises:
        ValueError: an argument is out of range, or the log is of something else or certifies nothing.
        FileNotFoundError: the log or the data set is not there.
    """

    def __init__(
        self,
        name: str,
        log: Path,
        *,
        plan: Plan | None = None,
        factors: Sequence[float] = COHEN,
        n: int = 1000,
        alpha: float | None = None,
        start: int = 0,
        stop: int | None = None,
        stride: int = 1,
        seed: int = 0,
        device: str | torch.device = "cpu",
        batch_size: int | None = None,
        attack_batch: int | None = None,
    ) -> None:
        if (
            not factors
            or not all(0 < each < float("inf") for each in factors)
            or list(factors) != sorted(set(factors))
        ):
            raise ValueError(
                f"Expected ascending factors > 0, got {list(factors)}; pass for instance 0.9,1.0,1.5,2.0."
            )
        read = read_log(log)
        protocol = read.protocol
        if not isinstance(protocol, CertifyProtocol):
            raise ValueError(
                f"Expected a log of CERTIFY with its protocol, got {log}; make one with 'rszoo evaluate'."
            )
        results(read)  # refuses images that are there twice, and radii that are none
        chosen = [
            each for each in read.records if each.idx in range(start, stop or protocol.stop, stride)
        ]
        certified = [each for each in chosen if each.radius]
        if not certified:
            raise ValueError(
                f"Expected certificates in {log}, got none among {len(chosen)} images; choose other images."
            )
        self.protocol, self.factors, self.n, self.images = protocol, tuple(factors), n, len(chosen)
        self.alpha = protocol.alpha if alpha is None else alpha
        check_decides(n, self.alpha)
        entry = open_entry(name, device=device, sigma=protocol.sigma, precision=protocol.precision)
        _check_same(entry, protocol, log)
        entry.classifier.setting(self.alpha, seed).level(n)
        self.attacker = Attacker(entry.classifier, plan or Plan(), seed=seed, batch=attack_batch)
        self.certified, self.batch_size = certified, batch_size
        self.data = open_images(protocol.dataset, protocol.split)
        self._returned: list[list[int]] = []

    def __len__(self) -> int:
        return len(self.certified)

    def __iter__(self) -> Iterator[list[Attacked]]:
        self._returned = []
        for found in put_to_the_test(
            self.attacker,
            map(self._target, self.certified),
            factors=self.factors,
            n=self.n,
            alpha=self.alpha,
            batch_size=self.batch_size,
        ):
            self._returned.append([each.prediction.label for each in found])
            yield found

    def report(self) -> list[Tightness]:
        """What all attacks did, once iterated over."""
        certified = {str(each.idx): each.predict for each in self.certified}
        alpha = self.alpha + self.protocol.alpha
        return tally(
            certified, self._returned, factors=self.factors, images=self.images, alpha=alpha
        )

    def _target(self, record: Record) -> Target:
        return Target(
            str(record.idx),
            self.data.pixels(record.idx).float().div(255),
            record.predict,
            [record.radius or 0.0],
        )


def _check_same(entry: OpenEntry, protocol: CertifyProtocol, log: Path) -> None:
    if (
        entry.config.weights_sha256 != protocol.weights_sha256
        or entry.classifier.noise != protocol.noise
    ):
        raise ValueError(
            f"Expected a log of {entry.config.name}, got {log}, one of other weights or noise; pass its entry."
        )


def _batched(targets: Iterable[Target], size: int) -> Iterator[list[Target]]:
    batch: list[Target] = []
    for target in targets:
        batch.append(target)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch
