"""`manage.py serve` as a process: what it prints, where it listens, and how it stops."""

import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tests.ports import free_port

ROOT = Path(__file__).resolve().parents[2]
STREAM = """
import asyncio

async def application(scope, receive, send):
    if scope["type"] == "lifespan":
        for kind in ("startup", "shutdown"):
            await receive()
            await send({"type": f"lifespan.{kind}.complete"})
        return
    await send({"type": "http.response.start", "status": 200, "headers": []})
    for number in range(60):
        await send({"type": "http.response.body", "body": b"%d\\n" % number, "more_body": True})
        await asyncio.sleep(0.1)
    await send({"type": "http.response.body", "body": b"end\\n"})
"""


def wait_for(running: subprocess.Popen[bytes], port: int) -> None:
    """Until something accepts connections, the process ends, or a minute is over."""
    deadline = time.monotonic() + 60
    while running.poll() is None and time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            time.sleep(0.1)


def refuses(port: int, seconds: float) -> bool:
    """Whether nobody accepts connections any more, or not for longer than that."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except ConnectionRefusedError:
            return True
        time.sleep(0.1)
    return False


@contextmanager
def process(folder: Path, command: list[str], port: int, **variables: str):
    clean = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "LANG")}
    with (folder / "output.txt").open("w") as output:
        running = subprocess.Popen(
            [sys.executable, *command],
            cwd=folder,
            env={**clean, "PYTHONPATH": f"{ROOT}:{folder}", "DJANGO_SETTINGS_MODULE": "config.settings", **variables},
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        try:
            wait_for(running, port)
            yield running
        finally:
            if running.poll() is None:
                running.kill()
            running.wait()


def serve(folder: Path, port: int, *flags: str, **variables: str):
    return process(folder, [str(ROOT / "manage.py"), "serve", *flags], port, **variables)


@pytest.mark.slow
@pytest.mark.parametrize("server", ["gunicorn", "daphne"])
def test_the_first_start_makes_root_and_the_second_does_not(tmp_path, server):
    port = free_port()
    for start in (1, 2):
        with serve(tmp_path, port, "--port", "1", "--server", server, "--log-dir", "", PORT=str(port)) as running:
            answer = httpx.get(f"http://127.0.0.1:{port}/static/console/css/tokens.css", timeout=60)
            running.send_signal(signal.SIGTERM)
            ended = running.wait(30)
        told = (tmp_path / "output.txt").read_text()

        assert answer.status_code == 200
        assert "server" not in answer.headers
        assert told.count("Password:") == (1 if start == 1 else 0)
        assert ended == 0
    assert (tmp_path / "one-api.db").stat().st_mode & 0o007 == 0


@pytest.mark.slow
def test_a_stream_that_runs_is_finished_before_the_server_ends(tmp_path):
    (tmp_path / "streams.py").write_text(STREAM)
    port = free_port()
    command = ["-m", "gunicorn", "streams:application", "--bind", f"127.0.0.1:{port}", "--no-control-socket"]
    command += ["--worker-class", "config.worker.Worker", "--logger-class", "config.worker.Logger"]
    with (
        process(tmp_path, command, port, GRACEFUL_TIMEOUT="30") as running,
        httpx.stream("GET", f"http://127.0.0.1:{port}/", timeout=30) as answer,
    ):
        lines = answer.iter_lines()
        first = next(lines)
        running.send_signal(signal.SIGTERM)
        refused = refuses(port, 5)  # seconds, less than the stream takes
        rest = list(lines)

        assert running.wait(30) == 0
    assert refused
    assert [first, *rest] == [*map(str, range(60)), "end"]


def test_the_version_is_one_line(tmp_path):
    told = subprocess.run(
        [sys.executable, str(ROOT / "manage.py"), "serve", "--version"], cwd=tmp_path, capture_output=True, check=True
    )
    assert told.stdout.decode().count(".") == 2
