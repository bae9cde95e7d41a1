"""Options in the name of an architecture: `timm/vit_tiny_patch16_224?img_size=32&patch_size=4`.

The name is kept as it is in configs, recipes and their hashes, so an entry is rebuilt with the
options that it was made with.
"""

from collections.abc import Callable, Collection, Mapping
from urllib.parse import parse_qsl

from torch import nn

Option = bool | int | float | str
TRUTH = {"true": True, "false": False}


def split_options(name: str) -> tuple[str, dict[str, Option]]:
    """The name before the question mark, and the options behind it.

    A value is true or false, an integer, a number, or else a string; `%xx` stands for a character,
    `+` for a space, as in a URL.

    Raises:
        ValueError: the options are not key=value, joined by &, or one is there twice.
    """
    network, mark, query = name.partition("?")
    try:
        pairs = parse_qsl(query, keep_blank_values=True, strict_parsing=True) if mark else []
        if mark and not query:
            raise ValueError("there is none")
        if len(dict(pairs)) < len(pairs):
            raise ValueError("an option is there twice")
    except ValueError as error:
        raise ValueError(
            f"Expected options such as ?img_size=32&patch_size=4, got {query!r} ({error}); "
            f"write {network}?key=value&key=value."
        ) from error
    return network, {key: _typed(text) for key, text in pairs}


def _typed(text: str) -> Option:
    if text.lower() in TRUTH:
        return TRUTH[text.lower()]
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def built_with(
    make: Callable[..., nn.Module],
    name: str,
    options: Mapping[str, Option],
    *,
    reserved: Collection[str],
) -> nn.Module:
    """The network that `make` builds with the options.

    Args:
        make: takes the options by keyword.
        name: of the architecture, family included, without options; errors name it.
        options: as of `split_options`.
        reserved: options that decide the weights, the classes or the channels, which the entry
            decides.

    Raises:
        ValueError: an option is reserved, or `make` does not take it or its value.
    """
    if taken := sorted(options.keys() & set(reserved)):
        raise ValueError(
            f"Expected options of {name} that leave weights, classes and channels alone, got "
            f"{taken[0]!r}; leave it out."
        )
    if not options:
        return make()
    try:
        return make(**options)
    except Exception as error:  # of the library, which may fail in any way
        fault = str(error).partition("\n")[0].rstrip(".") or type(error).__name__
        stated = "&".join(f"{key}={value}" for key, value in options.items())
        raise ValueError(
            f"Expected options that {name} takes, got {stated!r} ({fault}); "
            "see the arguments of this network in its library."
        ) from error
