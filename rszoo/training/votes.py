"""What networks answer on noisy copies of whole splits: to monitor, teach, and weigh images."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn.functional import one_hot

from rszoo.data.datasets import Labelled, get_dataset
from rszoo.smoothing.isolation import isolated
from rszoo.smoothing.noise import gaussian_noise, step_generator
from rszoo.smoothing.precision import mixed_precision
from rszoo.training.distributed import add_up
from rszoo.training.methods import Weighing
from rszoo.training.run import Run


def noisy_accuracy(
    run: Run, chunks: Iterable[Labelled], *, network: nn.Module | None = None
) -> float:
    """Accuracy under one draw of N(0, sigma^2) noise per image, in [0, 1]; of the run's result."""
    network, sigma, correct, total = network or run.result, run.recipe.model.sigma, 0, 0
    generator = step_generator(run.recipe.training.seed, "noisy accuracy", 0, run.device)
    with _answering(run, network):
        for images, y in chunks:
            x = _pixels(run, images)
            labels = network(x + gaussian_noise(x, sigma, generator)).argmax(1).cpu()
            correct += int((labels == y).sum())
            total += len(y)
    return correct / total


def prepare_teacher(run: Run) -> None:
    """Count the teacher's votes on each training image, unless a checkpoint had them."""
    votes, teacher = run.recipe.training.teacher_votes, run.teacher
    if teacher is not None and votes is not None and teacher.votes is None:
        teacher.votes = class_votes(run, teacher.network, votes, "teacher")


def weigh(run: Run) -> None:
    """At the start of an epoch, measure the weights of the images if the method wants it.

    Raises:
        ValueError: no image has a weight above 0.
    """
    epoch, position = divmod(run.step, run.steps_per_epoch)
    if position or not isinstance(run.method, Weighing):
        return
    if not (count := run.method.measures(epoch)):
        return
    votes = class_votes(run, run.network, count, f"weights {epoch}")
    right = votes.gather(1, run.data.labels.unsqueeze(1)).squeeze(1).cpu().numpy()
    before = run.sampler.weights
    known = torch.ones(len(right), dtype=torch.float64) if before is None else before.cpu()
    weights = torch.from_numpy(run.method.weights(epoch, right, known.numpy()))
    if not weights.any():
        raise ValueError(
            f"Expected images to go on with at epoch {epoch} of {run.recipe.name}, got none whose "
            "label has enough votes; begin later (start), or lower the threshold."
        )
    run.sampler.reweigh(weights)


def class_votes(run: Run, network: nn.Module, votes: int, purpose: str) -> Tensor:
    """The votes of a network on noisy copies of each clean training image, by all processes.

    They depend on the recipe's seed and sigma and on the purpose alone, so they can be counted
    again.

    Args:
        run: its data, device, sigma and precision.
        network: in evaluation mode while it votes.
        votes: noisy copies per image.
        purpose: tells the noise of one measurement from that of others.

    Returns:
        Per image and class, int64 (N, classes), on the device.
    """
    recipe, classes = run.recipe, get_dataset(run.recipe.model.dataset).num_classes
    counts = torch.zeros(len(run.data.labels), classes, dtype=torch.int64, device=run.device)
    first = 0
    with _answering(run, network):
        for number, images in enumerate(run.data.clean()):
            rows = slice(first, first := first + len(images))
            if number % run.share.of != run.share.number:
                continue
            generator = step_generator(
                recipe.training.seed, f"votes of {purpose}", number, run.device
            )
            x = _pixels(run, images)
            labels = [
                network(x + gaussian_noise(x, recipe.model.sigma, generator)).argmax(1)
                for _ in range(votes)
            ]
            counts[rows] = one_hot(torch.stack(labels), classes).sum(0)
    add_up([counts])
    return counts


@contextmanager
def _answering(run: Run, network: nn.Module) -> Iterator[None]:
    """The network in evaluation mode and the recipe's precision, without gradients."""
    mode = network.training
    network.eval()
    precision = mixed_precision(run.device, run.recipe.training.precision)
    with isolated(run.device), torch.inference_mode(), precision:
        yield
    network.train(mode)


def _pixels(run: Run, images: Tensor) -> Tensor:
    """uint8 images as floats in [0, 1] on the run's device."""
    return images.to(run.device, memory_format=torch.channels_last).float().div_(255)
