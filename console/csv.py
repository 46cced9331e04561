"""Tables to download: CSV (and plain lines) streamed row by row, safe to open in a spreadsheet.

The rows are pulled while the answer goes out, some hundred at a time, so that a million of them take no more memory
than a thousand.
"""

from __future__ import annotations

import csv
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from datetime import UTC
from itertools import islice
from typing import Any, TypeVar

from asgiref.sync import sync_to_async
from django.core.handlers.asgi import ASGIRequest
from django.db.models import Model, QuerySet
from django.http import HttpRequest, StreamingHttpResponse
from django.utils.functional import Promise

from console.formats import datetime_of

BOM = "\ufeff"  # by which spreadsheets know that it is UTF-8
AT_ONCE = 500  # rows of one piece of the answer, and of one query
FORMULA = ("=", "+", "-", "@", "\t", "\r")  # what makes a spreadsheet compute a cell instead of showing it
Row = TypeVar("Row", bound=Model)


class _Echo:
    """A file whose `write` gives back what is written."""

    def write(self, text: str) -> str:
        return text


def neutral(value: object) -> object:
    """A cell that no spreadsheet takes for a formula: text that begins like one gets an apostrophe before it.

    Numbers stay numbers, -5 too; what matters is text that somebody else chose, such as the name of a key.
    """
    if isinstance(value, str | Promise):
        text = str(value)
        return f"'{text}" if text.startswith(FORMULA) else text
    return value


def utc(seconds: int) -> str:
    """Unix seconds as `2026-01-31T08:00:00Z`, which every spreadsheet reads; "" for 0 and for never (-1)."""
    return datetime_of(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if seconds > 0 else ""


def newest_first(rows: QuerySet[Row]) -> Iterator[Row]:
    """All rows from the highest number down, AT_ONCE by one query each: no cursor stays open, nothing is skipped."""
    rows = rows.order_by("-pk")
    last: Any = None
    while True:
        piece = list((rows if last is None else rows.filter(pk__lt=last))[:AT_ONCE])
        yield from piece
        if len(piece) < AT_ONCE:
            return
        last = piece[-1].pk


def csv_answer(
    request: HttpRequest, name: str, columns: Sequence[str | Promise], rows: Iterable[Sequence[object]]
) -> StreamingHttpResponse:
    """`rows` as `<name>.csv`, the columns' names first."""
    writer = csv.writer(_Echo())

    def lines() -> Iterator[str]:
        yield BOM + writer.writerow([neutral(column) for column in columns])
        for row in rows:
            yield writer.writerow([neutral(value) for value in row])

    return _download(request, f"{name}.csv", "text/csv; charset=utf-8", lines())


def text_answer(request: HttpRequest, name: str, lines: Iterable[str]) -> StreamingHttpResponse:
    """One line each as `<name>.txt`."""
    return _download(request, f"{name}.txt", "text/plain; charset=utf-8", (f"{line}\n" for line in lines))


def _download(request: HttpRequest, name: str, kind: str, lines: Iterator[str]) -> StreamingHttpResponse:
    pieces = _pieces(lines)
    # An asynchronous server would read a plain iterator to its end before it sends anything.
    content = _handed_over(pieces) if isinstance(request, ASGIRequest) else pieces
    answer = StreamingHttpResponse(content, content_type=kind)
    answer["Content-Disposition"] = f'attachment; filename="{name}"'
    answer["Cache-Control"] = "private, no-store"
    return answer


def _pieces(lines: Iterator[str]) -> Iterator[str]:
    while piece := "".join(islice(lines, AT_ONCE)):
        yield piece


async def _handed_over(pieces: Iterator[str]) -> AsyncIterator[str]:
    """Each piece is made on the thread of the request, which is the one with its database connection."""

    def following() -> str:
        return next(pieces, "")

    while piece := await sync_to_async(following, thread_sensitive=True)():
        yield piece
