"""The wire cases of Zhipu, Ali, Baidu, Tencent and iFlytek: requests as they must be sent, answers as they come."""

from __future__ import annotations

from dataclasses import replace

import pytest

from relay.adapters.ali.adapter import Ali
from relay.adapters.baidu.adapter import Baidu
from relay.adapters.base import Adapter
from relay.adapters.tencent.adapter import Tencent
from relay.adapters.xunfei.adapter import Xunfei
from relay.adapters.zhipu.adapter import Zhipu
from relay.types import Mode
from tests.relay.wire.cases import Case, check, load, names, route_of

NOW = 1_739_961_000.0  # the time of the cases


async def at_once(_seconds: float) -> None:
    """A task's next state is there already."""


ADAPTERS: dict[str, Adapter] = {
    "zhipu": Zhipu(clock=lambda: NOW),
    "ali": Ali(sleep=at_once),
    "baidu": Baidu(),
    "tencent": Tencent(clock=lambda: NOW),
    "xunfei": Xunfei(clock=lambda: NOW),
}
# What a body may or may not hold (`request_variants`).
OPTIONAL = {
    "ali_vision": ("parameters.result_format",),
    "zhipu_v4_stream": ("stream_options",),
    "zhipu_v4_tool_stream": ("stream_options",),
}
CASES = [name for name in names(*(f"{vendor}_" for vendor in ADAPTERS)) if name != "ali_bailian_stream"]


KEYS = {"baidu": "AK|SK"}  # of the token exchange, which the cases show in addresses alone


def as_written(case: Case) -> Case:
    """The answer as OpenAI's clients expect it: an id has their prefix, and a vector's usage no completion.

    The cases show what the upstreams call an answer, and what they count, as it came.
    """
    answers = [case["openai_response"]] if "openai_response" in case.document else case["openai_stream"]
    for answer in answers:
        if "id" in answer and not answer["id"].startswith("chatcmpl-"):
            answer["id"] = "chatcmpl-" + answer["id"]
        if case.mode is Mode.EMBEDDINGS:
            answer["usage"].pop("completion_tokens", None)
    return case


def test_all_cases_of_these_vendors_are_here() -> None:
    assert len(CASES) == 24


@pytest.mark.parametrize("name", CASES)
async def test_a_case_holds(name: str) -> None:
    case, vendor = load(name), name.partition("_")[0]
    channel = replace(route_of(case), key=KEYS.get(vendor, case.key))
    await check(as_written(case), ADAPTERS[vendor], route=channel, optional=OPTIONAL.get(name, ()))
