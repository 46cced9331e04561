"""Arithmetic of the figures: pure functions, so that what a table claims can be checked by hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import ceil
from statistics import median


def percentile(ordered: Sequence[float], share: float) -> float:
    """By nearest rank: the least of the ordered values that `share` of them (0 to 1) do not exceed; 0.0 of none."""
    if not ordered:
        return 0.0
    return ordered[max(0, ceil(share * len(ordered)) - 1)]


def ratio(mine: Sequence[float], theirs: Sequence[float]) -> float | None:
    """The median of the rounds' ratios: what disturbs the machine for a while disturbs both alike. None: no round."""
    ratios = [one / other for one, other in zip(mine, theirs, strict=False) if other]
    return median(ratios) if ratios else None


def tax(unbilled: Sequence[float], billed: Sequence[float]) -> float | None:
    """Percent of the calls a second without books that the books cost, round by round; negative: noise."""
    kept = ratio(billed, unbilled)
    return None if kept is None else (1 - kept) * 100


def growth(marks: Mapping[int, int]) -> tuple[int, int] | None:
    """(calls, bytes) from the last but one mark to the last: before it, caches were still filling. None: one mark."""
    if len(marks) < 2:
        return None
    before, last = sorted(marks)[-2:]
    return last - before, marks[last] - marks[before]
