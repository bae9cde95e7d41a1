"""What is wrong with what a user wrote, and what is allowed or was meant in its place."""

import difflib
import re
from collections.abc import Collection, Mapping, Sequence
from itertools import pairwise
from math import inf
from numbers import Real
from operator import index
from typing import SupportsIndex, TypeVar

from msgspec import DecodeError, convert, inspect, toml

Kind = TypeVar("Kind")

PLACE = re.compile(r" - at `\$(?P<path>[^`]*)`$")

AUTHORS = {"cohen": "gaussian", "salman": "smoothadv", "feng": "adre", "zhai": "macer"}
"""What is called by its authors' names elsewhere."""


class UnknownModelError(ValueError):
    """No entry has that name."""


class MissingWeightsError(FileNotFoundError):
    """An entry is known, but its weights are in no place that can be reached."""


class IntegrityError(ValueError):
    """A file of an entry is damaged, altered, or belongs to another entry."""


class HubError(OSError):
    """The files of an entry could not be had from the Hub, or brought there."""


def nearest(name: str, known: Collection[str]) -> list[str]:
    """Up to three known names that may have been meant, the likeliest first: by spelling, or, if none is close, by a part."""
    meant = "-".join(AUTHORS.get(part, part) for part in name.split("-"))
    if meant in known:
        return [meant]
    close = difflib.get_close_matches(meant, known, n=3, cutoff=0.5)
    return close or sorted(each for each in known if meant and meant in each)[:3]


def guess(name: str, known: Collection[str]) -> str:
    """The question for a sentence about an unknown name, with a space after it; empty if nothing is near."""
    near = nearest(name, known)
    return f"did you mean {' or '.join(map(repr, near))}? " if near else ""


def as_int(name: str, value: object) -> int:
    """An integer argument, also NumPy's, as an int.

    Raises:
        ValueError: it is of another type; a fraction would be cut off somewhere without a word.
    """
    if isinstance(value, bool) or not isinstance(value, SupportsIndex):
        raise ValueError(f"Expected {name} to be a whole number, got {value!r}; pass an int.")
    return index(value)


def as_float(name: str, value: object) -> float:
    """A number as an argument, also NumPy's, as a float.

    Raises:
        ValueError: it is of another type, such as text.
    """
    if isinstance(value, bool) or not isinstance(value, Real):
        raise ValueError(f"Expected {name} to be a number, got {value!r}; pass a float.")
    return float(value)


def ascending(values: Sequence[float], *, positive: bool = False) -> bool:
    """Whether these are numbers, at least one, that ascend strictly from >= 0 and are finite.

    Args:
        values: radii, distances or factors, in any unit.
        positive: the first must be > 0.
    """
    if not values or not 0 <= values[0] < inf or (positive and values[0] == 0):
        return False
    return all(before < after < inf for before, after in pairwise(values))


def decoded(text: str | bytes, kind: type[Kind]) -> Kind:
    """A TOML file as `kind`.

    Raises:
        ValueError: it is none; the error is `explained`.
    """
    table = None
    try:
        table = toml.decode(text)
        return convert(table, kind)
    except (DecodeError, ValueError) as error:
        raise ValueError(explained(error, kind, table).removesuffix(".")) from error


def explained(error: Exception, kind: type, values: object = None) -> str:
    """The error of decoding `kind`, with the value (where `values`, the decoded table, has it) and what is allowed instead.

    Args:
        error: of msgspec; any other is returned in its own words.
        kind: the struct or dataclass that was wanted.
        values: what was to be converted, as plain Python objects.
    """
    text = str(error)
    found = PLACE.search(text)
    place: object = inspect.type_info(kind)
    value = values
    for name in re.findall(r"\.(\w+)", found["path"] if found else ""):
        place = _field(place, name, value)
        value = value.get(name) if isinstance(value, Mapping) else None
    parts = [text]
    if (
        value is not None
        and not isinstance(value, Mapping | list | tuple)
        and repr(value) not in text
    ):
        parts.append(f"got {value!r}")
    unknown = "unknown field" in text
    if (found or unknown) and (allowed := _allowed(place, unknown_field=unknown)):
        parts.append(f"allowed: {', '.join(allowed)}")
    return "; ".join(parts)


def _field(place: object, name: str, value: object) -> object:
    """The type of a field; of alternatives, that of the one whose tag the value has."""
    for each in _alternatives(place):
        if not isinstance(each, inspect.StructType | inspect.DataclassType):
            continue
        if isinstance(each, inspect.StructType) and name == each.tag_field:
            return place  # the tag itself: what is allowed are the tags
        if _chosen(each, value):
            return next((field.type for field in each.fields if field.encode_name == name), None)
    return None


def _allowed(place: object, *, unknown_field: bool) -> list[str]:
    choices = _alternatives(place)
    if unknown_field:
        tables = [
            each for each in choices if isinstance(each, inspect.StructType | inspect.DataclassType)
        ]
        return [field.encode_name for field in tables[0].fields] if len(tables) == 1 else []
    tags = [
        str(each.tag)
        for each in choices
        if isinstance(each, inspect.StructType) and each.tag is not None
    ]
    return tags or [
        str(value)
        for each in choices
        if isinstance(each, inspect.LiteralType)
        for value in each.values
    ]


def _alternatives(place: object) -> list[object]:
    return list(place.types) if isinstance(place, inspect.UnionType) else [place]


def _chosen(table: object, value: object) -> bool:
    """Whether a value belongs to this alternative: its tag says so, or the alternative has none."""
    if not isinstance(table, inspect.StructType) or table.tag is None:
        return True
    return isinstance(value, Mapping) and value.get(table.tag_field) == table.tag
