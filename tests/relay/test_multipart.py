"""Reading and changing multipart forms."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay import multipart
from relay.errors import BadRequest
from tests.upstream import forms

TYPE = "multipart/form-data; boundary=B0und"


def part(disposition: str, content: bytes, *more: str) -> bytes:
    head = "\r\n".join([f"Content-Disposition: form-data; {disposition}", *more])
    return b"--B0und\r\n" + head.encode() + b"\r\n\r\n" + content + b"\r\n"


def form(*parts: bytes) -> bytes:
    return b"".join(parts) + b"--B0und--\r\n"


FILE = part('name="file"; filename="a.mp3"', b"\x00\r\n\xff--B0un\r\n", "Content-Type: audio/mpeg")


def test_fields_and_files_are_told_apart() -> None:
    read = multipart.parse(TYPE, form(FILE, part('name="model"', b"whisper-1"), part('name="n"', b"")))

    assert read.fields == {"model": "whisper-1", "n": ""}
    assert read.files == ["file"]


@pytest.mark.parametrize(
    "content_type",
    [
        'multipart/form-data; boundary="B0und"',
        "multipart/form-data;boundary=B0und",
        "multipart/form-data; charset=utf-8; BOUNDARY=B0und",
        "multipart/form-data; boundary=B0und; charset=utf-8",
    ],
)
def test_every_way_of_naming_the_boundary(content_type: str) -> None:
    assert multipart.parse(content_type, form(part('name="model"', b"x"))).fields == {"model": "x"}


@given(st.binary(max_size=60), st.text(max_size=10), st.text(min_size=1, max_size=10))
def test_replace_changes_one_value_and_no_other_byte(content: bytes, old: str, new: str) -> None:
    value = old.encode("utf-8", "replace").replace(b"\r\n--B0und", b"")
    file = part('name="file"; filename="a"', content.replace(b"--B0und", b""))
    body = form(file, part('name="model"', value), part('name="language"', b"en"))

    new = new.encode("utf-8", "replace").decode()
    after = multipart.replace(body, multipart.parse(TYPE, body), "model", new)

    assert after == form(file, part('name="model"', new.encode()), part('name="language"', b"en"))


def test_what_is_replaced_is_what_an_upstream_reads() -> None:
    body = form(part('name="model"', b"whisper-1"), FILE)

    after = multipart.replace(body, multipart.parse(TYPE, body), "model", "large-v3")

    assert forms.read(TYPE, after)["model"] == "large-v3"


def test_a_preamble_and_an_epilogue_are_no_parts() -> None:
    body = b"to be ignored\r\n" + form(part('name="model"', b"x")) + b"\r\nso is this"

    assert multipart.parse(TYPE, body).fields == {"model": "x"}


def test_lists_may_repeat() -> None:
    twice = form(part('name="include[]"', b"a"), part('name="include[]"', b"b"))

    assert multipart.parse(TYPE, twice).fields == {"include[]": "b"}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"nothing here",
        b"--B0und",
        b"--B0und\r\n",
        form(part('name="model"', b"x"))[:-12],
        part('name="model"', b"x"),
        form(b"--B0und\r\nContent-Type: text/plain\r\n\r\nx\r\n"),
        form(part("name=model", b"x")),
        form(part('name="model"', b"dear"), part('name="model"', b"cheap")),
        form(part("name=\"x\"; name*=utf-8''model", b"dear")),
        form(part('name="x"', b"dear", 'Content-Disposition: form-data; name="model"')),
        form(part('name="m\\odel"', b"dear")),
        form(*[part(f'name="a{i}"', b"") for i in range(1001)]),
        form(part('name="model"', b"x" * (1024 * 1024 + 1))),
    ],
    ids=range(14),
)
def test_a_form_that_is_broken_or_could_be_read_in_two_ways_is_refused(body: bytes) -> None:
    with pytest.raises(BadRequest) as refused:
        multipart.parse(TYPE, body)

    assert refused.value.code == "invalid_form"


def test_a_boundary_that_only_begins_like_ours_belongs_to_the_content() -> None:
    content = b'x\r\n--B0undary\r\nContent-Disposition: form-data; name="model"\r\n\r\ncheap\r\n--B0undary--'
    read = multipart.parse(TYPE, form(part('name="file"; filename="f"', content), part('name="model"', b"dear")))

    assert read.fields == {"model": "dear"}


@pytest.mark.parametrize("content_type", ["multipart/form-data", 'multipart/form-data; boundary=""', ""])
def test_without_a_boundary_nothing_can_be_read(content_type: str) -> None:
    with pytest.raises(BadRequest):
        multipart.parse(content_type, form(FILE))


@given(st.binary(max_size=200))
def test_no_bytes_crash_it(noise: bytes) -> None:
    try:
        multipart.parse(TYPE, form(part('name="a"', noise)) + noise)
        multipart.parse(TYPE, noise)
    except BadRequest:
        pass
