"""Rows as the books insert them, on the database TEST_DATABASE names: nothing is changed on the way, or cut off."""

from __future__ import annotations

import pytest
from django.db import DatabaseError, connection, transaction

from billing.batch.logs import LOG_COLUMNS, NOT_TOLD
from billing.batch.purses import BIGGEST
from billing.batch.sql import insert, open_cursor
from billing.models import Log

pytestmark = pytest.mark.django_db


def row(user_id: int, quota: int = 0, **told: object) -> tuple[object, ...]:
    return (user_id, 1, 2, 3, 4, f"request {user_id}", quota, 0, 5, 6, 7, *(NOT_TOLD | told).values())


def write(*rows: tuple[object, ...]) -> None:
    with transaction.atomic(), open_cursor() as cursor:
        insert(cursor, "logs", LOG_COLUMNS, rows)


@pytest.mark.parametrize(
    "text",
    ["", "null", "it's", 'a "word"', r"C:\new\u0041", "a\nb\tc", "100 %s %", "模型倍率 0.75", "🜚 é", "[1, 2]", "{}"],
)
def test_a_text_is_read_as_it_was_written(text: str) -> None:
    write(row(1, content=text, username=text, is_stream=True))

    log = Log.objects.get()
    assert (log.content, log.username, log.is_stream, log.estimated) == (text, text, True, False)


@pytest.mark.parametrize("amount", [0, -1, 2**31, 2**53 + 1, BIGGEST, -BIGGEST])
def test_a_number_is_read_as_it_was_written(amount: int) -> None:
    write(row(1, amount))

    assert Log.objects.get().quota == amount


def test_a_whole_number_told_as_a_fraction_is_taken() -> None:
    write(row(1, elapsed_time=12.0))

    assert Log.objects.get().elapsed_time == 12


@pytest.mark.parametrize("count", [0, 1, 2, 63, 64, 65, 200])
def test_as_many_rows_are_there_as_were_written_in_their_order(count: int) -> None:
    write(*(row(number) for number in range(count)))

    assert list(Log.objects.order_by("id").values_list("user_id", flat=True)) == list(range(count))


def test_a_text_too_long_for_its_column_is_refused_and_not_cut_off() -> None:
    if connection.vendor == "sqlite":
        pytest.skip("SQLite's columns have no length")
    with pytest.raises(DatabaseError):
        write(row(1, username="a" * 1_000))

    assert not Log.objects.exists()
