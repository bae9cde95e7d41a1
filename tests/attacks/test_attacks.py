from itertools import pairwise
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from rszoo.attacks import ATTACKS, DDN, PGD, AdreObjective, Stein, naive, noisy_logits, smoothadv
from rszoo.attacks.base import norms


class Linear(nn.Module):
    """Two classes with logits 0 and 20 (w.x - b): the closest adversarial point of x is known."""

    def __init__(self) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.tensor([1.0, -2.0, 0.5, 1.5], dtype=torch.float64))
        self.b = 0.4

    def forward(self, x: Tensor) -> Tensor:
        score = 20 * (x.flatten(1) @ self.w - self.b)
        return torch.stack([torch.zeros_like(score), score], 1)


def inputs() -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(2)
    x = 0.3 + 0.4 * torch.rand(6, 1, 2, 2, generator=generator, dtype=torch.float64)
    noise = 0.05 * torch.randn(5, 6, 1, 2, 2, generator=generator, dtype=torch.float64)
    return x, Linear()(x).argmax(1), noise


@pytest.mark.parametrize("attack", [PGD(0.2, 4), DDN(0.2, 20)])
def test_attacks_stay_in_ball_and_box_and_leave_everything_alone(attack: PGD | DDN) -> None:
    (x, y, noise), model = inputs(), Linear().train()
    before = x.clone()
    adversarial = attack(model, x, y, noise)
    assert not adversarial.requires_grad
    assert norms(adversarial - x).max() <= 0.2 + 1e-12
    assert adversarial.min() >= 0
    assert adversarial.max() <= 1
    assert torch.equal(x, before)
    assert model.training
    assert model.w.requires_grad
    assert model.w.grad is None


@pytest.mark.parametrize("objective", [smoothadv, naive, AdreObjective(0.3)])
def test_pgd_raises_its_objective(objective: Any) -> None:
    (x, y, noise), model = inputs(), Linear()
    values = [
        objective(noisy_logits(model, PGD(eps, 5, objective)(model, x, y, noise), noise), y)
        for eps in (1e-6, 0.1, 0.2)
    ]
    assert (values[0] < values[1]).all()
    assert (values[1] < values[2]).all()


def test_pgd_moves_straight_to_the_boundary_of_a_half_space() -> None:
    (x, y, noise), model = inputs(), Linear()
    delta = PGD(0.1, 10)(model, x, y, noise) - x
    sign = torch.where(y == 1, -1.0, 1.0).view(-1, 1, 1, 1)
    closest = sign * 0.1 * (model.w / model.w.norm()).view(1, 1, 2, 2)
    assert torch.allclose(delta, closest.detach(), atol=1e-3)


def test_ddn_finds_the_closest_adversarial_point_of_a_half_space() -> None:
    (x, y, noise), model = inputs(), Linear()
    noise = torch.zeros_like(noise[:1])
    distance = ((x.flatten(1) @ model.w - model.b).abs() / model.w.norm()).detach()
    found = norms(DDN(eps=2.0, steps=300, levels=2**20)(model, x, y, noise) - x).flatten()
    assert torch.allclose(found, distance, rtol=0.01)
    assert (found > distance * (1 - 1e-6)).all()


def test_ddn_returns_the_image_where_nothing_was_found() -> None:
    x, y, noise = inputs()
    assert torch.equal(DDN(0.5, 5, init_norm=1e-4)(Linear(), x, y, noise * 0), x)


def test_the_norm_of_ddn_shrinks_when_adversarial_and_grows_when_not() -> None:
    (x, y, noise), seen = inputs(), []

    class Spy(Linear):
        def forward(self, z: Tensor) -> Tensor:
            seen.append(z.detach())
            return super().forward(z)

    DDN(2.0, 12, gamma=0.1, init_norm=0.3, levels=2**24)(Spy(), x, y, noise[:1] * 0)
    norm = torch.full((6,), 0.3, dtype=torch.float64)
    limit = norms(torch.maximum(x, 1 - x)).flatten()
    for before, after in pairwise(seen):
        adversarial = Linear()(before).argmax(1) != y
        norm = torch.minimum(norm * torch.where(adversarial, 0.9, 1.1), limit)
        inside = ((after > 0) & (after < 1)).flatten(1).all(1)
        assert torch.allclose(norms(after - x).flatten()[inside], norm[inside], rtol=1e-5)


def test_the_plug_in_gradient_is_that_of_the_averaged_softmax() -> None:
    (x, y, noise), model = inputs(), Linear()
    point = x.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(smoothadv(noisy_logits(model, point, noise), y).sum(), point)

    def value(z: Tensor) -> float:
        p = torch.stack([torch.softmax(model(z + d), 1) for d in noise]).mean(0)
        return float(-p[range(6), y].log().sum().detach())

    h = 1e-6
    for place in ((0, 0, 0, 0), (3, 0, 1, 0), (5, 0, 1, 1)):
        step = torch.zeros_like(x)
        step[place] = h
        assert (value(x + step) - value(x - step)) / (2 * h) == pytest.approx(
            float(gradient[place]), rel=1e-5, abs=1e-8
        )


def test_naive_and_smoothadv_differ_but_for_one_noise_vector() -> None:
    (x, y, noise), model = inputs(), Linear()
    logits = noisy_logits(model, x, noise * 4)
    assert (smoothadv(logits, y) < naive(logits, y)).all(), "Jensen"
    assert torch.allclose(smoothadv(logits[:1], y), naive(logits[:1], y))


def test_every_attack_is_in_the_dict() -> None:
    assert set(ATTACKS.values()) == {PGD, DDN, Stein}
