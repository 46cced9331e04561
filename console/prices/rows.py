"""A price as a row of a list, and a change as a line of a preview."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy, pgettext_lazy

from billing.price_editing import COLUMNS, Line, Row, shown
from console.formats import rate
from console.prices.forms import LABELS

SOURCES: dict[str, tuple[str, str | Promise]] = {
    "operator": ("accent", pgettext_lazy("source of a price", "ours")),
    "synced": ("info", pgettext_lazy("source of a price", "synced sheet")),
    "built-in": ("neutral", pgettext_lazy("source of a price", "built in")),
    "": ("warning", gettext_lazy("no price: fallback")),
}


@dataclass(frozen=True)
class Figure:
    """One column of a row. `exact`: for the title; "" where the part costs as text does."""

    column: str
    shown: str
    exact: str
    own: bool


class ShownRow:
    """Sorted by its attributes, which are worked out only where the list is sorted by them."""

    def __init__(self, row: Row, used: int) -> None:
        self.row = row
        self.model = row.model
        self.used = used

    @property
    def source(self) -> tuple[str, str]:
        return self.row.source, self.model

    @property
    def ratio(self) -> Decimal:
        return self.row.ratios["prompt"] or Decimal(0)

    @property
    def ratio_text(self) -> str:
        return f"{self.ratio:f}"

    @property
    def badge(self) -> tuple[str, str | Promise]:
        return SOURCES[self.row.source]

    @property
    def figures(self) -> list[Figure]:
        return [
            Figure(column, dollars(self.row.dollars[column]), shown(self.row.dollars[column]), column in self.row.own)
            for column in COLUMNS
        ]

    def __getattr__(self, name: str) -> float:
        """`by_prompt` and so on: what the list sorts by; a part that costs as text does comes before all prices."""
        column = name.removeprefix("by_")
        if column == name or column not in COLUMNS:
            raise AttributeError(name)
        value = self.row.dollars[column]
        return -1.0 if value is None else float(value)


def dollars(value: Fraction | None) -> str:
    return "–" if value is None else rate(Decimal(value.numerator) / Decimal(value.denominator))


@dataclass(frozen=True)
class ShownLine:
    model: str
    label: str | Promise
    before: str
    after: str
    dearer: bool
    share: str  # "+10 %"


def shown_lines(lines: Iterable[Line]) -> list[ShownLine]:
    return [
        ShownLine(
            line.model,
            LABELS[line.column],
            _precise(line.before, line.after),
            _precise(line.after, line.before),
            (line.after or 0) > (line.before or 0),
            _share(line.before, line.after),
        )
        for line in lines
    ]


def by_model(lines: Sequence[ShownLine]) -> Mapping[str, list[ShownLine]]:
    found: dict[str, list[ShownLine]] = {}
    for line in lines:
        found.setdefault(line.model, []).append(line)
    return found


def _precise(value: Fraction | None, other: Fraction | None) -> str:
    """Short where that shows a difference, else with all the digits a form shows."""
    return dollars(value) if dollars(value) != dollars(other) else f"${shown(value)}"


def _share(before: Fraction | None, after: Fraction | None) -> str:
    if not before or after is None:
        return ""
    percent = (after - before) / before * 100
    return f"{float(percent):+.1f} %" if abs(percent) < 10_000 else ""
