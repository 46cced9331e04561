"""The figures as one table for people."""

from __future__ import annotations

from collections.abc import Sequence

from bench.result import Goal, Result
from bench.sections import ALWAYS, SECTIONS
from bench.wording import NAME


def goals(result: Result) -> list[Goal]:
    """Of the sections that were measured, and that each gateway's books are exact."""
    found = [goal for name in result.sections for goal in SECTIONS[name].goals(result)]
    found += ALWAYS[1](result)
    exact = [
        Goal(f"books: {one.title}", "exact" if one.exact else "WRONG", "exact", one.exact) for one in result.billed
    ]
    return found + exact


def table(result: Result) -> str:
    parts = [_head(result)]
    parts += [lines for name in result.sections if (lines := SECTIONS[name].lines(result))]
    parts += [ALWAYS[0](result), _books(result), _left_out(result), _goals(result.goals)]
    parts.append([f"The figures mean nothing: {problem}" for problem in result.problems()])
    return "\n\n".join("\n".join(lines) for lines in parts if lines)


def _head(result: Result) -> list[str]:
    return [
        f"One API bench, {result.date}, commit {result.commit}",
        ", ".join(f"{name.replace('_', ' ')} {_plain(value)}" for name, value in result.machine.items()),
        f"load by {result.generator}, upstream {result.upstream}; medians of rounds of {result.seconds:g} s",
        *result.notes,
    ]


def _books(result: Result) -> list[str]:
    kept = [f"  {subject.title:<{NAME}} {subject.books}" for subject in result.subjects if subject.books]
    return ["Books", *kept] if kept else []


def _left_out(result: Result) -> list[str]:
    told = [f"  {subject.title}: {subject.leaves_out}" for subject in result.subjects if subject.leaves_out]
    return ["What the others leave out", *told] if told else []


def _goals(found: Sequence[Goal]) -> list[str]:
    if not found:
        return []
    width = max(len(goal.what) for goal in found)
    return [
        "Goals (of SQLite, where no other database is named)",
        *(
            f"  {one.what:<{width}} {one.found:>10}   goal {one.wanted:<13} {'reached' if one.reached else 'MISSED'}"
            for one in found
        ),
    ]


def _plain(value: object) -> str:
    if isinstance(value, Sequence) and not isinstance(value, str):
        return "/".join(_plain(one) for one in value)
    return f"{value:.2f}" if isinstance(value, float) else str(value)
