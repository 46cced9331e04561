"""Whether this worker should be sent calls: what /readyz says. No secret is in it."""

from __future__ import annotations

import os

from django.db import connection, transaction

from config import draining
from options.models import Version
from relay.worker import Worker
from telemetry import board, families
from telemetry.asking import Question

FRESH = 1.0  # seconds; whoever asks more often, and anybody may, is told the last answer
PATIENCE = 1.0  # seconds
FAILING = 3  # attempts in a row that the database did not take


def _writable() -> bool:
    """Whether the database takes writes, as far as can be told without waiting for its writers.

    Raises django.db.DatabaseError: it does not.
    """
    if connection.vendor == "sqlite":
        connection.ensure_connection()
        Version.objects.exists()
        return os.access(str(connection.settings_dict["NAME"]), os.W_OK)
    with transaction.atomic():  # no row has that name: nothing is locked, but a replica or read-only mode refuses
        Version.objects.filter(pk="").update(number=0)
    return True


writable = Question("readiness", _writable, FRESH)


def missing(worker: Worker) -> list[str]:
    """What keeps this worker from serving; empty: nothing. Blocks for PATIENCE at most."""
    found = []
    if draining.under_way() or worker.stopping:
        found.append("stopping")
    if worker.snapshot is None:
        found.append("snapshot")
    if not worker.books.alive or board.cells()[families.IN_A_ROW.at()] >= FAILING:
        found.append("books")
    if not writable.answer(PATIENCE):
        found.append("database")
    return found
