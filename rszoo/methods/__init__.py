"""The training methods of the papers by name; a method is a loss."""

import msgspec

from rszoo.methods.base import Method
from rszoo.methods.gaussian import Gaussian

METHODS: dict[str, type[Method]] = {"gaussian": Gaussian}


def build_method(table: dict[str, str | bool | int | float]) -> Method:
    """The method that a recipe's table [method] describes: its name and every hyper-parameter.

    Raises:
        ValueError: an unknown name, an unknown or missing hyper-parameter, or one of the wrong type.
    """
    name, parameters = table["name"], {key: value for key, value in table.items() if key != "name"}
    if name not in METHODS:
        raise ValueError(f"Unknown method {name!r} in [method]; use one of {', '.join(METHODS)}.")
    kind = METHODS[str(name)]
    unknown = parameters.keys() - set(kind.__dataclass_fields__)  # type: ignore[attr-defined]
    if unknown:
        allowed = ", ".join(kind.__dataclass_fields__) or "none"  # type: ignore[attr-defined]
        raise ValueError(f"Unknown key {min(unknown)!r} in [method] of {name}; its hyper-parameters are: {allowed}.")
    try:
        return msgspec.convert(parameters, type=kind)
    except msgspec.ValidationError as error:
        raise ValueError(
            f"Expected all hyper-parameters of {name} in [method], got a table with this fault: {error}."
        ) from error


__all__ = ["METHODS", "Method", "build_method"]
