"""No answer with the members these protocols know, whatever their values, makes reading fail in an unforeseen way.

It is an answer or an error of the upstream, and the same one wherever the borders of its chunks lie. Requests, and
bytes of every kind: test_every_adapter.py.
"""

from __future__ import annotations

import json
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relay.adapters.aiproxy_library import AIProxyLibrary
from relay.adapters.ali.adapter import Ali
from relay.adapters.baidu.adapter import Baidu
from relay.adapters.base import Adapter, Job
from relay.adapters.tencent.adapter import Tencent
from relay.adapters.xunfei.adapter import Xunfei
from relay.adapters.zhipu.adapter import Zhipu
from relay.errors import UpstreamError
from relay.neutral.events import Event, Failed, fold
from relay.neutral.request import Chat, Embeddings, Images, Request
from relay.sse import EventTooLong
from tests.relay.adapters.vendors import HELLO, job_for
from tests.relay.wire import strategies

KINDS: list[tuple[Adapter, int, str, str]] = [
    (Baidu(), 15, "AK|SK", "ERNIE-4.0-8K"),
    (Zhipu(), 16, "id.secret", "glm-4.7"),
    (Zhipu(), 16, "id.secret", "chatglm_turbo"),
    (Ali(), 17, "sk-ali", "qwen-plus"),
    (Ali(), 17, "sk-ali", "qwen-vl-plus"),
    (Xunfei(), 18, "app|secret|key", "Spark-Max"),
    (AIProxyLibrary(), 21, "key", "gpt-4"),
    (Tencent(), 23, "app|id|secret", "hunyuan-turbos"),
]
each_kind = pytest.mark.parametrize(
    ("adapter", "kind", "key", "model"), KINDS, ids=[f"{type(kind[0]).__name__}-{kind[3]}" for kind in KINDS]
)
REQUESTS: dict[object, Request] = {
    Chat: Chat(HELLO, stream=True),
    Embeddings: Embeddings(["a"]),
    Images: Images("a cat"),
}

# JSON with the members these protocols know, and values they do not expect there.
WORDS = """
    Response Error Code Message ErrorMsg Msg Choices Delta Content ReasoningContent ToolCalls Index Id Function Name
    Arguments FinishReason Usage PromptTokens CompletionTokens TotalTokens Data Embedding RequestId Created
    error_code error_msg result is_end is_truncated function_call name arguments thoughts finish_reason usage
    prompt_tokens completion_tokens total_tokens data embedding index id created output choices message content text
    tool_calls function reasoning_content search_info search_results url title input_tokens output_tokens
    prompt_tokens_details cached_tokens embeddings text_index results image code request_id header sid status
    payload answer documents finish errCode success msg task_id delta error logprobs meta
"""
MEMBERS = WORDS.split()
VALUES = st.one_of(
    strategies.json_values,
    st.sampled_from(["stop", "null", "tool_calls", "sensitive", "normal", "length", "InvalidApiKey", "1302"]),
    st.sampled_from([0, 1, 2, 110, True, False, 1e300, -1, 2**60]),
)
DOCUMENTS = st.recursive(
    VALUES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(MEMBERS), inner, max_size=6),
    max_leaves=25,
)
OBJECTS = st.dictionaries(st.sampled_from(MEMBERS), DOCUMENTS, max_size=8)


def _framed(document: object) -> st.SearchStrategy[bytes]:
    payload = json.dumps(document).encode()
    return st.sampled_from(
        [
            payload + b"\n",
            b"data: " + payload + b"\n\n",
            b"event:add\nid:1\ndata:" + payload + b"\n\n",
            b"event:finish\nmeta:" + payload + b"\n\n",
            b"data: [DONE]\n\n",
        ]
    )


STREAMS = strategies.portions() | st.lists(OBJECTS.flatmap(_framed), max_size=8)


@each_kind
@settings(deadline=None, max_examples=80)
@given(document=OBJECTS | DOCUMENTS, data=st.data())
def test_every_document_is_an_answer_or_an_error_of_the_upstream(
    adapter: Adapter, kind: int, key: str, model: str, document: object, data: st.DataObject
) -> None:
    request = REQUESTS[data.draw(st.sampled_from(adapter.requests))]
    body = json.dumps(document).encode()

    assert isinstance(adapter.failure(500, body, None), UpstreamError)
    try:
        read = adapter.read(job_for(kind, key, request, model), body)
        if isinstance(read, list):
            fold(read)
    except UpstreamError:
        return


def _read(adapter: Adapter, on: Job, chunks: list[bytes]) -> list[Event]:
    reader = adapter.reader(on)
    return [event for chunk in chunks for event in reader.feed(chunk)] + reader.close()


def _told(events: list[Event]) -> list[str]:
    """Calls without an id get a random one."""
    return [
        f"{event.error.status} {event.error.message}"
        if isinstance(event, Failed)
        else re.sub(r"call_[0-9a-f]{24}", "call", repr(event))
        for event in events
    ]


@each_kind
@settings(deadline=None, max_examples=120)
@given(chunks=STREAMS, size=st.integers(1, 9))
def test_every_stream_is_read_alike_wherever_its_chunks_end(
    adapter: Adapter, kind: int, key: str, model: str, chunks: list[bytes], size: int
) -> None:
    on = job_for(kind, key, REQUESTS[Chat], model)
    whole = b"".join(chunks)
    try:
        events = _read(adapter, on, chunks)
    except EventTooLong:
        return
    finer = _read(adapter, on, [whole[start : start + size] for start in range(0, len(whole), size)])

    assert _told(events) == _told(finer)
    assert not any(isinstance(event, Failed) for event in events[:-1])
    if not any(isinstance(event, Failed) for event in events):
        fold(events)
