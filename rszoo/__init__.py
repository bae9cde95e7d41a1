"""rszoo: smoothed classifiers by name, whose predictions are certified, with the evidence to check it."""

from importlib import import_module
from importlib.metadata import version
from importlib.util import find_spec
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rszoo.publishing.leaderboard import best
    from rszoo.publishing.publish import push_to_hub
    from rszoo.smoothing.certificate import ABSTAIN, Certificate, Prediction
    from rszoo.smoothing.classifier import SmoothedClassifier
    from rszoo.zoo.loading import from_pretrained, load
    from rszoo.zoo.registry import list_models
    from rszoo.zoo.smooth import smooth

__version__ = version("rszoo")
__all__ = [
    "ABSTAIN",
    "Certificate",
    "Prediction",
    "SmoothedClassifier",
    "__version__",
    "best",
    "from_pretrained",
    "list_models",
    "load",
    "push_to_hub",
    "smooth",
]

_HOMES = {
    "SmoothedClassifier": "rszoo.smoothing.classifier",
    "best": "rszoo.publishing.leaderboard",
    "from_pretrained": "rszoo.zoo.loading",
    "list_models": "rszoo.zoo.registry",
    "load": "rszoo.zoo.loading",
    "push_to_hub": "rszoo.publishing.publish",
    "smooth": "rszoo.zoo.smooth",
    **dict.fromkeys(("ABSTAIN", "Certificate", "Prediction"), "rszoo.smoothing.certificate"),
}


def __getattr__(name: str) -> object:
    """Import on first use (PEP 562), modules too: `import rszoo` alone does not import torch."""
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    if find_spec(f"rszoo.{name}") is not None:
        return import_module(f"rszoo.{name}")
    raise AttributeError(f"module 'rszoo' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
