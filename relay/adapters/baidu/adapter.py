"""Baidu's Wenxin workshop (v1): ERNIE models behind an access token that a key pair is exchanged for.

https://cloud.baidu.com/doc/WENXINWORKSHOP/s/clntwmv7t (chat), /s/alj562vvu (embeddings), /s/Ilkkrb0i5 (token); relay
contract of providers, 3.11 and 4.3. The key pair goes to the token exchange alone.
"""

from __future__ import annotations

import hashlib
from urllib.parse import quote, urlencode

import orjson

from relay.adapters import channel_keys
from relay.adapters.baidu.answer import TOKEN_REFUSED, WenxinReader, error_in, read_chat, read_vectors
from relay.adapters.baidu.request import NAME, chat_body
from relay.adapters.base import Adapter, Chat, Embeddings, Job, Outgoing, Outside, Read, Reader, UpstreamAnswer
from relay.adapters.shape import Json, chunk, document, number, text
from relay.adapters.usual import chat_of, reported, texts_of
from relay.adapters.whole_answer import WholeAnswer
from relay.errors import UpstreamError
from relay.sse import MAX_EVENT

KEY_FORM = "APIKey|SecretKey"
WORKSHOP = "/rpc/2.0/ai_custom/v1/wenxinworkshop"
# Models whose address is not their own name in lower case.
SUFFIXES = {
    "ERNIE-4.0": "completions_pro",
    "ERNIE-4.0-8K": "completions_pro",
    "ERNIE-Bot-4": "completions_pro",
    "ERNIE-Bot": "completions",
    "ERNIE-3.5-8K": "completions",
    "ERNIE-Bot-turbo": "eb-instant",
    "ERNIE-Lite-8K-0922": "eb-instant",
    "ERNIE-Lite-8K-0308": "ernie-lite-8k",
    "ERNIE-Speed": "ernie_speed",
    "ERNIE-Speed-8K": "ernie_speed",
    "ERNIE-Bot-8K": "ernie_bot_8k",
    "BLOOMZ-7B": "bloomz_7b1",
    "bge-large-zh": "bge_large_zh",
    "bge-large-en": "bge_large_en",
    "tao-8k": "tao_8k",
}
JSON_HEADERS = [("Content-Type", "application/json"), ("Accept", "application/json")]
TOKEN_LIFE = 2_592_000.0  # seconds, where the exchange does not tell: 30 days


class Baidu(Adapter):
    """A token that was refused before its time is exchanged anew, and the request sent once more."""

    requests = (Chat, Embeddings)

    def __init__(self) -> None:
        # How many tokens of a key pair (by its digest) were refused: what is asked of `Outside.token` moves on with it.
        self._refused: dict[str, int] = {}

    async def prepare(self, job: Job, outside: Outside) -> Outgoing:
        if isinstance(job.request, Embeddings):
            place, stream = "embeddings", False
            body: Json = {"input": texts_of(job.request.inputs, NAME)}
        else:
            chat = chat_of(job.request, NAME)
            place, stream, body = "chat", chat.stream, chat_body(chat)
        token = await self._token(job, outside)
        suffix = SUFFIXES.get(job.model) or quote(job.model.lower(), safe="")
        url = f"{job.route.base_url}{WORKSHOP}/{place}/{suffix}?access_token={quote(token, safe='')}"
        headers = [("Content-Type", "application/json")]
        headers.append(("Accept", "text/event-stream" if stream else "application/json"))
        return Outgoing("POST", url, headers, orjson.dumps(body))

    async def open(self, job: Job, outside: Outside) -> UpstreamAnswer:
        refused = self._refused.get(_digest(job), 0)
        answer = await super().open(job, outside)
        if answer.status != 200 or not answer.header("content-type").startswith("application/json"):
            return answer
        try:
            body = await answer.read(MAX_EVENT)
        finally:
            answer.close()
        if number(chunk(body).get("error_code")) not in TOKEN_REFUSED:
            return WholeAnswer(200, body)
        if self._refused.get(_digest(job), 0) == refused:  # else another call has done so meanwhile
            self._refused[_digest(job)] = refused + 1
        return await super().open(job, outside)

    async def _token(self, job: Job, outside: Outside) -> str:
        digest = _digest(job)
        return await outside.token(f"baidu:{digest}:{self._refused.get(digest, 0)}", lambda: _exchange(job, outside))

    def read(self, job: Job, body: bytes) -> Read:
        answer = document(body)
        return read_vectors(answer) if isinstance(job.request, Embeddings) else read_chat(answer)

    def reader(self, job: Job) -> Reader:
        return WenxinReader()

    def failure(self, status: int, body: bytes, retry_after: float | None) -> UpstreamError:
        error = super().failure(status, body, retry_after)
        if told := error_in(chunk(body)):
            error.code, error.kind = told.code, told.kind
        return error


def _digest(job: Job) -> str:
    """Of what a token depends on: the pair, and the address it is exchanged at."""
    return hashlib.sha256(f"{job.route.base_url} {job.route.key}".encode()).hexdigest()


async def _exchange(job: Job, outside: Outside) -> tuple[str, float]:
    """(token, seconds it lives). Raises UpstreamError."""
    client_id, secret = channel_keys.parts(job.route.key, KEY_FORM)
    query = urlencode({"grant_type": "client_credentials", "client_id": client_id, "client_secret": secret})
    url = f"{job.route.base_url}/oauth/2.0/token?{query}"
    status, body = await outside.fetch_json(Outgoing("POST", url, list(JSON_HEADERS), b""))
    answer = chunk(body)
    token = text(answer.get("access_token"))
    if token:
        return token, float(max(number(answer.get("expires_in")), 0)) or TOKEN_LIFE
    refused = text(answer.get("error"))
    if refused or status in (400, 401, 403):
        raise reported(401, text(answer.get("error_description")) or refused, refused, "baidu_error")
    raise UpstreamError("the upstream's token exchange failed", code="token_exchange_failed")
