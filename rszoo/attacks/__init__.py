"""Attacks on smoothed classifiers by name: the same objects train a classifier and attack a finished one."""

from rszoo.attacks.base import Attack, frozen
from rszoo.attacks.ddn import DDN
from rszoo.attacks.objective import AdreObjective, log_mean_softmax, naive, noisy_logits, smoothadv
from rszoo.attacks.pgd import PGD

ATTACKS: dict[str, type[Attack]] = {"pgd": PGD, "ddn": DDN}

__all__ = [
    "ATTACKS",
    "DDN",
    "PGD",
    "AdreObjective",
    "Attack",
    "frozen",
    "log_mean_softmax",
    "naive",
    "noisy_logits",
    "smoothadv",
]
