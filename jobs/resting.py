"""Long work in batches, with a rest after each in which others get at the table."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

REST = 0.05  # seconds

Pause = Callable[[float], bool]


def with_rests(batches: Iterable[int], pause: Pause | None) -> Iterator[int]:
    """The batches' counts, one after the other.

    `pause(seconds)` waits between two and says True to end early; None: no rests.
    """
    for count in batches:
        yield count
        if pause is not None and pause(REST):
            return
