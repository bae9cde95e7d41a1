"""Training: a recipe in, a run folder out."""

from rszoo.training.loop import train
from rszoo.training.run import Run, start
from rszoo.training.step import Estimate, estimate
from rszoo.training.votes import noisy_accuracy

__all__ = ["Estimate", "Run", "estimate", "noisy_accuracy", "start", "train"]
