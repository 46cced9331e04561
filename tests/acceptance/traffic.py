"""Calls with known prices: what is sent, what the provider will say, and, worked out here, what that must cost."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import ceil

from tests.fake_upstream import in_text
from tests.load import Answer, Call
from tests.server import Account

FULL = os.environ.get("ACCEPTANCE") == "full"  # every count as the acceptance says; else what a CI of two cores bears

# Prompt ratio and completion ratio of the default tables.
RATIOS = {
    "gpt-3.5-turbo": (Fraction("0.25"), Fraction(3)),
    "gpt-4o-mini": (Fraction("0.075"), Fraction(4)),
}
MODELS = ",".join(RATIOS)


def charge(model: str, prompt: int, completion: int) -> int:
    """Points of a text call in the group `default`: ceil((prompt + completion x C) x R), at least 1."""
    ratio, completion_ratio = RATIOS[model]
    return max(1, ceil((prompt + completion * completion_ratio) * ratio))


@dataclass(frozen=True, slots=True)
class Expected:
    account: Account
    model: str
    usage: tuple[int, int]
    stream: bool
    asks_usage: bool

    @property
    def charge(self) -> int:
        return charge(self.model, *self.usage)

    def answered(self, answer: Answer) -> bool:
        """Whether the caller has the whole answer in hand."""
        return answer.done if self.stream else answer.complete and answer.status == 200


def drawn(dice: random.Random, accounts: Sequence[Account]) -> Expected:
    """Random usage; 40 % streams, half of which ask for usage."""
    stream = dice.random() < 0.4
    return Expected(
        account=dice.choice(accounts),
        model=dice.choice(list(RATIOS)),
        usage=(dice.randint(1, 3000), dice.randint(0, 1500)),
        stream=stream,
        asks_usage=stream and dice.random() < 0.5,
    )


def mixed(seed: int, accounts: Sequence[Account]) -> Iterator[Call]:
    """Without end: random usage, 40 % streams, half of the streams asking for usage."""
    dice = random.Random(seed)
    while True:
        expected = drawn(dice, accounts)
        body: dict[str, object] = {
            "model": expected.model,
            "messages": [{"role": "user", "content": in_text(usage=expected.usage)}],
        }
        if expected.stream:
            body["stream"] = True
        if expected.asks_usage:
            body["stream_options"] = {"include_usage": True}
        yield Call("/v1/chat/completions", body, expected.account.key, about=expected)


def question(account: Account, model: str, text: str = "Hello", **members: object) -> Call:
    body = {"model": model, "messages": [{"role": "user", "content": text}], **members}
    return Call("/v1/chat/completions", body, account.key, about=account)
