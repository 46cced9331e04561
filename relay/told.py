"""What a log line tells of a call beside its bill: who asked for what, from where, and how it ended."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import NamedTuple

from relay.errors import RelayError
from relay.types import Attempt, Call, Caller, Head
from telemetry.calls import Steps

OK = 200
LEFT = 499  # the status of a call whose caller did not stay for the end
MAX_IP, MAX_AGENT, MAX_CODE, MAX_MODEL, MAX_MESSAGE = 45, 120, 64, 191, 1000  # characters

_WORDS = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


class Ending(NamedTuple):
    """`status` is what the caller got; `error_code` is "" unless something failed after the answer had begun."""

    status: int = OK
    error_code: str = ""


WELL = Ending()
LEFT_EARLY = Ending(LEFT)
UNFORESEEN = Ending(error_code="internal_error")


@dataclass(slots=True)
class Trace:
    """How far a request has come, for the line that tells of its failure. Nothing is told before `caller` is known."""

    started: float = field(default_factory=time.monotonic)
    caller: Caller | None = None
    head: Head | None = None
    call: Call | None = None
    routed: bool = False  # channels carry the model: its name is not just anything a caller made up
    attempt: Attempt | None = None  # the last one
    kind: int = 0  # telemetry.calls.kind of the call
    steps: Steps | None = None  # what OpenTelemetry is told; None where it is off


def error_code(error: RelayError) -> str:
    """The code callers are given or, of an error that has none, its class: `no_channel`."""
    code = error.code
    if isinstance(code, int | str) and code != "":
        return clean(str(code), MAX_CODE)
    return _WORDS.sub("_", type(error).__name__).lower()[:MAX_CODE]


def upstream_model(call: Call, attempt: Attempt) -> str:
    """The name the upstream was asked for, "" where it is the one the caller used."""
    return "" if attempt.model == call.model else attempt.model[:MAX_MODEL]


def origin(ip: str, headers: Mapping[str, str]) -> dict[str, str]:
    """Columns of the log row: where a call came from."""
    return {"ip": address(ip), "user_agent": agent(headers)}


def address(ip: str) -> str:
    return clean(ip, MAX_IP)


def agent(headers: Mapping[str, str]) -> str:
    return clean(headers.get("user-agent", ""), MAX_AGENT)


@lru_cache(maxsize=4096)
def clean(text: str, most: int) -> str:
    """At most so many characters, all of which every database takes and every page shows."""
    text = text[:most]
    return text if text.isprintable() else "".join(one if one.isprintable() else " " for one in text)
