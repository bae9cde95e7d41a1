"""The entries of the zoo: where they are, how they are checked and loaded."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rszoo.zoo.loading import from_pretrained, load

__all__ = ["from_pretrained", "load"]


def __getattr__(name: str) -> object:
    """Import the loading functions, and torch with them, on first use (PEP 562)."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from rszoo.zoo import loading

    return getattr(loading, name)
