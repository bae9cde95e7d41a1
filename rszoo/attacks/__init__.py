"""Attacks on smoothed classifiers, for training them and for testing finished ones."""

from rszoo.attacks.ascent import Ascent
from rszoo.attacks.base import Attack, frozen
from rszoo.attacks.ddn import DDN
from rszoo.attacks.objective import AdreObjective, log_mean_softmax, naive, noisy_logits, smoothadv
from rszoo.attacks.pgd import PGD
from rszoo.attacks.plan import AttackName, Plan
from rszoo.attacks.restarted import Restarted
from rszoo.attacks.stein import Stein, stein_gradient
from rszoo.attacks.targeted import Targeted

ATTACKS: dict[str, type[Attack]] = {"pgd": PGD, "ddn": DDN, "stein": Stein}

__all__ = [
    "ATTACKS",
    "DDN",
    "PGD",
    "AdreObjective",
    "Ascent",
    "Attack",
    "AttackName",
    "Plan",
    "Restarted",
    "Stein",
    "Targeted",
    "frozen",
    "log_mean_softmax",
    "naive",
    "noisy_logits",
    "smoothadv",
    "stein_gradient",
]
