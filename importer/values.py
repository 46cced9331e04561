"""Reading one row of the source: typed, within the bounds of the columns here, every departure noted."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

from importer.report import Table

BIGGEST = 2**63 - 1


class Row:
    """The values of one row. What is missing or NULL is the default, silently; what cannot be taken is noted."""

    __slots__ = ("_table", "_values", "id")

    def __init__(self, values: Mapping[str, Any], table: Table) -> None:
        self._values = values
        self._table = table
        self.id = int(values.get("id") or 0)

    def integer(self, name: str, default: int = 0, low: int = -BIGGEST, high: int = BIGGEST) -> int:
        """A whole number clamped into low..high; the change is added to the account of the column's sum."""
        value = self._values.get(name)
        if value is None:
            return default
        try:
            number = int(value)
        except (TypeError, ValueError, OverflowError):
            self._table.adjust(self.id, f"{name} is no number; now {default}")
            return default
        clamped = min(max(number, low), high)
        if clamped != number:
            self._table.adjust(self.id, f"{name} was {number}; now {clamped}")
            self._table.adjusted_sums[name] += clamped - number
        return clamped

    def plain(self, name: str) -> int:
        """The number as it is, without a note: of a row that is left out."""
        try:
            return int(self._values.get(name) or 0)
        except (TypeError, ValueError, OverflowError):
            return 0

    def number(self, name: str) -> float:
        value = self._values.get(name)
        try:
            number = float(value or 0)
        except (TypeError, ValueError):
            number = math.nan
        if not math.isfinite(number):
            self._table.adjust(self.id, f"{name} is no number; now 0")
            return 0.0
        return number

    def one_of(self, name: str, allowed: Iterable[int], default: int, otherwise: int) -> int:
        """`default` where nothing is stored, `otherwise` (noted) where it is none of `allowed`."""
        value = self.integer(name, default)
        if value in allowed:
            return value
        self._table.adjust(self.id, f"{name} was {value}; now {otherwise}")
        return otherwise

    def flag(self, name: str) -> bool:
        value = self._values.get(name)
        if isinstance(value, str):
            return value.strip().lower() in ("1", "t", "true")
        return bool(value)

    def text(self, name: str, length: int | None = None) -> str:
        """Without NUL characters, which PostgreSQL cannot store, and cut at `length` characters."""
        value = self._values.get(name)
        if value is None:
            return ""
        text = value if isinstance(value, str) else _decoded(value)
        if "\x00" in text:
            text = text.replace("\x00", "")
        if length is not None and len(text) > length:
            self._table.adjust(self.id, f"{name} was cut to {length} characters")
            text = text[:length]
        return text

    def credential(self, name: str) -> str:
        """A key: a fixed-length column of PostgreSQL fills it up with blanks."""
        return self.text(name).strip()


def _decoded(value: Any) -> str:
    return bytes(value).decode("utf-8", "replace") if isinstance(value, bytes | bytearray | memoryview) else str(value)


def differing(expected: object, stored: Mapping[str, Any], names: Iterable[str]) -> list[str]:
    """The names under which the row here has another value than the import would give it."""
    return [name for name in names if getattr(expected, name) != stored[name]]


def names_in(text: str) -> list[str]:
    """The distinct, trimmed names of a comma-separated text, in their order."""
    return [name for name in dict.fromkeys(part.strip() for part in text.replace("\n", ",").split(",")) if name]
