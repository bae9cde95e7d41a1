"""Training: a recipe in, a run folder out."""

from rszoo.training.estimate import Estimate, estimate
from rszoo.training.loop import train
from rszoo.training.run import Run, noisy_accuracy, start

__all__ = ["Estimate", "Run", "estimate", "noisy_accuracy", "start", "train"]
