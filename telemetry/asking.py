"""Asking the database about itself without ever being kept by it."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Generic, TypeVar

from django.db import DatabaseError, InterfaceError, connections

T = TypeVar("T")

log = logging.getLogger(__name__)


class Question(Generic[T]):
    """Asked on a thread of its own, by one at a time; an answer is told again for `fresh` seconds."""

    def __init__(self, name: str, ask: Callable[[], T], fresh: float) -> None:
        self._name = name
        self._ask = ask
        self._fresh = fresh
        self._lock = threading.Lock()
        self._asking: Future[T | None] | None = None
        self._answer: T | None = None
        self._answered = float("-inf")  # monotonic
        self._asked = 0.0  # monotonic

    def answer(self, patience: float) -> T | None:
        """None: no answer within `patience` seconds of being asked, or the database is away.

        Blocks as long as that at most, and not at all where whoever asked first has already waited so long.
        """
        with self._lock:
            now = time.monotonic()
            if now - self._answered < self._fresh:
                return self._answer
            if self._asking is None:
                asking: Future[T | None] = Future()
                try:
                    # A daemon: a database that never answers must not keep the process from ending.
                    threading.Thread(target=self._run, args=(asking,), name=self._name, daemon=True).start()
                except RuntimeError:  # there are no more threads: as passing as no more descriptors
                    return None
                self._asking, self._asked = asking, now
            asking, left = self._asking, max(0.0, self._asked + patience - now)
        try:
            return asking.result(left)
        except TimeoutError:
            return None

    def _run(self, asking: Future[T | None]) -> None:
        answer: T | None = None
        try:
            answer = self._ask()
        except (DatabaseError, InterfaceError, OSError) as error:
            log.info("%s: no answer from the database: %s", self._name, type(error).__name__)
        finally:
            connections.close_all()
            with self._lock:
                self._answer, self._answered, self._asking = answer, time.monotonic(), None
            asking.set_result(answer)
