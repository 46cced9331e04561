"""A chart as a template needs it: lines for the script that draws it, and the same numbers as a table for everybody."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any
from zlib import crc32

from django.utils import timezone
from django.utils.formats import date_format, number_format
from django.utils.translation import gettext as _

from billing.analytics import By, Grain, Key, Line, Metric, Series, labels
from console import formats
from options.registry import Options

COLOURS = 10  # series of the style sheet
DASHES = 4  # patterns, so that lines differ by more than colour


@dataclass(frozen=True)
class Drawn:
    """One line: `colour` 1 to COLOURS, 0 for what is left over."""

    label: str
    colour: int
    dash: int
    points: tuple[int, ...]
    total: str


@dataclass(frozen=True)
class Row:
    label: str
    cells: tuple[str, ...]


@dataclass(frozen=True)
class Chart:
    """`data` goes to the script as JSON: {x, lines: [{label, colour, dash, points}], scale, prefix, stacked, grain}."""

    name: str
    caption: str
    lines: tuple[Drawn, ...]
    rows: tuple[Row, ...]
    data: dict[str, Any]
    csv: str  # address of the download

    @property
    def empty(self) -> bool:
        return not any(any(line.points) for line in self.lines)


def chart(
    name: str,
    caption: str,
    series: Series,
    metric: Metric,
    options: Options,
    *,
    by: By | None = None,
    csv: str = "",
    stacked: bool = True,
) -> Chart:
    """The line of everything left over is called so; a key or channel that is gone is called by its number."""
    names = labels(by, [line.key for line in series.lines]) if by is not None else {}
    lines = _drawn(series.lines, names, metric, options, by)
    money = metric is Metric.QUOTA and options["DisplayInCurrencyEnabled"]
    rows = tuple(
        Row(moment_label(start, series.grain), tuple(amount(line.points[place], metric, options) for line in lines))
        for place, start in enumerate(series.buckets)
    )
    data = {
        "x": list(series.buckets),
        "lines": [
            {"label": line.label, "colour": line.colour, "dash": line.dash, "points": line.points} for line in lines
        ],
        "scale": float(options["QuotaPerUnit"]) if money else 1,
        "prefix": "$" if money else "",
        "stacked": stacked and len(lines) > 1,
        "grain": series.grain.value,
        "zone": timezone.get_current_timezone_name(),
    }
    return Chart(name, caption, lines, rows, data, csv)


def amount(number: int, metric: Metric, options: Options) -> str:
    """A figure of this metric as people read it: money, or a count in full."""
    if metric is Metric.QUOTA:
        return formats.quota(number, options)
    return str(number_format(Decimal(number), 0, use_l10n=True, force_grouping=True))


def moment_label(start: int, grain: Grain) -> str:
    begins = datetime.fromtimestamp(start, timezone.get_current_timezone())
    if grain is Grain.HOUR:
        return f"{date_format(begins, 'DATE_FORMAT')} {date_format(begins, 'H:i')}"
    return date_format(begins, "DATE_FORMAT")


def name_of(key: Key | None, names: Mapping[Key, str], by: By | None) -> str:
    if key is None:
        return _("others") if by is not None else _("all")
    if names.get(key):
        return names[key]
    return str(key) if isinstance(key, str) and key else f"#{key}" if key else "–"


def _drawn(
    lines: Sequence[Line], names: Mapping[Key, str], metric: Metric, options: Options, by: By | None
) -> tuple[Drawn, ...]:
    """Equal keys get equal colours within a page where they can: the hash chooses, a taken colour gives way."""
    taken: set[int] = set()
    drawn: list[Drawn] = []
    for line in lines:
        label = name_of(line.key, names, by)
        colour = 0 if line.key is None and by is not None else _colour(label, taken)
        dash = len(drawn) % DASHES
        drawn.append(Drawn(label, colour, dash, line.points, amount(line.total, metric, options)))
    return tuple(drawn)


def _colour(label: str, taken: set[int]) -> int:
    first = crc32(label.encode()) % COLOURS
    for step in range(COLOURS):
        colour = (first + step) % COLOURS + 1
        if colour not in taken:
            taken.add(colour)
            return colour
    return first + 1


def sparkline(points: Sequence[int], width: int = 120, height: int = 32) -> str:
    """Points of an SVG polyline over the box; a flat line at the bottom where all are 0."""
    top = max([*points, 1])
    step = width / max(len(points) - 1, 1)
    return " ".join(
        f"{place * step:.1f},{height - 2 - point / top * (height - 4):.1f}" for place, point in enumerate(points)
    )
