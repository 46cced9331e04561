"""The calls that come before a worker has looked at its channels for the first time."""

from __future__ import annotations

import time
from unittest.mock import Mock

import pytest

from relay.worker import Worker


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
