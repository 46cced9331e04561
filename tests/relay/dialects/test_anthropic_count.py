"""What /v1/messages/count_tokens answers where Anthropic itself is not asked."""

from __future__ import annotations

import base64
import struct
from typing import Any

import pytest

from billing.tokens import count_text
from relay.dialects.anthropic.count import answer, count
from relay.neutral.request import Json
from tests.relay.adapters.test_anthropic import PIXEL
from tests.relay.dialects.test_anthropic_requests import called

TEXT = "How many tokens are these few words?"
WORDS = count_text("claude-x", TEXT)
WIDE = struct.pack(">8sIII", b"\x89PNG\r\n\x1a\n", 13, 0x49484452, 3136) + struct.pack(">II", 1000, 0)
AROUND = 3 + 3  # the whole and its one message


def counted(content: Any, **members: Any) -> int:
    messages = [{"role": "user", "content": content}]
    return count(called("/v1/messages/count_tokens", max_tokens=None, messages=messages, **members))


def test_text_counts_the_same_as_a_string_and_as_a_block() -> None:
    assert counted(TEXT) == counted([{"type": "text", "text": TEXT}]) == AROUND + WORDS


def test_system_and_tools_count() -> None:
    schema = {"type": "object", "properties": {"city": {"type": "string"}}}
    tool = {"name": "f", "description": TEXT, "input_schema": schema, "cache_control": {"type": "ephemeral"}}

    assert counted(TEXT, system=[{"type": "text", "text": TEXT}]) == AROUND + 2 * WORDS
    assert counted(TEXT, tools=[tool]) == counted(TEXT, tools=[{**tool, "cache_control": None}]) > AROUND + 2 * WORDS


@pytest.mark.parametrize(
    ("block", "tokens"),
    [
        ({"type": "tool_result", "tool_use_id": "A", "content": TEXT}, WORDS),
        ({"type": "tool_result", "tool_use_id": "A", "content": [{"type": "text", "text": TEXT}]}, WORDS),
        ({"type": "document", "source": {"type": "text", "data": TEXT}}, WORDS),
        ({"type": "document", "source": {"type": "base64", "data": "JVBERi0="}}, 2000),
        ({"type": "thinking", "thinking": TEXT, "signature": "sig"}, 0),
        ({"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PIXEL}}, 1),
        ({"type": "image", "source": {"type": "base64", "data": base64.b64encode(WIDE).decode()}}, 1046),
        ({"type": "image", "source": {"type": "url", "url": "https://e.example/a.png"}}, 1600),
        ({"type": "something_new", "text": TEXT}, WORDS),
        ({"type": "image", "source": None}, 1600),
    ],
)
def test_every_kind_of_block_has_its_weight(block: Json, tokens: int) -> None:
    assert counted([block]) == AROUND + tokens


def test_a_call_counts_its_name_and_input() -> None:
    used = {"type": "tool_use", "id": "A", "name": "f", "input": {"said": TEXT}}

    assert counted([used]) > AROUND + WORDS


def test_the_answer_is_anthropics() -> None:
    assert answer(14) == b'{"input_tokens":14}'
