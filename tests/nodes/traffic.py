"""Steady traffic through the balancer, and an account of every call: when it began, how it ended, what it must cost."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from tests.acceptance.traffic import drawn
from tests.fake_upstream import in_text
from tests.load import Answer, Call, Client
from tests.server import Account

LANES = 12
PAUSE = 0.04  # seconds a lane rests between two calls
EVENTS, PACE = 12, 30  # of a stream: pieces, and milliseconds between two


def calls(seed: int, accounts: Sequence[Account]) -> Iterator[Call]:
    """Without end: plain answers, some of which take their time, and paced streams, with random usage."""
    dice = random.Random(seed)
    while True:
        expected = drawn(dice, accounts)
        stream = expected.stream
        orders = {"events": EVENTS, "pace": PACE} if stream else {"first_byte": dice.choice((0, 0, 50, 300))}
        text = in_text(usage=expected.usage, **orders)
        body = {"model": expected.model, "stream": stream, "messages": [{"role": "user", "content": text}]}
        yield Call("/v1/chat/completions", body, expected.account.key, about=expected)


@dataclass(slots=True)
class Phase:
    """Calls that began in it. `excuse`: monotonic second up to which a call that began may fail, cut off by a kill."""

    name: str
    calls: int = 0
    failures: list[tuple[float, str]] = field(default_factory=list)  # when it began, what came of it
    excuse: float = 0.0
    began: float = field(default_factory=time.monotonic)

    def enter(self, call: Call, answer: Answer) -> None:
        self.calls += 1
        if not call.about.answered(answer):
            told = f"{answer.started - self.began:.2f} s in: status {answer.status}, {answer.body[-120:]!r}"
            self.failures.append((answer.started, told))

    @property
    def lost(self) -> list[str]:
        return [told for started, told in self.failures if started > self.excuse]

    @property
    def cut(self) -> int:
        return len(self.failures) - len(self.lost)


class Traffic:
    """`phase(name)` opens a new account. `charges`: what answered calls must cost, by request id."""

    def __init__(self, url: str, accounts: Sequence[Account]) -> None:
        self._client = Client(url)
        self._calls = calls(7, accounts)
        self._over = False
        self._lanes: list[asyncio.Task[None]] = []
        self.phases: list[Phase] = []
        self.charges: dict[str, int] = {}

    async def __aenter__(self) -> Traffic:
        await self._client.__aenter__()
        return self

    async def __aexit__(self, *exception: object) -> None:
        self._over = True
        await asyncio.gather(*self._lanes)
        await self._client.__aexit__(*exception)

    def phase(self, name: str) -> Phase:
        self.phases.append(Phase(name))
        if not self._lanes:
            self._lanes = [asyncio.create_task(self._lane()) for _ in range(LANES)]
        return self.phases[-1]

    async def _lane(self) -> None:
        for call in self._calls:
            if self._over:
                return
            phase = self.phases[-1]
            answer = await self._client.send(call)
            phase.enter(call, answer)
            if call.about.answered(answer):
                self.charges[answer.request_id] = call.about.charge
            await asyncio.sleep(PAUSE)
