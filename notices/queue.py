"""Putting messages into the queue, and what becomes of each: delivered and gone, put off, or given up."""

from __future__ import annotations

import logging
import time
from typing import Any

from notices.models import Kind, OutboxMessage, OutboxStatus

log = logging.getLogger(__name__)

DELAYS = (60, 300, 1800, 7200, 21600)  # seconds before each further try; after the last one it is given up
KEPT = 30 * 86400  # seconds that a message which was given up can be looked at
MAX_ERROR = 255  # characters, as the column has them


def post(kind: Kind, recipient: str = "", *, facts: dict[str, Any] | None = None, lifetime: int = 0) -> None:
    """Have a message delivered soon. Call it in the transaction of what causes it.

    `recipient` is an e-mail address, several separated by ";" (each becomes a message of its own), or "" for the
    operator. `lifetime` in seconds: later it would be of no use.
    """
    post_all(kind, [(address, facts or {}) for address in _addresses(recipient)], lifetime=lifetime)


def post_all(kind: Kind, messages: list[tuple[str, dict[str, Any]]], *, lifetime: int = 0) -> None:
    """Several of one kind at once: (recipient, facts) each."""
    now = int(time.time())
    OutboxMessage.objects.bulk_create(
        OutboxMessage(
            kind=kind,
            recipient=recipient,
            facts=facts,
            created_at=now,
            due_at=now,
            expires_at=now + lifetime if lifetime else 0,
        )
        for recipient, facts in messages
    )


def _addresses(recipient: str) -> list[str]:
    if not recipient:
        return [""]
    return list(dict.fromkeys(part.strip() for part in recipient.split(";") if part.strip()))


def due(limit: int) -> list[OutboxMessage]:
    """What is to be tried now, the oldest first."""
    rows = OutboxMessage.objects.filter(status=OutboxStatus.WAITING, due_at__lte=int(time.time()))
    return list(rows.order_by("pk")[:limit])


def claim(message: OutboxMessage) -> bool:
    """Count the try and plan the next one before anything is sent, so that a crash repeats nothing at once.

    False where it is not to be tried: somebody else has it, or it is given up now.
    """
    now = int(time.time())
    if message.expires_at and message.expires_at <= now:
        give_up(message, message.last_error or "expired before it could be delivered")
        return False
    if message.attempts > len(DELAYS):
        give_up(message, message.last_error or "the last try was interrupted")
        return False
    tried = message.attempts + 1
    delay = DELAYS[min(message.attempts, len(DELAYS) - 1)]
    mine = OutboxMessage.objects.filter(pk=message.pk, attempts=message.attempts, status=OutboxStatus.WAITING)
    if not mine.update(attempts=tried, due_at=now + delay):
        return False
    message.attempts = tried
    return True


def done(message: OutboxMessage) -> None:
    OutboxMessage.objects.filter(pk=message.pk).delete()


def put_off(message: OutboxMessage, error: str) -> None:
    """It could not be delivered now; `claim` has planned the next try, if there is one."""
    if message.attempts > len(DELAYS):
        give_up(message, error)
        return
    log.info("message %s (%s), try %s: %s", message.pk, message.kind, message.attempts, error)
    OutboxMessage.objects.filter(pk=message.pk).update(last_error=error[:MAX_ERROR])


def give_up(message: OutboxMessage, error: str) -> None:
    """A dead letter: kept for KEPT seconds, for the operator to see."""
    log.warning("message %s (%s) is given up after %s tries: %s", message.pk, message.kind, message.attempts, error)
    OutboxMessage.objects.filter(pk=message.pk).update(status=OutboxStatus.DEAD, last_error=error[:MAX_ERROR])


def revive(message_ids: list[int]) -> int:
    """Try these dead letters again from the start; returns how many. Those past their time stay dead."""
    now = int(time.time())
    dead = OutboxMessage.objects.filter(pk__in=message_ids, status=OutboxStatus.DEAD)
    return dead.exclude(expires_at__gt=0, expires_at__lte=now).update(
        status=OutboxStatus.WAITING, attempts=0, due_at=now
    )


def purge() -> int:
    """Delete dead letters that nobody will look at any more; returns how many."""
    old = OutboxMessage.objects.filter(status=OutboxStatus.DEAD, created_at__lt=int(time.time()) - KEPT)
    return old.delete()[0]
