"""How much memory reading a JSON document takes up, told from its bytes before it is read.

A list is written in three bytes and takes seventy; a text in which one character is an emoji takes four bytes for each
of its characters. A caller or an upstream that is out for it could fill a worker's memory with one document.
"""

from __future__ import annotations

import re

LIGHT = 2 * 1024 * 1024  # bytes of a document that is never too heavy
MOST = 280 * 1024 * 1024  # bytes that reading one, and working on it, may take up
VALUE = (
    96  # bytes for each mark between values: a list alone takes 72, a member of an object about as much as two marks
)
COPIES = 3  # of the document's bytes, while one is read, changed and sent on
_WIDE = re.compile(rb"[\xf0-\xff]|\\u[dD]")  # characters beyond the sixteenth bit, or half of one
_MARKS = (b",", b":", b"[", b"{")


def too_heavy(document: bytes) -> bool:
    """Whether reading it could take up more than MOST. Marks within texts count as well, of which there are few."""
    size = len(document)
    if size <= LIGHT:
        return False
    marks = sum(document.count(mark) for mark in _MARKS)
    width = 1
    if not document.isascii() or b"\\u" in document:
        width = 4 if _WIDE.search(document) else 2
    return (COPIES + width) * size + marks * VALUE > MOST
