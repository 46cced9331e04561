"""The numbers of a chart as CSV: a row a bucket, a column a line, whole numbers (points for money)."""

from __future__ import annotations

from collections.abc import Iterator

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils.translation import gettext as _

from billing.analytics import By, Series, labels
from console import csv
from console.figures.charts import name_of


def series_csv(request: HttpRequest, name: str, series: Series, by: By | None) -> HttpResponseBase:
    names = labels(by, [line.key for line in series.lines]) if by is not None else {}

    def rows() -> Iterator[list[object]]:
        for place, start in enumerate(series.buckets):
            yield [csv.utc(start), *(line.points[place] for line in series.lines)]

    head = [_("Time (UTC)"), *(name_of(line.key, names, by) for line in series.lines)]
    return csv.csv_answer(request, name, head, rows())
