"""Who may make the call that a key stands for, and what a repeat gets. All of it blocks.

A key is one token's own: tokens of one user are given to different people and programs. Only a whole answer is kept.
However else a call ends, its key is free again: a repeat is a new call, and what the first one generated stays billed.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from django.conf import settings
from django.db import IntegrityError, transaction

from accounts.models import User, UserStatus
from billing.models import Hold
from idempotency.models import KeyedCall, State
from jobs.resting import Pause, with_rests
from jobs.running import Context
from vault.keys import digests

HOUR, DAY = 3600, 86_400  # seconds
BATCH = 200  # rows of one DELETE; each may hold some MiB
CLAIMED = 2  # seconds from a claim to the call's asking for its hold; moments are whole seconds


class OtherRequest(ValueError):
    """The key has been used for another path or body."""


class StillRunning(RuntimeError):
    """The call that has the key has not ended yet."""


class AnswerTooLarge(RuntimeError):
    """The call was answered and billed, but its answer was too large to be kept."""


class Wanted(NamedTuple):
    """A key and a request, as digests under today's secret first, then under older ones that are still accepted."""

    digests: Sequence[str]
    fingerprints: Sequence[str]
    user_id: int

    @classmethod
    def of(cls, *, token_id: int, user_id: int, key: str, request: str) -> Wanted:
        return cls(digests("idempotency key", f"{token_id} {key}"), digests("idempotent request", request), user_id)


def claim(wanted: Wanted, request_id: str) -> KeyedCall | None:
    """The call that was answered under this key, or None: the key is now this request's.

    Raises OtherRequest, StillRunning, AnswerTooLarge.
    """
    while True:
        found = KeyedCall.objects.filter(pk__in=wanted.digests).first()
        if found is None:
            if _inserted(wanted, request_id):
                return None
        elif found.request_id == request_id and found.state == State.RUNNING:
            return None  # an attempt before this one was cut off after its commit
        elif found.expires_at <= time.time() and found.state != State.RUNNING:
            KeyedCall.objects.filter(pk=found.pk, request_id=found.request_id).delete()
        elif found.fingerprint not in wanted.fingerprints:
            raise OtherRequest
        elif found.state == State.TOO_LARGE:
            raise AnswerTooLarge
        elif found.state == State.KEPT:
            return found
        elif _lives(found):
            raise StillRunning
        elif _taken_over(found, request_id):
            return None


def free(digest: str, request_id: str) -> None:
    """The call has ended without an answer that is kept: the next one with this key is made anew."""
    KeyedCall.objects.filter(pk=digest, request_id=request_id, state=State.RUNNING).delete()


def forget(user_id: int) -> None:
    """Delete what a person was answered; what is still running is deleted by the next run of the job."""
    KeyedCall.objects.filter(user_id=user_id).exclude(state=State.RUNNING).delete()


def purge(now: int, *, pause: Pause | None = None) -> int:
    """Delete what is past its time, and what deleted people were answered; returns how many rows.

    A call that still runs keeps its row for a day more: without it, it could not be billed.
    `pause(seconds)` waits between two batches and says True to end early; what is left goes the next time.
    """
    return sum(with_rests(_batches(now), pause))


def scheduled(context: Context) -> None:
    """The periodic run (jobs.table)."""
    context.report({"purged": purge(int(time.time()), pause=context.pause)})


def _inserted(wanted: Wanted, request_id: str) -> bool:
    now = int(time.time())
    try:
        with transaction.atomic():
            KeyedCall.objects.create(
                digest=wanted.digests[0],
                user_id=wanted.user_id,
                fingerprint=wanted.fingerprints[0],
                request_id=request_id,
                claimed_at=now,
                expires_at=now + settings.IDEMPOTENCY_HOURS * HOUR,
            )
    except IntegrityError:  # somebody was faster
        return False
    return True


def _lives(found: KeyedCall) -> bool:
    """Its hold is open, or may still be waited for."""
    young = found.claimed_at + max(settings.HOLD_TTL, settings.HOLD_WAIT + CLAIMED) > time.time()
    return young or Hold.objects.filter(request_id=found.request_id).exists()


def _taken_over(found: KeyedCall, request_id: str) -> bool:
    """Should the call that is thought dead still end, the books refuse to charge it: the key is not its own now."""
    now = int(time.time())
    dead = KeyedCall.objects.filter(pk=found.pk, request_id=found.request_id, state=State.RUNNING)
    expires = now + settings.IDEMPOTENCY_HOURS * HOUR
    return bool(dead.update(request_id=request_id, claimed_at=now, expires_at=expires))


def _batches(now: int) -> Iterator[int]:
    ended = KeyedCall.objects.exclude(state=State.RUNNING)
    deleted = User.objects.filter(status=UserStatus.DELETED).values("pk")
    for old in (
        ended.filter(expires_at__lt=now),
        ended.filter(user_id__in=deleted),
        KeyedCall.objects.filter(expires_at__lt=now - DAY),
    ):
        while keys := list(old.values_list("pk", flat=True)[:BATCH]):
            yield old.filter(pk__in=keys).delete()[0]  # but none that has been claimed anew meanwhile
