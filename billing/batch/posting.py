"""The transaction itself: its parts in the order in which they lock rows."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from django.db import connection, transaction

from billing.batch import failures as failing
from billing.batch import holds as holding
from billing.batch import keyed, outright
from billing.batch import progress as streaming
from billing.batch import settlements as settling
from billing.batch.entries import Entry, Failure, Hold, Outcome, Progress, Settlement, Verdict
from billing.batch.rollups import Usages
from billing.batch.sql import open_cursor, select_in


def post(entries: Sequence[Entry], *, again: bool = False) -> list[Outcome]:
    """Write all entries durably in one transaction; one outcome for each, in order.

    `again`: an earlier attempt ended with an error, perhaps after its commit; what is found already written is
    not written twice. Raises django.db.DatabaseError, and then nothing has changed or, after a connection lost
    during commit, everything: call again with `again=True`.
    """
    outcomes: dict[int, Outcome] = {}
    usages = Usages()
    now = int(time.time())
    with transaction.atomic(durable=True), open_cursor() as cursor:
        holds: list[tuple[int, Hold]] = []
        progresses: list[tuple[int, Progress]] = []
        settlements: list[tuple[int, Settlement]] = []
        failures: list[tuple[int, Failure]] = []
        kinds: dict[type[Entry], list[Any]] = {
            Hold: holds, Progress: progresses, Settlement: settlements, Failure: failures,
        }  # fmt: skip
        for i, entry in enumerate(entries):
            kinds[type(entry)].append((i, entry))
        lost: list[int] = []
        with_key = [(i, entry) for i, entry in settlements if entry.keyed is not None]
        if with_key:
            settlements, lost = keyed.without_lost(cursor, settlements)
        _lock_users(cursor, {entry.user_id for entry in entries if not isinstance(entry, Failure)})
        if again and holds:
            holds = holding.not_yet_held(cursor, holds, outcomes)
        at_once, holds = _ended_too(holds, settlements)
        paid: list[settling.Due] = []
        if at_once:
            if again:
                at_once = settling.not_yet_charged(cursor, at_once, outcomes)
            else:
                paid = outright.pay(cursor, at_once, settlements, outcomes, now)
                at_once = [(i, hold) for i, hold in at_once if i not in outcomes]
                settlements = [(i, entry) for i, entry in settlements if i not in outcomes]
            holding.decide(cursor, at_once, outcomes)  # without rows, which this very transaction would delete
            settlements = settling.refuse(settlements, at_once, outcomes)
        if settlements or paid:
            settling.settle(cursor, settlements, at_once, outcomes, usages, now, paid)
        if progresses:
            streaming.record(cursor, progresses, outcomes, now)
        if holds:
            holding.hold(cursor, holds, outcomes, now)
        if failures:
            outcomes.update((i, Outcome(Verdict.GRANTED)) for i, _ in failures)
            fresh = [failure for _, failure in failures]
            failing.record(cursor, failing.not_yet_recorded(cursor, fresh) if again else fresh, usages, now)
        if usages:
            usages.write(cursor, now)
        for i in lost:
            outcomes[i] = Outcome(Verdict.KEY_LOST)
        # Last, for a call whose hold was refused after all keeps nothing that a repeat could have for nothing.
        keyed.end(cursor, [entry for i, entry in with_key if outcomes[i].verdict is Verdict.GRANTED])
    return [outcomes[i] for i in range(len(entries))]


def _ended_too(
    holds: list[tuple[int, Hold]], settlements: list[tuple[int, Settlement]]
) -> tuple[list[tuple[int, Hold]], list[tuple[int, Hold]]]:
    """The holds whose settlement is in this batch too, and the others."""
    ending = {entry.request_id for _, entry in settlements}
    if not ending:
        return [], holds
    return (
        [(i, hold) for i, hold in holds if hold.request_id in ending],
        [(i, hold) for i, hold in holds if hold.request_id not in ending],
    )


def _lock_users(cursor: Any, user_ids: set[int]) -> None:
    """Take the row locks of several users in order of id; a single one is locked by its own first update."""
    if len(user_ids) > 1 and connection.features.has_select_for_update:
        select_in(cursor, "SELECT id FROM users WHERE id IN", sorted(user_ids), lock=True)
