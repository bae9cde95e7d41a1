"""What every answer can be asked: its class, its plain values, its short form for a notebook."""

from collections.abc import Iterable, Sequence
from dataclasses import fields, replace
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from html import escape
from typing import Any, ClassVar, Self, SupportsIndex, overload

ABSTAIN = -1
DIGITS = Decimal("0.0001")
ROUNDED = {
    "radius": ROUND_FLOOR,
    "p_lower": ROUND_FLOOR,
    "lower": ROUND_FLOOR,
    "p_upper": ROUND_CEILING,
    "upper": ROUND_CEILING,
}
"""Numbers that a short form shows with four decimals, and the way that keeps what they claim."""


class Classes(tuple[str, ...]):
    """The names of the classes, in label order.

    A negative label is refused: `classes[ABSTAIN]` would be the last class.
    """

    __slots__ = ()

    @overload
    def __getitem__(self, label: SupportsIndex, /) -> str: ...
    @overload
    def __getitem__(self, label: slice, /) -> tuple[str, ...]: ...
    def __getitem__(self, label: SupportsIndex | slice, /) -> str | tuple[str, ...]:
        """The name of a class, or a plain tuple of several.

        Raises:
            IndexError: the label is negative, or there is no such class.
        """
        if isinstance(label, slice):
            return super().__getitem__(label)
        if not 0 <= label.__index__() < len(self):
            raise IndexError(
                f"Expected a label from 0 to {len(self) - 1}, got {label.__index__()}; check "
                "`abstained` first (the label is then -1), or use `class_name`."
            )
        return super().__getitem__(label)


class Answer:
    """What the answer of every procedure can be asked.

    Subclasses are dataclasses, with the fields `label` and `class_name`.
    """

    label: int
    class_name: str | None
    SHORT: ClassVar[tuple[str, ...]]

    @property
    def abstained(self) -> bool:
        """Whether no class is the answer: the votes or scores were too close."""
        return self.label == ABSTAIN

    def to_dict(self) -> dict[str, object]:
        """All fields as plain values that JSON holds; tuples become lists."""
        return plain_values(self)

    def named(self, classes: Sequence[str]) -> Self:
        """The answer with the name of its class; an abstention has none."""
        if self.abstained:
            return self
        return replace(self, class_name=classes[self.label])  # type: ignore[type-var]

    def _shown(self) -> list[tuple[str, str]]:
        keys = ("label", "class_name", *self.SHORT)
        if self.abstained:
            keys = ("label", *(key for key in self.SHORT if key != "radius"))
        return [(key, self._text(key)) for key in keys]

    def _text(self, key: str) -> str:
        if key == "label" and self.abstained:
            return "ABSTAIN"
        return short(getattr(self, key), ROUNDED.get(key))

    def __repr__(self) -> str:
        facts = ", ".join(f"{key}={text}" for key, text in self._shown())
        return f"{type(self).__name__}({facts})"

    def _repr_html_(self) -> str:
        """The short form as a table, for notebooks."""
        return html_table([("", type(self).__name__), *self._shown()])


def short(value: object, rounding: str | None) -> str:
    """A value as short forms show it; one that is rounded has four decimals."""
    if rounding is None:
        return repr(value)
    return str(Decimal(value).quantize(DIGITS, rounding))  # type: ignore[arg-type]


def plain_values(record: Any) -> dict[str, object]:
    """The fields of a dataclass, class names right after the label, with lists for tuples."""
    values = {field.name: getattr(record, field.name) for field in fields(record)}
    first = {key: values[key] for key in ("label", "class_name") if key in values}
    return {
        key: list(value) if isinstance(value, tuple) else value
        for key, value in (first | values).items()
    }


def html_table(rows: Iterable[Sequence[str]]) -> str:
    """A table of texts, as HTML."""
    lines = ("".join(f"<td>{escape(text)}</td>" for text in row) for row in rows)
    return f"<table>{''.join(f'<tr>{line}</tr>' for line in lines)}</table>"
