"""Contracts of every method, and each loss against a slow float64 transcription of its formula."""

import math

import pytest
import torch
from support.method_tables import TABLES
from torch import Tensor, nn
from torch.nn import functional as F

from rszoo.attacks import DDN, PGD, AdreObjective
from rszoo.training.methods import METHODS, Draw, build_method
from rszoo.training.methods.base import noise_vectors, warmed_up

SIGMA = 0.3


def tables() -> list[dict[str, str | bool | int | float]]:
    extra = [
        {**TABLES["smoothadv"], "name": "smoothadv", "attack": "ddn"},
        {**TABLES["adre"], "name": "adre", "draws": "single"},
        {**TABLES["smoothmix"], "name": "smoothmix", "mix_step": 1},
    ]
    return [{"name": name, **table} for name, table in TABLES.items()] + extra


class Small(nn.Module):
    """A smooth network in float64 with a layer whose mode matters."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(4)
        self.body = nn.Sequential(
            nn.Conv2d(1, 6, 3), nn.Tanh(), nn.Flatten(), nn.Dropout(0.0), nn.Linear(24, 5)
        ).double()

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.body(x) * 4
        return logits


def batch() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    return torch.rand(7, 1, 4, 4, generator=generator, dtype=torch.float64), torch.randint(
        5, (7,), generator=generator
    )


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(9)


def draw(sigma: float = SIGMA, progress: float = 50.0, smoothing: float = 0.0) -> Draw:
    return Draw(sigma, progress, generator(), smoothing)


def loss(
    table: dict[str, str | bool | int | float],
    model: nn.Module,
    sigma: float = SIGMA,
    progress: float = 50.0,
) -> Tensor:
    x, y = batch()
    return build_method(table).loss(model, x, y, draw(sigma, progress))


def test_every_method_has_its_table_here() -> None:
    assert TABLES.keys() == METHODS.keys()


@pytest.mark.parametrize("table", tables(), ids=lambda t: "-".join(str(v) for v in t.values()))
def test_contract(table: dict[str, str | bool | int | float]) -> None:
    model, (x, y) = Small(), batch()
    model.train()
    first = loss(table, model)
    assert first.shape == (7,)
    assert torch.isfinite(first).all()
    first.sum().backward()
    assert all(
        p.grad is not None and torch.isfinite(p.grad).all() and p.grad.abs().sum() > 0
        for p in model.parameters()
    )
    assert torch.equal(loss(table, model), first), "seeded"
    assert not torch.allclose(loss(table, model, sigma=0.6), first), "respects sigma"
    assert all(module.training for module in model.modules())
    assert all(parameter.requires_grad for parameter in model.parameters())
    assert torch.equal(x, batch()[0])
    smoothed = build_method(table).loss(model, x, y, draw(smoothing=0.2))
    assert not torch.allclose(smoothed, first)


def probabilities(model: nn.Module, x: Tensor, noise: Tensor) -> list[list[list[float]]]:
    """[i][b][c]: softmax at x_b + delta_ib, one image at a time."""
    return [
        [F.softmax(model((x[b] + d[b])[None])[0], 0).tolist() for b in range(len(x))] for d in noise
    ]


def mean(values: list[float]) -> float:
    return sum(values) / len(values)


def transcription(name: str, model: nn.Module) -> list[float]:
    """The formula of the paper, in Python numbers."""
    (x, y), table = batch(), TABLES[name]
    m = int(table.get("m", table.get("k", 1)))
    noise = noise_vectors(x, m, draw())
    f = probabilities(model, x, noise)
    clean = probabilities(model, x, torch.zeros(1, *x.shape, dtype=x.dtype))[0]
    result = []
    for b, label in enumerate(y.tolist()):
        p = [mean([f[i][b][c] for i in range(m)]) for c in range(5)]
        cross_entropy = mean([-math.log(f[i][b][label]) for i in range(m)])
        rival = max((c for c in range(5) if c != label), key=lambda c: p[c])
        if name == "gaussian":
            value = cross_entropy
        elif name == "stability":
            value = -math.log(clean[b][label]) - 2.0 * sum(
                clean[b][c] * math.log(f[0][b][c]) for c in range(5)
            )
        elif name == "smoothed":
            value = -math.log(p[label])
        elif name == "adre":
            value = cross_entropy + 0.3 * math.log(p[rival])
        elif name == "consistency":
            kl = mean([sum(p[c] * math.log(p[c] / f[i][b][c]) for c in range(5)) for i in range(m)])
            value = cross_entropy + 10.0 * kl - 0.5 * sum(q * math.log(q) for q in p)
        else:
            value = -math.log(p[label]) + macer_hinge(model, x[b], [d[b] for d in noise], label)
        result.append(value)
    return result


def macer_hinge(model: nn.Module, x: Tensor, noise: list[Tensor], label: int) -> float:
    from scipy.stats import norm

    each = [F.softmax(2.0 * model((x + d)[None])[0], 0).tolist() for d in noise]
    p = [mean([row[c] for row in each]) for c in range(5)]
    first, second = sorted(p, reverse=True)[:2]
    if p.index(first) != label:
        return 0.0
    return 12.0 * SIGMA / 2 * max(0.0, 8.0 - (norm.ppf(first) - norm.ppf(second)))


@pytest.mark.parametrize(
    "name", ["gaussian", "stability", "smoothed", "adre", "consistency", "macer"]
)
def test_loss_is_the_formula_of_the_paper(name: str) -> None:
    model = Small()
    expected = transcription(name, model)
    tolerance = 1e-5 if name == "macer" else 1e-10  # macer's quantiles are in float32
    assert loss({"name": name, **TABLES[name]}, model).tolist() == pytest.approx(
        expected, rel=tolerance
    )


def test_adversarial_losses_are_taken_at_the_attacked_images() -> None:
    model, (x, y) = Small(), batch()
    for name, m, attack in (
        ("smoothadv", 3, PGD(0.5, 3)),
        ("adreadv", 3, PGD(0.5, 2, AdreObjective(0.3))),
    ):
        noise = noise_vectors(x, m, draw())
        f = probabilities(model, attack(model, x, y, noise), noise)
        used = int(TABLES[name].get("m_train", m))
        expected = []
        for b, label in enumerate(y.tolist()):
            p = [mean([f[i][b][c] for i in range(m)]) for c in range(5)]
            rival = max((c for c in range(5) if c != label), key=lambda c: p[c])
            value = mean([-math.log(f[i][b][label]) for i in range(used)])
            expected.append(value + (0.3 * math.log(p[rival]) if name == "adreadv" else 0.0))
        assert loss({"name": name, **TABLES[name]}, model).tolist() == pytest.approx(
            expected, rel=1e-9
        )


def test_smoothadv_with_ddn_uses_ddn() -> None:
    model, (x, y) = Small(), batch()
    noise = noise_vectors(x, 3, draw())
    f = probabilities(model, DDN(0.5, 3)(model, x, y, noise), noise)
    expected = [mean([-math.log(f[i][b][c]) for i in range(2)]) for b, c in enumerate(y.tolist())]
    table = {"name": "smoothadv", **TABLES["smoothadv"], "attack": "ddn"}
    assert loss(table, model).tolist() == pytest.approx(expected, rel=1e-9)


def test_smoothmix_is_the_formula_of_the_paper() -> None:
    model, (x, y), drawn = Small(), batch(), draw()
    noise = noise_vectors(x, 2, drawn)
    u = torch.rand(len(x), generator=drawn.generator) / 2
    end = x
    for _ in range(2):
        point = end.clone().requires_grad_()
        p_y = torch.stack([F.softmax(model(point + d), 1) for d in noise]).mean(0)[range(7), y]
        (gradient,) = torch.autograd.grad(-p_y.log().sum(), point)
        end = (
            (point + 0.5 * gradient / gradient.flatten(1).norm(dim=1).view(-1, 1, 1, 1))
            .clamp(0, 1)
            .detach()
        )
    f = probabilities(model, x, noise)
    w = u.view(-1, 1, 1, 1)
    mixed = probabilities(model, (1 - w) * x + w * end, noise)
    expected = []
    for b, label in enumerate(y.tolist()):
        p = [mean([f[i][b][c] for i in range(2)]) for c in range(5)]
        q = [(1 - float(u[b])) * p[c] + float(u[b]) / 5 for c in range(5)]
        kl = mean([sum(q[c] * math.log(q[c] / mixed[i][b][c]) for c in range(5)) for i in range(2)])
        value = mean([-math.log(f[i][b][label]) for i in range(2)])
        expected.append(value + (5.0 * kl if p.index(max(p)) == label else 0.0))
    table = {"name": "smoothmix", **TABLES["smoothmix"]}
    assert loss(table, model).tolist() == pytest.approx(expected, rel=1e-6)


def test_a_single_draw_of_adre_is_one_of_the_draws() -> None:
    model, (x, y), drawn = Small(), batch(), draw()
    noise = noise_vectors(x, 4, drawn)
    f = probabilities(model, x, noise)
    got = loss({"name": "adre", **TABLES["adre"], "draws": "single"}, model).tolist()
    chosen = torch.randint(4, (1, 7), generator=drawn.generator)[0].tolist()
    for b, label in enumerate(y.tolist()):
        p = [mean([f[i][b][c] for i in range(4)]) for c in range(5)]
        rival = max((c for c in range(5) if c != label), key=lambda c: p[c])
        assert got[b] == pytest.approx(-math.log(f[chosen[b]][b][label]) + 0.3 * math.log(p[rival]))


@pytest.mark.parametrize(
    ("progress", "value"),
    [(0.0, 0.1), (0.99, 0.1), (1.0, 0.2), (8.5, 0.9), (9.0, 1.0), (40.0, 1.0)],
)
def test_warm_up_grows_at_the_beginning_of_each_epoch(progress: float, value: float) -> None:
    assert warmed_up(1.0, progress, 10) == pytest.approx(value)
    assert warmed_up(1.0, progress, 0) == 1.0


def test_macer_defers_its_hinge() -> None:
    model = Small()
    table = {"name": "macer", **TABLES["macer"], "deferred": 2}
    plain = loss({"name": "smoothed", "m": 4}, model)
    assert torch.allclose(loss(table, model, progress=1.9).double(), plain, rtol=1e-5)
    assert not torch.allclose(loss(table, model, progress=2.0).double(), plain, rtol=1e-5)


def test_smoothadv_refuses_more_update_noise_than_attack_noise() -> None:
    with pytest.raises(ValueError, match="Expected 1 <= m_train <= m=3, got 4"):
        build_method({"name": "smoothadv", **TABLES["smoothadv"], "m_train": 4})


@pytest.mark.parametrize("name", [name for name in TABLES if TABLES[name]])
def test_a_missing_hyper_parameter_is_named(name: str) -> None:
    key = next(iter(TABLES[name]))
    with pytest.raises(ValueError, match=f"missing required field `{key}`"):
        build_method({"name": name, **{k: v for k, v in TABLES[name].items() if k != key}})


@pytest.mark.parametrize("name", TABLES)
def test_methods_use_the_passes_they_declare(name: str) -> None:
    model, (x, y), images = Small(), batch(), []
    model.register_forward_hook(lambda module, inputs, output: images.append(len(output)))
    method = build_method({"name": name, **TABLES[name]})
    method.loss(model, x, y, draw())
    assert sum(images) == method.passes * len(x)
