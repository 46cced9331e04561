"""AI Proxy's knowledge bases: a question is answered from a library's documents, which are listed at the end.

No public documentation; relay contract of providers, 3.20. It reports no tokens.
"""

from __future__ import annotations

from relay.adapters.base import Adapter, Chat, Job, Outgoing, Outside, Reader
from relay.adapters.shape import Json, chunk, document, items, number, text
from relay.adapters.stream_or_document import StreamOrDocument
from relay.adapters.usual import chat_of, posted, reported, stops_of
from relay.errors import BadRequest, UpstreamError
from relay.neutral.events import Event, Failed, Finished, FinishReason, Started, TextPiece
from relay.neutral.request import ToolResult, plain_text

NAME = "AI Proxy's library"
HEADING = "参考文档："


class AIProxyLibrary(Adapter):
    requests = (Chat,)

    async def prepare(self, job: Job, outside: Outside) -> Outgoing:
        chat = chat_of(job.request, NAME)
        if chat.tools or (chat.output is not None and chat.output.kind != "text"):
            raise BadRequest(f"{NAME} calls no tools and answers in plain text alone")
        stops_of(chat, 0, NAME)
        query = _query(chat)
        body = {
            "model": job.model,
            "query": query,
            "libraryId": job.route.config.get("library_id", ""),
            "stream": chat.stream,
        }
        return posted(job, "/api/library/ask", body, stream=chat.stream)

    def read(self, job: Job, body: bytes) -> list[Event]:
        answer = document(body)
        if error := error_in(answer):
            raise error
        if not isinstance(answer.get("answer"), str):
            raise UpstreamError("the upstream's answer holds no answer", code="empty_answer")
        said: list[Event] = [TextPiece(answer["answer"])] if answer["answer"] else []
        return [Started(), *said, *_documents(answer), Finished(FinishReason.STOP)]

    def reader(self, job: Job) -> Reader:
        return LibraryReader()


def _query(chat: Chat) -> str:
    """What was said last. Raises BadRequest: it is no text."""
    parts = chat.turns[-1].parts if chat.turns else []
    query = plain_text(parts) or "".join(plain_text(part.parts) for part in parts if isinstance(part, ToolResult))
    if not query:
        raise BadRequest(f"{NAME} takes a question: the last message must be text")
    return query


def error_in(answer: Json) -> UpstreamError | None:
    code = number(answer.get("errCode"))
    if not code and answer.get("success") is not False:
        return None
    status = code if 400 <= code <= 599 else 500
    return reported(status, text(answer.get("message")), code, "ai_proxy_error")


def _documents(answer: Json) -> list[Event]:
    listed = [
        f"{place}. [{text(found.get('title'))}]({text(found.get('url'))})"
        for place, found in enumerate(items(answer.get("documents")), 1)
    ]
    return [TextPiece(f"\n\n{HEADING}\n\n" + "\n".join(listed))] if listed else []


class LibraryReader(StreamOrDocument):
    def __init__(self) -> None:
        super().__init__()
        self._started = False
        self._documents: Json = {}

    def error_in(self, document: Json) -> UpstreamError | None:
        return error_in(document)

    def payload(self, data: bytes) -> list[Event]:
        if self.ended:
            return []
        if data.strip() == b"[DONE]":
            return self._end()
        part = chunk(data)
        if error := error_in(part):
            self.ended = True
            return [Failed(error)]
        events: list[Event] = []
        if part and not self._started:
            self._started = True
            events.append(Started())
        if content := text(part.get("content")):
            events.append(TextPiece(content))
        if items(part.get("documents")):
            self._documents = part
        return events + self._end() if part.get("finish") is True else events

    def _end(self) -> list[Event]:
        self.ended = True
        return [*_documents(self._documents), Finished(FinishReason.STOP)]
