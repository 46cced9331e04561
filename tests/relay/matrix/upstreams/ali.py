"""DashScope's own protocol, of Ali's Model Studio.

https://help.aliyun.com/en/model-studio/qwen-api-via-dashscope, /error-code
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson

from tests.relay.matrix.scenes import FAILURE, TOOL, Figures, Heard, Json, Refused, Said, Scene, need, only
from tests.relay.matrix.upstreams.base import Answer, Upstream, addressed, body_of, credential, document
from tests.upstream.wire import Request

PARAMETERS = (
    *("result_format", "incremental_output", "enable_search", "temperature", "top_p", "top_k", "max_tokens", "seed"),
    *("stop", "n", "presence_penalty", "logprobs", "top_logprobs", "response_format", "tools", "tool_choice"),
    *("parallel_tool_calls", "enable_thinking", "thinking_budget"),
)
SEES = "qwen3-vl-plus"
TEXT = "/api/v1/services/aigc/text-generation/generation"
MULTIMODAL = "/api/v1/services/aigc/multimodal-generation/generation"
CODES = {400: "InvalidParameter", 401: "InvalidApiKey", 429: "Throttling.RateQuota", 500: "InternalError"}


class Ali(Upstream):
    name = "Ali"
    channel_type = 17
    key = "sk-ali"
    models = {None: "qwen-plus", Scene.PICTURE: SEES}

    def hear(self, request: Request) -> Heard:
        credential(request, "authorization", f"Bearer {self.key}")
        body = body_of(request)
        addressed(request, MULTIMODAL if body.get("model") == SEES else TEXT)
        need(body.get("model") in self.models.values(), f"model {body.get('model')!r} does not exist")
        stream = request.headers.get("x-dashscope-sse") == "enable"
        return hear(body, stream)

    def whole(self, heard: Heard, said: Said) -> Answer:
        message = _message(heard, said.text)
        message |= {"reasoning_content": said.thought} if said.thought else {}
        if said.calls:
            message["tool_calls"] = [
                {"index": index, **_call(index, arguments)} for index, arguments in enumerate(said.calls)
            ]
        return document(_answer(message, said.figures, _finish(said)))

    def pieces(self, heard: Heard, said: Said) -> Iterator[bytes]:
        for number, record in enumerate(records(heard, said), 1):
            yield _event(number, "result", 200, record)

    def midway(self) -> bytes:
        return _event(9, "error", 500, {"code": "InternalError", "message": FAILURE, "request_id": "r-1"})

    def refusal(self, refused: Refused) -> Answer:
        code = CODES.get(refused.status, "InvalidParameter")
        return Answer(orjson.dumps({"code": code, "message": refused.message, "request_id": "r-1"}))


def hear(body: Json, stream: bool) -> Heard:
    """Raises Refused."""
    only(body, "body", "model", "input", "parameters")
    only(body["input"], "input", "messages")
    parameters = body["parameters"]
    only(parameters, "parameters", *PARAMETERS)
    need(parameters.get("result_format") == "message" or body["model"] == SEES, "result_format must be message")
    need(not stream or parameters.get("incremental_output") is True, "only increments are written here")
    heard = Heard(body["model"], stream)
    for tool in parameters.get("tools", []):
        only(tool["function"], "tools.function", "name", "description", "parameters")
        heard.tools[tool["function"]["name"]] = tool["function"]["parameters"]
    choice = parameters.get("tool_choice", "auto")
    need(choice in ("auto", "none") or isinstance(choice, dict), "tool_choice")
    if isinstance(choice, dict):
        heard.must_call = choice["function"]["name"]
    wanted = parameters.get("response_format", {"type": "text"})
    if wanted["type"] == "json_schema":
        need(wanted["json_schema"].get("name"), "response_format.json_schema.name")
        heard.schema = wanted["json_schema"]["schema"]
    heard.thinks = heard.shows_thoughts = parameters.get("enable_thinking") is True
    _messages(heard, body["input"]["messages"])
    return heard


def _messages(heard: Heard, told: list[Json]) -> None:
    waiting: list[str] = []
    for message in told:
        said = _text(heard, message["content"])
        match message["role"]:
            case "system":
                heard.system += said
            case "user":
                heard.said.append(said)
                if isinstance(message["content"], list):
                    found = [part["image"] for part in message["content"] if "image" in part]
                    heard.pictures += [picture.removeprefix("data:image/png;base64,") for picture in found]
            case "assistant":
                waiting = [call["id"] for call in message.get("tool_calls", [])]
                need(all(waiting), "a call without its id")
            case "tool":
                need(message["tool_call_id"] in waiting, "a tool's message must answer a call before it")
                waiting.remove(message["tool_call_id"])
                heard.results.append(said)
            case role:
                raise Refused(f"{role} is not one of system, assistant, user, tool")
    need(not waiting, f"calls without their results: {waiting}")


def _text(heard: Heard, content: Any) -> str:
    if isinstance(content, str):
        need(heard.model != SEES or not content, "contents of this interface are lists")
        return content
    need(heard.model == SEES, "contents of this interface are texts")
    return "".join(part.get("text", "") for part in content)


def _message(heard: Heard, text: str) -> Json:
    content = [{"text": text}] if heard.model == SEES and text else text
    return {"role": "assistant", "content": content}


def _call(index: int, arguments: str) -> Json:
    return {"id": f"call_{index}", "type": "function", "function": {"name": TOOL, "arguments": arguments}}


def _finish(said: Said) -> str:
    return "tool_calls" if said.calls else "stop"


def _answer(message: Json, figures: Figures, finish: str) -> Json:
    usage = {
        "input_tokens": figures.prompt,
        "output_tokens": figures.completion,
        "total_tokens": figures.prompt + figures.completion,
        "prompt_tokens_details": {"cached_tokens": figures.cached},
        "output_tokens_details": {"reasoning_tokens": figures.reasoning},
    }
    choice = {"message": message, "finish_reason": finish}
    return {"output": {"choices": [choice]}, "usage": usage, "request_id": "9a1f"}


def records(heard: Heard, said: Said) -> Iterator[Json]:
    """Increments, with figures that are cumulative. Fragments after a call's first have an empty id."""
    so_far = Figures(said.figures.prompt, 1, said.figures.cached)
    if said.thought:
        yield _answer({**_message(heard, ""), "reasoning_content": said.thought}, so_far, "null")
    for piece in said.pieces:
        yield _answer(_message(heard, piece), so_far, "null")
    for index, arguments in enumerate(said.calls):
        first = {"index": index, **_call(index, "")}
        yield _answer({**_message(heard, ""), "tool_calls": [first]}, so_far, "null")
        for part in (arguments[:5], arguments[5:]):
            more = {"index": index, "id": "", "type": "function", "function": {"arguments": part}}
            yield _answer({**_message(heard, ""), "tool_calls": [more]}, so_far, "null")
    yield _answer(_message(heard, ""), said.figures, _finish(said))


def _event(number: int, name: str, status: int, record: Json) -> bytes:
    return f"id:{number}\nevent:{name}\n:HTTP_STATUS/{status}\ndata:".encode() + orjson.dumps(record) + b"\n\n"
