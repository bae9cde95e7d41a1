"""rszoo: load smoothed classifiers by name; get certified predictions, with the evidence."""

from importlib import import_module
from importlib.metadata import version
from importlib.util import find_spec
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rszoo.errors import HubError, IntegrityError, MissingWeightsError, UnknownModelError
    from rszoo.publishing.catalogue import best, info, leaderboard, list_models
    from rszoo.publishing.publish import push_to_hub
    from rszoo.smoothing.certificate import ABSTAIN, Certificate, Prediction, SoftCertificate
    from rszoo.smoothing.classifier import SmoothedClassifier
    from rszoo.smoothing.probabilities import Probabilities
    from rszoo.zoo.ensemble import ensemble
    from rszoo.zoo.loading import from_pretrained, load
    from rszoo.zoo.smooth import smooth

__version__ = version("rszoo")
__all__ = [
    "ABSTAIN",
    "Certificate",
    "HubError",
    "IntegrityError",
    "MissingWeightsError",
    "Prediction",
    "Probabilities",
    "SmoothedClassifier",
    "SoftCertificate",
    "UnknownModelError",
    "__version__",
    "best",
    "ensemble",
    "from_pretrained",
    "info",
    "leaderboard",
    "list_models",
    "load",
    "push_to_hub",
    "smooth",
]

_MODULES = {
    "ABSTAIN": "smoothing.certificate",
    "Certificate": "smoothing.certificate",
    "HubError": "errors",
    "IntegrityError": "errors",
    "MissingWeightsError": "errors",
    "Prediction": "smoothing.certificate",
    "Probabilities": "smoothing.probabilities",
    "SmoothedClassifier": "smoothing.classifier",
    "SoftCertificate": "smoothing.certificate",
    "UnknownModelError": "errors",
    "best": "publishing.catalogue",
    "ensemble": "zoo.ensemble",
    "from_pretrained": "zoo.loading",
    "info": "publishing.catalogue",
    "leaderboard": "publishing.catalogue",
    "list_models": "publishing.catalogue",
    "load": "zoo.loading",
    "push_to_hub": "publishing.publish",
    "smooth": "zoo.smooth",
}


def __getattr__(name: str) -> object:
    """Import names and submodules on first use (PEP 562): `import rszoo` alone loads no torch."""
    if name in _MODULES:
        return getattr(import_module(f"rszoo.{_MODULES[name]}"), name)
    if find_spec(f"rszoo.{name}") is not None:
        return import_module(f"rszoo.{name}")
    raise AttributeError(f"module 'rszoo' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
