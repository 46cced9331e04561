"""Lines of the log: their two forms, what must never stand in one, and files that several processes write to."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from pathlib import Path

import pytest

from config.log_files import DailyFile
from config.logging import LINE, JsonLine, Line, request_id
from config.redaction import mask

ROOT = Path(__file__).resolve().parents[2]
KEY = "Zx9" * 16
FORGED = "hello\r\n2026-01-01 00:00:00,000 ERROR relay forged\x1b[2J\u2028more"


def record(text: str, *args: object, **more: object) -> logging.LogRecord:
    made = logging.LogRecord("relay.pipeline", logging.WARNING, "", 0, text, args, None)
    vars(made).update(created=1764436089.0421, **more)
    return made


def failed(message: str) -> logging.LogRecord:
    made = record("it failed")

    def fail() -> None:
        raise ValueError(message)

    try:
        fail()
    except ValueError:
        made.exc_info = sys.exc_info()
    return made


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Authorization: Basic dXNlcjpwYXNz", "Authorization: Basic ***"),
        ("(b'authorization', b'Bearer abc.def')", "(b'authorization', b'Bearer ***')"),
        ("{'x-api-key': 'abc123'}", "{'x-api-key': '***'}"),
        ('{"x-goog-api-key": "AIzaSyA1234567890"}', '{"x-goog-api-key": "***"}'),
        ("Cookie: session=abc; csrftoken=def", "Cookie: ***"),
        ("set-cookie: session=abc", "set-cookie: ***"),
        ('{"password": "hunter2 is long"}', '{"password": "***"}'),
        ("password=hunter2&x=1", "password=***&x=1"),
        ("{'client_secret': 'abc'}", "{'client_secret': '***'}"),
        ("key AIzaSyA1234567890", "key AIza***"),
        ("token eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abc-_1", "token ***"),
        (f"a key of ours: {KEY}", "a key of ours: ***"),
        ("postgres://u:p@ss@h/d", "postgres://u:***@h/d"),
        ("root:p4ss@tcp(db:3306)/oneapi", "root:***@tcp(db:3306)/oneapi"),
        ("the token expired", "the token expired"),
        (
            "request 20260101000000123456789012345678 failed: 502",
            "request 20260101000000123456789012345678 failed: 502",
        ),
    ],
)
def test_more_kinds_of_credentials_are_masked(text, shown):
    assert mask(text) == shown


def test_a_json_line_says_when_what_where_and_about_which_request():
    line = json.loads(JsonLine().format(record("channel #%d %s", 7, "failed", request_id="42")))

    assert line.pop("pid") > 0
    assert line.pop("node")
    assert line == {
        "time": "2025-11-29T17:08:09.042Z",
        "level": "WARNING",
        "logger": "relay.pipeline",
        "message": "channel #7 failed",
        "request_id": "42",
    }


def test_a_json_line_tells_no_secret():
    line = JsonLine().format(record("password=%s for %s", "hunter2", f"sk-{KEY}", request_id=f"x {KEY}"))

    assert "hunter2" not in line
    assert KEY not in line


def test_a_json_line_carries_its_exception_masked():
    line = json.loads(JsonLine().format(failed("Bearer abcdef")))

    assert line["exception"].endswith("ValueError: Bearer ***")
    assert "Traceback" in line["exception"]


@pytest.mark.parametrize("formatter", [Line(LINE), JsonLine()])
def test_no_text_can_pose_as_a_line(formatter):
    assert len(formatter.format(record("%s", FORGED)).splitlines()) == 1
    token = request_id.set(FORGED)
    try:
        assert len(formatter.format(record("x")).splitlines()) == 1
    finally:
        request_id.reset(token)
    first, *rest = formatter.format(failed(FORGED)).splitlines()
    assert all(line.startswith("    ") for line in rest)
    assert "\x1b" not in first + "".join(rest)


WRITER = """
import logging, sys
from config.log_files import DailyFile
from config.logging import JsonLine
handler = DailyFile(sys.argv[1], True, rotate=4_000)
handler.setFormatter(JsonLine())
log = logging.getLogger("writer"); log.propagate = False; log.addHandler(handler)
for i in range(800):
    log.warning("%s-%d %s", sys.argv[2], i, "x" * (i % 90))
"""


def test_four_processes_lose_no_line_while_files_turn(tmp_path):
    writers = [subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path), str(n)], cwd=ROOT) for n in range(4)]
    assert [writer.wait(60) for writer in writers] == [0] * 4

    files = list(tmp_path.glob("*.log"))
    said = [json.loads(line)["message"].split()[0] for file in files for line in file.read_text().splitlines()]
    assert len(said) == 3200
    assert set(said) == {f"{writer}-{i}" for writer in range(4) for i in range(800)}
    assert len(files) > 80
    assert max(file.stat().st_size for file in files) < 4_000 + 4 * 300


def test_only_the_newest_files_are_kept(tmp_path):
    handler = DailyFile(str(tmp_path), one_file=False, rotate=10, keep=2)
    for day in (1, 1, 1, 2, 2):
        made = record("0123456789")
        made.created = day * 86400.0
        handler.emit(made)
    handler.close()

    names = sorted(path.name for path in tmp_path.glob("*.log"))
    assert names == ["oneapi-19700102.log", "oneapi-19700103.1.log", "oneapi-19700103.log"]


def test_a_file_that_somebody_moved_is_made_anew(tmp_path):
    handler = DailyFile(str(tmp_path), one_file=True)
    handler.emit(record("before"))
    (tmp_path / "oneapi.log").rename(tmp_path / "moved")
    handler.emit(record("after"))
    handler.close()

    assert (tmp_path / "moved").read_text() == "before\n"
    assert (tmp_path / "oneapi.log").read_text() == "after\n"


def test_a_slip_in_a_log_call_is_told_on_stderr_and_harms_nobody(tmp_path, capsys):
    handler = DailyFile(str(tmp_path), one_file=True)
    handler.emit(record("%d items", "three"))
    handler.emit(record("after"))
    handler.close()

    assert (tmp_path / "oneapi.log").read_text() == "after\n"
    assert "%d items" in capsys.readouterr().err
