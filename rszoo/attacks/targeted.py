"""Attacks that move an image to the strongest rival of its label."""

from dataclasses import dataclass

from torch import Tensor, nn

from rszoo.attacks.ascent import Ascent
from rszoo.attacks.base import frozen
from rszoo.attacks.ddn import DDN
from rszoo.attacks.gradient import logits_under
from rszoo.attacks.objective import log_mean_softmax, runner_up
from rszoo.attacks.restarted import Restarted


@dataclass(frozen=True)
class Targeted:
    """Move each image to its runner-up class c* = argmax_{c != y} p(x)_c.

    p is the soft smoothed classifier; all of the noise estimates c* at x.

    Attributes:
        attack: what moves it, with targeted=True; called directly, it takes the classes to move to.
    """

    attack: Ascent | DDN | Restarted

    def __post_init__(self) -> None:
        if not self.attack.targeted:
            raise ValueError(
                f"Expected an attack with targeted=True, got {self.attack}; set it: without, the "
                "attack moves away from c*."
            )

    def __call__(self, model: nn.Module, x: Tensor, y: Tensor, noise: Tensor) -> Tensor:
        """Adversarial images as of the attack, y the labels; see `Attack`."""
        with frozen(model):
            logits = logits_under(model, x, noise, max_batch=self.attack.max_batch)
        return self.attack(model, x, runner_up(log_mean_softmax(logits), y), noise)
