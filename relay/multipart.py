"""Reading the small fields of a multipart form (RFC 7578) and changing one, without touching the files in it."""

from __future__ import annotations

import re
from dataclasses import dataclass

from relay.errors import BadRequest

_BOUNDARY = re.compile(r'boundary=(?:"([^"]{1,70})"|([^\s;,]{1,70}))', re.IGNORECASE)
_NAME = re.compile(rb'[;\s]name="((?:[^"\\]|\\.)*)"', re.IGNORECASE)
_OTHER_NAME = re.compile(rb"[;\s]name\*", re.IGNORECASE)
_FILE = re.compile(rb"[;\s]filename\*?=", re.IGNORECASE)
MAX_FIELD = 1024 * 1024  # bytes of one field that is not a file
MAX_PARTS = 1000


@dataclass(slots=True)
class Form:
    """`fields`: the last value of each field that is not a file; `spans`: where its bytes are in the body.

    `files`: names of the file fields, in order.
    """

    fields: dict[str, str]
    spans: dict[str, tuple[int, int]]
    files: list[str]


def parse(content_type: str, body: bytes) -> Form:
    """Raises BadRequest: no boundary, no closing boundary, a part without a name, a field twice."""
    match = _BOUNDARY.search(content_type)
    if not match:
        raise BadRequest("the multipart request has no boundary", code="invalid_form")
    mark = b"--" + (match[1] or match[2]).encode()
    # After the boundary: its line's end or the closing hyphens. What only begins like it is content (RFC 2046, 5.1.1).
    delimiter = re.compile(re.escape(mark) + rb"(?=--|[ \t]*\r\n)")
    following = re.compile(rb"\r\n" + delimiter.pattern)
    form = Form({}, {}, [])
    found = delimiter.search(body)
    for _ in range(MAX_PARTS):
        if found is None:
            raise BadRequest("the multipart body is cut off", code="invalid_form")
        position = found.end()
        if body.startswith(b"--", position):
            return form
        head_end = body.find(b"\r\n\r\n", position)
        found = following.search(body, head_end + 2) if head_end >= 0 else None
        if found is not None:
            _read_part(form, body, body[position:head_end], head_end + 4, found.start())
    raise BadRequest("the multipart body has too many parts", code="invalid_form")


def _read_part(form: Form, body: bytes, head: bytes, start: int, end: int) -> None:
    dispositions = [line for line in head.split(b"\r\n") if line.lower().startswith(b"content-disposition:")]
    found = _NAME.search(dispositions[0]) if len(dispositions) == 1 else None
    # A second name, in another notation or escaped, is one that the upstream may read and we have not.
    if found is None or b"\\" in found[1] or _OTHER_NAME.search(dispositions[0]):
        raise BadRequest("a part of the multipart body has no plain name", code="invalid_form")
    disposition = dispositions[0]
    name = found[1].decode(errors="replace")
    if _FILE.search(disposition):
        form.files.append(name)
        return
    if end - start > MAX_FIELD:
        raise BadRequest(f"the field {name!r} is too long", code="invalid_form")
    if name in form.fields and not name.endswith("[]"):
        raise BadRequest(f"the field {name!r} occurs twice", code="invalid_form")
    form.fields[name] = body[start:end].decode(errors="replace")
    form.spans[name] = (start, end)


def replace(body: bytes, form: Form, name: str, value: str) -> bytes:
    """The body with one field's value changed; a field it lacks cannot be added this way and stays away."""
    if name not in form.spans:
        return body
    start, end = form.spans[name]
    return body[:start] + value.encode() + body[end:]
