"""A provider that fails in every way it can: nothing that failed is charged, and the others notice nothing."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.chaos.conftest import Try
from tests.chaos.site import RAW_MODEL, Site
from tests.chaos.storm import SHORT, Storm, rounds
from tests.chaos.upstream_raw import SCRIPTS
from tests.load import Answer, Call, Client

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(900)]

STREAMS = {"reset", "then-error", "line", "drip"}
ANSWERED = {"negative", "wrong", "huge"}  # good answers whose usage cannot be true
CREDIBLE = 15 * 9_000_000 + 30 * 600_000  # what one call can cost at most when an upstream lies (relay.credible)
CALLS = 4 if SHORT else 16
LONGEST = 20  # seconds until such a call is over, at most


@pytest.mark.parametrize("words", [tuple(SCRIPTS)] if SHORT else [(word,) for word in SCRIPTS], ids="+".join)
@pytest.mark.chaos("sqlite")
async def test_a_failing_upstream(anywhere: Site, attempt: Try, words: tuple[str, ...]) -> None:
    name = words[0] if len(words) == 1 else f"{len(words)} ways to fail"
    async with attempt(f"upstream: {name}") as trial:
        for _ in range(rounds(1, 1)):
            async with Storm(anywhere) as storm, Client(anywhere.gateway.base_url) as client:
                answers = await client.run([_call(anywhere, word) for word in words for _ in range(CALLS)], CALLS * 4)
                resumed = await storm.resumed()
            trial.heard(storm, resumed)
            assert set(storm.statuses) == {200}, storm.statuses
            trial.row.calls += len(answers)
            _check(anywhere, answers)


def _call(site: Site, word: str) -> Call:
    body = {"model": RAW_MODEL, "messages": [{"role": "user", "content": word}], "stream": word in STREAMS}
    return Call("/v1/chat/completions", body, site.accounts[0].key, about=word)


def _check(site: Site, answers: list[tuple[Call, Answer]]) -> None:
    """Errors cost nothing; what was generated costs, and never less than nothing or more than it can have been."""
    books = site.gateway.books()
    books.wait_settled(30)
    charges = books.charges()
    seen: dict[str, Counter[int]] = {}
    for call, answer in answers:
        word = call.about
        seen.setdefault(word, Counter())[answer.status] += 1
        assert answer.complete, word
        assert answer.ended - answer.started < LONGEST, word
        charge = charges.get(answer.request_id)
        if answer.status == 200:
            assert charge is not None, word
            assert 0 < charge < (CREDIBLE if word == "huge" else 1_000), (
                word
            )  # gpt-4 is 15 points a token, completion 30
            if word not in ANSWERED:
                assert b'"error"' in answer.body, word
        else:
            assert answer.status in (429, 500, 502, 503, 504), (word, answer.status)
            assert answer.json()["error"]["message"], word
            assert charge is None, word
        assert (answer.status == 200) == (word in ANSWERED | {"reset", "then-error"}), (word, answer.status)
    print(seen)
