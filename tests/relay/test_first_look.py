"""A worker's looks at its channels: the calls that come before the first one, and what ends none of them."""

from __future__ import annotations

import time
from unittest.mock import Mock

import pytest

from relay.worker import Worker


@pytest.mark.django_db(transaction=True)  # PostgreSQL is connected to before a look, to watch over it
@pytest.mark.parametrize(("loaded", "looks"), [(False, 1), (True, 0)])
async def test_a_first_look_that_has_just_begun_is_waited_for(
    monkeypatch: pytest.MonkeyPatch, loaded: bool, looks: int
) -> None:
    worker = Worker()
    monkeypatch.setattr(worker, "_snapshot", Mock() if loaded else None)
    monkeypatch.setattr(worker, "_looked", time.monotonic())  # by the watching thread, in this very moment
    look = Mock()
    monkeypatch.setattr(worker, "_look", look)

    await worker.look_again()

    assert look.call_count == looks


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("error", [OSError(24, "Too many open files"), ValueError("a row nobody reckoned with")])
def test_the_watch_over_snapshots_outlives_whatever_a_look_ends_in(
    monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    worker = Worker()
    looks: list[float] = []

    def look() -> None:
        looks.append(time.monotonic())
        if len(looks) == 1:
            raise error
        worker._stopping.set()

    monkeypatch.setattr(worker, "_look", look)
    worker._watcher.start()
    worker._watcher.join(10)

    assert len(looks) == 2
