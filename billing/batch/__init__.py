"""One transaction for many calls: holds, progress of streams, settlements and releases, all or nothing.

`post(entries)` is blocking and exact; `billing.books` gathers what many coroutines want and calls it from a thread.
Written against the database driver's cursor, because a model instance per row would cost more than the row.

Rows are locked in one order everywhere: users by id (a user's row guards that user's tokens and holds), then
channels by id, then sums of usage by key. Two workers therefore wait for each other but do not deadlock.

What each statement relies on: an UPDATE re-reads the row it waited for (READ COMMITTED on PostgreSQL and MySQL;
SQLite has one writer), so `quota - held >= x` decides on the newest balance and not on one read earlier.
"""

from billing.batch.entries import Entry, Failure, Hold, Keyed, Outcome, Progress, Settlement, Verdict
from billing.batch.posting import post
from billing.batch.upkeep import beat, disown, endings, late

__all__ = [
    "Entry",
    "Failure",
    "Hold",
    "Keyed",
    "Outcome",
    "Progress",
    "Settlement",
    "Verdict",
    "beat",
    "disown",
    "endings",
    "late",
    "post",
]
