"""What a run measures, a module each: `measure(run)`, its `lines(result)` of the table, and its `goals(result)`."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from bench.result import Goal, Result
from bench.run import Run
from bench.sections import growth, many, memory, open_rate, plain, streams, tax


class Section(NamedTuple):
    measure: Callable[[Run], None]
    lines: Callable[[Result], list[str]]
    goals: Callable[[Result], list[Goal]]


# In the order they are measured in: what fills memory comes last.
SECTIONS = {
    "plain": Section(plain.measure, plain.lines, plain.goals),
    "streams": Section(streams.measure, streams.lines, streams.goals),
    "tax": Section(tax.measure, tax.lines, tax.goals),
    "open": Section(open_rate.measure, open_rate.lines, open_rate.goals),
    "growth": Section(growth.measure, growth.lines, growth.goals),
    "many": Section(many.measure, many.lines, many.goals),
}
QUICK = ("plain", "streams", "tax", "open")  # under six minutes
ALWAYS = (memory.lines, memory.goals)
