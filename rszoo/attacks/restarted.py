"""Restarts: the best of several runs of an attack."""

from dataclasses import dataclass, replace

from torch import Tensor, nn

from rszoo.attacks.ascent import Ascent, keep
from rszoo.smoothing.noise import step_seed


@dataclass(frozen=True)
class Restarted:
    """The best iterate of several runs: the first is `attack` itself, the rest start at random.

    By the attack's own estimates, never worse than a single run.

    Attributes:
        attack: what is run, each time with `best`.
        restarts: number of runs, the first included.
        seed: of the random starts.
    """

    attack: Ascent
    restarts: int
    seed: int = 0

    def __post_init__(self) -> None:
        if self.restarts < 1:
            raise ValueError(
                f"Expected restarts >= 1, got {self.restarts}; it counts the first run."
            )

    @property
    def targeted(self) -> bool:
        """Whether y are classes to move to."""
        return self.attack.targeted

    @property
    def max_batch(self) -> int | None:
        """Images per pass through the network; see `Iterative`."""
        return self.attack.max_batch

    def __call__(self, model: nn.Module, x: Tensor, y: Tensor, noise: Tensor) -> Tensor:
        """Adversarial images within the ball of the attack; see `Attack`."""
        first = replace(self.attack, best=True)
        kept, lowest = first.search(model, x, y, noise)
        for run in range(1, self.restarts):
            again = replace(first, random_start=step_seed(self.seed, "restart", run))
            kept, lowest = keep(kept, lowest, *again.search(model, x, y, noise))
        return kept
