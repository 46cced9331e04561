"""Of several pictures that were asked for those are paid for that were made.

https://help.aliyun.com/zh/model-studio/text-to-image-api-reference: a task of several pictures succeeds with one of
them; the others are errors among its results, and only the pictures are charged.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import orjson
import pytest

from billing.pricing import Price, Usage
from relay import charging
from relay.adapters.ali.adapter import Ali
from relay.dialects.openai.dialect import OpenAIDialect
from relay.passages.translated import Translated
from relay.types import Attempt, Head, Mode
from tests.relay.adapters.vendors import Answers
from tests.relay.wire.cases import FakeAnswer, route

MADE = {"url": "https://pictures.example/1.png"}
NOT_MADE = {"code": "InternalError.Timeout", "message": "told"}
PATH = "/v1/images/generations"


@pytest.mark.parametrize(("results", "paid"), [([MADE] * 4, 4), ([MADE, NOT_MADE, MADE, NOT_MADE], 2)])
def test_a_picture_that_was_not_made_is_not_charged(results: list[dict[str, str]], paid: int) -> None:
    dialect, ali = OpenAIDialect(), route(17)
    head = Head("POST", PATH, PATH, "", {}, "127.0.0.1")
    call = dialect.read(Mode.IMAGES, head, b'{"model":"wanx-v1","prompt":"a cat","n":4}')
    attempt = Attempt(ali, "wanx-v1", Price(Decimal(1), Decimal(1), Decimal(1)))
    outside: Any = Answers()
    passage = Translated(outside, Ali(), dialect, call, attempt)
    asked = charging.charge(call, attempt, Usage(0, 0))

    answer = orjson.dumps({"output": {"task_status": "SUCCEEDED", "results": results}})
    generated, body, _ = passage.whole(FakeAnswer(200, answer), answer)

    assert len(orjson.loads(body)["data"]) == paid
    assert charging.charge(call, attempt, Usage(0, 0), generated.pictures) == asked * paid // 4
    assert call.max_tokens == 4  # it stays what the caller asked for
