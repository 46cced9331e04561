"""Coverage-guided fuzzing of one target: `python -m tests.fuzz sse -max_total_time=60`, or `make fuzz`.

Wants atheris, which `make fuzz` installs: CI does without. Arguments after the target are libFuzzer's.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import atheris
import django
import orjson

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
django.setup()
with atheris.instrument_imports(include=["relay"]):
    from tests.fuzz import targets


def request(data: bytes) -> None:
    """The first two bytes choose the path and the protocol of the upstream."""
    if len(data) > 2:
        path, _ = targets.ASKED[data[0] % len(targets.ASKED)]
        targets.any_request(path, data[2:], targets.PROTOCOLS[data[1] % len(targets.PROTOCOLS)])


def answer(data: bytes) -> None:
    """The first byte chooses the protocol."""
    if len(data) > 1:
        protocol = targets.PROTOCOLS[data[0] % len(targets.PROTOCOLS)]
        targets.any_answer(protocol, data[1:])
        targets.any_stream(protocol, data[1:])
    targets.any_answer_untouched(data)
    targets.any_events_untouched(data)


TARGETS: dict[str, Callable[[bytes], None]] = {
    "sse": lambda data: targets.any_event_stream(data[1:], 1 + (data[:1] or b"\0")[0] % 8),
    "form": targets.any_form,
    "json": targets.any_object,
    "request": request,
    "answer": answer,
}


def seeds(name: str) -> list[bytes]:
    """Plain inputs to start from, where chance alone would take long to find one."""
    documents = [orjson.dumps({"model": "m", **plain}) for _, plain in targets.ASKED]
    part = b'--B\r\nContent-Disposition: form-data; name="model"\r\n\r\nm\r\n'
    return {
        "sse": [b"\1data: a\r\ndata: b\n\n: c\r\r"],
        "form": [part + b"--B--\r\n", part * 2 + b"--B--\r\n"],
        "json": documents,
        "request": [bytes([number, 0]) + document for number, document in enumerate(documents)],
        "answer": [b'\0{"choices":[{"delta":{"content":"a"}}],"usage":{"prompt_tokens":1}}'],
    }[name]


if __name__ == "__main__":
    chosen = sys.argv.pop(1)
    with TemporaryDirectory() as corpus:
        for number, seed in enumerate(seeds(chosen)):
            (Path(corpus) / str(number)).write_bytes(seed)
        atheris.Setup([*sys.argv, corpus], TARGETS[chosen])
        atheris.Fuzz()
