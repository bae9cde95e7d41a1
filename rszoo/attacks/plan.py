"""An attack by name, with the numbers that papers state."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal

from torch import Tensor

from rszoo.attacks.ascent import Ascent
from rszoo.attacks.base import Attack
from rszoo.attacks.ddn import DDN
from rszoo.attacks.objective import naive
from rszoo.attacks.pgd import PGD
from rszoo.attacks.restarted import Restarted
from rszoo.attacks.stein import Stein
from rszoo.attacks.targeted import Targeted

AttackName = Literal["smoothadv-pgd", "smoothadv-ddn", "stein", "naive", "pgd"]

MAKERS: dict[AttackName, Callable[..., Ascent | DDN]] = {
    "smoothadv-pgd": PGD,
    "smoothadv-ddn": DDN,
    "stein": Stein,
    "naive": partial(PGD, objective=naive),
    "pgd": PGD,
}
LEAST_NOISE = {"pgd": 0, "stein": 2}


@dataclass(frozen=True)
class Plan:
    """An attack at a distance yet to be chosen.

    Attributes:
        attack: "smoothadv-pgd" or "smoothadv-ddn" (Salman et al. 2019), "stein" (the same, without
            gradients), "naive" (Cohen et al. 2019, appendix J.3, except for its step size), or
            "pgd", which attacks the base classifier without noise. DDN stops at the smallest
            adversarial change, where votes are close, so PREDICT often abstains there.
        steps: T.
        num_noise: m, noise vectors per step; 0 for "pgd", which has none.
        random_start: start at random in the ball.
        restarts: number of runs, of which the best counts.
        targeted: move to the runner-up class, rather than away from the label.
        box: keep the images in [0, 1].
        redraw: draw new noise at each step.

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
        if self.attack not in MAKERS:
            raise ValueError(f"Unknown attack {self.attack!r}; use one of {', '.join(MAKERS)}.")
        if self.steps < 1 or self.restarts < 1:
            raise ValueError(
                f"Expected steps >= 1 and restarts >= 1, got {self.steps} and {self.restarts}; "
                "pass more."
            )
        if self.attack == "pgd" and (self.num_noise or self.redraw):
            raise ValueError(
                f"Expected num_noise=0 and no redraw for pgd, got {self.num_noise}; "
                "it attacks without noise."
            )
        least = LEAST_NOISE.get(self.attack, 1)
        if self.num_noise < least:
            raise ValueError(
                f"Expected num_noise >= {least} for {self.attack}, got {self.num_noise}; "
                "pass more vectors."
            )
        options = {
            "random_start": self.random_start,
            "restarts": self.restarts > 1,
            "box=False": not self.box,
        }
        wrong = [name for name, used in options.items() if used]
        if MAKERS[self.attack] is DDN and wrong:
            raise ValueError(
                f"Expected no {wrong[0]} for {self.attack}, got one; "
                "it starts at the image and stays in the box."
            )

    @property
    def vectors(self) -> int:
        """Noise vectors per image, over all steps."""
        return self.num_noise * (self.steps if self.redraw else 1)

    @property
    def passes(self) -> int:
        """About how many noisy images pass through the network per image.

        Each passes forward, and backward too for all attacks but "stein".
        """
        return max(1, self.num_noise) * self.steps * self.restarts

    def at(self, eps: float | Tensor, *, seed: int, max_batch: int | None = None) -> Attack:
        """The attack at distance eps.

        Args:
            eps: a number, or one per image, (B, 1, 1, 1), in pixel units.
            seed: of random starts.
            max_batch: images per pass; see `Iterative`.
        """
        attack: Ascent | DDN | Restarted = MAKERS[self.attack](
            eps, self.steps, targeted=self.targeted, redraw=self.redraw, max_batch=max_batch
        )
        if isinstance(attack, Ascent):
            attack = replace(attack, random_start=seed if self.random_start else None, box=self.box)
            if self.restarts > 1:
                attack = Restarted(attack, self.restarts, seed)
        return Targeted(attack) if self.targeted else attack
