"""The teacher of a run: an entry that the network learns from."""

import copy
from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from rszoo.data.datasets import Dataset
from rszoo.recipe import Recipe
from rszoo.training.methods import Method, Taught
from rszoo.zoo.config import EntryConfig


class Teacher:
    """A frozen network in evaluation mode, and its votes on each training image.

    Args:
        network: of the teacher, on the run's device; a copy, frozen, is kept.
        weights_sha256: of its weights.

    Attributes:
        votes: per image and class, int64 (N, classes); None until they are counted.
    """

    def __init__(self, network: nn.Module, weights_sha256: str) -> None:
        self.network = copy.deepcopy(network).eval().requires_grad_(False)
        self.weights_sha256 = weights_sha256
        self.votes: Tensor | None = None

    def prediction(self, chosen: Tensor) -> Tensor | None:
        """The shares of the votes on these images, (B, classes), if they are counted."""
        if self.votes is None:
            return None
        votes = self.votes[chosen].float()
        return votes / votes.sum(1, keepdim=True)

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint holds."""
        return {"weights_sha256": self.weights_sha256, "votes": self.votes}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on with the votes of a checkpoint.

        Raises:
            ValueError: they are those of another teacher.
        """
        if state["weights_sha256"] != self.weights_sha256:
            raise ValueError(
                f"Expected the teacher that the run began with, weights {state['weights_sha256']}, "
                f"got {self.weights_sha256}; pass the folder of the former."
            )
        self.votes = state["votes"]


def check_teacher(recipe: Recipe, method: Method) -> None:
    """Raise ValueError unless the recipe has the teacher that its method needs, and no other."""
    training, name = recipe.training, recipe.method_name
    learns_from = method.learns_from if isinstance(method, Taught) else None
    for key, value, needed in (
        ("teacher", training.teacher, learns_from is not None),
        ("teacher_votes", training.teacher_votes, learns_from == "votes"),
    ):
        if needed and value is None:
            raise ValueError(
                f"Expected {key} in [training] for the method {name}, got none; add it."
            )
        if not needed and value is not None:
            raise ValueError(
                f"Expected no {key} in [training] for the method {name}, which uses none, "
                f"got {value!r}; remove it."
            )


def check_fits(config: EntryConfig, dataset: Dataset) -> None:
    """Raise ValueError unless the entry classifies the images of the data set."""
    shape, classes = tuple(config.input_shape), len(config.classes)
    if shape != tuple(dataset.shape) or classes != dataset.num_classes:
        raise ValueError(
            f"Expected a teacher for {dataset.num_classes} classes of images {dataset.shape}, got "
            f"{config.name} for {classes} of {shape}; choose another."
        )
