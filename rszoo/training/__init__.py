"""Training: a recipe in, a run folder out."""

from rszoo.training.loop import train
from rszoo.training.run import Run, noisy_accuracy, start
from rszoo.training.step import Estimate, estimate

__all__ = ["Estimate", "Run", "estimate", "noisy_accuracy", "start", "train"]
