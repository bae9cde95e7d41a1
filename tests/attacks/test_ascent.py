"""The options of attacks in evaluation."""

import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from conftest import RECIPE, HalfSpace
from torch import Tensor, nn

from rszoo.architectures import NormalizedNetwork
from rszoo.attacks import (
    DDN,
    PGD,
    AdreObjective,
    Ascent,
    Attack,
    Restarted,
    Stein,
    Targeted,
    log_mean_softmax,
    naive,
    noisy_logits,
    smoothadv,
)
from rszoo.attacks.base import norms
from rszoo.data.datasets import load_images
from rszoo.smoothing.form import VotingForm
from rszoo.zoo.entry import read_entry
from rszoo.zoo.registry import bundled_folder

EPS = 0.4
STEPS = 3
M = 6
IMAGES = 5


@pytest.fixture(scope="module")
def model() -> nn.Module:
    """Three curved classes; one part is in training mode, another has no gradient."""
    torch.manual_seed(3)
    layers = [
        nn.Conv2d(1, 8, 3),
        nn.BatchNorm2d(8),
        nn.Tanh(),
        nn.Dropout(0.5),
        nn.Flatten(),
        nn.Linear(32, 3),
    ]
    network = nn.Sequential(*layers).double()
    with torch.no_grad():
        network.get_parameter("0.weight").mul_(4)
        network.get_parameter("5.weight").mul_(6)
    network[1].eval()
    network[0].requires_grad_(False)
    return network


@pytest.fixture
def given(model: nn.Module) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(4)
    x = torch.rand(IMAGES, 1, 4, 4, generator=generator, dtype=torch.float64)
    noise = 0.2 * torch.randn(STEPS * M, IMAGES, 1, 4, 4, generator=generator, dtype=torch.float64)
    return x, log_p(model, x, noise).argmax(1), noise


def log_p(model: nn.Module, x: Tensor, noise: Tensor) -> Tensor:
    modes = [module.training for module in model.modules()]
    with torch.no_grad():
        result = log_mean_softmax(noisy_logits(model.eval(), x, noise))
    for module, mode in zip(model.modules(), modes, strict=True):
        module.training = mode
    return result


def label(values: Tensor, y: Tensor) -> Tensor:
    return values[range(len(y)), y]


EVERY = [
    PGD(EPS, STEPS, redraw=True, best=True, max_batch=7),
    PGD(EPS, STEPS, naive, random_start=1),
    PGD(EPS, STEPS, AdreObjective(0.3), best=True),
    Stein(EPS, STEPS, random_start=2, redraw=True),
    Stein(EPS, STEPS, hard=True, best=True, max_batch=1),
    DDN(EPS, STEPS, redraw=True, max_batch=10),
    Restarted(PGD(EPS, STEPS), 3),
    Targeted(Restarted(Stein(EPS, STEPS, targeted=True), 2)),
    Targeted(DDN(EPS, STEPS, targeted=True)),
]


@pytest.mark.parametrize("attack", EVERY)
def test_every_attack_stays_in_ball_and_box_and_leaves_everything_alone(
    attack: Attack, model: nn.Module, given: tuple[Tensor, Tensor, Tensor]
) -> None:
    before, state = [tensor.clone() for tensor in given], torch.get_rng_state()
    weights = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    with torch.no_grad():
        found = attack(model, *given)
    assert not found.requires_grad
    assert norms(found - given[0]).max() <= EPS + 1e-12
    assert found.min() >= 0
    assert found.max() <= 1
    assert all(map(torch.equal, given, before))
    assert all(torch.equal(tensor, weights[name]) for name, tensor in model.state_dict().items())
    assert [module.training for module in model.children()] == [True, False, True, True, True, True]
    assert [parameter.requires_grad for parameter in model.parameters()] == [
        False,
        False,
        True,
        True,
        True,
        True,
    ]
    assert all(parameter.grad is None for parameter in model.parameters())
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(attack(model, *given), found), "deterministic"


class Counting(nn.Module):
    """A network that keeps what it is given."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        self.seen: list[Tensor] = []

    def forward(self, z: Tensor) -> Tensor:
        self.seen.append(z.detach())
        return self.network(z)


@pytest.mark.parametrize("max_batch", [1, 12, 40])
@pytest.mark.parametrize(
    "attack",
    [
        PGD(EPS, 3, best=True),
        PGD(EPS, 3, naive),
        Stein(EPS, 3),
        Stein(EPS, 3, redraw=True),
        DDN(EPS, 6),
    ],
)
def test_passes_of_bounded_size_change_nothing_and_cost_nothing(
    attack: Ascent | DDN, max_batch: int, model: nn.Module, given: tuple[Tensor, Tensor, Tensor]
) -> None:
    whole, parted = Counting(model), Counting(model)
    expected, got = attack(whole, *given), replace(attack, max_batch=max_batch)(parted, *given)
    assert torch.allclose(got, expected, rtol=0, atol=1e-9)
    largest = max(map(len, whole.seen))
    assert max(map(len, parted.seen)) == min(largest, max(IMAGES, max_batch // IMAGES * IMAGES))
    assert sum(map(len, parted.seen)) == sum(map(len, whole.seen))


def test_parts_whose_probabilities_underflow_are_weighed(half_space: HalfSpace) -> None:
    x, y = torch.full((1, 1, 2, 2), 0.5), torch.tensor([0])
    noise = 0.01 * torch.randn(8, 1, 1, 2, 2, generator=torch.Generator().manual_seed(0))
    steep = nn.Sequential(half_space, nn.Linear(2, 2, bias=False), nn.Softplus()).requires_grad_(
        False
    )
    steep.get_parameter("1.weight").copy_(10_000 * torch.eye(2))
    assert (noisy_logits(steep, x, noise).softmax(2)[..., 0] == 0).all()
    attack = PGD(0.01, 2)
    whole = attack(steep, x, y, noise)
    assert norms(whole - x) > 0.009
    assert torch.allclose(replace(attack, max_batch=3)(steep, x, y, noise), whole, atol=1e-6)


def test_options_that_cannot_be_are_refused(
    model: nn.Module, given: tuple[Tensor, Tensor, Tensor]
) -> None:
    with pytest.raises(
        ValueError, match="Expected objective smoothadv or naive with max_batch, got AdreObjective"
    ):
        PGD(EPS, STEPS, AdreObjective(0.3), max_batch=4)
    for make in (PGD, Stein, DDN):
        with pytest.raises(ValueError, match="Expected max_batch >= 1, got 0"):
            make(EPS, STEPS, max_batch=0)
    with pytest.raises(ValueError, match="Expected restarts >= 1, got 0"):
        Restarted(PGD(EPS, STEPS), 0)
    with pytest.raises(ValueError, match="Expected an attack with targeted=True, got PGD"):
        Targeted(PGD(EPS, STEPS))
    with pytest.raises(ValueError, match="Expected a multiple of steps=4 noise vectors, got 18"):
        PGD(EPS, 4, redraw=True)(model, *given)


def test_redrawn_noise_is_dealt_out_to_the_steps(
    model: nn.Module, given: tuple[Tensor, Tensor, Tensor]
) -> None:
    x, y, noise = given
    spy = Counting(model)
    PGD(1e-9, STEPS, redraw=True, best=True)(spy, x, y, noise)
    groups = [*noise.split(M), noise[-M:]]
    for seen, group in zip(spy.seen, groups, strict=True):
        assert torch.allclose(seen.view(M, *x.shape) - x, group, atol=1e-8)
    same = noise[:M].repeat(STEPS, 1, 1, 1, 1)
    assert torch.equal(
        PGD(EPS, STEPS, redraw=True)(model, x, y, same), PGD(EPS, STEPS)(model, x, y, noise[:M])
    )


@pytest.mark.parametrize(
    "attack", [PGD(4.0, 4), PGD(4.0, 4, naive), Stein(1.5, 7), PGD(4.0, 4, targeted=True)]
)
def test_the_best_iterate_is_never_worse_than_start_and_last(
    attack: Ascent, model: nn.Module, given: tuple[Tensor, Tensor, Tensor]
) -> None:
    x, y, noise = given
    sign = -1 if attack.targeted else 1
    best, score = replace(attack, best=True).search(model, x, y, noise)
    lowest, last, start = (
        sign * label(log_p(model, z, noise), y) for z in (best, attack(model, x, y, noise), x)
    )
    assert (lowest <= start).all()
    assert (lowest <= last).all()
    assert (lowest < last).any()
    assert torch.allclose(score, lowest.exp() if isinstance(attack, Stein) else lowest), (
        "the score is that of what is returned"
    )


def test_restarts_are_never_worse(model: nn.Module, given: tuple[Tensor, Tensor, Tensor]) -> None:
    x, y, noise = given
    attack = PGD(1.5, 3)
    values = [
        label(log_p(model, Restarted(attack, runs)(model, x, y, noise), noise), y)
        for runs in (1, 2, 8)
    ]
    assert torch.equal(
        Restarted(attack, 1)(model, x, y, noise), replace(attack, best=True)(model, x, y, noise)
    )
    assert (values[1] <= values[0]).all()
    assert (values[2] <= values[1]).all()
    assert (values[2] < values[0]).any()


def test_random_starts_fill_the_ball_and_depend_on_seed_and_image_alone(model: nn.Module) -> None:
    x = torch.rand(2000, 1, 4, 4, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
    attack, nothing = PGD(EPS, 0, random_start=7, box=False), torch.zeros(1, *x.shape)
    start = attack(model, x, torch.zeros(2000).long(), nothing) - x
    share = (norms(start) / EPS).flatten() ** math.prod(x.shape[1:])
    assert share.max() <= 1
    assert abs(share.mean() - 0.5) < 5 / math.sqrt(12 * 2000), (
        "the share of the ball within that norm is uniform"
    )
    assert start.mean(0).abs().max() < 5 * EPS / 4 / math.sqrt(2000)
    alone = attack(model, x[3:4], torch.zeros(1).long(), nothing[:, 3:4]) - x[3:4]
    assert torch.equal(alone, start[3:4])
    assert not torch.allclose(
        replace(attack, random_start=8)(model, x[:1], torch.zeros(1).long(), nothing) - x[:1],
        start[:1],
    )


@pytest.mark.parametrize(
    "attack",
    [
        PGD(EPS, 5, targeted=True),
        Stein(EPS, 5, targeted=True, best=True),
        DDN(EPS, 10, targeted=True),
    ],
)
def test_targeted_attacks_move_to_the_runner_up(
    attack: Ascent | DDN, model: nn.Module, given: tuple[Tensor, Tensor, Tensor]
) -> None:
    x, y, noise = given
    clean = log_p(model, x, noise)
    target = clean.sort(1, descending=True).indices[:, 1]
    assert (clean.argmax(1) == y).all()
    found = Targeted(attack)(model, x, y, noise)
    assert torch.equal(found, attack(model, x, target, noise))
    gain = label(log_p(model, found, noise), target) - label(clean, target)
    moved = norms(found - x).flatten() > 0
    assert moved.all() or isinstance(attack, DDN)
    assert moved.any()
    assert (gain[moved] > 0).all()


def test_without_the_box_images_leave_it_and_the_loss_is_larger(half_space: HalfSpace) -> None:
    x = torch.tensor([[[[0.02, 0.98], [0.02, 0.5]]], [[[0.98, 0.02], [0.98, 0.9]]]])
    y, noise = half_space(x).argmax(1), torch.zeros(1, 2, 1, 2, 2)
    inside, outside = (PGD(EPS, 5, box=box)(half_space, x, 1 - y, noise) for box in (True, False))
    assert outside.min() < 0
    assert outside.max() > 1
    assert norms(outside - x).max() <= EPS + 1e-6
    assert (
        smoothadv(half_space(outside)[None], 1 - y) > smoothadv(half_space(inside)[None], 1 - y)
    ).all()


def test_pgd_crosses_a_half_space_just_beyond_the_closest_point(half_space: HalfSpace) -> None:
    x = torch.tensor([[[[0.3, 0.45], [0.6, 0.6]]]])
    y, distance = torch.tensor([half_space.label(x)]), half_space.radius(x)
    noise = 0.25 * torch.randn(16, 1, 1, 2, 2, generator=torch.Generator().manual_seed(0))
    for factor, same in ((0.99, True), (1.01, False)):
        found = PGD(factor * distance, 10)(half_space, x, y, noise)
        assert (half_space(found).argmax(1) == y).all() == same


def test_a_folded_network_is_attacked_like_the_plain_one(network: NormalizedNetwork) -> None:
    form = VotingForm(network, "float32", (3, 32, 32), torch.device("cpu"))
    generator = torch.Generator().manual_seed(6)
    x, y = torch.rand(2, 3, 32, 32, generator=generator), torch.tensor([1, 2])
    noise = 0.25 * torch.randn(3, 2, 3, 32, 32, generator=generator)
    folded = nn.Sequential(form.normalize, form.network)
    assert torch.allclose(
        PGD(0.5, 2)(folded, x, y, noise), PGD(0.5, 2)(network, x, y, noise), atol=1e-4
    )


@pytest.mark.slow
def test_smoothadv_does_more_damage_than_naive_and_both_more_than_stein(cifar10: Path) -> None:
    network, config = read_entry(bundled_folder(RECIPE))
    images, labels = load_images("cifar10", "test")
    x, y = images[:16].float() / 255, labels[:16]
    noise = config.sigma * torch.randn(
        24, 16, 3, 32, 32, generator=torch.Generator().manual_seed(0)
    )
    attacks = (PGD(1.0, 4), PGD(1.0, 4, naive), Stein(1.0, 4))
    found = [attack(network, x, y, noise[:8]) for attack in attacks]
    p = [float(label(log_p(network, z, noise[8:]), y).exp().mean()) for z in (*found, x)]
    assert p == sorted(p), "at draws of its own"
    assert p[2] > p[1] + 0.1
