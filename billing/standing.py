"""Connections that a thread keeps: from no pool, and not waited for without end.

The threads that every call needs (the books, the look-ups of keys, the watch over snapshots) must not queue for a
pooled connection behind pages. Nor may a server hold them for ever that takes a statement and never answers, because
it stands still or has gone without a word: after ANSWER the connection is cut. The driver tells that as a connection
lost, and whether what was asked has been done is as unknown as after any other loss.
"""

from __future__ import annotations

import errno
import logging
import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from django.db import OperationalError, connection, connections
from django.db.backends.base.base import BaseDatabaseWrapper

log = logging.getLogger(__name__)

ANSWER = 30  # seconds; whole transactions of the books take less than one
PAGES = 300  # seconds that everything else in a serving process waits for MySQL
LOOK = 1.0  # seconds between two looks at who waits


class Watch:
    """Cuts connections whose time is up; one a process, since PostgreSQL's driver itself waits for ever."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: dict[int, tuple[float, socket.socket]] = {}  # by thread: until when, for whom
        self._thread: threading.Thread | None = None

    def enter(self, thread: int, until: float, peer: socket.socket) -> None:
        """Watch over `peer`, which is closed by `leave`. Raises OSError, and then it is closed already."""
        with self._lock:
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, name="unanswered statements", daemon=True)
                try:
                    self._thread.start()
                except RuntimeError as error:  # there are no more threads: as passing as no more descriptors
                    peer.close()
                    raise OSError(errno.EAGAIN, str(error)) from error
            self._waiting[thread] = until, peer

    def leave(self, thread: int) -> None:
        with self._lock:
            _, peer = self._waiting.pop(thread)
            peer.close()

    def _run(self) -> None:
        while True:
            time.sleep(LOOK)
            self.cut_late(time.monotonic())

    def cut_late(self, now: float) -> None:
        with self._lock:
            for until, peer in self._waiting.values():
                if until < now:
                    log.warning("The database has not answered for %d s; its connection is cut.", ANSWER)
                    with suppress(OSError):  # it was lost in this very moment
                        peer.shutdown(socket.SHUT_RDWR)


_watch = Watch()


def keep() -> None:
    """Call at a thread's start: from now on its connection to the main database is its own."""
    connection.close()
    out_of_pool(connection)
    if connection.vendor == "mysql":
        options = connection.settings_dict["OPTIONS"]
        options.setdefault("read_timeout", ANSWER)
        options.setdefault("write_timeout", ANSWER)


def out_of_pool(connection: BaseDatabaseWrapper) -> None:
    """From now on this object connects by itself; others of its database go on as they are."""
    options = {name: value for name, value in connection.settings_dict["OPTIONS"].items() if name != "pool"}
    connection.settings_dict = {**connection.settings_dict, "OPTIONS": options}


@contextmanager
def answered() -> Iterator[None]:
    """What is asked of the main database in here is answered within ANSWER, or ends in OperationalError.

    So does what the system itself refuses meanwhile, a file descriptor above all, for which drivers have no error of
    their own: it will pass, and whether what was asked has been done is as unknown as after a lost connection.
    """
    try:
        if connection.vendor != "postgresql":  # SQLite has a busy timeout, MySQL's connections those of `keep`
            yield
            return
        connection.ensure_connection()
        thread = threading.get_ident()
        _watch.enter(thread, time.monotonic() + ANSWER, _copy_of_peer())
        try:
            yield
        finally:
            _watch.leave(thread)
    except OSError as error:
        raise OperationalError(str(error)) from error


def _copy_of_peer() -> socket.socket:
    """A copy, so that what is cut can never be somebody else's who was given the same number. Raises OSError."""
    raw: Any = connection.connection
    with connection.wrap_database_errors:  # one that has been closed meanwhile says so
        number = os.dup(raw.fileno())
    try:
        return socket.socket(fileno=number)
    except OSError:
        os.close(number)
        raise


def bound_pages() -> None:
    """Call once in a process that serves: a MySQL that stands still does not hold its pages for ever.

    Not where schemas are changed or tables are filled: one statement of those may take hours.
    """
    for alias in connections:
        if connections[alias].vendor == "mysql":
            options = connections[alias].settings_dict["OPTIONS"]
            options.setdefault("read_timeout", PAGES)
            options.setdefault("write_timeout", PAGES)


def drop_pools() -> None:
    """Connections that wait in a pool have died with the database: let nobody be given one."""
    for alias in connections:
        close_pool = getattr(connections.create_connection(alias), "close_pool", None)
        if close_pool is not None:
            close_pool()
