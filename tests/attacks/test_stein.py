import pytest
import torch
from conftest import HalfSpace
from torch import Tensor, nn
from torch.nn.functional import one_hot

from rszoo.attacks import Stein, noisy_logits, stein_gradient
from rszoo.attacks.base import norms

SIGMA = 0.25
M = 10
REPEATS = 20_000


@pytest.fixture(scope="module")
def half_space(half_space: HalfSpace) -> HalfSpace:
    return HalfSpace(half_space.w.double(), half_space.b)


@pytest.fixture(scope="module")
def x() -> Tensor:
    return torch.tensor([[[[0.3, 0.45], [0.6, 0.6]]]], dtype=torch.float64)


def gaussian(m: int, images: int, seed: int = 0) -> Tensor:
    return SIGMA * torch.randn(
        m, images, 1, 2, 2, generator=torch.Generator().manual_seed(seed), dtype=torch.float64
    )


def deviation(estimates: Tensor, truth: Tensor) -> float:
    """The largest distance of the mean estimate from the truth, in its standard errors."""
    error = estimates.std(0) / len(estimates) ** 0.5
    return float(((estimates.mean(0) - truth) / error).abs().max())


def test_the_estimate_is_unbiased_for_hard_votes(half_space: HalfSpace, x: Tensor) -> None:
    """G(x)_1 = Phi((w.x - b) / sigma |w|), so that its gradient is phi(that) w / sigma |w|."""
    noise = gaussian(M, REPEATS)
    votes = noisy_logits(half_space, x, noise).argmax(2).double()
    estimates = stein_gradient(votes, noise, sigma=SIGMA)
    length = half_space.w.norm()
    margin = ((x * half_space.w).sum() - half_space.b) / (SIGMA * length)
    assert 0.1 < margin.abs() < 1, "votes of both classes"
    density = torch.distributions.Normal(0.0, 1.0).log_prob(margin).exp()
    truth = density * half_space.w / (SIGMA * length)
    assert deviation(estimates, truth) < 5
    assert deviation(stein_gradient(votes, noise, sigma=1.05 * SIGMA), truth) > 5, (
        "another sigma shows"
    )
    assert deviation(estimates * (M - 1) / M, truth) > 5, (
        "so does the baseline of all m outputs over m"
    )
    without = (votes[..., None, None, None] * noise).mean(0) / SIGMA**2
    assert estimates.var(0).sum() < without.var(0).sum() / 2, "what the baseline is for"


def test_the_estimate_is_unbiased_for_soft_outputs(half_space: HalfSpace, x: Tensor) -> None:
    """The mean of the gradients of F, at other draws, has the same expectation."""
    noise = gaussian(M, REPEATS)
    with torch.no_grad():
        outputs = noisy_logits(half_space, x, noise).softmax(2)[..., 1]
    estimates = stein_gradient(outputs, noise, sigma=SIGMA)
    point = (x + gaussian(1, 100_000, seed=1)[0]).requires_grad_()
    (gradients,) = torch.autograd.grad(half_space(point).softmax(1)[:, 1].sum(), point)
    error = (estimates.var(0) / len(estimates) + gradients.var(0) / len(gradients)).sqrt()
    assert ((estimates.mean(0) - gradients.mean(0)) / error).abs().max() < 5
    assert ((estimates.mean(0) * 1.1 - gradients.mean(0)) / error).abs().max() > 5


@pytest.mark.parametrize("hard", [False, True])
def test_stein_crosses_a_half_space_just_beyond_the_closest_point(
    half_space: HalfSpace, x: Tensor, hard: bool
) -> None:
    """4000 vectors in 4 dimensions: direction good to about 3 degrees, distance to 1 %."""
    y, distance = torch.tensor([half_space.label(x)]), half_space.radius(x)
    noise = gaussian(4000, 1)
    for factor, same in ((0.99, True), (1.01, False)):
        found = Stein(factor * distance, 10, hard=hard)(half_space, x, y, noise)
        assert (half_space(found).argmax(1) == y).all() == same
    closest = (
        x - ((x * half_space.w).sum() - half_space.b) / half_space.w.norm() ** 2 * half_space.w
    )
    assert (
        norms(Stein(distance, 10, hard=hard)(half_space, x, y, noise) - closest) < 0.05 * distance
    )


def test_stein_needs_no_gradient(half_space: HalfSpace, x: Tensor) -> None:
    class Votes(nn.Module):
        def forward(self, z: Tensor) -> Tensor:
            assert not torch.is_grad_enabled()
            return one_hot(half_space(z).argmax(1), 2).double()

    y, noise = torch.tensor([half_space.label(x)]), gaussian(1000, 1)
    attack = Stein(half_space.radius(x) * 1.1, 5, hard=True)
    assert torch.equal(attack(Votes(), x, y, noise), attack(half_space, x, y, noise))


def test_one_noise_vector_has_no_estimate_and_noise_of_zero_no_direction(
    half_space: HalfSpace, x: Tensor
) -> None:
    y = torch.tensor([half_space.label(x)])
    with pytest.raises(ValueError, match="Expected two noise vectors or more, got 1"):
        Stein(0.1, 2)(half_space, x, y, gaussian(1, 1))
    assert torch.equal(Stein(0.1, 2)(half_space, x, y, 0 * gaussian(3, 1)), x)
