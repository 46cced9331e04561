"""The log: lines on stderr and, where a folder is given, in one file a day.

A line has the time (in TZ), the level, the logger, the request id where there is one, and the text. Credentials
that slip into a text are masked.
"""

from __future__ import annotations

import logging
import logging.config
import re
import time
from contextvars import ContextVar
from pathlib import Path
from typing import Any, TextIO

LINE = "%(asctime)s %(levelname)s %(name)s%(where)s %(message)s"

request_id: ContextVar[str] = ContextVar("request_id", default="")  # set by whoever begins to serve a request

SECRETS = (
    (re.compile(r"\b(sk-)[A-Za-z0-9_-]{8,}"), r"\1***"),
    (re.compile(r"(?i)\b(bearer\s+)[^\s\"',]+"), r"\1***"),
    (re.compile(r"(?i)([?&](?:key|api_key|access_token|token|code|secret)=)[^&\s\"']+"), r"\1***"),
    (re.compile(r"(://[^/\s:@]*:)[^/\s@]+@"), r"\1***@"),
)


def mask(text: str) -> str:
    """The text with keys, bearer tokens, and passwords in addresses replaced by ***."""
    for pattern, replacement in SECRETS:
        text = pattern.sub(replacement, text)
    return text


class Line(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        request = getattr(record, "request", None)  # Django's own records about a request carry it
        known = getattr(record, "request_id", "") or getattr(request, "META", {}).get("request_id") or request_id.get()
        record.where = f" [{known}]" if known else ""
        return mask(super().format(record))


class DailyFile(logging.Handler):
    """Appends to `oneapi-YYYYMMDD.log` of the folder, or always to `oneapi.log`.

    The name follows the date, so nothing is renamed, and any number of processes may write to the same file: a
    line is one write in append mode.
    """

    def __init__(self, folder: str, one_file: bool) -> None:
        super().__init__()
        self._folder = Path(folder)
        self._one_file = one_file
        self._name = ""
        self._file: TextIO | None = None

    def emit(self, record: logging.LogRecord) -> None:
        try:
            file = self._current(record.created)
            file.write(self.format(record) + "\n")
            file.flush()
        except OSError:
            self.handleError(record)

    def _current(self, moment: float) -> TextIO:
        name = "oneapi.log" if self._one_file else time.strftime("oneapi-%Y%m%d.log", time.localtime(moment))
        if self._file is None or name != self._name:
            self.close_file()
            self._folder.mkdir(mode=0o750, parents=True, exist_ok=True)
            self._file = open(self._folder / name, "a", encoding="utf-8")  # noqa: SIM115  closed when the day ends
            self._name = name
        return self._file

    def close_file(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def close(self) -> None:
        with self.lock or logging._lock:  # type: ignore[attr-defined]
            self.close_file()
        super().close()


def configuration(*, folder: str, one_file: bool, debug: bool, sql: bool) -> dict[str, Any]:
    """Django's LOGGING. Libraries stay at WARNING even in debug mode: some of them log bodies and headers."""
    handlers: dict[str, Any] = {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}}
    if folder:
        handlers["file"] = {
            "()": "config.logging.DailyFile",
            "folder": str(Path(folder).absolute()),
            "one_file": one_file,
            "formatter": "line",
        }
    level = "DEBUG" if debug else "INFO"
    ours = (
        *("config", "relay", "accounts", "channels_app", "billing", "redemptions", "options", "audit", "vault"),
        *("jobs", "notices"),
    )
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"line": {"()": "config.logging.Line", "format": LINE}},
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
