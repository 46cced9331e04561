"""A model that does what a request says: it calls the tool it is told to, and fills in whatever schema it is given."""

from __future__ import annotations

import re
from typing import Any

import orjson

from tests.clients.models import GREETING
from tests.relay.matrix.scenes import Heard, Json, Said

FORCED = ("required", "any")  # OpenAI's word and Anthropic's


def obey(heard: Heard, body: Json) -> tuple[Said, str]:
    words = heard.said[-1]
    if heard.schema:
        return Said(orjson.dumps(_filled(heard.schema, words, heard.schema)).decode()), ""
    if "JSON" in words:
        return Said('{"setup": "Who is there?", "punchline": "A cat."}'), ""
    tool = _called(heard, body.get("tool_choice"))
    if not tool:
        return Said(GREETING), ""
    schema = heard.tools[tool]
    return Said(calls=(orjson.dumps(_filled(schema, words, schema)).decode(),)), tool


def _called(heard: Heard, choice: Any) -> str:
    """The tool to call; "" for none. Left to itself, the model asks once and then answers."""
    named = choice.get("function", choice) if isinstance(choice, dict) else {}
    if named.get("name"):
        return str(named["name"])
    kind = choice.get("type") if isinstance(choice, dict) else choice
    wanted = kind in FORCED or (kind in (None, "auto") and not heard.results)
    return next(iter(heard.tools), "") if wanted else ""


def _filled(schema: Json, words: str, root: Json) -> Any:
    """Numbers and quoted texts come from the words."""
    if "$ref" in schema:
        return _filled(root["$defs"][schema["$ref"].rpartition("/")[2]], words, root)
    if "anyOf" in schema:
        return _filled(schema["anyOf"][0], words, root)
    match schema.get("type"):
        case "object":
            return {name: _filled(member, words, root) for name, member in schema.get("properties", {}).items()}
        case "array":
            return [_filled(schema.get("items", {}), words, root)]
        case "integer" | "number":
            return int((re.findall(r"\d+", words) or ["7"])[0])
        case "boolean":
            return True
    return (re.findall(r"'(.+?)'", words) or ["a text"])[0]
