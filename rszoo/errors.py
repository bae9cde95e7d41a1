"""Error messages that name the value and suggest a fix; the zoo's own exceptions."""

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

LOCATION = re.compile(r" - at `\$(?P<path>[^`]*)`$")
"""How msgspec ends a message about a part of a document."""

AUTHORS = {"cohen": "gaussian", "salman": "smoothadv", "feng": "adre", "zhai": "macer"}
"""Methods by the authors' names under which they are known elsewhere."""


class UnknownModelError(ValueError):
    """No entry has this name."""


class MissingWeightsError(FileNotFoundError):
    """The entry is known, but its weights are neither on this machine nor on the Hub."""


class IntegrityError(ValueError):
    """A file of an entry is damaged, altered, or belongs to another entry."""


class HubError(OSError):
    """Downloading from the Hub, or uploading to it, failed."""


def nearest(name: str, known: Collection[str]) -> list[str]:
    """Up to three known names that `name` may stand for, the likeliest first.

    Names are compared by spelling; if none is close, by whether they contain `name`.
    """
    meant = "-".join(AUTHORS.get(part, part) for part in name.split("-"))
    if meant in known:
        return [meant]
    close = difflib.get_close_matches(meant, known, n=3, cutoff=0.5)
    return close or sorted(other for other in known if meant and meant in other)[:3]


def guess(name: str, known: Collection[str]) -> str:
    """The words "did you mean ...? " for an error message; empty if no known name is near."""
    near = nearest(name, known)
    return f"did you mean {' or '.join(map(repr, near))}? " if near else ""


def as_int(name: str, value: object) -> int:
    """The argument `name` as an int; NumPy's integers are accepted.

    Raises:
        ValueError: the value is not an integer. A float is refused, never truncated.
    """
    if isinstance(value, bool) or not isinstance(value, SupportsIndex):
        raise ValueError(f"Expected {name} to be a whole number, got {value!r}; pass an int.")
    return index(value)


def as_float(name: str, value: object) -> float:
    """The argument `name` as a float; integers and NumPy's numbers are accepted.

    Raises:
        ValueError: the value is not a number.
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
    """A TOML document converted to `kind`.

    Raises:
        ValueError: the text is not TOML, or does not fit `kind`; see `explained`.
    """
    table = None
    try:
        table = toml.decode(text)
        return convert(table, kind)
    except (DecodeError, ValueError) as error:
        raise ValueError(explained(error, kind, table).removesuffix(".")) from error


def explained(error: Exception, kind: type, values: object = None) -> str:
    """The message of a decoding error, with the value found and the values allowed.

    Args:
        error: raised by msgspec; the message of any other error is returned as it is.
        kind: the struct or dataclass that msgspec decoded to.
        values: the document as plain Python objects; without it the value is left out.
    """
    text = str(error)
    location = LOCATION.search(text)
    place: object = inspect.type_info(kind)
    for name in re.findall(r"\.(\w+)", location["path"] if location else ""):
        place = _field(place, name, values)
        values = values.get(name) if isinstance(values, Mapping) else None
    parts = [text]
    if not isinstance(values, Mapping | list | tuple | None) and repr(values) not in text:
        parts.append(f"got {values!r}")
    unknown_field = "unknown field" in text
    allowed = _field_names(place) if unknown_field else _choices(place) if location else []
    if allowed:
        parts.append(f"allowed: {', '.join(allowed)}")
    return "; ".join(parts)


def _field(place: object, name: str, value: object) -> object:
    """The type of a field; in a tagged union, of the member that the value's tag selects.

    The tag itself stands for the whole union: its choices are the tags of the members.
    """
    for table in _tables(place):
        tag_field, tag = getattr(table, "tag_field", None), getattr(table, "tag", None)
        if name == tag_field:
            return place
        if tag is None or (isinstance(value, Mapping) and value.get(tag_field) == tag):
            return next((field.type for field in table.fields if field.encode_name == name), None)
    return None


def _field_names(place: object) -> list[str]:
    """The fields of a table; none of a union, which has several tables."""
    tables = _tables(place)
    return [field.encode_name for field in tables[0].fields] if len(tables) == 1 else []


def _choices(place: object) -> list[str]:
    """The tags of a tagged union, or the values of a literal."""
    tags = [
        str(tag) for table in _tables(place) if (tag := getattr(table, "tag", None)) is not None
    ]
    literals = [member for member in _members(place) if isinstance(member, inspect.LiteralType)]
    return tags or [str(value) for literal in literals for value in literal.values]


def _tables(place: object) -> list[inspect.StructType | inspect.DataclassType]:
    kinds = (inspect.StructType, inspect.DataclassType)
    return [member for member in _members(place) if isinstance(member, kinds)]


def _members(place: object) -> list[object]:
    return list(place.types) if isinstance(place, inspect.UnionType) else [place]
