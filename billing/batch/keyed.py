"""Calls with an Idempotency-Key: their answer is kept, or their key freed, in the transaction that bills them.

The row is the call's own as long as its request id stands there. A call that was thought dead and has lost its key to a
repeat is not charged: the repeat will be. Rows are locked before those of users, by key.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from billing.batch.entries import Settlement


def end(cursor: Any, settlements: list[tuple[int, Settlement]]) -> tuple[list[tuple[int, Settlement]], list[int]]:
    """The settlements to go on with, in which lost calls are but released, and which ones those are."""
    lost: list[int] = []
    for i, entry in sorted((one for one in settlements if one[1].keyed), key=_by_key):
        keyed = entry.keyed
        assert keyed is not None
        if keyed.state is None:
            cursor.execute(
                "DELETE FROM keyed_calls WHERE digest = %s AND request_id = %s", (keyed.digest, entry.request_id)
            )
            continue
        cursor.execute(
            "UPDATE keyed_calls SET state = %s, answer = %s WHERE digest = %s AND request_id = %s",
            (keyed.state, keyed.answer, keyed.digest, entry.request_id),
        )
        if not cursor.rowcount:
            lost.append(i)
    if lost:
        settlements = [(i, replace(e, charge=None, keyed=None) if i in lost else e) for i, e in settlements]
    return settlements, lost


def _by_key(settlement: tuple[int, Settlement]) -> str:
    keyed = settlement[1].keyed
    return keyed.digest if keyed else ""
