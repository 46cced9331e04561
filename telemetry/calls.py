"""What the relay notes of a call, with its event loop as the only writer. Each is called once or a few times a call."""

from __future__ import annotations

import time
from bisect import bisect_left

from telemetry import board, families
from telemetry.families import CHANNEL, CHANNELS, COLUMNS, FIRST_OUTCOME, MICRO, OUTCOMES, REASONS, ROWS, SECONDS

Steps = list[tuple[object, float, float]]

PLAN, HOLD, FIRST_BYTE, SETTLE = (families.PHASE_SECONDS.at(phase) for phase in families.PHASES)

_cells = board.cells()
_monotonic = time.monotonic
_SUM = len(SECONDS) + 1
_KINDS = {kind: families.CALLS.at(*kind, families.STATUSES[0]) for kind in families.KINDS}
_OTHER = _KINDS["other", "other"]
_BEGUN, _OVER = families.BEGUN.at(), families.OVER.at()
_WHOLE, _WHOLE_STREAM = families.CALL_SECONDS.at("no"), families.CALL_SECONDS.at("yes")
_FIRST_TOKEN = families.FIRST_TOKEN_SECONDS.at()
_STREAMS_BEGUN = families.STREAMS_BEGUN.at()
_STREAM_WELL, _STREAM_LEFT, _STREAM_FAILED = (families.STREAMS_OVER.at(ending) for ending in families.STREAM_ENDINGS)
_RETRIES = {reason: families.RETRIES.at(reason) for reason in REASONS}
_PROMPT, _COMPLETION, _CACHED = (families.TOKENS.at(kind) for kind in families.TOKEN_KINDS)
_CHARGED, _UNCOLLECTED = families.CHARGED.at(), families.UNCOLLECTED.at()
_COLUMN = {outcome: FIRST_OUTCOME + i for i, outcome in enumerate(OUTCOMES)}
_LEFT = 499


def take_over() -> None:
    """Count in the slot that the board has for this process now, and go on from what a worker before us counted there.

    What that one left unfinished is over, and its streams have failed. Before the first call of the process.
    """
    global _cells  # noqa: PLW0603 (read with every call, so it is no attribute of anything)
    _cells = board.cells()
    _cells[_OVER] = _cells[_BEGUN]
    _cells[_STREAM_FAILED] = _cells[_STREAMS_BEGUN] - _cells[_STREAM_WELL] - _cells[_STREAM_LEFT]
    _rows.clear()
    for first in range(CHANNELS, CHANNELS + ROWS * COLUMNS, COLUMNS):
        if _cells[first]:
            _rows[_cells[first]] = first


def kind(dialect: str, mode: str) -> int:
    """The first cell of the calls of this dialect and mode; those we do not tell apart share one."""
    return _KINDS.get((dialect, mode), _OTHER)


def begun() -> None:
    _cells[_BEGUN] += 1


def over(kind: int, status: int, started: float, stream: bool) -> None:
    """A call is over. `kind` 0: of no dialect. `status`: what the caller got, 499 where it did not stay."""
    _cells[_OVER] += 1
    _cells[(kind or _OTHER) + (0 if status == _LEFT else status // 100)] += 1
    seconds = _monotonic() - started
    base = _WHOLE_STREAM if stream else _WHOLE
    _cells[base + bisect_left(SECONDS, seconds)] += 1
    _cells[base + _SUM] += int(seconds * MICRO)


def phase(base: int, began: float, steps: Steps | None = None) -> None:
    """PLAN, HOLD, FIRST_BYTE or SETTLE has come to its end. `steps`: of the call's trace, where there is one."""
    now = _monotonic()
    seconds = now - began
    _cells[base + bisect_left(SECONDS, seconds)] += 1
    _cells[base + _SUM] += int(seconds * MICRO)
    if steps is not None:
        steps.append((base, began, now))


def stream_begun() -> None:
    _cells[_STREAMS_BEGUN] += 1


def first_token(started: float) -> None:
    phase(_FIRST_TOKEN, started)


def stream_over(status: int, error_code: str) -> None:
    _cells[_STREAM_LEFT if status == _LEFT else _STREAM_FAILED if error_code else _STREAM_WELL] += 1


def settled(prompt: int, completion: int, cached: int, charged: int, uncollected: int) -> None:
    """Tokens and points of a call that is charged for."""
    _cells[_PROMPT] += prompt
    _cells[_COMPLETION] += completion
    _cells[_CHARGED] += charged
    if cached:
        _cells[_CACHED] += cached
    if uncollected:
        _cells[_UNCOLLECTED] += uncollected


def retried(reason: str) -> None:
    _cells[_RETRIES[reason]] += 1


# --- channels ---------------------------------------------------------------------------------------------------------

_rows: dict[int, int] = {}  # the first cell of each channel's


def row(channel_id: int) -> int:
    """The first cell of a channel's row; the last row, which is nobody's, where all are given away."""
    found = _rows.get(channel_id)
    if found is None:
        found = CHANNELS + min(len(_rows), ROWS - 1) * COLUMNS
        if len(_rows) < ROWS - 1:
            _rows[channel_id] = found
            _cells[found + CHANNEL] = channel_id
    return found


def answered(channel_id: int) -> None:
    """An attempt on the channel went well."""
    _cells[(_rows.get(channel_id) or row(channel_id)) + FIRST_OUTCOME] += 1


def failed(channel_id: int, reason: str) -> None:
    """An attempt on the channel failed."""
    _cells[row(channel_id) + _COLUMN[reason]] += 1


def show_channels(seen: dict[int, tuple[int, int, int]]) -> None:
    """What the worker knows of its channels: paused, avoided, failures in a row. Of those not in it: nothing bad."""
    for channel_id in seen:
        row(channel_id)
    for channel_id, first in _rows.items():
        at = first + families.PAUSED
        _cells[at], _cells[at + 1], _cells[at + 2] = seen.get(channel_id, (0, 0, 0))
