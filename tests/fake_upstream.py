"""The scripted provider as a process, and the handle tests hold on to it.

Run by hand: `python -m tests.fake_upstream --port 9000`, then point a channel's base URL at http://127.0.0.1:9000.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import json
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uvloop

from tests.upstream.play import Provider
from tests.upstream.script import in_path, in_text
from tests.upstream.wire import Connection

__all__ = ["FakeUpstream", "SeenRequest", "in_text", "running"]


@dataclass(frozen=True, slots=True)
class SeenRequest:
    """One request as it came over the wire; header names in lower case."""

    time: float
    method: str
    target: str
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True, slots=True)
class FakeUpstream:
    url: str

    def scripted(self, **orders: Any) -> str:
        """The base URL below which every call gets these orders (tests.upstream.script.Script)."""
        return self.url + in_path(**orders)

    def seen(self) -> list[SeenRequest]:
        """Requests since the last reset, oldest first."""
        return [SeenRequest(**{**one, "body": base64.b64decode(one["body"])}) for one in self._get("/__seen")]

    def stats(self) -> dict[str, Any]:
        """tests.upstream.wire.Stats as a dict."""
        answer: dict[str, Any] = self._get("/__stats")
        return answer

    def reset(self) -> None:
        self._get("/__reset")

    def wait_idle(self, seconds: float) -> dict[str, Any]:
        """The counters as soon as no answer is under way; raises TimeoutError after `seconds`."""
        end = time.monotonic() + seconds
        while (stats := self.stats())["open"]:
            if time.monotonic() > end:
                raise TimeoutError(f"{stats['open']} upstream answers still under way after {seconds} s")
            time.sleep(0.02)
        return stats

    def _get(self, path: str) -> Any:
        with urllib.request.urlopen(self.url + path, timeout=10) as answer:
            return json.load(answer)


@contextmanager
def running(host: str = "127.0.0.1") -> Iterator[FakeUpstream]:
    """A provider process on a free port of the loopback (or another address), ended at the exit."""
    command = [sys.executable, "-m", "tests.fake_upstream", "--host", host]
    root = Path(__file__).resolve().parent.parent
    with subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield FakeUpstream(f"http://{host}:{int(process.stdout.readline())}")
        finally:
            process.kill()


async def serve(host: str, port: int) -> None:
    provider = Provider()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(provider, provider.stats, time.time), host, port, backlog=4096)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one; the port is printed")
    parser.add_argument("--host", default="127.0.0.1")
    chosen = parser.parse_args()
    uvloop.run(serve(chosen.host, chosen.port))


if __name__ == "__main__":
    main()
