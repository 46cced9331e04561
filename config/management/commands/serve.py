"""`manage.py serve`: make the databases ready, make root at the first start, then be the server.

The flags of the reference (`--port`, `--log-dir`, `--version`) mean what they mean there; PORT wins over `--port`.
"""

from __future__ import annotations

import os
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandParser

from backups import lock, places
from backups.refusals import InUse
from billing import tokens
from config import env, startup
from config.logging import configuration, configure, prepare_folder
from config.version import VERSION

APPLICATION = "config.asgi:application"
HANG = 120  # seconds without a sign of life after which a worker is replaced
MOST_WORKERS = 4  # chosen unasked
SETTLE = 10  # seconds a worker has after its last answer to close the books, before it is killed


class Command(BaseCommand):
    help = "Serve the gateway: migrate under a lock, make root at the first start, listen."
    requires_system_checks: list[str] = []  # startup runs them, and says what it finds in one line

    def get_version(self) -> str:
        return VERSION

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--port", type=int, default=3000, help="default 3000; the variable PORT wins")
        parser.add_argument("--host", default="0.0.0.0", help="address to listen on, default all")  # noqa: S104
        parser.add_argument("--log-dir", default=None, help='folder of the log files, default ./logs; "" is none')
        parser.add_argument("--workers", type=int, default=None, help="processes; the variable WORKERS says the same")
        parser.add_argument("--server", choices=["gunicorn", "daphne"], default="gunicorn")

    def handle(self, *args: Any, **options: Any) -> None:
        os.umask(0o027)  # what is written here, database and log, is nobody else's to read
        port = settings.PORT or options["port"]
        if not 0 < port < 65536:
            sys.exit(f"--port: {port} is not between 1 and 65535.")
        folder = options["log_dir"] if options["log_dir"] is not None else settings.LOG_DIR or "logs"
        log_dir = str(Path(folder).absolute()) if folder else ""
        env.chosen("LOG_DIR", log_dir)
        try:
            if log_dir:
                prepare_folder(log_dir)
        except OSError as error:
            sys.exit(f"--log-dir: {log_dir} cannot be used ({error.strerror}).")
        configure(
            configuration(
                folder=log_dir,
                written=settings.LOG_WRITTEN,
                debug=settings.DEBUG_LOG,
                sql=settings.DEBUG_SQL,
            )
        )
        try:
            for path in places.files().values():
                if os.access(path.parent, os.W_OK):  # where it cannot be written, startup says so
                    lock.serve(path)
            startup.prepare()
            told = startup.seed_root() if settings.IS_MASTER else ""
        except (startup.CannotStart, InUse) as refusal:
            sys.exit(str(refusal))
        if told:
            self.stdout.write(told)
        startup.let_go()
        workers = 1 if options["server"] == "daphne" else options["workers"] or settings.WORKERS or _workers()
        self.stdout.write(f"One API {VERSION} on http://{options['host']}:{port} with {workers} worker(s)")
        self.stdout.flush()  # what is still in the buffer, every worker would write
        if options["server"] == "daphne":
            _daphne(options["host"], port)
        else:
            _gunicorn(options["host"], port, workers)


def _workers() -> int:
    """SQLite has one writer, so a second process would only wait for the first."""
    return 1 if settings.DATABASES["default"]["ENGINE"].endswith("sqlite3") else min(os.cpu_count() or 1, MOST_WORKERS)


def _gunicorn(host: str, port: int, workers: int) -> None:
    from config.supervisor import Supervisor

    if workers > 1:
        _load_for_all()
    Supervisor(
        APPLICATION,
        {
            "bind": [f"[{host}]:{port}" if ":" in host else f"{host}:{port}"],
            "workers": workers,
            "worker_class": "config.worker.Worker",
            "logger_class": "config.worker.Logger",
            "backlog": 2048,
            "keepalive": 75,
            "timeout": HANG + settings.GRACEFUL_TIMEOUT,
            "graceful_timeout": settings.DRAIN_TIMEOUT + settings.GRACEFUL_TIMEOUT + SETTLE,
            "control_socket_disable": True,
        },
    ).run()


def _load_for_all() -> None:
    """Vocabularies and pages: a second, 140 MB. A single worker starts sooner and loads them beside its first calls."""
    tokens.warm()
    import_module(settings.ROOT_URLCONF)


def _daphne(host: str, port: int) -> None:
    from daphne.cli import CommandLineInterface

    CommandLineInterface().run(["-b", host, "-p", str(port), "--no-server-name", "-v", "0", APPLICATION])
