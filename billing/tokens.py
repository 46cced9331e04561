"""Counting tokens, offline.

The vocabularies come with the package bpe-openai; a folder named by TIKTOKEN_CACHE_DIR or DATA_GYM_CACHE_DIR is looked
into first. Nothing is ever downloaded and no picture is ever fetched. A vocabulary is built at its first use, which
takes about half a second; `warm` does that at start. All functions block, may be called from any thread, and never
raise for what a caller wrote: what cannot be read counts 0.

Our counts decide a bill only where the upstream sent none; until then they size the hold. docs/pricing.md says more.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import importlib.util
import json
import threading
from collections.abc import Callable, Iterable
from functools import lru_cache
from pathlib import Path
from typing import Any

import tiktoken
from django.conf import settings

from billing.pictures import DATA_URL, data_url_size

__all__ = ["approximate", "count_messages", "count_prompt", "count_text", "warm"]

Counter = Callable[[str], int]

CL100K = "cl100k_base"
O200K = "o200k_base"

# Names and patterns of the two encodings are facts of tiktoken (tiktoken_ext/openai_public.py, tiktoken 0.14); a test
# compares them with the installed one. Special tokens are of no use here: their text is counted as ordinary text.
_ADDRESS = "https://openaipublic.blob.core.windows.net/encodings/{}.tiktoken"
_SHA256 = {
    CL100K: "223921b76ee99bde995b7ff738513eef100fb51d18c93597a113bcffe865b2a7",
    O200K: "446a9538cb6c348e3516120d7c08b09f57c36495e2acfffe59a5bf8b0cfb1a2d",
}
_PATTERN = {
    CL100K: (
        r"""'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+| ?[^\s\p{L}\p{N}]++[\r\n]*+"""
        r"""|\s++$|\s*[\r\n]|\s+(?!\S)|\s"""
    ),
    O200K: (
        r"""[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?"""
        r"""|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?"""
        r"""|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"""
    ),
}

# Models of the vocabulary of gpt-4o, by the start of their name without a vendor in front. The rest is counted with
# cl100k_base: that is right for gpt-4 and gpt-3.5, near for the retired p50k and r50k models (whose vocabularies are
# not shipped) and the best guess for other vendors.
_O200K_MODELS = ("gpt-4o", "chatgpt-4o", "gpt-4.1", "gpt-4.5", "gpt-5", "gpt-oss", "codex-", "o1", "o3", "o4")

# tiktoken needs quadratic time for one long word and overflows its stack on a million blanks, so a text goes in by
# pieces, cut where a word begins. Ordinary text counts the same; a text without blanks one or two more a piece.
PIECE = 20_000  # characters
REACH = 200  # characters before a piece's end in which a blank is looked for

DEFAULT_SIDE = 1024  # pixels; what a picture behind an address counts as, since it is never fetched
LOW, TILE = 85, 170  # tokens (OpenAI, "Images and vision")
LOW_4O_MINI, TILE_4O_MINI = 2833, 5667

_encodings: dict[str, tiktoken.Encoding] = {}
_building = threading.Lock()


def approximate(text: str | int) -> int:
    """Tokens by size alone: 0.38 for each byte of UTF-8, rounded up. Takes the text, or its length in bytes."""
    size = text if isinstance(text, int) else len(text.encode("utf-8", "surrogatepass"))
    return -(-38 * size // 100)


def warm() -> None:
    """Build both vocabularies now rather than during the first call that needs them."""
    for name in (CL100K, O200K):
        _encoding(name)


def count_text(model: str, text: str) -> int:
    """Tokens of a text for a model. Text that looks like a special token is counted as text."""
    if not text:
        return 0
    encoding = _encoding(encoding_name(model))
    if len(text) <= PIECE:
        return len(encoding.encode_ordinary(text))
    return sum(len(encoding.encode_ordinary(piece)) for piece in _pieces(text))


def count_messages(model: str, messages: list[Any], *, rough: bool = False) -> int:
    """Prompt tokens of a chat: 3 for each message, its role, name, content, reasoning and tool calls, and 3 at the end.

    `rough` counts text by `approximate` (option ApproximateTokenEnabled). The model gpt-3.5-turbo-0301 has 4 a message
    and one less for a name (OpenAI cookbook, "How to count tokens").
    """
    return _messages(model, messages, _counter(model, rough))


def count_prompt(mode: str, model: str, body: dict[str, Any], *, rough: bool = False) -> int:
    """Prompt tokens of a parsed request. `mode` is a value of relay.types.Mode; 0 for those not billed by the token.

    chat: messages, tools, functions and a JSON schema asked for. completions: prompt. embeddings and moderations:
    input. edits: instruction and input. Each may be a text, a list of texts, a list of token numbers, or a list of
    such lists.
    """
    count = _counter(model, rough)
    match mode:
        case "chat":
            tokens = _messages(model, body.get("messages"), count)
            for member in ("tools", "functions"):
                if body.get(member):
                    tokens += count(_as_json(body[member]))
            schema = body.get("response_format")
            if isinstance(schema, dict) and schema.get("json_schema"):
                tokens += count(_as_json(schema["json_schema"]))
            return tokens
        case "completions":
            return _input(model, body.get("prompt"), count)
        case "embeddings" | "moderations":
            return _input(model, body.get("input"), count)
        case "edits":
            return _input(model, body.get("input"), count) + _input(model, body.get("instruction"), count)
        case _:
            return 0


@lru_cache(maxsize=4096)
def encoding_name(model: str) -> str:
    """The vocabulary of a model. A vendor in front ("openai/") and the mark of fine-tuning ("ft:") don't count."""
    name = _own_name(model).removeprefix("ft:")
    return O200K if name.startswith(_O200K_MODELS) else CL100K


def _own_name(model: str) -> str:
    return model.rpartition("/")[2]


def _encoding(name: str) -> tiktoken.Encoding:
    encoding = _encodings.get(name)
    if encoding is None:
        with _building:
            encoding = _encodings.get(name) or _build(name)
            _encodings[name] = encoding
    return encoding


def _build(name: str) -> tiktoken.Encoding:
    ranks = {}
    for line in _vocabulary(name).splitlines():
        token, _, rank = line.partition(b" ")
        ranks[base64.b64decode(token)] = int(rank)
    return tiktoken.Encoding(name, pat_str=_PATTERN[name], mergeable_ranks=ranks, special_tokens={})


def _vocabulary(name: str) -> bytes:
    """The vocabulary file: from the operator's folder, where tiktoken would have left it, else from bpe-openai.

    Raises FileNotFoundError where neither is there. A file of the wrong checksum is passed over, as tiktoken does.
    """
    folder = getattr(settings, "TIKTOKEN_CACHE_DIR", "") or getattr(settings, "DATA_GYM_CACHE_DIR", "")
    if folder:
        cached = Path(folder) / hashlib.sha1(_ADDRESS.format(name).encode(), usedforsecurity=False).hexdigest()
        if cached.is_file():
            data = cached.read_bytes()
            if hashlib.sha256(data).hexdigest() == _SHA256[name]:
                return data
    # Found without importing the package: its library of 74 MB is not needed for reading a data file.
    package = importlib.util.find_spec("bpe_openai")
    if package is None or not package.submodule_search_locations:
        raise FileNotFoundError("the package bpe-openai, which carries the vocabularies, is not installed")
    shipped = Path(package.submodule_search_locations[0]) / "data" / f"{name}.tiktoken.gz"
    return gzip.decompress(shipped.read_bytes())


def _pieces(text: str) -> Iterable[str]:
    start = 0
    while len(text) - start > PIECE:
        end = start + PIECE
        # Before a single blank is where both patterns begin a word, so a cut there changes nothing.
        blank = text.rfind(" ", end - REACH, end)
        if blank > start and not text[blank - 1].isspace() and not text[blank + 1].isspace():
            end = blank
        yield text[start:end]
        start = end
    yield text[start:]


def _counter(model: str, rough: bool) -> Counter:
    return approximate if rough else lambda text: count_text(model, text)


def _messages(model: str, messages: Any, count: Counter) -> int:
    per_message, per_name = (4, -1) if model == "gpt-3.5-turbo-0301" else (3, 1)
    tokens = 3
    for message in messages if isinstance(messages, list) else ():
        if not isinstance(message, dict):
            continue
        tokens += per_message + _text(message.get("role"), count) + _content(model, message.get("content"), count)
        if message.get("name"):
            tokens += per_name + _text(message["name"], count)
        # Two names for one text: some upstreams send both.
        tokens += _text(message.get("reasoning_content") or message.get("reasoning"), count)
        tokens += _text(message.get("refusal"), count)
        calls = message.get("tool_calls")
        for call in calls if isinstance(calls, list) else ():
            if isinstance(call, dict):
                tokens += _function(call.get("function"), count) + _function(call.get("custom"), count)
        tokens += _function(message.get("function_call"), count)
    return max(tokens, 0)


def _content(model: str, content: Any, count: Counter) -> int:
    """A text, or a list of parts: text, refusal and image_url count, other parts (sound, files) are 0."""
    if isinstance(content, str):
        return count(content)
    tokens = 0
    for part in content if isinstance(content, list) else ():
        if isinstance(part, str):
            tokens += count(part)
        elif isinstance(part, dict):
            for member in ("text", "refusal"):
                tokens += _text(part.get(member), count)
            if part.get("type") == "image_url":
                tokens += _picture(model, part.get("image_url"))
    return tokens


def _function(function: Any, count: Counter) -> int:
    """What a tool call says: its name and its arguments (`input` for a tool without a schema)."""
    if not isinstance(function, dict):
        return 0
    return sum(_text(function.get(member), count) for member in ("name", "arguments", "input"))


def _text(value: Any, count: Counter) -> int:
    return count(value) if isinstance(value, str) else 0


def _as_json(value: Any) -> str:
    try:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    except RecursionError:  # nested a thousand deep, which no upstream takes
        return ""


def _input(model: str, value: Any, count: Counter) -> int:
    """A text, token numbers, or a list of either; a moderation may also hold parts like those of a message."""
    if isinstance(value, str):
        return count(value)
    tokens = 0
    for item in value if isinstance(value, list) else ():
        if isinstance(item, int):
            tokens += 1
        elif isinstance(item, list):
            tokens += sum(1 for number in item if isinstance(number, int))
        else:
            tokens += _content(model, [item], count)
    return tokens


def _picture(model: str, image: Any) -> int:
    """Tokens of one image_url part: {"url", "detail"}, or the bare address. An unknown detail is 0 (the contract)."""
    address, detail = (image.get("url"), image.get("detail")) if isinstance(image, dict) else (image, None)
    if not isinstance(address, str) or not address:
        return 0
    low, tile = (LOW_4O_MINI, TILE_4O_MINI) if _own_name(model).startswith("gpt-4o-mini") else (LOW, TILE)
    if detail == "low":
        return low
    if detail not in (None, "", "auto", "high"):
        return 0
    size: tuple[int, int] | None = (DEFAULT_SIDE, DEFAULT_SIDE)
    if address.startswith(DATA_URL):
        size = data_url_size(address)
    if size is None:
        return 0
    return _tiles(*size) * tile + low


def _tiles(width: int, height: int) -> int:
    """Squares of 512 pixels, after scaling into 2048 by 2048 and then to a shorter side of 768."""
    longer, shorter = max(width, height), min(width, height)
    if longer > 2048:
        width, height, shorter = width * 2048 // longer, height * 2048 // longer, shorter * 2048 // longer
    if shorter > 768:
        width, height = width * 768 // shorter, height * 768 // shorter
    return -(-width // 512) * -(-height // 512)
