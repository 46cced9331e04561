"""Threads for what blocks, so that nothing waits for what it has nothing to do with.

A look into the database may be stuck for as long as that stands still. So it has threads of its own, and they never
keep a bill waiting that has to be counted first. asyncio's own pool is left to those who look up names and the like.

One of each for a process, which joins them when it ends: what has not begun by then was taken back with its task.
"""

from __future__ import annotations

import asyncio
import contextvars
import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import ParamSpec, TypeVar

from django.db import DatabaseError, InterfaceError, OperationalError, connections

from billing import standing
from relay.errors import GatewayError

P = ParamSpec("P")
T = TypeVar("T")

LOOKING = 8  # looks into the database at a time; pages may have the other connections of the pool
COMPUTING = (os.cpu_count() or 1) + 4  # at a time: a long text must not hold up many short ones
ATTEMPTS = 3  # at a database that is locked or away
PATIENCE = 10.0  # seconds after which no other attempt is made

_looking = ThreadPoolExecutor(LOOKING, thread_name_prefix="look-ups")
_computing = ThreadPoolExecutor(COMPUTING, thread_name_prefix="computing")


async def in_computing_thread(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """For what takes the processor's time and waits for nothing: counting tokens, sealing an answer."""
    return await _run(_computing, partial(function, *args, **kwargs))


async def in_database_thread(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """For what asks the database; no connection is kept. Raises DatabaseError, InterfaceError: it is away."""
    return await _run(_looking, partial(_asked, partial(function, *args, **kwargs)))


async def look_up(what: str, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """As `in_database_thread`, more than once where that may help: doing it twice must be as good as doing it once.

    Raises GatewayError, in which `what` cannot be looked up: the database is away.
    """
    until = time.monotonic() + PATIENCE
    for attempt in range(1, ATTEMPTS + 1):
        try:
            return await in_database_thread(function, *args, **kwargs)
        except (DatabaseError, InterfaceError) as error:
            passing = isinstance(error, OperationalError | InterfaceError)
            if not passing or attempt == ATTEMPTS or time.monotonic() > until:
                message = f"the gateway cannot look up {what} at the moment"
                raise GatewayError(message, status=503, code="not_ready") from error
    raise AssertionError("unreachable")


async def _run(threads: ThreadPoolExecutor, act: Callable[[], T]) -> T:
    """With the request's id and trace, as asyncio.to_thread has it."""
    return await asyncio.get_running_loop().run_in_executor(threads, contextvars.copy_context().run, act)


def _asked(act: Callable[[], T]) -> T:
    try:
        with standing.answered():
            return act()
    finally:
        connections.close_all()
