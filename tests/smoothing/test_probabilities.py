"""The probability of every class under noise."""

import json
from itertools import pairwise
from typing import Any

import pytest
import torch
from scipy.stats import binom, norm
from torch import Tensor, nn

import rszoo
from rszoo.bounds import clopper_pearson_lower, clopper_pearson_upper

SHAPE = (1, 2, 2)
X = torch.full(SHAPE, 102 / 255)


class Stripes(nn.Module):
    """The class is the interval that the first value falls into: its probabilities are known."""

    EDGES = (0.2, 0.4, 0.7)

    def forward(self, x: Tensor) -> Tensor:
        place = torch.bucketize(x[:, 0, 0, 0].contiguous(), torch.tensor(self.EDGES))
        return nn.functional.one_hot(place, 4).float()


def classifier(noise: str = "float") -> rszoo.SmoothedClassifier:
    return rszoo.smooth(Stripes(), sigma=0.25, num_classes=4, input_shape=SHAPE, noise=noise)


def true_probabilities() -> list[float]:
    below = [0.0, *(norm.cdf((edge - 0.4) / 0.25) for edge in Stripes.EDGES), 1.0]
    return [after - before for before, after in pairwise(below)]


def test_shares_bounds_and_evidence_agree() -> None:
    found = classifier().probabilities(X, n=800, alpha=0.02, seed=5)
    assert isinstance(found, rszoo.Probabilities)
    assert sum(found.counts) == found.n == 800
    assert found.shares == tuple(count / 800 for count in found.counts)
    level = 0.02 / (2 * 4)
    assert found.lower == tuple(clopper_pearson_lower(k, 800, level) for k in found.counts)
    assert found.upper == tuple(clopper_pearson_upper(k, 800, level) for k in found.counts)
    assert (found.alpha, found.seed, found.sigma, found.noise, found.precision) == (
        0.02,
        5,
        0.25,
        "float",
        "float32",
    )
    prediction = classifier().predict(X, n=800, seed=5)
    assert isinstance(prediction, rszoo.Prediction)
    assert found.counts == prediction.counts
    assert found.counts != classifier().probabilities(X, n=800, seed=6).counts


@pytest.mark.parametrize("noise", ["float", "grid"])
@pytest.mark.slow
def test_all_intervals_hold_at_once_as_often_as_alpha_says(noise: str) -> None:
    """The largest alpha that the union bound can reach is spent: some fail, but not too many."""
    alpha, count = 0.2, 1500
    clf, keys = classifier(noise), [str(number) for number in range(count)]
    images = X.expand(count, -1, -1, -1)
    found = clf.probabilities(images, n=60, alpha=alpha, keys=keys)
    assert isinstance(found, list)
    true = true_probabilities()
    failures = sum(
        any(
            not lower <= p <= upper
            for p, lower, upper in zip(true, each.lower, each.upper, strict=True)
        )
        for each in found
    )
    assert 0 < failures <= binom.ppf(0.999, count, alpha)


def test_grid_noise_pays_for_its_distance_from_the_gaussian(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(rszoo.SmoothedClassifier, "loss", 1e-6)
    found: Any = classifier("grid").probabilities(X, n=800)
    level = (0.001 - 800 * 1e-6) / 8
    assert found.lower == tuple(clopper_pearson_lower(k, 800, level) for k in found.counts)


def test_a_batch_gives_a_list_and_one_sample_is_enough() -> None:
    found = classifier().probabilities(X.expand(2, -1, -1, -1), n=1, keys=["a", "b"])
    assert isinstance(found, list)
    assert [sum(each.counts) for each in found] == [1, 1]
    with pytest.raises(ValueError, match="Expected n >= 1, got n=0; draw at least one sample"):
        classifier().probabilities(X, n=0)
    with pytest.raises(ValueError, match="Expected 0 < alpha < 1, got 0"):
        classifier().probabilities(X, alpha=0)
    with pytest.raises(ValueError, match="Expected alpha above the error of the grid noise"):
        classifier("grid").probabilities(X, alpha=1e-30)


def test_the_short_form_starts_with_the_class_of_most_votes() -> None:
    clf = rszoo.smooth(
        Stripes(), sigma=0.25, num_classes=4, input_shape=SHAPE, classes=["a", "b", "c", "<d>"]
    )
    found: Any = clf.probabilities(X, n=1000)
    first = ["a", "b", "c", "<d>"][found.counts.index(max(found.counts))]
    assert repr(found).startswith(f"Probabilities({first} {max(found.counts) / 1000:.4f} in [0.")
    assert repr(found).endswith("; n=1000, alpha=0.001)")
    assert "&lt;d&gt;" in found._repr_html_()
    assert "<d>" not in found._repr_html_()


def test_probabilities_are_a_table_with_a_row_per_class() -> None:
    found: Any = classifier().probabilities(X, n=1000)
    values = found.to_dict()
    assert json.loads(json.dumps(values)) == values
    assert values["classes"] == ["0", "1", "2", "3"]
    pandas = pytest.importorskip("pandas")
    table = pandas.DataFrame(values)
    assert table["shares"].tolist() == list(found.shares)
    assert table["n"].tolist() == [1000] * 4
