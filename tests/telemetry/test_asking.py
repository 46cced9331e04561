"""A database that does not answer keeps nobody waiting for longer than patience, and only once."""

from __future__ import annotations

from threading import Event, Thread

import pytest
from django.db import OperationalError

from telemetry.asking import Question


def test_an_answer_is_told_again_while_it_is_fresh():
    numbers = iter(range(1, 9))
    question = Question("tests", lambda: next(numbers), fresh=60)

    assert [question.answer(5), question.answer(5)] == [1, 1]


def test_who_asks_while_no_answer_comes_starts_no_second_thread_and_is_not_kept():
    let_go, asked = Event(), []

    def ask() -> int:
        asked.append(1)
        let_go.wait(30)
        return 7

    question = Question("tests", ask, fresh=60)
    try:
        assert question.answer(0.05) is None
        assert [question.answer(0.0) for _ in range(100)] == [None] * 100
        assert len(asked) == 1
    finally:
        let_go.set()
    assert question.answer(30) == 7


def test_a_database_that_is_away_is_no_answer():
    def ask() -> int:
        raise OperationalError

    assert Question("tests", ask, fresh=60).answer(5) is None


def test_a_thread_that_cannot_start_is_no_answer_and_the_next_one_is(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: Thread) -> None:
        raise RuntimeError("can't start new thread")

    question = Question("tests", lambda: 7, fresh=60)
    with monkeypatch.context() as short:
        short.setattr(Thread, "start", refuse)
        assert question.answer(5) is None

    assert question.answer(30) == 7
