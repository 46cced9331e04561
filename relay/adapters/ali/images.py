"""Pictures of DashScope: by a task that is polled, or at once with the newer models.

https://help.aliyun.com/en/model-studio/text-to-image-v2-api-reference, /qwen-image-api; relay contract of providers,
3.10. Whatever does not end in a picture raises, so that nobody pays for it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from urllib.parse import quote

import orjson

from relay.adapters.ali.answer import error_in, failure
from relay.adapters.ali.models import draws_at_once, upstream_name
from relay.adapters.base import Outgoing, Outside
from relay.adapters.fetched_pictures import with_data
from relay.adapters.shape import Json, chunk, document, items, mapping, text
from relay.errors import UpstreamError, UpstreamTimeout
from relay.neutral.events import Picture, Pictures
from relay.neutral.request import Images

AT_ONCE = "/api/v1/services/aigc/multimodal-generation/generation"
BY_TASK = "/api/v1/services/aigc/text2image/image-synthesis"
TASKS = "/api/v1/tasks/"
PAUSE = 2.0  # seconds between two looks at a task
MOST_LOOKS = 60
LARGEST = 64 * 1024 * 1024  # bytes of an answer to a picture's request
# DashScope's own members: of the input, and of the parameters.
OWN_INPUT = ("negative_prompt", "ref_img", "function")
OWN_PARAMETERS = ("seed", "prompt_extend", "watermark", "ref_strength", "ref_mode", "steps", "scale")


def images_body(model: str, request: Images) -> tuple[str, Json]:
    """(path, body)."""
    model = upstream_name(model)
    parameters: Json = {"n": request.n} | {
        name: request.extra[name] for name in OWN_PARAMETERS if name in request.extra
    }
    if request.size and request.size != "auto":
        parameters["size"] = request.size.replace("x", "*")
    if request.style.startswith("<"):  # its styles are written so: "<anime>"
        parameters["style"] = request.style
    given = {name: request.extra[name] for name in OWN_INPUT if name in request.extra}
    if draws_at_once(model):
        if "negative_prompt" in given:
            parameters["negative_prompt"] = given["negative_prompt"]
        message = {"role": "user", "content": [{"text": request.prompt}]}
        return AT_ONCE, {"model": model, "input": {"messages": [message]}, "parameters": parameters}
    return BY_TASK, {"model": model, "input": {"prompt": request.prompt, **given}, "parameters": parameters}


async def finished_task(
    submitted: Json, look: Outgoing, outside: Outside, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
) -> Json:
    """The task's last answer, when it has succeeded. Raises UpstreamError: it failed, or took too long.

    `look`: the request for the task's state, but for the task's id at the end of its URL.
    """
    answer = submitted
    task = text(mapping(answer.get("output")).get("task_id"))
    if not task:
        raise error_in(answer) or UpstreamError("the upstream's answer names no task", code="bad_response")
    request = Outgoing(look.method, look.url + quote(task, safe=""), look.headers, look.body)
    for _ in range(MOST_LOOKS):
        await sleep(PAUSE)
        status, body = await outside.fetch_json(request)
        if status != 200:
            if status in (429, 500, 502, 503, 504):
                continue  # the task goes on, whatever kept us from seeing it
            raise failure(chunk(body), status)
        answer = document(body)
        output = mapping(answer.get("output"))
        state = text(output.get("task_status"))
        if state == "SUCCEEDED":
            return answer
        if state not in ("PENDING", "RUNNING", "SUSPENDED"):
            raise _failed(answer, state)
    raise UpstreamTimeout("the upstream did not draw the picture in time")


def _failed(answer: Json, state: str) -> UpstreamError:
    output = {**mapping(answer.get("output")), "request_id": answer.get("request_id")}
    return error_in(output) or error_in(answer) or UpstreamError(f"the upstream's task ended with {state or 'nothing'}")


def read_pictures(answer: Json) -> Pictures:
    """Raises UpstreamError: there is none. Of several, those that were drawn count."""
    if error := error_in(answer):
        raise error
    output = mapping(answer.get("output"))
    results = items(output.get("results"))
    found = [_picture(result) for result in results]
    for choice in items(output.get("choices")):
        for part in items(mapping(choice.get("message")).get("content")):
            found += [Picture(url=text(part.get("image")))]
    drawn = [picture for picture in found if picture.url or picture.data]
    if not drawn:
        told = next((error for result in results if (error := error_in(result))), None)
        raise told or UpstreamError("the upstream's answer holds no picture", code="empty_answer")
    return Pictures(drawn)


def _picture(result: Json) -> Picture:
    return Picture(text(result.get("url")), text(result.get("b64_image")), text(result.get("actual_prompt")))


async def as_data(pictures: Pictures, outside: Outside) -> bytes:
    """The same answer with each picture's bytes in place of its address. Raises UpstreamError."""
    fetched = (await with_data(pictures, outside)).pictures
    results = [{"b64_image": picture.data, "actual_prompt": picture.revised_prompt} for picture in fetched]
    return orjson.dumps({"output": {"results": results}})
