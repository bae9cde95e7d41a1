"""Smoothed classifiers: voting under noise, PREDICT and CERTIFY."""

from typing import TYPE_CHECKING

from rszoo.smoothing.certificate import ABSTAIN, Certificate, Prediction, SoftCertificate

if TYPE_CHECKING:
    from rszoo.smoothing.classifier import SmoothedClassifier

__all__ = ["ABSTAIN", "Certificate", "Prediction", "SmoothedClassifier", "SoftCertificate"]


def __getattr__(name: str) -> object:
    """Import the classifier, and torch with it, on first use (PEP 562)."""
    if name != "SmoothedClassifier":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from rszoo.smoothing.classifier import SmoothedClassifier

    return SmoothedClassifier
