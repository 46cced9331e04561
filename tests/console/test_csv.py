"""Downloads: nothing a spreadsheet would compute (console reference, 12), every row once, and a piece at a time."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from typing import Any

import pytest
from django.http import StreamingHttpResponse
from django.test import AsyncRequestFactory, RequestFactory

from audit.models import AuditEntry
from console.csv import AT_ONCE, csv_answer, neutral, newest_first, text_answer, utc


def read(answer: StreamingHttpResponse) -> list[list[str]]:
    text = b"".join(answer).decode("utf-8-sig")
    return list(csv.reader(io.StringIO(text)))


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r"])
def test_text_that_begins_like_a_formula_is_neutralised(start: str) -> None:
    assert neutral(f"{start}1+1") == f"'{start}1+1"


def test_numbers_and_other_text_stay_as_they_are() -> None:
    assert [neutral(value) for value in (-5, 0, "a=1", "", "键")] == [-5, 0, "a=1", "", "键"]


def test_the_answer_holds_columns_and_rows_as_written() -> None:
    answer = csv_answer(RequestFactory().get("/"), "keys", ["Name", "Quota"], [['=HYPERLINK("x")', -7], ["a,b", 3]])

    assert answer["Content-Type"] == "text/csv; charset=utf-8"
    assert answer["Content-Disposition"] == 'attachment; filename="keys.csv"'
    assert read(answer) == [["Name", "Quota"], ['\'=HYPERLINK("x")', "-7"], ["a,b", "3"]]


def test_lines_of_text_end_with_a_line_break() -> None:
    answer = text_answer(RequestFactory().get("/"), "codes", ["one", "two"])

    assert b"".join(answer) == b"one\ntwo\n"


@pytest.mark.asyncio
async def test_an_asynchronous_server_gets_one_piece_at_a_time() -> None:
    made = 0

    def rows() -> Iterator[list[int]]:
        nonlocal made
        for number in range(10 * AT_ONCE):
            made = number + 1
            yield [number]

    request: Any = AsyncRequestFactory().get("/")
    answer = csv_answer(request, "numbers", ["Number"], rows())
    pieces = aiter(answer)

    first = await anext(pieces)
    after_the_first = made
    rest = [piece async for piece in pieces]

    assert after_the_first == AT_ONCE - 1  # the columns are the other line of the first piece
    assert len((first + b"".join(rest)).split()) == 10 * AT_ONCE + 1


@pytest.mark.django_db
def test_every_row_comes_once_and_the_newest_first(django_assert_num_queries: Any) -> None:
    AuditEntry.objects.bulk_create(AuditEntry(created_at=number, action="a") for number in range(AT_ONCE + 3))

    with django_assert_num_queries(2):
        seen = [entry.created_at for entry in newest_first(AuditEntry.objects.all())]

    assert seen == list(range(AT_ONCE + 2, -1, -1))


def test_times_are_told_in_utc() -> None:
    assert [utc(value) for value in (1_767_225_600, 0, -1)] == ["2026-01-01T00:00:00Z", "", ""]
