"""Growth is measured at a tenth, a half and all of the calls, however quick the gateway is."""

from __future__ import annotations

import os
from argparse import Namespace

from bench.load import Point
from bench.result import SQLITE, Result, Subject
from bench.sections import growth
from bench.sides import Side
from bench.target import Target


class Quick:
    """A run whose only gateway makes a thousand calls a second."""

    def __init__(self) -> None:
        self.options = Namespace(growth_calls=20_000, seconds=0.5)
        subject = Subject(SQLITE, "ours", billed=True)
        self.billed = [Side(subject, Target(1), Target(1), pid=os.getpid())]
        self.asked: list[float] = []

    def ask(self, side: Side, connections: int, seconds: float) -> Point:
        self.asked.append(seconds)
        return Point(round(1000 * seconds), seconds, 0, 0, 1.0, 1.0)


def test_each_mark_is_reached_without_going_far_beyond():
    run = Quick()
    growth.measure(run)  # type: ignore[arg-type]
    assert list(run.billed[0].subject.growth) == [2000, 10_000, 20_000]
    assert max(run.asked) <= growth.LONGEST


def test_a_byte_more_than_one_object_a_call_is_growth():
    subject = Subject(SQLITE, "ours", billed=True)
    result = Result("", "", {}, "", "", 1.0, [], [subject])
    subject.growth = {20_000: 10**8, 100_000: 10**8, 200_000: 10**8 + 5_599_999}
    assert growth.goals(result)[0].reached
    subject.growth[200_000] += 1
    assert not growth.goals(result)[0].reached
