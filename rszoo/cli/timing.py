"""How fast a classifier votes here: the estimates that the command line prints."""

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rszoo.smoothing.classifier import SmoothedClassifier


def seconds_per_sample(
    classifier: "SmoothedClassifier", *, budget: float = 0.5, batch_size: int | None = None
) -> float:
    """The time per noise sample, from full batches on a black image.

    Args:
        classifier: what votes.
        budget: seconds to spend after the first batch, which warms up and is not counted; at least
            one batch is timed.
        batch_size: samples per forward pass, as for `certify`.
    """
    import torch

    from rszoo.smoothing import procedures
    from rszoo.smoothing.runtime import default_batch

    shape = classifier.input_shape
    size = batch_size or default_batch(classifier.form, shape, classifier.device)
    setting, x = classifier.setting(0.001, 0), torch.zeros(shape)

    def vote() -> None:
        trial = procedures.predict(setting, n=(size,))
        list(classifier.run([(x, "trial", trial)], seed=0, batch_size=batch_size))

    vote()
    started, batches = time.perf_counter(), 0
    while batches == 0 or time.perf_counter() - started < budget:
        vote()
        batches += 1
    return (time.perf_counter() - started) / (batches * size)


def duration(seconds: float) -> str:
    """A time in a unit that suits it, with two digits."""
    for unit, length in (("hours", 3600.0), ("minutes", 60.0)):
        if seconds >= 2 * length:
            return f"{seconds / length:.1f} {unit}"
    return f"{seconds:.2g} s" if seconds < 10 else f"{seconds:.0f} s"
