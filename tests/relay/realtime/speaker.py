"""A scripted upstream of the Realtime API over real sockets.

What a response shall be like stands in the metadata of the `response.create` that asks for it:
`deltas` pieces of sound of `letters` letters each, `usage` as told at its end, `then`: "drop", "close" or "stay".
"""

from __future__ import annotations

import base64
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

import orjson
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.sync.server import Server, ServerConnection, serve

SECOND = 48_000 * 4 // 3  # letters of base64 of a second of sound


@dataclass
class Seen:
    """One session. `left` is set when it is over, in whatever way."""

    target: str
    headers: dict[str, str]
    said: list[str | bytes] = field(default_factory=list)
    sent: list[str | bytes] = field(default_factory=list)
    left: threading.Event = field(default_factory=threading.Event)


@dataclass
class Speaker:
    """`refuses`: the status that handshakes are answered with instead of a session."""

    port: int = 0
    refuses: int = 0
    sessions: list[Seen] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def admit(self, connection: ServerConnection, request: Request) -> Response | None:
        if not self.refuses:
            return None
        told = orjson.dumps({"error": {"message": "no entry", "type": "invalid_request_error", "code": "scripted"}})
        return connection.respond(HTTPStatus(self.refuses), told.decode())

    def speak(self, connection: ServerConnection) -> None:
        assert connection.request is not None
        head = {name.lower(): value for name, value in connection.request.headers.raw_items()}
        seen = Seen(connection.request.path, head)
        self.sessions.append(seen)
        try:
            self._give(connection, seen, {"type": "session.created", "session": {"model": "theirs"}})
            for message in connection:
                seen.said.append(message)
                event = orjson.loads(message) if isinstance(message, str) else {}
                if event.get("type") == "response.create":
                    self._respond(connection, seen, event["response"]["metadata"])
                elif event.get("type") == "transcribe":
                    kind = "conversation.item.input_audio_transcription.completed"
                    self._give(connection, seen, {"type": kind, "item_id": "item_1", "transcript": event["said"]})
                elif event.get("type") == "echo":
                    self._give_raw(connection, seen, event["what"])
                    self._give_raw(connection, seen, base64.b64decode(event["bytes"]))
                elif event.get("type") == "leave":
                    connection.close(event["code"])
        except ConnectionClosed:
            pass
        finally:
            seen.left.set()

    def _respond(self, connection: ServerConnection, seen: Seen, script: dict[str, Any]) -> None:
        name = f"resp_{len(seen.said)}"
        self._give(connection, seen, {"type": "response.created", "response": {"id": name, "usage": None}})
        sound = "A" * script.get("letters", SECOND)
        for _ in range(script.get("deltas", 1)):
            self._give(connection, seen, {"type": "response.output_audio.delta", "response_id": name, "delta": sound})
        match script.get("then"):
            case "drop":
                connection.socket.close()
                return
            case "stay":
                return
        done = {"id": name, "status": "completed", "conversation_id": "conv_1", "usage": script.get("usage")}
        self._give(connection, seen, {"type": "response.done", "response": done})

    def _give(self, connection: ServerConnection, seen: Seen, event: dict[str, Any]) -> None:
        self._give_raw(connection, seen, orjson.dumps(event).decode())

    def _give_raw(self, connection: ServerConnection, seen: Seen, message: str | bytes) -> None:
        seen.sent.append(message)
        connection.send(message)


@contextmanager
def speaking() -> Iterator[Speaker]:
    speaker = Speaker()
    server: Server
    with serve(speaker.speak, "127.0.0.1", 0, process_request=speaker.admit, max_size=None) as server:
        speaker.port = server.socket.getsockname()[1]
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield speaker
        server.shutdown()
