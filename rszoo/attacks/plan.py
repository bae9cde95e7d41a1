"""An attack by name, with the numbers that papers state: what the command line and logs say of it."""

from dataclasses import dataclass
from typing import Literal, get_args

from torch import Tensor

from rszoo.attacks.ascent import Ascent
from rszoo.attacks.base import Attack
from rszoo.attacks.ddn import DDN
from rszoo.attacks.objective import naive, smoothadv
from rszoo.attacks.pgd import PGD
from rszoo.attacks.restarted import Restarted
from rszoo.attacks.stein import Stein
from rszoo.attacks.targeted import Targeted

AttackName = Literal["smoothadv-pgd", "smoothadv-ddn", "stein", "naive", "pgd"]
ASCENTS = ("smoothadv-pgd", "stein", "naive", "pgd")


@dataclass(frozen=True)
class Plan:
    """An attack but for its eps.

    Attributes:
        attack: "smoothadv-pgd" or "smoothadv-ddn" (Salman et al. 2019), "stein" (the same, without gradients), "naive" (Cohen
            et al. 2019, appendix J.3, but for its step size) or "pgd", which attacks the base classifier without noise. DDN
            stops at the smallest change that it finds, where votes are close, so that PREDICT often abstains there.
        steps: T.
        num_noise: m, noise vectors of a step; 0 for "pgd", which has none.
        random_start: whether it starts at random in the ball.
        restarts: runs of which the best is taken.
        targeted: whether it moves to the runner-up class, rather than away from the label.
        box: whether the images stay in [0, 1].
        redraw: whether every step has its own noise.

    Raises:
        ValueError: a number is out of range, or the attack has no such option.
    """

    attack: AttackName = "smoothadv-pgd"
    steps: int = 20
    num_noise: int = 16
    random_start: bool = False
    restarts: int = 1
    targeted: bool = False
    box: bool = True
    redraw: bool = False

    def __post_init__(self) -> None:
        if self.attack not in get_args(AttackName):
            raise ValueError(
                f"Unknown attack {self.attack!r}; use one of {', '.join(get_args(AttackName))}."
            )
        if self.steps < 1 or self.restarts < 1:
            raise ValueError(
                f"Expected steps >= 1 and restarts >= 1, got {self.steps} and {self.restarts}; pass more."
            )
        self._check_noise()
        options = {
            "random_start": self.random_start,
            "restarts": self.restarts > 1,
            "box=False": not self.box,
        }
        if self.attack not in ASCENTS and (
            given := [name for name, value in options.items() if value]
        ):
            raise ValueError(
                f"Expected no {given[0]} for {self.attack}, got one; it starts at the image and stays in the box."
            )

    @property
    def vectors(self) -> int:
        """The noise vectors that it needs for an image, over all its steps."""
        return self.num_noise * (self.steps if self.redraw else 1)

    @property
    def passes(self) -> int:
        """Noisy images that go through the network for an image, forward and for all but "stein" backward; about."""
        return max(1, self.num_noise) * self.steps * self.restarts

    def at(self, eps: float | Tensor, *, seed: int, max_batch: int | None = None) -> Attack:
        """The attack at distance eps, a number or one an image, (B, 1, 1, 1); the seed is that of random starts."""
        made: Ascent | DDN | Restarted
        made = (
            self._ascent(eps, seed, max_batch)
            if self.attack in ASCENTS
            else self._ddn(eps, max_batch)
        )
        if self.restarts > 1 and isinstance(made, Ascent):
            made = Restarted(made, self.restarts, seed)
        return Targeted(made) if self.targeted else made

    def _ascent(self, eps: float | Tensor, seed: int, max_batch: int | None) -> Ascent:
        start = seed if self.random_start else None
        if self.attack == "stein":
            return Stein(
                eps,
                self.steps,
                targeted=self.targeted,
                random_start=start,
                box=self.box,
                redraw=self.redraw,
                max_batch=max_batch,
            )
        return PGD(
            eps,
            self.steps,
            naive if self.attack == "naive" else smoothadv,
            targeted=self.targeted,
            random_start=start,
            box=self.box,
            redraw=self.redraw,
            max_batch=max_batch,
        )

    def _ddn(self, eps: float | Tensor, max_batch: int | None) -> DDN:
        return DDN(eps, self.steps, targeted=self.targeted, redraw=self.redraw, max_batch=max_batch)

    def _check_noise(self) -> None:
        if self.attack == "pgd" and (self.num_noise or self.redraw):
            raise ValueError(
                f"Expected num_noise=0 and no redraw for pgd, got {self.num_noise}; it attacks without noise."
            )
        least = {"pgd": 0, "stein": 2}.get(self.attack, 1)
        if self.num_noise < least:
            raise ValueError(
                f"Expected num_noise >= {least} for {self.attack}, got {self.num_noise}; pass more vectors."
            )
