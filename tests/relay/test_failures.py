"""How many lines failures may leave, by a clock of the test's own."""

from __future__ import annotations

from typing import Any, cast

import pytest

from accounts.callers import Caller
from billing.batch import Failure
from billing.books import Books
from relay.errors import BadRequest, Forbidden, InsufficientQuota, NoChannel, RelayError, UpstreamError
from relay.failures import MOST, WINDOW, Failures
from relay.told import MAX_MESSAGE, Trace, error_code


def caller(token_id: int = 1) -> Caller:
    return Caller(token_id, "key", 1, -1, True, 0, 0, None, "", (), 7, "alice", 1, 1, "vip", 0, 0, 0)


class Taken:
    """Books that note what they are given, while `open`."""

    def __init__(self) -> None:
        self.noted: list[Failure] = []
        self.open = True

    def note(self, failure: Failure) -> bool:
        if self.open:
            self.noted.append(failure)
        return self.open

    @property
    def lines(self) -> list[str]:
        return [one.log["content"] for one in self.noted if one.logged]


class Scene:
    def __init__(self, *, logged: bool = True) -> None:
        self.books = Taken()
        self.now = 1_000.0
        self.failures = Failures(cast("Books", self.books), lambda: logged, lambda: self.now)

    def fail(self, count: int = 1, *, token_id: int = 1, error: RelayError | None = None) -> None:
        for _ in range(count):
            self.failures.note(Trace(caller=caller(token_id)), "id", error or BadRequest("no"))


def test_a_minute_has_room_for_so_many_lines_and_all_are_counted():
    scene = Scene()

    scene.fail(MOST + 40)

    assert scene.books.lines == ["no"] * MOST
    assert len(scene.books.noted) == MOST + 40


def test_the_next_line_says_how_many_were_left_out():
    scene = Scene()
    scene.fail(MOST + 40)

    scene.now += WINDOW
    scene.fail(2)

    assert scene.books.lines[MOST:] == ["no (and 40 more failed calls of this key)", "no"]


def test_each_key_has_its_own_room():
    scene = Scene()

    scene.fail(MOST + 1)
    scene.fail(1, token_id=2)

    assert len(scene.books.lines) == MOST + 1


def test_without_a_log_of_calls_failures_are_only_counted():
    scene = Scene(logged=False)

    scene.fail(3)

    assert (len(scene.books.noted), scene.books.lines) == (3, [])


def test_what_the_books_cannot_take_takes_no_room():
    scene = Scene()
    scene.books.open = False
    scene.fail(MOST)
    scene.books.open = True

    scene.fail()

    assert scene.books.lines == ["no"]


def test_nothing_is_told_of_somebody_unknown():
    scene = Scene()

    scene.failures.note(Trace(), "id", BadRequest("no"))

    assert scene.books.noted == []


def test_a_long_message_is_cut_and_made_readable():
    scene = Scene()

    scene.fail(error=BadRequest("a\x00b\ud800" + "x" * 5_000))

    (line,) = scene.books.lines
    assert (line[:5], len(line)) == ("a b x", MAX_MESSAGE)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (Forbidden("x"), "forbidden"),
        (NoChannel("x"), "no_channel"),
        (InsufficientQuota("x"), "insufficient_user_quota"),
        (UpstreamError("x", code=1234), "1234"),
        (UpstreamError("x", code="c" * 100), "c" * 64),
    ],
)
def test_codes_are_the_caller_s_or_the_class_s(error: RelayError, code: str):
    assert error_code(error) == code


def test_a_code_that_is_no_word_is_the_class_s():
    odd: Any = UpstreamError("x")
    odd.code = {"a": 1}

    assert error_code(odd) == "upstream_error"
