"""What a loaded classifier says of itself, and entries loaded with another noise or precision."""

from pathlib import Path

import pytest
import torch

import rszoo
from rszoo.recipe import recipe_names
from rszoo.zoo.config import read_config

X = torch.linspace(0, 255, 3072).round().view(3, 32, 32) / 255


def test_a_loaded_classifier_knows_its_entry(entry: Path) -> None:
    classifier, config = rszoo.load(entry), read_config(entry)
    assert (classifier.name, classifier.config) == (config.name, config)
    assert repr(classifier) == (
        f"SmoothedClassifier(name='{config.name}', sigma=0.25, noise='{config.noise}', "
        "precision='bfloat16', num_classes=10, input=3x32x32, device='cpu')"
    )


def test_a_classifier_of_ones_own_has_no_name_and_no_config() -> None:
    module = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(4, 2))
    own = rszoo.smooth(module, sigma=0.5, num_classes=2, input_shape=(1, 2, 2))
    assert (own.name, own.config) == (None, None)
    assert repr(own) == (
        "SmoothedClassifier(sigma=0.5, noise='grid', precision='float32', num_classes=2, "
        "input=1x2x2, device='cpu')"
    )


@pytest.mark.parametrize(
    ("key", "value", "shown"),
    [
        ("sigma", 0.5, "sigma=0.5 (entry: 0.25)"),
        ("precision", "float32", "precision='float32' (entry: bfloat16)"),
        ("noise", "other", "noise='{}' (entry: {})"),
    ],
)
def test_another_setting_than_the_entrys_is_in_certificates_and_repr(
    entry: Path, key: str, value: float | str, shown: str
) -> None:
    own = read_config(entry)
    if value == "other":
        value = "float" if own.noise == "grid" else "grid"
        shown = shown.format(value, own.noise)
    same = rszoo.load(entry, **{key: getattr(own, key)})
    assert repr(same) == repr(rszoo.load(entry))
    other = rszoo.load(entry, **{key: value})  # type: ignore[arg-type]
    assert shown in repr(other)
    assert repr(other).count("(entry: ") == 1
    for answer in (
        other.certify(X, n=200),
        other.certify(X, n=200, votes="soft"),
        other.predict(X, n=200),
        other.probabilities(X, n=200),
    ):
        stated = {key: getattr(answer, key) for key in ("sigma", "noise", "precision")}
        expected = {key: getattr(own, key) for key in stated} | {key: value}
        assert stated == expected


def test_a_setting_that_is_out_of_range_is_refused(entry: Path) -> None:
    with pytest.raises(ValueError, match="Expected sigma > 0, got 0"):
        rszoo.load(entry, sigma=0)
    with pytest.raises(ValueError, match="Expected noise 'float' or 'grid', got 'laplace'"):
        rszoo.load(entry, noise="laplace")
    with pytest.raises(ValueError, match="Expected precision 'float32' or 'bfloat16'"):
        rszoo.load(entry, precision="float16")


def test_the_errors_of_load_are_caught_by_their_public_names(entry: Path) -> None:
    with pytest.raises(rszoo.UnknownModelError, match="Unknown model 'no-such-entry'"):
        rszoo.load("no-such-entry")
    planned = next(name for name in recipe_names() if name not in rszoo.list_models())
    with pytest.raises(rszoo.MissingWeightsError, match="got only its recipe"):
        rszoo.load(planned)
    (entry / "model.safetensors").write_bytes(b"damaged")
    with pytest.raises(rszoo.IntegrityError, match="Expected SHA-256"):
        rszoo.load(entry)
    assert issubclass(rszoo.HubError, OSError)
    for name in ("HubError", "IntegrityError", "MissingWeightsError", "UnknownModelError"):
        assert name in rszoo.__all__
        assert name in dir(rszoo)
