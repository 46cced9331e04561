"""The gateway without its books, for the bench alone: what is not done here is what the billing tax is the price of.

`python bench/unbilled.py serve …` is `manage.py serve …` with these books in place of billing's: the same server,
relay, keys, routes and prices worked out, but every hold is granted and every settlement taken at once, in memory, and
nothing of it is written. No setting of the product does that.
"""

from __future__ import annotations

import asyncio
import os
import sys

from billing.batch import Entry, Failure, Hold, Outcome, Progress, Verdict


def granted(entry: Entry) -> Outcome:
    """What the books would say to a user who has plenty."""
    match entry:
        case Hold() | Progress():
            return Outcome(Verdict.GRANTED, entry.amount)
        case Failure():
            return Outcome(Verdict.GRANTED)
    return Outcome(Verdict.GRANTED, entry.charge or 0)


def without_books() -> None:
    """The workers that this process forks will keep no books."""
    from billing.books import Books  # models can be imported only now
    from relay import worker

    class Unbilled(Books):
        def start(self) -> None:
            self._loop = asyncio.get_running_loop()

        async def stop(self) -> None:
            self._closing = True

        def submit(self, entry: Entry) -> asyncio.Future[Outcome]:
            assert self._loop is not None
            future = self._loop.create_future()
            future.set_result(granted(entry))
            return future

        def ahead(self, hold: Hold) -> asyncio.Future[Outcome]:
            return self.submit(hold)

        def hurry(self, request_id: str) -> None:
            """Nothing waits."""

        def withdraw(self, request_id: str) -> bool:
            return True

        async def post(self, entry: Entry) -> Outcome:
            return granted(entry)

        def note(self, failure: Failure) -> bool:
            return True

    vars(worker)["Books"] = Unbilled


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    import django
    from django.core.management import execute_from_command_line

    django.setup()
    without_books()
    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
