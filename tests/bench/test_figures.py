"""The arithmetic behind the table's figures."""

from __future__ import annotations

import pytest

from bench import figures
from bench.load import Point
from bench.result import DIRECT, FLOOR, SQLITE, UNBILLED, Result, Subject
from bench.sections import plain, tax


def point(rate: float, p50: float = 1.0, p99: float = 2.0, refused: int = 0) -> Point:
    return Point(calls=int(rate) + refused, seconds=1.0, refused=refused, broken=0, p50=p50, p99=p99, cpu=100.0)


def result(*subjects: Subject) -> Result:
    return Result("2026-01-01 00:00:00", "abc", {}, "wrk", "nginx", 1.0, ["plain", "tax"], list(subjects))


@pytest.mark.parametrize(
    ("share", "found"), [(0.0, 1), (0.01, 1), (0.5, 50), (0.501, 51), (0.99, 99), (0.999, 100), (1.0, 100)]
)
def test_a_percentile_is_the_value_that_so_many_do_not_exceed(share, found):
    assert figures.percentile(list(range(1, 101)), share) == found


def test_one_value_is_every_percentile_and_none_is_zero():
    assert [figures.percentile([7.0], share) for share in (0, 0.5, 1)] == [7.0, 7.0, 7.0]
    assert figures.percentile([], 0.99) == 0.0


def test_a_ratio_is_the_median_of_the_rounds_ratios_and_not_of_the_rates():
    assert figures.ratio([50, 10, 90], [100, 100, 100]) == 0.5
    assert figures.ratio([50, 5, 45], [100, 10, 90]) == 0.5  # a round in which the machine was slow for both
    assert figures.ratio([50], []) is None
    assert figures.ratio([50], [0]) is None


def test_the_tax_is_what_is_missing_of_the_calls_without_books():
    assert figures.tax([1000, 1000, 1000], [700, 800, 900]) == pytest.approx(20)
    assert figures.tax([1000], [1100]) == pytest.approx(-10)
    assert figures.tax([], []) is None


def test_growth_is_counted_from_the_last_but_one_mark():
    assert figures.growth({20_000: 100, 100_000: 150, 200_000: 151}) == (100_000, 1)
    assert figures.growth({20_000: 100}) is None


def test_refused_calls_are_not_calls_a_second():
    assert point(100, refused=50).rate == 100


def test_goals_say_what_was_found_and_whether_it_is_enough():
    floor = Subject(FLOOR, "floor", rounds={1: [point(900)], 32: [point(1000)]})
    direct = Subject(DIRECT, "direct", rounds={1: [point(2000, p50=0.1, p99=0.2)], 32: [point(9000)]})
    ours = Subject(SQLITE, "ours", billed=True, kind="sqlite")
    ours.rounds = {1: [point(500, p50=0.6, p99=3.3)], 32: [point(499)]}
    peer = Subject("portkey", "Portkey", peer=True, rounds={32: [point(60)]})
    goals = {goal.what: goal for goal in plain.goals(result(direct, floor, ours, peer))}
    assert goals["of the floor at 32 connections"].found == "0.499"
    assert not goals["of the floor at 32 connections"].reached
    assert goals["times Portkey at 32 connections"].reached
    assert goals["added p50 at one connection"].found == "0.50 ms"
    assert goals["added p50 at one connection"].reached
    assert not goals["added p99 at one connection"].reached


def test_each_database_has_a_tax_of_its_own():
    without = Subject(UNBILLED, "off", taxed=[point(1000)])
    sqlite = Subject(SQLITE, "SQLite", billed=True, kind="sqlite", taxed=[point(790)])
    postgres = Subject("postgres", "PostgreSQL", billed=True, kind="postgres", taxed=[point(610)])
    found = [(goal.found, goal.reached) for goal in tax.goals(result(without, sqlite, postgres))]
    assert found == [("21.0 %", False), ("39.0 %", True)]


def test_a_run_whose_calls_were_refused_or_whose_books_are_wrong_is_not_sound():
    assert result(Subject(SQLITE, "ours", rounds={1: [point(5)]})).sound
    assert not result(Subject(SQLITE, "ours", rounds={1: [point(5, refused=1)]})).sound
    assert not result(Subject(SQLITE, "ours", taxed=[point(5, refused=1)])).sound
    assert not result(Subject(SQLITE, "ours", exact=False, books="open holds: 1 instead of 0")).sound
    assert not result(Subject(SQLITE, "ours", streams=[{"lost": 1}])).sound
    assert result(Subject("litellm", "LiteLLM", peer=True, rounds={1: [point(5, refused=1)]})).sound
