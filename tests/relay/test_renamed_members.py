"""A member that is renamed for a provider never stands twice in a body.

https://docs.mistral.ai/api/ knows `max_tokens` alone, and answers what it does not know with 422.
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
