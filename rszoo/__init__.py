"""rszoo: smoothed classifiers by name, whose predictions are certified, with the evidence to check it."""

from importlib import import_module
from importlib.metadata import version
from importlib.util import find_spec
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rszoo.certificate import ABSTAIN, Certificate, Prediction
    from rszoo.leaderboard import best
    from rszoo.own import smooth
    from rszoo.publish import push_to_hub
    from rszoo.registry import list_models
    from rszoo.smoothing import SmoothedClassifier
    from rszoo.zoo import from_pretrained, load

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
    "SmoothedClassifier": "rszoo.smoothing",
    "best": "rszoo.leaderboard",
    "from_pretrained": "rszoo.zoo",
    "list_models": "rszoo.registry",
    "load": "rszoo.zoo",
    "push_to_hub": "rszoo.publish",
    "smooth": "rszoo.own",
    **dict.fromkeys(("ABSTAIN", "Certificate", "Prediction"), "rszoo.certificate"),
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
