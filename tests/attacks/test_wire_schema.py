"""Calls drawn from OpenAI's API as its client describes it: none is answered with a 5xx that no upstream has caused.

The schema is made of the types of the package `openai`, so that it is as new as the client that is installed.
Schemathesis draws calls that fit it and calls that do not. FUZZ_EXAMPLES says how many of each.
"""

from __future__ import annotations

import os
from collections import Counter
from typing import Any

import hypothesis
import pytest
import requests
import schemathesis
from openai.types import completion_create_params as completions
from openai.types import embedding_create_params as embeddings
from openai.types import image_generate_params as images
from openai.types import moderation_create_params as moderations
from openai.types.audio import speech_create_params as speech
from openai.types.chat import completion_create_params as chat
from openai.types.responses import response_create_params as responses
from pydantic import TypeAdapter
from schemathesis import GenerationMode

from tests.fake_upstream import FakeUpstream
from tests.server import ROOT_TOKEN, Account, Gateway

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "4"))
BODIES: dict[str, Any] = {
    "/v1/chat/completions": chat.CompletionCreateParamsNonStreaming,
    "/v1/completions": completions.CompletionCreateParamsNonStreaming,
    "/v1/embeddings": embeddings.EmbeddingCreateParams,
    "/v1/moderations": moderations.ModerationCreateParams,
    "/v1/images/generations": images.ImageGenerateParamsNonStreaming,
    "/v1/audio/speech": speech.SpeechCreateParams,
    "/v1/responses": responses.ResponseCreateParamsNonStreaming,
}
# A channel that passes bodies on, and channels that translate them.
MODELS = {"passed-on": 1, "to-claude": 14, "to-gemini": 24, "to-cohere": 35, "to-ollama": 30}


def document() -> dict[str, Any]:
    """An OpenAPI document of these routes."""
    paths: dict[str, Any] = {}
    schemas: dict[str, Any] = {}
    for number, (path, body) in enumerate(BODIES.items()):
        made = TypeAdapter(body).json_schema(ref_template=f"#/components/schemas/{number}.{{model}}")
        schemas |= {f"{number}.{name}": schema for name, schema in made.pop("$defs", {}).items()}
        content = {"application/json": {"schema": made}}
        answers = {"200": {"description": "what the upstream says"}}
        paths[path] = {"post": {"requestBody": {"required": True, "content": content}, "responses": answers}}
    info = {"title": "OpenAI's API", "version": "1"}
    return {"openapi": "3.1.0", "info": info, "paths": paths, "components": {"schemas": schemas}}


@pytest.fixture(scope="module")
def carried(wired: Gateway, upstream_process: FakeUpstream) -> Gateway:
    for model, kind in MODELS.items():
        wired.add_channel(upstream_process.url, model, type=kind)
    wired.wait_until_routed(ROOT_TOKEN, list(MODELS)[-1])
    return wired


@pytest.mark.parametrize("mode", list(GenerationMode), ids=lambda mode: mode.value)
@pytest.mark.parametrize("path", BODIES)
def test_no_drawn_call_makes_the_gateway_fail(
    carried: Gateway, wired_payer: Account, path: str, mode: GenerationMode
) -> None:
    schema = schemathesis.openapi.from_dict(document())
    schema.config.update(base_url=carried.base_url)
    session, statuses = requests.Session(), Counter[int]()

    @hypothesis.settings(
        max_examples=EXAMPLES,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[hypothesis.Phase.generate],
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    @hypothesis.given(case=schema[path]["POST"].as_strategy(mode))
    def judge(case: schemathesis.Case[Any]) -> None:
        for model in MODELS:
            if isinstance(case.body, dict) and isinstance(case.body.get("model", ""), str):
                case.body["model"] = model
            answer = case.call(session=session, headers={"Authorization": f"Bearer sk-{wired_payer.key}"}, timeout=30)
            statuses[answer.status_code] += 1
            text = answer.content.decode(errors="replace")  # it may be sound
            told = f"{answer.status_code} {text[:500]}\n{case.as_curl_command()[:2000]}"
            assert answer.status_code < 500 or '"code":"bad_response' in text, told
            assert "internal_error" not in text, told

    judge()
    assert sum(statuses.values()) >= len(MODELS)
    if mode is GenerationMode.POSITIVE and path != "/v1/responses":
        assert statuses[200], statuses
