"""The output items of a response while they grow: what each is called at its beginning, on its way and at its end.

https://platform.openai.com/docs/api-reference/responses-streaming. An item's methods give the events, as (type,
members); the writer numbers them.
"""

from __future__ import annotations

from typing import Any

import orjson

from relay.dialects.responses.input import REDACTED, SIGNED, Declared
from relay.neutral.events import new_id

Json = dict[str, Any]
Events = list[tuple[str, Json]]


class Item:
    """`document` is the item as it stands; `place` its index in the output."""

    def __init__(self, place: int, document: Json) -> None:
        self.place = place
        self.document = document

    def added(self) -> Events:
        return [("response.output_item.added", {"output_index": self.place, "item": self._copy()})]

    def finished(self, status: str) -> Events:
        """All that closes the item, once."""
        if "status" in self.document:
            self.document["status"] = status
        return [("response.output_item.done", {"output_index": self.place, "item": self._copy()})]

    def _copy(self) -> Json:
        copy: Json = orjson.loads(orjson.dumps(self.document))
        return copy

    def _at(self, **members: Any) -> Json:
        return {"item_id": self.document["id"], "output_index": self.place, **members}


class Reasoning(Item):
    """A block of thoughts, as a summary of one part."""

    def __init__(self, place: int) -> None:
        super().__init__(place, {"id": new_id("rs_"), "type": "reasoning", "summary": []})

    def thought(self, text: str) -> Events:
        events: Events = []
        if not self.document["summary"]:
            self.document["summary"] = [{"type": "summary_text", "text": ""}]
            part = {"type": "summary_text", "text": ""}
            events.append(("response.reasoning_summary_part.added", self._at(summary_index=0, part=part)))
        self.document["summary"][0]["text"] += text
        return [*events, ("response.reasoning_summary_text.delta", self._at(summary_index=0, delta=text))]

    def seal(self, signature: str, redacted: str) -> None:
        self.document["encrypted_content"] = SIGNED + signature if signature else REDACTED + redacted

    def finished(self, status: str) -> Events:
        events: Events = []
        for part in self.document["summary"]:
            events.append(("response.reasoning_summary_text.done", self._at(summary_index=0, text=part["text"])))
            events.append(("response.reasoning_summary_part.done", self._at(summary_index=0, part=dict(part))))
        return events + super().finished(status)


class Message(Item):
    """What is said: parts of text, or of a refusal."""

    def __init__(self, place: int) -> None:
        document = {
            "id": new_id("msg_"),
            "type": "message",
            "status": "in_progress",
            "role": "assistant",
            "content": [],
        }
        super().__init__(place, document)

    def text(self, text: str) -> Events:
        events = self._open("output_text", {"text": "", "annotations": [], "logprobs": []})
        self._part["text"] += text
        return [*events, ("response.output_text.delta", self._within(delta=text, logprobs=[]))]

    def refusal(self, text: str) -> Events:
        events = self._open("refusal", {"refusal": ""})
        self._part["refusal"] += text
        return [*events, ("response.refusal.delta", self._within(delta=text))]

    def annotation(self, annotation: Json) -> Events:
        """`annotation` in the form of chat completions, whose members are one level deeper."""
        kind = annotation.get("type")
        inner = annotation.get(kind) if isinstance(kind, str) else None
        flat = {"type": kind, **inner} if isinstance(inner, dict) else annotation
        events = self._open("output_text", {"text": "", "annotations": [], "logprobs": []})
        index = len(self._part["annotations"])
        self._part["annotations"].append(flat)
        told = self._within(annotation_index=index, annotation=flat)
        return [*events, ("response.output_text.annotation.added", told)]

    def logprobs(self, entries: list[Json]) -> None:
        if self.document["content"] and self._part["type"] == "output_text":
            self._part["logprobs"] += [_logprob(entry) for entry in entries]

    @property
    def _part(self) -> Json:
        part: Json = self.document["content"][-1]
        return part

    def _within(self, **members: Any) -> Json:
        return self._at(content_index=len(self.document["content"]) - 1, **members)

    def _open(self, kind: str, members: Json) -> Events:
        if self.document["content"] and self._part["type"] == kind:
            return []
        closing = self._close_part()
        self.document["content"].append({"type": kind, **members})
        part: Json = orjson.loads(orjson.dumps(self._part))
        return [*closing, ("response.content_part.added", self._within(part=part))]

    def _close_part(self) -> Events:
        if not self.document["content"]:
            return []
        part: Json = orjson.loads(orjson.dumps(self._part))
        if part["type"] == "refusal":
            done = ("response.refusal.done", self._within(refusal=part["refusal"]))
        else:
            done = ("response.output_text.done", self._within(text=part["text"], logprobs=part["logprobs"]))
        return [done, ("response.content_part.done", self._within(part=part))]

    def finished(self, status: str) -> Events:
        return self._close_part() + super().finished(status)


def _logprob(entry: Json) -> Json:
    """Chat completions may leave `bytes` null; responses may not."""
    top = [{**one, "bytes": one.get("bytes") or []} for one in entry.get("top_logprobs") or []]
    return {**entry, "bytes": entry.get("bytes") or [], "top_logprobs": top}


class FunctionCall(Item):
    def __init__(self, place: int, call_id: str, known: Declared, signature: str) -> None:
        document: Json = {
            "id": new_id("fc_"),
            "type": "function_call",
            "status": "in_progress",
            "call_id": call_id or new_id("call_"),
            "name": known.name,
            "arguments": "",
        }
        if known.namespace:
            document["namespace"] = known.namespace
        if signature:
            document["extra_content"] = {"google": {"thought_signature": signature}}
        super().__init__(place, document)

    def arguments(self, fragment: str) -> Events:
        self.document["arguments"] += fragment
        return [("response.function_call_arguments.delta", self._at(delta=fragment))]

    def finished(self, status: str) -> Events:
        events = [] if self.document["arguments"] else self.arguments("{}")
        done = self._at(name=self.document["name"], arguments=self.document["arguments"])
        return [*events, ("response.function_call_arguments.done", done), *super().finished(status)]


class CustomCall(Item):
    """A call whose input is plain text. Upstreams write it as JSON, so it is told when it is whole."""

    def __init__(self, place: int, call_id: str, known: Declared) -> None:
        document: Json = {
            "id": new_id("ctc_"),
            "type": "custom_tool_call",
            "status": "in_progress",
            "call_id": call_id or new_id("call_"),
            "name": known.name,
            "input": "",
        }
        if known.namespace:
            document["namespace"] = known.namespace
        super().__init__(place, document)
        self._written = ""

    def arguments(self, fragment: str) -> Events:
        self._written += fragment
        return []

    def finished(self, status: str) -> Events:
        try:
            written = orjson.loads(self._written or "{}")
        except orjson.JSONDecodeError:
            written = self._written
        given = written.get("input", "") if isinstance(written, dict) else self._written
        given = given if isinstance(given, str) else self._written
        self.document["input"] = given
        return [
            ("response.custom_tool_call_input.delta", self._at(delta=given)),
            ("response.custom_tool_call_input.done", self._at(input=given)),
            *super().finished(status),
        ]


class Picture(Item):
    """A picture the model made, in the form of OpenAI's own tool for it."""

    def __init__(self, place: int, data: str) -> None:
        document = {"id": new_id("ig_"), "type": "image_generation_call", "status": "in_progress", "result": data}
        super().__init__(place, document)
