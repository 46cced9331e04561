"""A maximum goes out once, under the name that is known, whether the caller or the balance sets it.

https://docs.mistral.ai/api/ knows `max_tokens` alone, and answers what it does not know with 422. OpenAI's reasoning
models refuse it: https://platform.openai.com/docs/api-reference/chat/create#chat-create-max_tokens.
"""

from __future__ import annotations

from decimal import Decimal

import orjson
import pytest

from billing.pricing import Price
from relay.adapters.openai import body as openai_body
from relay.dialects.openai.dialect import OpenAIDialect
from relay.types import Attempt, Head, Mode
from tests.relay.wire.cases import route

MISTRAL = 28
PATH = "/v1/chat/completions"


@pytest.mark.parametrize(
    ("members", "maximum"),
    [
        (b'"max_tokens":10,"max_completion_tokens":20', 20),
        (b'"max_completion_tokens":20,"max_tokens":10', 20),
        (b'"max_completion_tokens":20', 20),
        (b'"max_tokens":10', 10),
    ],
)
def test_mistral_is_told_one_maximum(members: bytes, maximum: int) -> None:
    head = Head("POST", PATH, PATH, "", {}, "127.0.0.1")
    asked = b'{"model":"mistral-small",%b,"messages":[{"role":"user","content":"Hi"}]}' % members
    call = OpenAIDialect().read(Mode.CHAT, head, asked)

    sent = openai_body.encode(call, Attempt(route(MISTRAL), call.model, Price(Decimal(1), Decimal(1), Decimal(1))))

    assert sent.count(b'max_tokens"') == 1
    assert b"max_completion_tokens" not in sent
    assert orjson.loads(sent)["max_tokens"] == maximum


@pytest.mark.parametrize(
    ("model", "name"),
    [
        ("gpt-4o", "max_tokens"),
        ("gpt-5-mini", "max_completion_tokens"),
        ("o3", "max_completion_tokens"),
        ("gpt-6.1-sol", "max_completion_tokens"),
    ],
)
def test_a_maximum_of_ours_has_the_name_the_model_knows(model: str, name: str) -> None:
    head = Head("POST", PATH, PATH, "", {}, "127.0.0.1")
    asked = orjson.dumps({"model": model, "messages": [{"role": "user", "content": "Hi"}]})
    call = OpenAIDialect().read(Mode.CHAT, head, asked)
    price = Price(Decimal(1), Decimal(1), Decimal(1))

    sent = orjson.loads(openai_body.encode(call, Attempt(route(1), model, price, max_tokens=9)))

    assert {member: value for member, value in sent.items() if "max" in member} == {name: 9}
