"""rszoo: smoothed classifiers by name, whose predictions are certified, with the evidence to check it."""

from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rszoo.certificate import ABSTAIN, Certificate, Prediction
    from rszoo.registry import list_models
    from rszoo.smoothing import SmoothedClassifier, smooth
    from rszoo.zoo import load

__version__ = version("rszoo")
__all__ = ["ABSTAIN", "Certificate", "Prediction", "SmoothedClassifier", "__version__", "list_models", "load", "smooth"]

_HOMES = {
    "list_models": "rszoo.registry",
    "load": "rszoo.zoo",
    **dict.fromkeys(("ABSTAIN", "Certificate", "Prediction"), "rszoo.certificate"),
    **dict.fromkeys(("SmoothedClassifier", "smooth"), "rszoo.smoothing"),
}


def __getattr__(name: str) -> object:
    """Import on first use (PEP 562): `import rszoo` alone does not import torch."""
    if name not in _HOMES:
        raise AttributeError(f"module 'rszoo' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
