"""Every figure that is kept on the board: its name, what it means, its labels, and the cells it has.

All of them stand here and nowhere else, because their order decides on their cells, and all workers must agree. Labels
take only the values listed: names of models and users, which anybody can make up, are never among them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

from telemetry import board

MICRO = 1_000_000
# Bounds of histograms: seconds from the half millisecond of a busy database to the five minutes of a thinking model.
SECONDS = (
    *(0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25),
    *(0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0),
)
ENTRIES = (1, 2, 4, 8, 16, 32, 64, 128, 256)

Labels = tuple[str, ...]


@dataclass(frozen=True)
class Family:
    """`cells`: where each combination of labels has its cell, or the first of its cells."""

    name: str
    kind: str  # "counter", "gauge", "histogram"
    help: str
    labels: Labels
    cells: dict[Labels, int]
    scale: int = 1  # cells hold the value times this
    bounds: tuple[float, ...] = ()  # of a histogram; a cell each, one for what is beyond, one for the sum in millionths

    def at(self, *values: str) -> int:
        return self.cells[values]


FAMILIES: list[Family] = []
_next = board.FIRST


def _room(combinations: Sequence[Labels], each: int) -> dict[Labels, int]:
    global _next  # noqa: PLW0603  the end of what has been given away so far
    cells = {values: _next + i * each for i, values in enumerate(combinations)}
    _next += len(combinations) * each
    if _next > board.SLOT:
        raise OverflowError("the figures do not fit into a slot of the board")
    return cells


def _kept(family: Family) -> Family:
    FAMILIES.append(family)
    return family


def _counter(name: str, text: str, labels: Labels = (), combinations: Sequence[Labels] = ((),)) -> Family:
    return _kept(Family(name, "counter", text, labels, _room(combinations, 1)))


def _gauge(name: str, text: str, scale: int = 1) -> Family:
    return _kept(Family(name, "gauge", text, (), _room(((),), 1), scale))


def _histogram(
    name: str, text: str, bounds: tuple[float, ...], labels: Labels = (), combinations: Sequence[Labels] = ((),)
) -> Family:
    return _kept(Family(name, "histogram", text, labels, _room(combinations, len(bounds) + 2), MICRO, bounds))


def _one(name: str, values: Sequence[str]) -> tuple[Labels, list[Labels]]:
    return (name,), [(value,) for value in values]


# --- calls ------------------------------------------------------------------------------------------------------------

KINDS = (
    *(("openai", mode) for mode in ("chat", "completions", "embeddings", "moderations", "edits")),
    *(("openai", mode) for mode in ("images", "image_edits", "image_variations")),
    *(("openai", mode) for mode in ("audio_speech", "audio_transcription", "audio_translation", "realtime")),
    ("responses", "responses"),
    *(("anthropic", mode) for mode in ("chat", "count_tokens")),
    *(("gemini", mode) for mode in ("chat", "count_tokens")),
    ("rerank", "rerank"),
    ("other", "other"),  # lists of models, balances, the proxy, stored responses, what does not exist
)
# In the order of `status // 100`; what is left at its head is the caller who did not stay for the end.
STATUSES = ("left", "1xx", "2xx", "3xx", "4xx", "5xx")
CALLS = _counter(
    "one_api_calls_total",
    "Calls answered, by dialect, mode and class of status (left: the caller did not stay).",
    ("dialect", "mode", "status"),
    [(*kind, status) for kind, status in product(KINDS, STATUSES)],
)
BEGUN = _counter("one_api_calls_begun_total", "Calls that came in.")
OVER = _counter("one_api_calls_over_total", "Calls that are over, however they ended.")
CALL_SECONDS = _histogram(
    "one_api_call_seconds",
    "Time from a call's head to the end of its answer.",
    SECONDS,
    *_one("stream", ("no", "yes")),
)
PHASES = ("plan", "hold", "upstream_first_byte", "settle")
PHASE_SECONDS = _histogram(
    "one_api_phase_seconds",
    "Time a call spent in a phase: plan (authenticate, read, choose channels), hold (waiting for it), "
    "upstream_first_byte (one attempt, up to the head of its answer), settle (waiting for the books).",
    SECONDS,
    *_one("phase", PHASES),
)
FIRST_TOKEN_SECONDS = _histogram(
    "one_api_first_token_seconds", "Time from a streamed call's head to the first bytes of its answer.", SECONDS
)
STREAMS_BEGUN = _counter("one_api_streams_begun_total", "Streams that an upstream began to send.")
STREAM_ENDINGS = ("well", "left", "failed")
STREAMS_OVER = _counter(
    "one_api_streams_over_total",
    "Streams that are over: well, left by their caller, or failed on the way.",
    *_one("ending", STREAM_ENDINGS),
)
REASONS = (*("timeout", "unreachable", "rate_limited", "refused", "client_error", "server_error", "bad_answer"),)
RETRIES = _counter(
    "one_api_retries_total",
    "Attempts made because the one before failed, by what it failed of.",
    *_one("reason", REASONS),
)
TOKEN_KINDS = ("prompt", "completion", "cached")
TOKENS = _counter(
    "one_api_tokens_total",
    "Tokens in settled calls (cached ones are among those of prompts).",
    *_one("kind", TOKEN_KINDS),
)

# --- books ------------------------------------------------------------------------------------------------------------

CHARGED = _counter("one_api_charged_points_total", "Points charged for calls of this node.")
UNCOLLECTED = _counter("one_api_uncollected_points_total", "Points that calls cost beyond hold and balance.")
BATCH_ENTRIES = _histogram("one_api_books_batch_entries", "Entries written in one transaction.", ENTRIES)
COMMIT_SECONDS = _histogram(
    "one_api_books_commit_seconds", "Time of one transaction of the books, its commit included.", SECONDS
)
LAG_SECONDS = _histogram(
    "one_api_books_lag_seconds",
    "Time from an entry's coming to its being durable; of each transaction, its oldest entry.",
    SECONDS,
)
FAILURE_REASONS = ("away", "refused")
BATCH_FAILURES = _counter(
    "one_api_books_failures_total",
    "Transactions of the books that failed: the database was away or busy, or it refused an entry.",
    *_one("reason", FAILURE_REASONS),
)
GIVEN_UP = _counter("one_api_books_given_up_total", "Entries whose callers were told that they could not be written.")
SWEPT = _counter("one_api_holds_swept_total", "Holds of processes that had gone, settled or released here.")
IN_A_ROW = _gauge("one_api_books_failing", "Attempts in a row that the database did not take; the worst worker's.")

# --- the worker, looked at once a second ------------------------------------------------------------------------------

LOOP_LAG = _gauge("one_api_loop_lag_seconds", "How late the event loop came to a timer; the worst worker's.", MICRO)
LOOP_LAG_WORST = _gauge("one_api_loop_lag_worst_seconds", "The latest it came within a minute.", MICRO)
SNAPSHOT_VERSION = _gauge("one_api_snapshot_version", "Version of the channels and options routed by; the oldest.")
SNAPSHOT_LOADED = _gauge("one_api_snapshot_loaded_timestamp_seconds", "When it was loaded; the oldest.")
IDENTITIES = _gauge("one_api_identities_remembered", "Keys whose callers are remembered, in all workers.")
TICKED = _gauge("one_api_worker_seen_timestamp_seconds", "When a worker last looked at itself; the oldest.")

# --- channels ---------------------------------------------------------------------------------------------------------

ROWS = 256  # channels with a row of their own in each worker; what is beyond shares the last
OUTCOMES = ("answered", *REASONS)
# Columns of a row: whose it is; how its attempts ended; and what the worker knows of it, looked at once a second.
CHANNEL, FIRST_OUTCOME = 0, 1
PAUSED, AVOIDED, FAILURES_IN_A_ROW = (FIRST_OUTCOME + len(OUTCOMES) + i for i in range(3))
COLUMNS = FAILURES_IN_A_ROW + 1
CHANNELS = _room([("",)], ROWS * COLUMNS)[("",)]
