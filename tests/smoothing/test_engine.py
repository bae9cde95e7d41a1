import subprocess
import sys
from collections.abc import Iterator

import pytest
import torch
from conftest import HalfSpace
from torch import Tensor

from rszoo.smoothing.engine import WINDOW, Job, run
from rszoo.smoothing.form import VotingForm
from rszoo.smoothing.noise import BLOCK, Noise, block_size
from rszoo.smoothing.requests import Procedure, Request, Stage

CPU = torch.device("cpu")
SHAPE = (1, 2, 2)
REQUESTS = [
    [
        Request(Stage.SELECT, 0, 5),
        Request(Stage.ESTIMATE, 0, 300),
        Request(Stage.ESTIMATE, 300, 301),
    ],
    [Request(Stage.PREDICT, 0, 128), Request(Stage.PREDICT, 128, 256)],
    [Request(Stage.SELECT, 100, 140)],
    [],
]


def asking(number: int) -> Procedure[list[list[int]]]:
    """A procedure that returns the votes of its requests."""
    found = []
    for request in REQUESTS[number % len(REQUESTS)]:
        found.append((yield request))
    return found


def images(count: int) -> Tensor:
    return torch.rand(count, *SHAPE, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("kind", ["float", "grid"])
@pytest.mark.parametrize("batch_size", [1, 7, 128, 1000])
def test_the_votes_are_those_of_the_samples_asked_for(
    half_space: HalfSpace, kind: str, batch_size: int
) -> None:
    form, noise, xs = (
        VotingForm(half_space, "float32", SHAPE, CPU),
        Noise.newest(kind, 0.5, 3),
        images(9),
    )
    jobs = [Job(x, str(number), asking(number)) for number, x in enumerate(xs)]
    found = list(run(form, jobs, noise, num_classes=2, batch_size=batch_size))

    def votes(number: int, request: Request) -> list[int]:
        blocks = [noise.noisy(xs[number], str(number), request.stage, block) for block in range(4)]
        chosen = torch.cat(blocks)[request.start : request.stop]
        return torch.bincount(half_space(chosen).argmax(1), minlength=2).tolist()

    assert block_size(SHAPE, CPU) == 128
    assert found == [
        [votes(number, request) for request in REQUESTS[number % len(REQUESTS)]]
        for number in range(9)
    ]


@pytest.mark.parametrize("sigma", [0.12, 0.25, 0.35, 0.5, 0.7, 1.0])
def test_the_noise_is_not_below_sigma(sigma: float) -> None:
    deviation = Noise.newest("float", sigma, 0).deviation
    assert sigma <= float(deviation) < sigma * (1 + 2**-22)
    noise = Noise.newest("float", sigma, 0).noisy(torch.zeros(SHAPE), "x", Stage.SELECT, 0)
    standard = Noise.newest("float", 1.0, 0).noisy(torch.zeros(SHAPE), "x", Stage.SELECT, 0)
    assert torch.equal(noise, standard * float(deviation))


def test_results_come_in_order_and_as_soon_as_they_are_known(half_space: HalfSpace) -> None:
    form = VotingForm(half_space, "float32", SHAPE, CPU)
    taken: list[int] = []

    def one(number: int) -> Procedure[int]:
        yield Request(Stage.SELECT, 0, 10)
        return number

    def jobs() -> Iterator[Job[int]]:
        for number, x in enumerate(images(200)):
            taken.append(number)
            yield Job(x, str(number), one(number))

    results = run(form, jobs(), Noise.newest("float", 0.5, 0), num_classes=2, batch_size=10)
    assert next(results) == 0
    assert len(taken) <= torch.get_num_threads() * BLOCK // 10 + 1  # a round of batches
    assert list(results) == list(range(1, 200))


def test_a_slow_image_holds_back_a_bounded_number_of_others(half_space: HalfSpace) -> None:
    form = VotingForm(half_space, "float32", SHAPE, CPU)
    taken: list[int] = []

    def looking(number: int) -> Procedure[int]:
        for look in range(2000 if number == 0 else 1):
            yield Request(Stage.ESTIMATE, look, look + 1)
        return number

    def jobs() -> Iterator[Job[int]]:
        for number, x in enumerate(images(2 * WINDOW)):
            taken.append(number)
            yield Job(x, str(number), looking(number))

    results = run(form, jobs(), Noise.newest("float", 0.5, 0), num_classes=2, batch_size=4)
    assert next(results) == 0
    assert len(taken) <= WINDOW + 1
    assert list(results) == list(range(1, 2 * WINDOW))


def test_an_error_in_a_procedure_is_raised_and_the_thread_ends(half_space: HalfSpace) -> None:
    form = VotingForm(half_space, "float32", SHAPE, CPU)

    def broken() -> Procedure[int]:
        yield Request(Stage.SELECT, 0, 10)
        raise ValueError("broken")

    jobs = [Job(images(1)[0], "0", broken())]
    with pytest.raises(ValueError, match="broken"):
        list(run(form, jobs, Noise.newest("float", 0.5, 0), num_classes=2, batch_size=4))


MEMORY = """
import resource, torch, rszoo
from torch import nn
torch.set_num_threads(1)
network = nn.Sequential(nn.Flatten(), nn.Linear(256, 2))
clf = rszoo.smooth(network, sigma=0.5, num_classes=2, input_shape=(1, 16, 16))
for n in (10_000, 250_000):
    clf.certify(torch.full((1, 16, 16), 0.5), n=n)
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


@pytest.mark.slow
def test_memory_does_not_grow_with_n() -> None:
    """250,000 samples are 0.25 GB, more than a tenth of what the process needs."""
    done = subprocess.run(
        [sys.executable, "-c", MEMORY], check=True, capture_output=True, text=True
    )
    small, large = map(int, done.stdout.split())
    assert large < 1.1 * small < 1e7
