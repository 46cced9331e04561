"""Neutral requests as bodies of GLM's API v4: OpenAI's, within narrower bounds.

https://docs.bigmodel.cn/api-reference; relay contract of providers, 3.9.
"""

from __future__ import annotations

import re
from dataclasses import replace

from relay.adapters.base import Job
from relay.adapters.openai import request as openai_request
from relay.adapters.openai.reasoning import effort_of
from relay.adapters.told_form import with_form_told
from relay.adapters.usual import stops_of, texts_of
from relay.errors import BadRequest
from relay.neutral.request import Chat, Embeddings, Images, Json, OutputFormat

NAME = "Zhipu's protocol"
MOST_STOPS = 1
KEPT = ("do_sample", "tool_stream", "request_id", "user_id")  # GLM's own members of a chat
KEPT_OF_IMAGES = ("watermark_enabled", "user_id")
WITH_EFFORTS = re.compile(r"glm-[5-9]")  # models that take an effort beside the switch


def chat_body(job: Job, chat: Chat) -> Json:
    """Raises BadRequest."""
    body = openai_request.chat_body(job.route, job.model, _without_schema(chat))
    for name in ("temperature", "top_p"):
        if name in body:
            body[name] = min(max(body[name], 0), 1)
    stops_of(chat, MOST_STOPS, NAME)
    if user := body.pop("user", None):
        body["user_id"] = user
    if chat.tool_choice is not None and chat.tool_choice.kind == "none":
        # Not to call is no choice it knows.
        body = {name: value for name, value in body.items() if name not in ("tools", "tool_choice")}
    if chat.thinking is not None and WITH_EFFORTS.match(job.model):
        effort = effort_of(chat.thinking)
        body |= {"reasoning_effort": effort} if effort not in ("", "none") else {}
    return body | {name: chat.extra[name] for name in KEPT if name in chat.extra}


def _without_schema(chat: Chat) -> Chat:
    """Its JSON mode knows no schemas (https://github.com/zai-org/z-ai-sdk-python/issues/73): the model is told them."""
    if chat.output is None or chat.output.kind != "schema":
        return chat
    return replace(with_form_told(chat), output=OutputFormat("json"))


def embeddings_body(job: Job, request: Embeddings) -> Json:
    """Raises BadRequest."""
    body: Json = {"model": job.model, "input": texts_of(request.inputs, NAME)}
    return body | ({} if request.dimensions is None else {"dimensions": request.dimensions})


def images_body(job: Job, request: Images) -> Json:
    """Raises BadRequest."""
    if request.n > 1:
        raise BadRequest(f"n must be 1: {NAME} makes one picture a request")
    body: Json = {"model": job.model, "prompt": request.prompt}
    given = {"size": request.size, "quality": request.quality, "user_id": request.user}
    body |= {name: value for name, value in given.items() if value and value != "auto"}
    return body | {name: request.extra[name] for name in KEPT_OF_IMAGES if name in request.extra}
