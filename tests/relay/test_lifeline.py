"""What a lifeline leaves behind."""

from __future__ import annotations

import asyncio
import gc
import weakref
from typing import Any

from relay.alarms import Alarms
from relay.lifeline import Lifeline


async def _never() -> dict[str, Any]:
    await asyncio.Event().wait()
    return {}


def test_a_call_that_is_over_is_freed_without_a_collection() -> None:
    async def call() -> weakref.ref[Lifeline]:
        lifeline = Lifeline(_never, Alarms())
        lifeline.watch()
        lifeline.stop()
        return weakref.ref(lifeline)

    gc.disable()
    try:
        assert asyncio.run(call())() is None
    finally:
        gc.enable()
