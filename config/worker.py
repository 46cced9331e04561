"""The process that serves: uvicorn under gunicorn, on uvloop and httptools."""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
import time
from types import FrameType
from typing import Any

from django.conf import settings
from gunicorn.arbiter import Arbiter
from gunicorn.config import Config
from gunicorn.glogging import Logger as GunicornLogger
from uvicorn.server import Server as UvicornServer
from uvicorn_worker import UvicornWorker

from config import draining
from config.protocol import Protocol
from telemetry import board, calls, ledger

KEEP_ALIVE = 75  # seconds an idle connection stays open; longer than the 60 s of usual balancers in front
BACKLOG = 2048  # connections the kernel keeps waiting
HEADERS = 64 * 1024  # bytes of request line and headers, where h11 parses
DRAIN = settings.DRAIN_TIMEOUT  # seconds between SIGTERM and the closing of the door


class Logger(GunicornLogger):
    """The supervisor's lines go where everybody's go."""

    def setup(self, cfg: Config) -> None:
        super().setup(cfg)
        self.error_log.handlers = []
        self.error_log.propagate = True


class Server(UvicornServer):
    """Drains before it closes its door, if DRAIN_TIMEOUT says so. `doors`: the listening sockets."""

    def __init__(self, config: Any, doors: Any) -> None:
        super().__init__(config)
        self._doors = doors
        self._until = 0.0  # monotonic second at which draining ends

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Draining heeds no second SIGTERM: a supervisor and its supervisor may both send one."""
        if not DRAIN or sig != signal.SIGTERM or self.should_exit:
            super().handle_exit(sig, frame)
        elif not draining.under_way():
            draining.begin()
            self._until = time.monotonic() + DRAIN
            self._captured_signals.append(sig)

    async def on_tick(self, counter: int) -> bool:
        if self._until and time.monotonic() > self._until:
            draining.shut_out(self._doors)
            await asyncio.sleep(draining.ACCEPTING)
            self.should_exit = True
        elif DRAIN and not draining.under_way():
            draining.let_in(self._doors)
        return await super().on_tick(counter)


class Worker(UvicornWorker):
    CONFIG_KWARGS: dict[str, Any] = {
        "loop": "uvloop",
        "http": Protocol,
        "lifespan": "on",
        "access_log": False,  # a line a request costs a tenth of the relay's speed; nginx or the log table has it
        "server_header": False,
        "proxy_headers": False,  # config.client_ip decides whom to believe
        "timeout_keep_alive": KEEP_ALIVE,
        "timeout_graceful_shutdown": settings.GRACEFUL_TIMEOUT,
        "backlog": BACKLOG,
        "h11_max_incomplete_event_size": HEADERS,
        "ws_per_message_deflate": False,  # sound in base64 gains little, and each session would keep a dictionary
    }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        board.prepare(self.cfg.workers)
        self._slot = board.reserve()
        logging.getLogger(
            "uvicorn.error"
        ).propagate = True  # its handlers are the supervisor's, of which there are none

    def init_process(self) -> None:
        """As the parent, once it is settled where this process counts."""
        board.take(self._slot)
        calls.take_over()
        ledger.take_over()
        super().init_process()

    async def _serve(self) -> None:
        """As the parent, with a server that drains."""
        self.config.app = self.wsgi
        server = Server(self.config, self.sockets)
        self._install_sigquit_handler()
        await server.serve(sockets=self.sockets)
        if not server.started:
            sys.exit(Arbiter.WORKER_BOOT_ERROR)

    def init_signals(self) -> None:
        """As the parent, but SIGTERM and SIGINT end in exit code 0: uvicorn repeats the signal when it has stopped."""
        super().init_signals()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, _leave)


def _leave(number: int, frame: FrameType | None) -> None:
    sys.exit(0)
