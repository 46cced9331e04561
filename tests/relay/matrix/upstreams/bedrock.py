"""AWS Bedrock's Converse and ConverseStream in front of a Claude model.

https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html, API_runtime_ConverseStream.html;
signatures: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv.html, checked by botocore's own making of
the same signature; frames: https://docs.aws.amazon.com/AmazonS3/latest/API/RESTSelectObjectAppendix.html
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from urllib.parse import quote

import orjson
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from tests.relay.matrix.scenes import FAILURE, TOOL, Figures, Heard, Json, Refused, Said, need, only
from tests.relay.matrix.upstreams.base import Answer, Upstream, body_of, document, path_of
from tests.upstream.wire import Request

REGION, KEY, SECRET = "eu-north-1", "AKIDMATRIX", "bedrock-secret"
MEMBERS = (
    *("messages", "system", "inferenceConfig", "toolConfig", "additionalModelRequestFields", "outputConfig"),
    *("guardrailConfig", "performanceConfig", "promptVariables", "requestMetadata", "serviceTier"),
)
SIGNATURE = "c2lnbmVkIGJ5IGJlZHJvY2s="
ERRORS = {
    400: "ValidationException",
    401: "UnrecognizedClientException",
    403: "AccessDeniedException",
    404: "ResourceNotFoundException",
    429: "ThrottlingException",
    500: "InternalServerException",
}
_SIGNED = re.compile(
    r"AWS4-HMAC-SHA256 Credential=(?P<key>[^/]+)/(?P<scope>\S+), SignedHeaders=(?P<names>[^,]+), Signature=(?P<sum>\w+)"
)


class Bedrock(Upstream):
    name = "Bedrock"
    channel_type = 33
    key = f"{KEY}|{SECRET}|{REGION}"
    models = {None: "eu.anthropic.claude-sonnet-4-5-20250929-v1:0"}
    tells = frozenset({"cached", "written"})
    stream_kind = "application/vnd.amazon.eventstream"

    def settings(self) -> Mapping[str, str]:
        return {"region": REGION, "ak": KEY, "sk": SECRET}

    def hear(self, request: Request) -> Heard:
        signature(request, self.url)
        where = f"/model/{quote(self.models[None], safe='')}/"
        action = path_of(request).removeprefix(where)
        if action not in ("converse", "converse-stream"):
            raise Refused(f"nothing at {request.target}", 404)
        return hear(body_of(request), self.models[None], action == "converse-stream")

    def whole(self, heard: Heard, said: Said) -> Answer:
        message = {"role": "assistant", "content": _blocks(said)}
        told = {"output": {"message": message}, "stopReason": _reason(said), "metrics": {"latencyMs": 250}}
        return document({**told, "usage": usage(said.figures)})

    def pieces(self, heard: Heard, said: Said) -> Iterator[bytes]:
        for kind, payload in events(said):
            yield frame({":event-type": kind, ":message-type": "event"}, {**payload, "p": "abcdefgh"})

    def midway(self) -> bytes:
        headers = {":exception-type": "internalServerException", ":message-type": "exception"}
        return frame(headers, {"message": FAILURE})

    def refusal(self, refused: Refused) -> Answer:
        name = ERRORS[refused.status]
        headers = {"x-amzn-ErrorType": f"{name}:http://internal.amazon.com/coral/com.amazon.bedrock/"}
        return Answer(orjson.dumps({"message": refused.message}), headers=headers)


def signature(request: Request, url: str) -> None:
    """Raises Refused with 403."""
    found = _SIGNED.fullmatch(request.headers.get("authorization", ""))
    if found is None or found["key"] != KEY or found["scope"].split("/")[1:] != [REGION, "bedrock", "aws4_request"]:
        raise Refused("the security token included in the request is invalid", 403)
    names = found["names"].split(";")
    if not {"host", "x-amz-date", "content-type"} <= set(names):
        raise Refused(f"too little is signed: {names}", 403)
    date = request.headers["x-amz-date"]
    sent = datetime.strptime(date, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    if abs((datetime.now(UTC) - sent).total_seconds()) > 300 or not found["scope"].startswith(date[:8] + "/"):
        raise Refused("signature expired", 403)
    signed = AWSRequest(request.method, url + request.target, data=request.body)
    for name in names:
        signed.headers[name] = request.headers[name]
    signed.context["timestamp"] = date
    signer = SigV4Auth(Credentials(KEY, SECRET), "bedrock", REGION)
    told = signer.string_to_sign(signed, signer.canonical_request(signed))
    if signer.signature(told, signed) != found["sum"]:
        raise Refused("the request signature we calculated does not match the signature you provided", 403)


def hear(body: Json, model: str, stream: bool) -> Heard:
    """Raises Refused."""
    only(body, "body", *MEMBERS)
    heard = Heard(model, stream, system="".join(block.get("text", "") for block in body.get("system", [])))
    tools = body.get("toolConfig", {})
    for tool in tools.get("tools", []):
        specification = tool["toolSpec"]
        only(specification, "toolSpec", "name", "description", "inputSchema", "strict")
        heard.tools[specification["name"]] = specification["inputSchema"]["json"]
    need("toolConfig" not in body or heard.tools, "toolConfig without tools")
    heard.must_call = tools.get("toolChoice", {}).get("tool", {}).get("name", "")
    limits = body.get("inferenceConfig", {})
    only(limits, "inferenceConfig", "maxTokens", "temperature", "topP", "stopSequences")
    thinking = body.get("additionalModelRequestFields", {}).get("thinking")
    if thinking is not None:
        need(thinking["type"] == "enabled", "thinking.type")
        need(thinking["budget_tokens"] >= 1024, "thinking.budget_tokens")
        need(thinking["budget_tokens"] < limits.get("maxTokens", 32_000), "budget_tokens beyond maxTokens")
        heard.thinks = heard.shows_thoughts = True
    if "outputConfig" in body:
        structure = body["outputConfig"]["textFormat"]
        need(structure["type"] == "json_schema", "outputConfig.textFormat.type")
        heard.schema = orjson.loads(structure["structure"]["jsonSchema"]["schema"])
    _messages(heard, body["messages"])
    if thinking is not None and heard.results:
        need("reasoningContent" in body["messages"][-2]["content"][0], "expected thinking, but found tool_use")
    need(heard.tools or not heard.results, "toolConfig must be defined where toolResult blocks are")
    return heard


def _messages(heard: Heard, told: list[Json]) -> None:
    called: list[str] = []
    for place, message in enumerate(told):
        only(message, "messages", "role", "content")
        need(message["role"] == ("user", "assistant")[place % 2], "roles must alternate between user and assistant")
        blocks = message["content"]
        results = [block["toolResult"] for block in blocks if "toolResult" in block]
        need([result["toolUseId"] for result in results] == called, f"toolResult blocks expected for {called}")
        called = [block["toolUse"]["toolUseId"] for block in blocks if "toolUse" in block]
        heard.results = ["".join(part["text"] for part in result["content"]) for result in results]
        said = "".join(block.get("text", "") for block in blocks)
        need(all(block["text"].strip() for block in blocks if "text" in block), "the text field is blank")
        if message["role"] == "user":
            heard.said += [said] if said else []
            for block in blocks:
                if "image" in block:
                    need(block["image"]["format"] == "png", "image.format")
                    heard.pictures.append(block["image"]["source"]["bytes"])
        for block in blocks:
            if "reasoningContent" in block:
                need(block["reasoningContent"]["reasoningText"]["signature"] == SIGNATURE, "invalid signature")


def _blocks(said: Said) -> list[Json]:
    blocks: list[Json] = []
    if said.thought:
        blocks.append({"reasoningContent": {"reasoningText": {"text": said.thought, "signature": SIGNATURE}}})
    if said.text:
        blocks.append({"text": said.text})
    for place, arguments in enumerate(said.calls):
        blocks.append({"toolUse": {"toolUseId": f"tooluse_{place}", "name": TOOL, "input": orjson.loads(arguments)}})
    return blocks


def _reason(said: Said) -> str:
    return "tool_use" if said.calls else "end_turn"


def usage(figures: Figures) -> Json:
    """`inputTokens` are what is neither read from the cache nor written to it."""
    return {
        "inputTokens": figures.prompt - figures.cached - figures.written,
        "outputTokens": figures.completion,
        "totalTokens": figures.prompt + figures.completion,
        "cacheReadInputTokens": figures.cached,
        "cacheWriteInputTokens": figures.written,
    }


def events(said: Said) -> Iterator[tuple[str, Json]]:
    yield "messageStart", {"role": "assistant"}
    for index, block in enumerate(_blocks(said)):
        if "toolUse" in block:
            call = {name: block["toolUse"][name] for name in ("toolUseId", "name")}
            yield "contentBlockStart", {"contentBlockIndex": index, "start": {"toolUse": call}}
        for delta in _deltas(block, said):
            yield "contentBlockDelta", {"contentBlockIndex": index, "delta": delta}
        yield "contentBlockStop", {"contentBlockIndex": index}
    yield "messageStop", {"stopReason": _reason(said)}
    yield "metadata", {"usage": usage(said.figures), "metrics": {"latencyMs": 250}}


def _deltas(block: Json, said: Said) -> list[Json]:
    if "toolUse" in block:
        arguments = orjson.dumps(block["toolUse"]["input"]).decode()
        return [{"toolUse": {"input": part}} for part in (arguments[:5], arguments[5:])]
    if "reasoningContent" in block:
        thought = [{"reasoningContent": {"text": part}} for part in (said.thought[:8], said.thought[8:])]
        return [*thought, {"reasoningContent": {"signature": SIGNATURE}}]
    return [{"text": piece} for piece in said.pieces]


def frame(headers: dict[str, str], payload: Json) -> bytes:
    """One binary message, with the sums of its prelude and of the whole."""
    block = b""
    for name, value in {**headers, ":content-type": "application/json"}.items():
        block += struct.pack(">B", len(name)) + name.encode() + struct.pack(">BH", 7, len(value)) + value.encode()
    body = orjson.dumps(payload)
    prelude = struct.pack(">II", 16 + len(block) + len(body), len(block))
    message = prelude + struct.pack(">I", zlib.crc32(prelude)) + block + body
    return message + struct.pack(">I", zlib.crc32(message))
