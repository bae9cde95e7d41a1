"""Contracts of every method, and each loss against a slow float64 transcription of its formula."""

import math

import numpy as np
import pytest
import torch
from scipy.stats import beta, norm
from support.method_tables import TABLES
from torch import Tensor, nn
from torch.nn import functional as F

from rszoo.attacks import DDN, PGD, AdreObjective
from rszoo.training.methods import METHODS, Draw, Weighing, build_method
from rszoo.training.methods.base import noise_vectors, warmed_up

SIGMA = 0.3


def tables() -> list[dict[str, str | bool | int | float]]:
    extra = [
        {**TABLES["smoothadv"], "name": "smoothadv", "attack": "ddn"},
        {**TABLES["adre"], "name": "adre", "draws": "single"},
        {**TABLES["smoothmix"], "name": "smoothmix", "mix_step": 1},
        {**TABLES["catrs"], "name": "catrs", "confidence": "votes"},
    ]
    return [{"name": name, **table} for name, table in TABLES.items()] + extra


class Small(nn.Module):
    """A smooth network in float64 with a layer whose mode matters."""

    def __init__(self, seed: int = 4) -> None:
        super().__init__()
        torch.manual_seed(seed)
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


TEACHER = Small(5)
PREDICTION = F.one_hot(torch.arange(7) % 5, 5) * 0.5 + F.one_hot(batch()[1], 5) * 0.5
"""A smoothed prediction; it is sure of the label of some images."""


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(9)


def draw(sigma: float = SIGMA, progress: float = 50.0, smoothing: float = 0.0) -> Draw:
    return Draw(sigma, progress, generator(), smoothing, TEACHER, PREDICTION)


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
    if table["name"] != "distilled":  # it compares nothing with labels
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


def test_catrs_is_the_formula_of_the_paper() -> None:
    (model, (x, y)), table = (Small(), batch()), TABLES["catrs"]
    drawn = draw()
    noise = noise_vectors(x, 3, drawn)
    uniform = torch.rand(3, 7, generator=drawn.generator)
    f = probabilities(model, x, noise)
    attacked = noise.clone()
    for _ in range(2):
        for i in range(3):
            for b in range(7):
                first, point = noise[i, b], attacked[i, b].clone().requires_grad_()
                kl = divergence(PREDICTION[b], model((x[b] + point)[None]).log_softmax(1)[0])
                (gradient,) = torch.autograd.grad(kl, point)
                moved = point.detach() + 2 * 0.5 / 2 * gradient / gradient.norm()
                offset = moved - first
                moved = first + offset * min(1.0, 0.5 / float(offset.norm()))
                centred = (moved - moved.mean()) / moved.square().mean().sqrt()
                attacked[i, b] = first.mean() + centred * first.square().mean().sqrt()
    worst = probabilities(model, x, attacked)
    expected, sure = [], 0
    for b, label in enumerate(y.tolist()):
        k = max(1, sum(float(uniform[i, b]) < float(PREDICTION[b, label]) for i in range(3)))
        losses = sorted(-math.log(f[i][b][label]) for i in range(3))
        value = sum(losses[:k]) / 3
        if k == 3:
            sure += 1
            value += 2.0 * max(
                float(divergence(PREDICTION[b], torch.tensor(worst[i][b]).double().log()))
                for i in range(3)
            )
        expected.append(value)
    assert 0 < sure < 7
    assert loss({"name": "catrs", **table}, model).tolist() == pytest.approx(expected, rel=1e-5)


def divergence(p: Tensor, log_q: Tensor) -> Tensor:
    """KL(p || q), term by term."""
    total = torch.zeros((), dtype=torch.float64)
    for share, log in zip(p.double(), log_q, strict=True):
        if share > 0:
            total = total + share * (share.log() - log)
    return total


def test_the_noise_of_catrs_keeps_its_mean_and_scale() -> None:
    method, (x, _) = build_method({"name": "catrs", **TABLES["catrs"]}), batch()
    noise = noise_vectors(x, 3, draw())
    attacked = method._attacked(Small(), x, PREDICTION, noise)  # type: ignore[attr-defined]
    dims = (2, 3, 4)
    assert torch.allclose(attacked.square().mean(dims), noise.square().mean(dims), rtol=0.05)
    assert not torch.allclose(attacked, noise, atol=0.01)


def test_the_confidence_of_catrs_can_be_the_share_of_right_copies() -> None:
    model, (x, y), drawn = Small(), batch(), draw()
    noise = noise_vectors(x, 3, drawn)
    uniform = torch.rand(3, 7, generator=drawn.generator)
    f = probabilities(model, x, noise)
    table = {"name": "catrs", **TABLES["catrs"], "confidence": "votes", "lam": 0.0}
    for b, (label, value) in enumerate(zip(y.tolist(), loss(table, model).tolist(), strict=True)):
        share = mean([float(f[i][b].index(max(f[i][b])) == label) for i in range(3)])
        k = max(1, sum(float(uniform[i, b]) < share for i in range(3)))
        losses = sorted(-math.log(f[i][b][label]) for i in range(3))
        assert value == pytest.approx(sum(losses[:k]) / 3, rel=1e-6)


def test_reweighted_trains_at_the_first_misclassified_noise() -> None:
    model, (x, y) = Small(), batch()
    noise, ends = noise_vectors(x, 3, draw()), []
    expected = []
    for b, label in enumerate(y.tolist()):
        values = []
        for i in range(3):
            point, steps = noise[i, b], 0
            while steps < 2 and int(model((x[b] + point)[None]).argmax()) == label:
                point = point.clone().requires_grad_()
                value = F.cross_entropy(model((x[b] + point)[None]), y[b : b + 1])
                (gradient,) = torch.autograd.grad(value, point)
                point = (point + 0.3 * gradient / gradient.norm()).detach()
                point, steps = point * noise[i, b].norm() / point.norm(), steps + 1
            ends.append(steps)
            values.append(F.cross_entropy(model((x[b] + point)[None]), y[b : b + 1]).item())
        expected.append(mean(values))
    assert {0, 2} <= set(ends)
    table = {"name": "reweighted", **TABLES["reweighted"]}
    assert loss(table, model).tolist() == pytest.approx(expected, rel=1e-6)


def test_reweighted_is_gaussian_training_before_it_starts() -> None:
    model, (x, y) = Small(), batch()
    f = probabilities(model, x, noise_vectors(x, 3, draw()))
    expected = [mean([-math.log(f[i][b][c]) for i in range(3)]) for b, c in enumerate(y.tolist())]
    table = {"name": "reweighted", **TABLES["reweighted"]}
    assert loss(table, model, progress=0.9).tolist() == pytest.approx(expected)


def test_reweighted_weighs_images_by_their_radius_and_leaves_out_the_hopeless() -> None:
    method = build_method({"name": "reweighted", **TABLES["reweighted"]})
    assert isinstance(method, Weighing)
    assert [method.measures(epoch) for epoch in range(6)] == [0, 20, 0, 16, 0, 16]
    first = method.weights(1, np.array([0, 7, 8, 15, 19, 20]), np.ones(6))
    assert first[:2].tolist() == [0.0, 0.0]  # under 40 % of 20 votes
    radii = {k: norm.ppf(beta.ppf(0.1, k, 16 - k + 1)) for k in (12, 13, 14, 15, 16)}
    assert first[2:].tolist() == pytest.approx([radii[12], radii[12], radii[15], radii[16]])
    later = method.weights(3, np.array([16, 16, 3, 13, 14, 0]), first)
    assert later[:2].tolist() == [0.0, 0.0], "for good"
    assert later[2:].tolist() == pytest.approx([radii[12], radii[13], radii[14], radii[12]])


def test_reweighted_needs_votes_that_can_certify() -> None:
    with pytest.raises(ValueError, match=r"Expected votes enough that 0\.75 of them certify a rad"):
        build_method({"name": "reweighted", **TABLES["reweighted"], "votes": 2})


def test_distilled_is_the_distance_to_the_softmax_of_the_teacher() -> None:
    model, (x, _) = Small(), batch()
    noise = noise_vectors(x, 3, draw())
    f, t = probabilities(model, x, noise), probabilities(TEACHER, x, noise)
    expected = [
        mean([math.dist(f[i][b], t[i][b]) for i in range(3)]) for b in range(len(batch()[1]))
    ]
    got = loss({"name": "distilled", "m": 3}, model)
    assert got.tolist() == pytest.approx(expected, rel=1e-10)
    got.sum().backward()
    assert all(parameter.grad is None for parameter in TEACHER.parameters())


def test_a_student_that_is_its_teacher_learns_nothing() -> None:
    got = loss({"name": "distilled", "m": 2}, TEACHER)
    assert got.tolist() == [0.0] * 7
    got.sum().backward()
    gradients = [parameter.grad for parameter in TEACHER.parameters()]
    assert all(gradient is not None and not gradient.any() for gradient in gradients)
    TEACHER.zero_grad()


@pytest.mark.parametrize(("name", "needs"), [("catrs", "prediction"), ("distilled", "network")])
def test_a_draw_without_a_teacher_is_refused(name: str, needs: str) -> None:
    x, y = batch()
    with pytest.raises(ValueError, match=rf"^Expected a Draw with .*, got none; pass .*{needs}"):
        build_method({"name": name, **TABLES[name]}).loss(
            Small(), x, y, Draw(SIGMA, 0.0, generator())
        )


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
