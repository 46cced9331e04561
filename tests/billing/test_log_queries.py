"""The log as the console reads it: what each filter finds, pages without gaps or doubles, sums, the whole as a file."""

from __future__ import annotations

import tracemalloc
from typing import Any

import pytest

from accounts.tokens import create_token
from billing import log_queries
from billing.log_queries import Counted, LogQuery, Outcome, Page, attempts_of, count, export, page, summary
from billing.models import Log

pytestmark = pytest.mark.django_db

CONSUME, ERROR, TOP_UP, MANAGE, SYSTEM = 2, 6, 1, 3, 4
_made = iter(range(1, 10**9))


def line(**fields: Any) -> int:
    """A call's line, a second after the one before, unless told otherwise; returns its number."""
    number = next(_made)
    usual = {"type": CONSUME, "created_at": number, "request_id": f"r{number}", "status": 200}
    return Log.objects.create(**{**usual, **fields}).pk


def found(**wanted: Any) -> list[int]:
    return [row.pk for row in page(LogQuery(**wanted)).rows]


class TestFilters:
    @pytest.mark.parametrize(
        ("wanted", "fits"),
        [
            ({"types": [ERROR]}, {"type": ERROR}),
            ({"types": [TOP_UP, MANAGE]}, {"type": MANAGE}),
            ({"models": ["gpt"]}, {"model_name": "gpt"}),
            ({"models": ["gpt", "o1"]}, {"model_name": "o1"}),
            ({"user_id": 7}, {"user_id": 7}),
            ({"username": "gone"}, {"username": "gone"}),
            ({"token_id": 8}, {"token_id": 8}),
            ({"token_name": "work"}, {"token_name": "work"}),
            ({"channel_id": 3}, {"channel_id": 3}),
            ({"group": "vip"}, {"group": "vip"}),
            ({"ip": "10.0.0.1"}, {"ip": "10.0.0.1"}),
            ({"request_id": "abc"}, {"request_id": "abc"}),
            ({"request_id": "abc"}, {"request_id": "abc-12"}),
            ({"stream": True}, {"is_stream": True}),
            ({"stream": False, "models": ["gpt"]}, {"is_stream": False, "model_name": "gpt"}),
            ({"outcome": Outcome.ERROR}, {"type": ERROR, "error_code": "no_channel", "status": 503}),
            ({"outcome": Outcome.ERROR}, {"error_code": "do_request_failed"}),
            ({"text": "ReDis"}, {"content": "the word redis within"}),
            ({"start": 2 * 10**9}, {"created_at": 2 * 10**9}),
        ],
    )
    def test_each_finds_what_it_names(self, wanted, fits):
        line()
        number = line(**fits)
        line(type=SYSTEM)

        assert found(**wanted) == [number]

    def test_the_end_is_not_included(self):
        number = line(created_at=100)
        line(created_at=101)

        assert found(start=100, end=101) == [number]

    def test_what_went_well_are_calls_without_errors(self):
        number = line()
        line(error_code="broken")
        line(type=ERROR, error_code="no_channel")
        line(type=TOP_UP)

        assert found(outcome=Outcome.OK) == [number]

    @pytest.mark.parametrize("typed", ["%", "_", "a%c", "a_c", "\\"])
    def test_wildcards_stand_for_themselves(self, typed):
        line(content="abc")
        number = line(content=f"it says {typed} here")

        assert found(text=typed) == [number]

    def test_an_account_is_found_under_the_name_it_has_now(self, alice):
        number = line(user_id=alice.pk, username="her old name")
        line(user_id=alice.pk + 1, username="bob")

        assert found(username="alice") == [number]

    def test_what_a_user_types_never_shows_the_lines_of_others(self, alice, bob):
        line(user_id=bob.pk, username="bob", token_id=create_token(user_id=bob.pk, name="his").pk)
        token = Log.objects.get().token_id

        assert found(user_id=alice.pk, username="bob") == []
        assert found(user_id=alice.pk, token_id=token) == []
        assert found(user_id=alice.pk, request_id=Log.objects.get().request_id) == []


class TestPages:
    @pytest.fixture(params=[3, 10_000])
    def near(self, request, monkeypatch):
        """With few lines looked through first, and with more than there are."""
        monkeypatch.setattr(log_queries, "NEAR", request.param)

    @pytest.mark.parametrize(
        "wanted", [{}, {"models": ["gpt"]}, {"models": ["gpt", "o1"]}, {"start": 10}, {"end": 10**9}]
    )
    def test_there_and_back_without_gaps_or_doubles(self, near, wanted):
        for i in range(23):
            line(model_name="gpt" if i % 3 else "o1", created_at=1_000 + i // 4)  # several within a second
        query = LogQuery(**wanted)
        every = [row.pk for row in query.rows()]

        there = [page(query, limit=5)]
        while there[-1].older:
            there.append(page(query, before=there[-1].before, limit=5))
        back = [there[-1]]
        while back[-1].newer:
            back.append(page(query, after=back[-1].after, limit=5))

        assert [row.pk for one in there for row in one.rows] == every
        assert sorted(row.pk for one in back for row in one.rows) == sorted(every)
        assert not there[0].newer

    def test_lines_that_were_imported_later_stand_where_their_time_is(self, near):
        new = [line(created_at=5_000 + i) for i in range(5)]
        old = [line(created_at=1_000 + i) for i in range(5)]

        first = page(LogQuery(), limit=5)
        second = page(LogQuery(), before=first.before, limit=5)

        assert ([row.pk for row in first.rows], [row.pk for row in second.rows]) == (new[::-1], old[::-1])

    def test_new_lines_do_not_move_a_page(self):
        numbers = [line() for _ in range(10)]
        first = page(LogQuery(), limit=5)
        line()

        second = page(LogQuery(), before=first.before, limit=5)

        assert [row.pk for row in second.rows] == numbers[4::-1]
        assert (second.older, second.newer) == (False, True)

    def test_a_live_view_asks_for_what_is_newer(self):
        seen = line()
        assert page(LogQuery(), after=seen) == Page([], older=True, newer=False)
        new = [line(), line()]

        assert [row.pk for row in page(LogQuery(), after=seen).rows] == new[::-1]

    def test_an_empty_log(self):
        nothing = page(LogQuery())

        assert (nothing.rows, nothing.older, nothing.newer, nothing.before, nothing.after) == ([], False, False, 0, 0)


def test_counting_ends_somewhere():
    for _ in range(5):
        line()

    assert count(LogQuery(), most=5) == Counted(5, more=False)
    assert count(LogQuery(), most=4) == Counted(4, more=True)


def test_a_summary_follows_the_filters_and_is_of_calls():
    line(user_id=1, prompt_tokens=10, completion_tokens=5, cached_tokens=4, quota=7)
    line(user_id=1, prompt_tokens=10, completion_tokens=5, quota=3, error_code="broken")
    line(user_id=1, type=ERROR, error_code="no_channel")
    line(user_id=1, type=TOP_UP, quota=10**6)
    line(user_id=2, quota=50)

    own = summary(LogQuery(user_id=1))

    assert (own.requests, own.errors, own.prompt_tokens, own.completion_tokens) == (3, 2, 20, 10)
    assert (own.cached_tokens, own.quota, round(own.error_share, 3)) == (4, 10, 0.667)
    assert summary(LogQuery()).quota == 60
    assert summary(LogQuery(user_id=3)).error_share == 0.0


def test_an_export_is_the_whole_in_order_a_chunk_at_a_time(monkeypatch, django_assert_num_queries):
    monkeypatch.setattr(log_queries, "CHUNK", 4)
    numbers = [line(created_at=1_000 + i // 3) for i in range(10)]

    assert [row.pk for row in export(LogQuery())] == numbers[::-1]
    assert [row.pk for row in export(LogQuery(), limit=6)] == numbers[:3:-1]
    assert list(export(LogQuery(user_id=99))) == []


def test_an_export_of_many_lines_takes_no_more_memory_than_one_of_few():
    def lines(count: int) -> None:
        Log.objects.bulk_create([Log(type=CONSUME, created_at=i, content="x" * 200) for i in range(count)], 500)

    def peak() -> int:
        tracemalloc.start()
        assert sum(1 for _ in export(LogQuery())) == Log.objects.count()
        highest = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return highest

    lines(2_000)
    few = peak()
    lines(8_000)

    assert peak() < few * 1.5


def test_a_request_is_told_from_its_beginning():
    first = line(request_id="s-1")
    line()
    second = line(request_id="s-2")
    end = line(request_id="s", type=ERROR)

    assert [row.pk for row in attempts_of("s")] == [first, second, end]
    assert attempts_of("s", user_id=99) == []
