"""The training methods of the papers by name; a method is a loss."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import msgspec

from rszoo.errors import explained
from rszoo.training.methods.adre import Adre, AdreAdv
from rszoo.training.methods.adversarial import Adversarial
from rszoo.training.methods.base import WHOLE, Draw, Method, Share, Taught, Weighing
from rszoo.training.methods.catrs import CatRS
from rszoo.training.methods.consistency import Consistency
from rszoo.training.methods.distilled import Distilled
from rszoo.training.methods.gaussian import Gaussian
from rszoo.training.methods.macer import Macer
from rszoo.training.methods.reweighted import Reweighted
from rszoo.training.methods.smoothadv import SmoothAdv
from rszoo.training.methods.smoothed import Smoothed
from rszoo.training.methods.smoothmix import SmoothMix
from rszoo.training.methods.stability import Stability

METHODS: dict[str, type[Any]] = {
    "gaussian": Gaussian,
    "stability": Stability,
    "smoothed": Smoothed,
    "adversarial": Adversarial,
    "smoothadv": SmoothAdv,
    "adre": Adre,
    "adreadv": AdreAdv,
    "macer": Macer,
    "consistency": Consistency,
    "smoothmix": SmoothMix,
    "catrs": CatRS,
    "reweighted": Reweighted,
    "distilled": Distilled,
}
"""Each a frozen dataclass with the attributes of `Method`."""


def build_method(table: Mapping[str, str | bool | int | float]) -> Method:
    """The method that a recipe's table [method] describes: its name and every hyper-parameter.

    Raises:
        ValueError: an unknown name, or an unknown, missing or impossible hyper-parameter.
    """
    name = str(table["name"])
    parameters = {key: value for key, value in table.items() if key != "name"}
    if name not in METHODS:
        raise ValueError(f"Unknown method {name!r} in [method]; use one of {', '.join(METHODS)}.")
    allowed = [field.name for field in dataclasses.fields(METHODS[name])]
    if unknown := sorted(parameters.keys() - set(allowed)):
        raise ValueError(
            f"Unknown key {unknown[0]!r} in [method] of {name}; "
            f"its hyper-parameters are: {', '.join(allowed) or 'none'}."
        )
    try:
        method: Method = msgspec.convert(parameters, type=METHODS[name])
    except (msgspec.ValidationError, ValueError) as error:
        fault = explained(error, METHODS[name], parameters).removesuffix(".")
        raise ValueError(
            f"Expected all hyper-parameters of {name} in [method], got this fault: {fault}."
        ) from error
    return method


__all__ = ["METHODS", "WHOLE", "Draw", "Method", "Share", "Taught", "Weighing", "build_method"]
