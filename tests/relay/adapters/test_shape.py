"""Figures of an upstream that are beyond what JSON is written in."""

from __future__ import annotations

import orjson
import pytest

from relay.adapters.shape import MOST_TOKENS, clamped, number


@pytest.mark.parametrize("told", [1e300, -1e300, 2.0**63, 2**64 - 1, float("inf"), float("nan")])
def test_a_number_can_always_be_written_again(told: float) -> None:
    assert orjson.loads(orjson.dumps(number(told))) == number(told)


def test_tokens_beyond_all_measure_count_as_the_most() -> None:
    assert clamped(1e300) == MOST_TOKENS
