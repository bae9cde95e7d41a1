"""The protocols of the tasks: CERTIFY with hard or soft votes, PREDICT, and an attack."""

from collections.abc import Sequence
from typing import Annotated, Literal

from msgspec import Meta

from rszoo.errors import ascending
from rszoo.logs.format.lines import RADIUS_DIGITS, logged_radius
from rszoo.logs.format.protocol import EVIDENCE, RESULT, Count, Index, NonNegative, Protocol

Power = Annotated[float, Meta(ge=0, lt=1)]

SOFT_EVIDENCE = ("selected", "mean", "lower", "upper", "n")


class CertifyProtocol(Protocol, frozen=True, tag="certify"):
    """CERTIFY: n0 samples select a class, at most n fresh ones bound its probability.

    Attributes:
        n0, n: samples per image, at most.
        bound: a key of `rszoo.bounds.BOUNDS`, where neither radii nor a tolerance are given.
        radii: test only these, in pixel units, one after the other, and stop when they are settled.
        tolerance: let the n0 samples choose n, to lose about that much radius, in pixel units.
        correct_only: skip images whose true class was not selected: for certified accuracy alone.
        power: give up a radius that all n samples would certify with less than this probability;
            see `RadiusTest`. Absent in older logs, which gave none up.
    """

    n0: Count
    n: Count
    bound: str
    radii: tuple[NonNegative, ...] | None = None
    tolerance: NonNegative | None = None
    correct_only: bool = False
    power: Power = 0.0

    def __post_init__(self) -> None:
        """Refuse a protocol that no evaluation can follow."""
        super().__post_init__()
        if self.radii is None:
            if self.power:
                raise ValueError(
                    f"a power of 0 is needed where no radii are given up, not {self.power:g}"
                )
            return
        if self.bound != "cohen" or self.tolerance is not None:
            raise ValueError(
                "radii have a rule of their own, "
                f"so bound {self.bound} with tolerance {self.tolerance} cannot be"
            )
        if not ascending([logged_radius(radius) for radius in self.radii]):
            raise ValueError(
                f"radii that ascend by their first {RADIUS_DIGITS} decimals are needed, "
                f"not {list(self.radii)}"
            )

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of the columns; `path` holds the votes for `selected` at each look."""
        path = () if self.radii is None else ("path",)
        return (*RESULT, *EVIDENCE, *path)

    @property
    def samples_per_image(self) -> int:
        """The most samples drawn per image."""
        return self.n0 + self.n

    @property
    def adaptive(self) -> bool:
        """Whether some images may need fewer samples."""
        return self.radii is not None or self.tolerance is not None or self.correct_only


class SoftProtocol(Protocol, frozen=True, tag="certify-soft"):
    """CERTIFY with soft votes: another classifier, the argmax of the mean softmax under noise.

    Attributes:
        n0, n: samples per image.
        bound: a key of `rszoo.bounds.SOFT_BOUNDS`.
        votes: says that radii of this log do not belong beside those of majority votes.
    """

    n0: Count
    n: Count
    bound: str
    votes: Literal["soft"] = "soft"

    @property
    def title(self) -> str:
        """The entry, sigma where it is not the trained one, and that the votes are soft."""
        return f"{super().title} (soft)"

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of the columns; mean and lower are of `selected`, upper of every other."""
        return (*RESULT, *SOFT_EVIDENCE)

    @property
    def samples_per_image(self) -> int:
        """The number of samples per image."""
        return self.n0 + self.n


class PredictProtocol(Protocol, frozen=True, tag="predict"):
    """PREDICT at several numbers of samples, all from one stream of votes: one line for each."""

    n: tuple[Count, ...]

    @property
    def lines_per_image(self) -> int:
        """The number of lines per image."""
        return len(self.n)

    @property
    def samples_per_image(self) -> int:
        """The number of samples per image."""
        return max(self.n)


class AttackProtocol(Protocol, frozen=True, tag="attack"):
    """An attack at several distances; PREDICT judges each adversarial image on fresh noise.

    There is one line per distance; the first is the image itself, at distance 0.

    Attributes:
        n: samples of PREDICT, for each line.
        eps: ascending l2 distances in pixel units, without the 0.
        attack, steps, num_noise, random_start, restarts, targeted, box, redraw: as in
            `rszoo.attacks.Plan`.
        attack_batch: noisy images that are attacked together; rounding depends on it.
    """

    n: Count
    eps: Annotated[tuple[Annotated[float, Meta(gt=0)], ...], Meta(min_length=1)]
    attack: str
    steps: Count
    num_noise: Index
    random_start: bool
    restarts: Count
    targeted: bool
    box: bool
    redraw: bool
    attack_batch: Count

    @property
    def distances(self) -> tuple[float, ...]:
        """The distances of the lines of an image."""
        return (0.0, *self.eps)

    @property
    def batches(self) -> Sequence[Sequence[int]]:
        """The images that are attacked together.

        Shards hold whole batches, so that a sharded evaluation rounds like one in one piece.
        """
        images = self.all_images
        size = max(1, self.attack_batch // (max(1, self.num_noise) * len(self.eps)))
        batches = [images[first : first + size] for first in range(0, len(images), size)]
        return batches if self.shard is None else batches[self.shard[0] - 1 :: self.shard[1]]

    @property
    def indices(self) -> Sequence[int]:
        """The images of the log, in its order."""
        return [idx for batch in self.batches for idx in batch]

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of the columns."""
        return (*super().columns, "eps", "l2")

    @property
    def lines_per_image(self) -> int:
        """The number of lines per image."""
        return len(self.distances)

    @property
    def samples_per_image(self) -> int:
        """The samples of PREDICT per image; those of the attack come on top."""
        return self.n * len(self.distances)

    @property
    def description(self) -> str:
        """The attack, and those of its options that are not the usual ones."""
        options = {
            "targeted": self.targeted,
            "random start": self.random_start,
            f"{self.restarts} restarts": self.restarts > 1,
            "no box": not self.box,
            "redraw": self.redraw,
        }
        return ", ".join([self.attack, *(name for name, used in options.items() if used)])


AnyProtocol = CertifyProtocol | SoftProtocol | PredictProtocol | AttackProtocol
