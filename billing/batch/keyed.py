"""Calls with an Idempotency-Key: their answer is kept, or their key freed, in the transaction that bills them.

The row is the call's own as long as its request id stands there. A call that was thought dead and has lost its key to a
repeat is not charged: the repeat will be. Rows are locked before those of users, by key.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from billing.batch.entries import Settlement
from billing.batch.sql import select_in


def without_lost(
    cursor: Any, settlements: list[tuple[int, Settlement]]
) -> tuple[list[tuple[int, Settlement]], list[int]]:
    """Lock the keys. The settlements to go on with, in which lost calls are but released, and which ones those are."""
    keyed = [(i, entry) for i, entry in settlements if entry.keyed is not None]
    digests = sorted({entry.keyed.digest for _, entry in keyed if entry.keyed is not None})
    owners = dict(select_in(cursor, "SELECT digest, request_id FROM keyed_calls WHERE digest IN", digests, lock=True))
    lost = [i for i, entry in keyed if _is_lost(entry, owners)]
    if lost:
        settlements = [(i, replace(e, charge=None, keyed=None) if i in lost else e) for i, e in settlements]
    return settlements, lost


def end(cursor: Any, entries: Iterable[Settlement]) -> None:
    """Keep the answers of those that were settled, and free the keys of those that ended without one."""
    for entry in entries:
        keyed = entry.keyed
        if keyed is None:
            continue
        own = (keyed.digest, entry.request_id)
        if keyed.state is None:
            cursor.execute("DELETE FROM keyed_calls WHERE digest = %s AND request_id = %s", own)
        else:
            cursor.execute(
                "UPDATE keyed_calls SET state = %s, answer = %s WHERE digest = %s AND request_id = %s",
                (keyed.state, keyed.answer, *own),
            )


def _is_lost(entry: Settlement, owners: dict[str, str]) -> bool:
    keyed = entry.keyed
    return keyed is not None and keyed.state is not None and owners.get(keyed.digest) != entry.request_id
