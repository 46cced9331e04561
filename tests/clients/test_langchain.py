"""LangChain's standard tests of chat models, with its own clients pointed at the gateway.

Each client at an upstream of its own vendor and at the other's. What is skipped wants documents, recordings or a tape.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from langchain_anthropic import ChatAnthropic
from langchain_core.language_models import BaseChatModel
from langchain_openai import ChatOpenAI
from langchain_tests.integration_tests import ChatModelIntegrationTests

from tests.clients.conftest import Front
from tests.clients.models import Model
from tests.clients.obedient import obey
from tests.relay.matrix.scenes import PICTURE

MAXIMUM = 4000  # tokens


class Standard(ChatModelIntegrationTests):
    """`upstream` stands behind the gateway; `chat_model_class` and what it takes are a subclass's."""

    upstream: str
    strict: bool
    model_name: str
    address: str
    key: str

    @pytest.fixture(autouse=True)
    def through_the_gateway(self, front: Front) -> Iterator[Model]:
        """Whatever a test does has been taken by the upstream, and is charged."""
        front.look_away()
        model = front.models[self.upstream]
        model.strict, model.decides = self.strict, obey
        cls = type(self)
        cls.address, cls.key = front.gateway.base_url, f"sk-{front.account.key}"
        yield model
        del model.decides
        assert not model.violations
        assert sorted(front.charged(), key=str) == sorted(model.answered, key=str)

    @pytest.fixture
    def model(self, request: Any, through_the_gateway: Model) -> BaseChatModel:
        made: BaseChatModel = self.chat_model_class(
            **self.standard_chat_model_params, **self.chat_model_params, **getattr(request, "param", None) or {}
        )
        return made

    @pytest.fixture(autouse=True)
    def picture_at_hand(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The tests take their picture from the internet."""
        picture = httpx.Response(200, content=base64.b64decode(PICTURE))
        monkeypatch.setattr(httpx, "get", lambda *_, **__: picture)

    @property
    def supports_image_inputs(self) -> bool:
        return True

    @property
    def supports_image_tool_message(self) -> bool:
        return True

    @property
    def standard_chat_model_params(self) -> dict[str, Any]:
        return {"max_retries": 0, "timeout": 30}

    @property
    def model_override_value(self) -> str:
        return self.model_name


class OpenAIClient(Standard):
    @property
    def chat_model_class(self) -> type[BaseChatModel]:
        return ChatOpenAI

    @property
    def chat_model_params(self) -> dict[str, Any]:
        return {
            "model": self.model_name,
            "base_url": f"{self.address}/v1",
            "api_key": self.key,
            "stream_usage": True,
        }

    @property
    def supports_json_mode(self) -> bool:
        return True


class AnthropicClient(Standard):
    @property
    def chat_model_class(self) -> type[BaseChatModel]:
        return ChatAnthropic

    @property
    def chat_model_params(self) -> dict[str, Any]:
        return {"model": self.model_name, "base_url": self.address, "api_key": self.key, "max_tokens": MAXIMUM}

    @property
    def supports_anthropic_inputs(self) -> bool:
        return True


class TestOpenAIAtOpenAI(OpenAIClient):
    upstream, strict, model_name = "OpenAI", False, "gpt-5-mini"


class TestOpenAIAtAnthropic(OpenAIClient):
    upstream, strict, model_name = "Anthropic", True, "claude-sonnet-4-6"


class TestAnthropicAtAnthropic(AnthropicClient):
    upstream, strict, model_name = "Anthropic", False, "claude-sonnet-4-6"


class TestAnthropicAtOpenAI(AnthropicClient):
    upstream, strict, model_name = "OpenAI", True, "gpt-5-mini"
