"""Addresses that lead inwards, or might to some reader: for tests that see to it that nothing connects to them.

`{port}` is where a listener on 127.0.0.1 and ::1 waits. The list is a file of its own, for it goes through every field
that takes an address, too (tests/attacks/test_ssrf.py).
"""

from __future__ import annotations

import json
from pathlib import Path

LIST = Path(__file__).resolve().parent.parent / "attacks" / "ssrf_addresses.txt"


def _read(line: str) -> str:
    return "" if line == "<empty>" else str(json.loads('"' + line.replace('"', '\\"') + '"'))


ADDRESSES = [_read(line) for line in LIST.read_text("utf-8").splitlines() if line and not line.startswith("# ")]

# Names that anybody can have lead inwards, and what they lead to; {port} is the listener's here, too.
NAMES = {
    "loopback.example": ["127.0.0.1"],
    "loopback6.example": ["::1"],
    "nothing.example": ["0.0.0.0"],
    "nothing6.example": ["::"],
    "mapped.example": ["::ffff:127.0.0.1"],
    "private.example": ["10.1.2.3"],
    "carrier.example": ["100.64.1.1"],
    "metadata.example": ["169.254.169.254"],
    "metadata6.example": ["fd00:ec2::254"],
    "scoped.example": ["fe80::1%1"],
    "translated.example": ["64:ff9b::7f00:1"],
    "public-first.example": ["93.184.215.14", "127.0.0.1"],
    "public-last.example": ["127.0.0.1", "93.184.215.14"],
    "public-four.example": ["93.184.215.14", "::1"],
    "public-six.example": ["2606:2800:21f:cb07:6820:80da:af6b:8b2c", "127.0.0.1"],
    "127.0.0.1.nip.example": ["127.0.0.1"],
    "7f000001.rbndr.example": ["127.0.0.1"],
    "trailing.example.": ["127.0.0.1"],
    "bücher.example": ["127.0.0.1"],
    "LOUD.example": ["127.0.0.1"],
    "under_score.example": ["127.0.0.1"],
    "intranet": ["127.0.0.1"],
    "printer.local": ["127.0.0.1"],
    "metadata.google.internal": ["169.254.169.254"],
}
