"""Counting tokens, and the size of pictures."""

from __future__ import annotations

import base64
import gzip
import hashlib
import importlib.util
import struct
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
import tiktoken
import tiktoken_ext.openai_public  # type: ignore[import-untyped]
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from pytest_django import Settings

from billing import tokens
from billing.pictures import data_url_size, picture_size
from billing.tokens import approximate, count_messages, count_prompt, count_text, encoding_name

PNG = b"\x89PNG\r\n\x1a\n" + struct.pack(">I4sII", 13, b"IHDR", 800, 600) + b"\x08\x02\0\0\0"
GIF = b"GIF89a" + struct.pack("<HH", 125, 50) + b"\0\0\0"
JPEG = (
    (
        b"\xff\xd8\xff\xe1"
        + struct.pack(">H", 9_002)
        + b"E" * 9_000
        + b"\xff\xc2\x00\x11\x08"
        + struct.pack(">HH", 300, 400)
    )
    + b"\x03"
    + b"\0" * 12
)
WEBP_LOSSY = b"RIFF\0\0\0\0WEBPVP8 \0\0\0\0\0\0\0\x9d\x01\x2a" + struct.pack("<HH", 640, 480 | 0x4000) + b"\0"
WEBP_LOSSLESS = b"RIFF\0\0\0\0WEBPVP8L\0\0\0\0\x2f" + struct.pack("<I", 639 | 479 << 14) + b"\0" * 8
WEBP_EXTENDED = b"RIFF\0\0\0\0WEBPVP8X\0\0\0\0\0\0\0\0" + (639).to_bytes(3, "little") + (479).to_bytes(3, "little")


def data_url(picture: bytes, kind: str = "png") -> str:
    return f"data:image/{kind};base64," + base64.b64encode(picture).decode()


def png(width: int, height: int) -> str:
    return data_url(PNG[:16] + struct.pack(">II", width, height) + PNG[24:])


def picture(url: str, **more: Any) -> list[dict[str, Any]]:
    return [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": url, **more}}]}]


def tokens_of_picture(url: str, model: str = "gpt-4o", **more: Any) -> int:
    """Without what the message around it costs: 3, its role 1, and 3 at the end."""
    return count_messages(model, picture(url, **more)) - 7


@pytest.mark.parametrize(
    ("model", "encoding"),
    [
        ("gpt-4o", "o200k_base"),
        ("gpt-4o-mini-2024-07-18", "o200k_base"),
        ("chatgpt-4o-latest", "o200k_base"),
        ("gpt-4.1-nano", "o200k_base"),
        ("gpt-5", "o200k_base"),
        ("o1-mini", "o200k_base"),
        ("o3", "o200k_base"),
        ("o4-mini", "o200k_base"),
        ("openai/gpt-4o", "o200k_base"),
        ("ft:gpt-4o:acme", "o200k_base"),
        ("gpt-4", "cl100k_base"),
        ("gpt-4-turbo", "cl100k_base"),
        ("gpt-3.5-turbo", "cl100k_base"),
        ("text-embedding-3-large", "cl100k_base"),
        ("text-davinci-003", "cl100k_base"),
        ("claude-3-opus", "cl100k_base"),
        ("", "cl100k_base"),
    ],
)
def test_the_vocabulary_follows_from_the_model(model: str, encoding: str) -> None:
    assert encoding_name(model) == encoding


def test_counts_words() -> None:
    assert count_text("gpt-4", "tiktoken is great!") == 6
    assert count_text("gpt-4o", "hello world") == 2
    assert count_text("gpt-4o", "") == 0


def test_text_like_a_special_token_is_text() -> None:
    assert count_text("gpt-4", "<|endoftext|>") == 7


@pytest.mark.parametrize("name", ["cl100k_base", "o200k_base"])
def test_is_what_tiktoken_itself_counts(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = importlib.util.find_spec("bpe_openai")
    assert package is not None
    assert package.submodule_search_locations
    shipped = Path(package.submodule_search_locations[0]) / "data" / f"{name}.tiktoken.gz"
    address = f"https://openaipublic.blob.core.windows.net/encodings/{name}.tiktoken"
    (tmp_path / hashlib.sha1(address.encode()).hexdigest()).write_bytes(gzip.decompress(shipped.read_bytes()))
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(tmp_path))
    theirs = tiktoken.Encoding(**tiktoken_ext.openai_public.ENCODING_CONSTRUCTORS[name]())
    ours = tokens._encoding(name)

    assert ours._pat_str == theirs._pat_str
    for text in (
        "Hello, World!\n\n  x = 1234567",
        "你好，世界。",
        "naïve Ærøskøbing's café",
        "\t\t  \r\n ",
        "🎉👩‍👩‍👧",
    ):
        assert ours.encode_ordinary(text) == theirs.encode_ordinary(text)


def test_a_folder_of_the_operators_is_looked_into_first(
    tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = b"aGk= 0\n"
    address = "https://openaipublic.blob.core.windows.net/encodings/cl100k_base.tiktoken"
    cached = tmp_path / hashlib.sha1(address.encode()).hexdigest()
    cached.write_bytes(mine)
    settings.TIKTOKEN_CACHE_DIR = str(tmp_path)

    assert tokens._vocabulary("cl100k_base") != mine  # of the wrong checksum, so passed over
    monkeypatch.setitem(tokens._SHA256, "cl100k_base", hashlib.sha256(mine).hexdigest())
    assert tokens._vocabulary("cl100k_base") == mine


@pytest.mark.parametrize("unit", ["a", " ", "\n", "中", "ab ", "!", "\ud800"])
def test_a_million_characters_take_no_minute(unit: str) -> None:
    assert 0 < count_text("gpt-4o", (unit * 1_000_000)[:1_000_000]) <= 3_000_000


def test_cutting_a_long_text_changes_nothing() -> None:
    text = "The quick brown fox, aged 1234567, doesn't jump.\n\n    Über die Brücke! " * 2_000
    assert len(text) > 5 * tokens.PIECE
    for model in ("gpt-4", "gpt-4o"):
        assert count_text(model, text) == len(tokens._encoding(encoding_name(model)).encode_ordinary(text))


def test_two_threads_build_one_vocabulary(monkeypatch: pytest.MonkeyPatch) -> None:
    built: list[str] = []
    monkeypatch.setattr(tokens, "_encodings", {})

    def build(name: str) -> object:
        built.append(name)
        return object()

    monkeypatch.setattr(tokens, "_build", build)
    threads = [threading.Thread(target=tokens._encoding, args=("cl100k_base",)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert built == ["cl100k_base"]


def test_importing_reads_no_vocabulary() -> None:
    check = "import billing.tokens as t, sys; assert not t._encodings and 'bpe_openai' not in sys.modules"
    subprocess.run([sys.executable, "-c", check], check=True, cwd=Path(__file__).parents[2], timeout=60)


def test_approximates_by_bytes() -> None:
    assert approximate(100) == 38
    assert approximate(1) == 1
    assert approximate(0) == 0
    assert approximate("中" * 100) == 114  # 300 bytes


def test_a_chat_counts_its_frame() -> None:
    assert count_messages("gpt-4", [{"role": "user", "content": "hi"}]) == 3 + 1 + 1 + 3
    assert count_messages("gpt-4", []) == 3
    assert count_messages("gpt-4", [{"role": "user", "content": "hi", "name": "bob"}]) == 8 + 2
    assert count_messages("gpt-3.5-turbo-0301", [{"role": "user", "content": "hi", "name": "bob"}]) == 4 + 1 + 1 + 0 + 3


def test_a_chat_counts_what_was_called_and_thought() -> None:
    plain = count_messages("gpt-4", [{"role": "assistant", "content": "hi"}])
    call = {"id": "call_1", "type": "function", "function": {"name": "sum", "arguments": '{"a": 1}'}}
    said = {"role": "assistant", "content": "hi", "tool_calls": [call], "reasoning_content": "well"}

    counted = count_messages("gpt-4", [said])

    assert counted - plain == count_text("gpt-4", "sum") + count_text("gpt-4", '{"a": 1}') + count_text("gpt-4", "well")


def test_a_chat_counts_its_tools() -> None:
    body = {"messages": [{"role": "user", "content": "hi"}]}
    tools = [{"type": "function", "function": {"name": "sum", "description": "adds numbers up"}}]

    bare, with_tools = (
        count_prompt("chat", "gpt-4o", body),
        count_prompt("chat", "gpt-4o", {**body, "tools": tools}),
    )

    written = '[{"type":"function","function":{"name":"sum","description":"adds numbers up"}}]'
    assert with_tools - bare == count_text("gpt-4o", written)


def test_rough_counts_go_by_size() -> None:
    message = [{"role": "user", "content": "hello world"}]
    assert count_messages("gpt-4o", message, rough=True) == 3 + approximate("user") + approximate("hello world") + 3


@pytest.mark.parametrize(
    ("mode", "body", "expected"),
    [
        ("completions", {"prompt": "hello world"}, 2),
        ("completions", {"prompt": ["hello world", "hello world"]}, 4),
        ("completions", {"prompt": [1, 2, 3]}, 3),
        ("completions", {"prompt": [[1, 2], [3]]}, 3),
        ("completions", {}, 0),
        ("embeddings", {"input": ["hello world", ""]}, 2),
        ("embeddings", {"input": [[1, 2, 3], [4]]}, 4),
        ("moderations", {"input": [{"type": "text", "text": "hello world"}]}, 2),
        ("moderations", {"input": None}, 0),
        ("edits", {"input": "hello world", "instruction": "hello world"}, 4),
        ("images", {"prompt": "hello world"}, 0),
    ],
)
def test_counts_the_prompt_of_every_mode(mode: str, body: dict[str, Any], expected: int) -> None:
    assert count_prompt(mode, "gpt-4o", body) == expected


@pytest.mark.parametrize(
    ("width", "height", "normal", "mini"),
    [
        (125, 50, 255, 8_500),
        (800, 600, 765, 25_501),
        (1024, 1024, 765, 25_501),
        (2048, 4096, 1_105, 36_835),
        (3000, 700, 765, 25_501),
    ],
)
def test_a_picture_is_counted_by_its_tiles(width: int, height: int, normal: int, mini: int) -> None:
    assert tokens_of_picture(png(width, height)) == normal
    assert tokens_of_picture(png(width, height), "gpt-4o-mini") == mini
    assert tokens_of_picture(png(width, height), "gpt-4", detail="high") == normal
    assert tokens_of_picture(png(width, height), detail="low") == 85
    assert tokens_of_picture(png(width, height), "gpt-4o-mini", detail="low") == 2_833


def test_a_picture_behind_an_address_is_never_fetched() -> None:
    assert tokens_of_picture("http://127.0.0.1:1/cat.png") == 765
    assert tokens_of_picture("http://127.0.0.1:1/cat.png", detail="low") == 85
    assert tokens_of_picture("http://127.0.0.1:1/cat.png", "gpt-4o-mini") == 25_501


@pytest.mark.parametrize(
    "part",
    [
        None,
        7,
        [],
        {},
        {"type": "image_url"},
        {"type": "image_url", "image_url": {}},
        {"type": "image_url", "image_url": {"url": 7}},
        {"type": "image_url", "image_url": {"url": "http://x", "detail": 7}},
        {"type": "image_url", "image_url": {"url": "http://x", "detail": "ultra"}},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,"}},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,%%%%"}},
        {"type": "image_url", "image_url": {"url": "data:image/png,raw"}},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}},
        {"type": "text", "text": 7},
        {"type": "input_audio", "input_audio": {"data": "AAAA"}},
    ],
)
def test_a_part_that_cannot_be_read_counts_nothing(part: Any) -> None:
    assert count_messages("gpt-4o", [{"role": "user", "content": [part]}]) == 7


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)
members = st.sampled_from(
    ["role", "content", "name", "tool_calls", "function", "reasoning", "function_call", "type", "image_url", "text"]
)


@hypothesis_settings(deadline=None, max_examples=60)
@given(st.lists(st.dictionaries(members, json_values, max_size=5) | json_values, max_size=3), json_values)
def test_no_body_makes_it_fail(messages: list[Any], anything: Any) -> None:
    body = {"messages": messages, "tools": anything, "response_format": anything, "prompt": anything, "input": anything}
    for mode in ("chat", "completions", "embeddings", "moderations", "edits"):
        assert count_prompt(mode, "gpt-4o", body) >= 0
    assert count_prompt("chat", "gpt-3.5-turbo-0301", {"messages": anything}) >= 0


def test_a_tool_nested_a_thousand_deep_is_no_error() -> None:
    deep: Any = "x"
    for _ in range(5_000):
        deep = [deep]
    assert count_prompt("chat", "gpt-4o", {"messages": [], "tools": deep}) == 3


@pytest.mark.parametrize(
    ("head", "size"),
    [
        (PNG, (800, 600)),
        (GIF, (125, 50)),
        (JPEG, (400, 300)),
        (WEBP_LOSSY, (640, 480)),
        (WEBP_LOSSLESS, (640, 480)),
        (WEBP_EXTENDED, (640, 480)),
        (b"", None),
        (b"BM not one of ours", None),
        (PNG[:20], None),
        (b"\xff\xd8\xff", None),
        (b"\xff\xd8" + b"\xff\xe0\x00\x00" * 10, None),
    ],
)
def test_reads_the_size_of_a_picture(head: bytes, size: tuple[int, int] | None) -> None:
    assert picture_size(head) == size


def test_reads_past_the_metadata_of_a_jpeg() -> None:
    assert len(JPEG) > 9_000  # more than the first look takes in
    assert data_url_size(data_url(JPEG, "jpeg")) == (400, 300)


@given(
    st.binary(max_size=64), st.sampled_from([b"", b"\xff\xd8", b"\x89PNG\r\n\x1a\n", b"GIF89a", b"RIFF0000WEBPVP8L"])
)
def test_no_bytes_make_it_fail(tail: bytes, start: bytes) -> None:
    size = picture_size(start + tail)
    assert size is None or len(size) == 2
    data_url_size("data:image/png;base64," + tail.decode("latin-1"))
