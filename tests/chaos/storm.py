"""Traffic that goes on while a fault happens, and what is checked when both are over."""

from __future__ import annotations

import asyncio
import os
import time
from collections import Counter
from collections.abc import Iterator
from types import TracebackType

from tests.acceptance.traffic import mixed
from tests.chaos.report import Row, record
from tests.chaos.site import Site, Standing
from tests.load import Answer, Call, Client
from tests.server import HOLD_TTL

SHORT = os.environ.get("CHAOS") == "short"
ROUNDS = int(os.environ.get("ROUNDS", "1"))  # repeats every fault so often
AT_A_TIME = 12 if SHORT else 24
UNDER_WAY = 2 * AT_A_TIME  # answers after which the traffic counts as flowing
RESUMED = 20.0  # seconds after a fault within which calls must pass again
SWEPT = 2 * HOLD_TTL + 20  # seconds after which nothing may be held any more
QUIET = 20.0  # seconds until what the traffic opened is closed again
MORE_SOCKETS, MORE_THREADS = 120, 130  # pools of connections and threads fill up and stay: that is no leak
MORE_MEMORY = 200 * 2**20  # bytes; a worker that was just started has yet to load its vocabularies


def rounds(short: int, full: int) -> int:
    return (short if SHORT else full) * ROUNDS


class Storm:
    """Calls without end from `AT_A_TIME` lanes; `answered` is what must be in the books, with its price."""

    seeds = iter(range(1, 10**9))

    def __init__(self, site: Site, calls: Iterator[Call] | None = None, *, at_a_time: int = AT_A_TIME) -> None:
        self.site = site
        self.statuses: Counter[int] = Counter()
        self.answered: dict[str, int] = {}
        self.blamed: set[int] = set()  # statuses that tell the caller he did something wrong
        self._calls = calls or mixed(next(self.seeds), site.accounts)
        self._at_a_time = at_a_time
        self._over = asyncio.Event()
        self._flowing = asyncio.Event()
        self._again: asyncio.Future[float] | None = None
        self._since = 0.0
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Storm:
        self._task = asyncio.create_task(self._run())
        await asyncio.wait_for(self._flowing.wait(), 60)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        assert self._task is not None
        if error is not None:
            self._task.cancel()
        else:
            await self._task

    async def _run(self) -> None:
        async with Client(self.site.gateway.base_url) as client:
            async for call, answer in client.stream(self._calls, self._at_a_time, until=self._over.is_set):
                self._note(call, answer)

    def _note(self, call: Call, answer: Answer) -> None:
        self.statuses[answer.status] += 1
        if call.about.answered(answer):
            self.answered[answer.request_id] = self.site.charged[answer.request_id] = call.about.charge
            if self._again is not None and not self._again.done() and answer.started > self._since:
                self._again.set_result(answer.ended)
        elif 400 <= answer.status < 500 and answer.status != 429:
            self.blamed.add(answer.status)
        if len(self.answered) >= UNDER_WAY:
            self._flowing.set()

    async def resumed(self) -> float:
        """Wait until a call begun from now on is answered whole; the seconds it took. Raises TimeoutError."""
        self._since = time.monotonic()
        self._again = asyncio.get_running_loop().create_future()
        return await asyncio.wait_for(self._again, RESUMED) - self._since


class Trial:
    """One fault on one site: enter what was seen, leave with everything checked and a row in the table."""

    def __init__(self, site: Site, fault: str, before: Standing) -> None:
        self.site = site
        self.row = Row(fault, site.kind)
        self.before = before

    def heard(self, storm: Storm, resumed: float) -> None:
        self.row.rounds += 1
        self.row.calls += sum(storm.statuses.values())
        self.row.answered += len(storm.answered)
        self.row.resumed = max(self.row.resumed, round(resumed, 2))
        for status, count in storm.statuses.items():
            self.row.statuses[str(status)] = self.row.statuses.get(str(status), 0) + count
        assert storm.blamed == set(), f"callers are blamed for the fault: {storm.blamed}"

    async def __aenter__(self) -> Trial:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if error is None:
                await asyncio.to_thread(self._check)
                self.row.passed = True
        except AssertionError as wrong:
            self.row.error = str(wrong)[:500]
            raise
        finally:
            self.row.error = self.row.error or repr(error)[:500] * (error is not None)
            record(self.row)

    def _check(self) -> None:
        """I1 to I6, prices, holds, and what the processes hold."""
        row, books = self.row, self.site.gateway.books()
        try:
            books.wait_settled(SWEPT)
        except TimeoutError:
            row.stuck = books.open_holds()
        charges = books.charges()
        lost = [one for one in self.site.charged if one not in charges]
        wrong = {i: (charges[i], points) for i, points in self.site.charged.items() if charges.get(i, points) != points}
        row.lost = len(lost) + len(wrong)
        row.overspent = int(
            self.site.database.value("SELECT COUNT(*) FROM users WHERE quota < 0")
            + self.site.database.value("SELECT COUNT(*) FROM logs WHERE uncollected > 0")
        )
        books.check()
        assert (lost, wrong) == ([], {})
        assert (row.stuck, row.overspent) == (0, 0)
        self._check_processes()

    def _check_processes(self) -> None:
        end = time.monotonic() + QUIET
        while (now := self.site.standing()).sockets > self.before.sockets + MORE_SOCKETS and time.monotonic() < end:
            time.sleep(0.5)
        self.row.sockets, self.row.threads = now.sockets - self.before.sockets, now.threads - self.before.threads
        self.row.memory = round((now.memory - self.before.memory) / 2**20)
        assert now.sockets <= self.before.sockets + MORE_SOCKETS, f"sockets: {self.before} -> {now}"
        assert now.threads <= self.before.threads + MORE_THREADS, f"threads: {self.before} -> {now}"
        assert now.memory <= self.before.memory + MORE_MEMORY, f"memory: {self.before} -> {now}"
