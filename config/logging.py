"""The log: lines on stderr and, where a folder is given, in files.

A line has the time, the level, the logger, the request id where there is one, and the text: in plain words (time in
TZ), or with LOG_FORMAT=json as one JSON object (time in UTC). Credentials are masked, and no text can pose as a line.
"""

from __future__ import annotations

import json
import logging
import logging.config
import os
import socket
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from config import env
from config.log_files import DailyFile
from config.redaction import mask, one_line

__all__ = ["LINE", "DailyFile", "JsonLine", "Line", "Written", "configuration", "configure", "mask", "prepare_folder"]

LINE = "%(asctime)s %(levelname)s %(name)s%(where)s %(message)s"
TEXT, JSON = "text", "json"
MEGABYTE = 1024 * 1024

request_id: ContextVar[str] = ContextVar("request_id", default="")  # set by whoever begins to serve a request


@dataclass(frozen=True, slots=True)
class Written:
    """How lines are written. `rotate` in bytes, `keep` in files; 0 is no limit."""

    form: str = TEXT
    one_file: bool = False
    rotate: int = 0
    keep: int = 0

    @staticmethod
    def configured() -> Written:
        """As the environment says; the supervisor, which loads no Django settings, asks too. Raises BadVariable."""
        form = env.text("LOG_FORMAT", TEXT, example=JSON).lower()
        if form not in (TEXT, JSON):
            raise env.BadVariable("LOG_FORMAT", f"{form!r} is neither text nor json", JSON)
        return Written(
            form,
            env.flag("ONLY_ONE_LOG_FILE"),
            env.integer("LOG_ROTATE_MB", 0, high=1_000_000, example="100") * MEGABYTE,
            env.integer("LOG_KEEP", 0, high=100_000, example="14"),
        )


class Line(logging.Formatter):
    """One line of text; what belongs to an exception follows, indented, so that it cannot be taken for another."""

    def format(self, record: logging.LogRecord) -> str:
        known = request_of(record)
        record.where = f" [{one_line(known)}]" if known else ""
        record.message = one_line(record.getMessage())
        record.asctime = self.formatTime(record)
        text = self.formatMessage(record)
        for more in told_beside(self, record):
            text += "".join(f"\n    {one_line(line)}" for line in more.splitlines())
        return mask(text)


class JsonLine(logging.Formatter):
    """One JSON object: time (UTC, milliseconds), level, logger, message, request_id, node, pid, exception."""

    def __init__(self) -> None:
        super().__init__()
        self._node = socket.gethostname()

    def format(self, record: logging.LogRecord) -> str:
        moment = datetime.fromtimestamp(record.created, UTC)
        line: dict[str, Any] = {
            "time": moment.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record.levelname,
            "logger": record.name,
            "message": mask(record.getMessage()),
            "request_id": mask(request_of(record)),
            "node": self._node,
            "pid": os.getpid(),
        }
        if more := told_beside(self, record):
            line["exception"] = mask("\n".join(more))
        return json.dumps(line, ensure_ascii=True)


def request_of(record: logging.LogRecord) -> str:
    """The id of the request a record is about, "" where it is about none."""
    request = getattr(record, "request", None)  # Django's own records about a request carry it
    return getattr(record, "request_id", "") or getattr(request, "META", {}).get("request_id") or request_id.get()


def told_beside(formatter: logging.Formatter, record: logging.LogRecord) -> list[str]:
    """The traceback and the stack of a record, where it has them."""
    told = []
    if record.exc_info and record.exc_info[0] is not None:
        told.append(formatter.formatException(record.exc_info))
    if record.stack_info:
        told.append(formatter.formatStack(record.stack_info))
    return told


def configuration(*, folder: str, written: Written, debug: bool, sql: bool) -> dict[str, Any]:
    """Django's LOGGING. Libraries stay at WARNING even in debug mode: some of them log bodies and headers."""
    handlers: dict[str, Any] = {"stderr": {"class": "logging.StreamHandler", "formatter": written.form}}
    if folder:
        handlers["file"] = {
            "()": "config.log_files.DailyFile",
            "folder": str(Path(folder).absolute()),
            "one_file": written.one_file,
            "rotate": written.rotate,
            "keep": written.keep,
            "formatter": written.form,
        }
    level = "DEBUG" if debug else "INFO"
    ours = (
        *("config", "relay", "accounts", "channels_app", "billing", "redemptions", "options", "audit", "vault"),
        *("jobs", "notices", "idempotency", "telemetry"),
    )
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {TEXT: {"()": "config.logging.Line", "format": LINE}, JSON: {"()": "config.logging.JsonLine"}},
        "filters": {"without_parameters": {"()": "config.sql_log.WithoutParameters"}},
        "handlers": handlers,
        "root": {"level": "WARNING", "handlers": list(handlers)},
        "loggers": {
            **{name: {"level": level} for name in ours},
            "gunicorn.error": {"level": "INFO"},
            "uvicorn": {"level": "WARNING"},
            "django": {"level": "INFO"},
            "django.server": {"handlers": [], "propagate": True, "level": "INFO"},
            # A 4xx is an answer, not an incident.
            "django.request": {"level": "WARNING" if debug else "ERROR"},
            "django.db.backends": {"level": "DEBUG" if sql else "INFO", "filters": ["without_parameters"]},
        },
    }


def configure(settings: dict[str, Any]) -> None:
    """LOGGING_CONFIG: ours alone, without Django's default handlers on top."""
    logging.config.dictConfig(settings)


def prepare_folder(folder: str) -> None:
    """Make the folder of the log files where it is missing, closed to strangers. Raises OSError where that fails."""
    path = Path(folder)
    path.mkdir(mode=0o750, parents=True, exist_ok=True)
    with (path / ".writable").open("w"):
        pass
    (path / ".writable").unlink()
