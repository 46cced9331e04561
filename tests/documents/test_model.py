"""The model of docs/scaling.md is that of bench/model.py, and is near what was measured on another day."""

from __future__ import annotations

import json

import pytest

from bench.model import CHECK, Point, Worker, fit, hot_row, read, report, workers
from tests.documents.pages import table_after, text

PAGES = ("scaling.md", "scaling.zh.md")


@pytest.mark.parametrize("page", PAGES)
def test_the_page_has_the_numbers_of_the_model(page):
    fitted = workers()
    for database, batch, call, at_16, at_64, most in table_after(page, "model"):
        one = fitted[database]
        assert (batch, call) == (f"{one.batch:.2f}", f"{one.call:.3f}")
        assert (at_16, at_64, most) == (f"{one.carries(16):,.0f}", f"{one.carries(64):,.0f}", f"{one.most:,.0f}")


def test_what_was_measured_on_another_day_is_within_30_percent():
    fitted = workers()
    off = [fitted[one.database].carries(one.batch, one.speed) / one.calls_s - 1 for one in CHECK]
    assert len(off) == 7
    assert max(abs(one) for one in off) < 0.30
    assert max(abs(one) for one in off) > 0.05  # it is a check, not the fit itself


@pytest.mark.parametrize("page", PAGES)
def test_the_sums_in_the_text_are_right(page):
    far_away = Worker(batch=20, call=workers()["PostgreSQL"].call)
    assert f"{far_away.carries(64):,.0f}" == "1,257"
    assert hot_row(16, 4) == 4_000
    assert f"{hot_row(64, 6):,.0f}" == "10,667"
    for number in ("1,257", "4,000", "10,667"):
        assert number in text(page)


def test_a_line_through_its_own_points_is_found_again():
    true = Worker(batch=4.0, call=0.25)
    points = [Point("x", n, true.carries(n / 2)) for n in (8, 32, 128)]
    found = fit(points)
    assert found.batch == pytest.approx(4.0)
    assert found.call == pytest.approx(0.25)


def test_one_size_of_batch_fits_nothing():
    with pytest.raises(ValueError, match="two numbers of connections"):
        fit([Point("x", 32, 100.0), Point("x", 32, 110.0)])


def test_a_point_is_read_from_the_command_line():
    assert read("PostgreSQL:32=1140") == [Point("PostgreSQL", 32, 1140.0)]


def test_points_are_read_from_what_the_bench_wrote(tmp_path):
    subjects = [
        {"title": "nginx, direct", "billed": False, "rate": {"32": 60_000.0}},
        {"title": "gateway, SQLite", "billed": True, "rate": {"1": 700.0, "32": 2_000.0, "128": 2_500.0}},
    ]
    (tmp_path / "result.json").write_text(json.dumps({"subjects": subjects}))

    points = read(str(tmp_path / "result.json"))

    assert points == [Point("SQLite", 32, 2_000.0), Point("SQLite", 128, 2_500.0)]
    assert [line.split()[:3] for line in report(workers(points), points).splitlines()[-2:]] == [
        ["SQLite", "32", "of"],
        ["SQLite", "128", "of"],
    ]
