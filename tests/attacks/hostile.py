"""An upstream that answers with whatever bytes it was given, by the first part of the address it is called at."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from tests.ports import free_port

Pieces = bytes | Callable[[], Iterable[bytes]]


@dataclass
class Hostile:
    """`answers`: by name, one answer for each request, the last one for all others. `seen`: heads, as they came."""

    port: int = 0
    answers: dict[str, list[Pieces]] = field(default_factory=dict)
    seen: list[bytes] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)

    def url(self, name: str, *answers: Pieces) -> str:
        """The base URL at which these answers are given."""
        name = name.replace(" ", "-")
        self.answers[name] = list(answers)
        return f"http://127.0.0.1:{self.port}/{name}"

    def serve(self, connection: socket.socket) -> None:
        kept = b""
        with connection, suppress(OSError):
            while True:
                while b"\r\n\r\n" not in kept:
                    if not (data := connection.recv(1 << 16)):
                        return
                    kept += data
                head, _, kept = kept.partition(b"\r\n\r\n")
                length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0] or 0)
                while len(kept) < length:
                    kept += connection.recv(1 << 20)
                self.seen.append(head)
                self.bodies.append(kept[:length])
                kept = kept[length:]
                script = self.answers[head.split(b"/")[1].decode()]
                answer = script.pop(0) if len(script) > 1 else script[0]
                for piece in [answer] if isinstance(answer, bytes) else answer():
                    connection.sendall(piece)


@contextmanager
def running() -> Iterator[Hostile]:
    made = Hostile()
    with socket.create_server(("127.0.0.1", free_port())) as door:
        made.port = door.getsockname()[1]

        def accept() -> None:
            with suppress(OSError):
                while True:
                    connection, _ = door.accept()
                    threading.Thread(target=made.serve, args=(connection,), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        yield made
        door.shutdown(socket.SHUT_RDWR)


def answer(body: bytes, *lines: bytes, status: bytes = b"200 OK") -> bytes:
    """A well-formed answer; Content-Length is added unless a line frames it."""
    framed = any(line.lower().startswith((b"content-length", b"transfer-encoding")) for line in lines)
    own = [] if framed else [b"Content-Length: %d" % len(body)]
    return b"\r\n".join([b"HTTP/1.1 " + status, b"Content-Type: application/json", *lines, *own, b"", body])
