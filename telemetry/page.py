"""The page of figures: what all workers of this node have counted, and what the processes and the database say."""

from __future__ import annotations

import platform
import sys

from config.version import VERSION
from telemetry import board, database, families, processes
from telemetry.families import Family
from telemetry.text import Metric, write

# Gauges of several workers make one: the worst of them, the oldest of them, or all together.
_OLDEST = {families.SNAPSHOT_VERSION.name, families.SNAPSHOT_LOADED.name, families.TICKED.name}
_TOGETHER = {families.IDENTITIES.name}


def build() -> bytes:
    """Blocks for some milliseconds, and as long as database.PATIENCE where the database is away."""
    slots = [slot for slot in board.all_cells() if slot[board.PID] or slot[board.RESERVED]]
    living = [slot for slot in slots if board.alive(slot[board.PID])]
    metrics = [_build_info(), *_now(living)]
    metrics += [_metric(family, living if family.kind == "gauge" else slots) for family in families.FAMILIES]
    metrics += _channels(slots, living)
    metrics += processes.metrics([slot[board.PID] for slot in living])
    metrics += database.metrics()
    return write(metrics)


def _build_info() -> Metric:
    info = Metric("one_api_build_info", "gauge", "Always 1; what runs is told by the labels.")
    info.add(1, version=VERSION, python=platform.python_version(), platform=sys.platform)
    return info


def _now(living: list[memoryview]) -> list[Metric]:
    calls = Metric("one_api_calls_in_flight", "gauge", "Calls being served.")
    calls.add(sum(slot[families.BEGUN.at()] - slot[families.OVER.at()] for slot in living))
    streams = Metric("one_api_streams_open", "gauge", "Streams being passed on.")
    begun = sum(slot[families.STREAMS_BEGUN.at()] for slot in living)
    streams.add(begun - sum(slot[cell] for slot in living for cell in families.STREAMS_OVER.cells.values()))
    return [calls, streams]


def _metric(family: Family, slots: list[memoryview]) -> Metric:
    metric = Metric(family.name, family.kind, family.help)
    for values, cell in family.cells.items():
        labels = tuple(zip(family.labels, values, strict=True))
        if family.kind == "histogram":
            size = len(family.bounds) + 1
            counts = [sum(slot[cell + i] for slot in slots) for i in range(size)]
            metric.histogram(family.bounds, counts, sum(slot[cell + size] for slot in slots) / family.scale, labels)
            continue
        told = [slot[cell] for slot in slots]
        value = sum(told) if family.kind == "counter" else _of_all(family.name, told)
        if value or len(family.labels) < 2:  # most pairs of dialect, mode and status never occur
            metric.samples.append(("", labels, value / family.scale))
    return metric


def _of_all(name: str, told: list[int]) -> int:
    if name in _TOGETHER:
        return sum(told)
    return (min if name in _OLDEST else max)(told, default=0)


def _channels(slots: list[memoryview], living: list[memoryview]) -> list[Metric]:
    """Per channel: attempts of all workers together, and the state that the worst of them sees."""
    attempts = Metric("one_api_channel_attempts_total", "counter", "Attempts on a channel, by how they ended.")
    outcomes: dict[tuple[int, str], int] = {}
    for slot in slots:
        for channel_id, row in _rows(slot):
            for i, outcome in enumerate(families.OUTCOMES):
                if value := slot[row + families.FIRST_OUTCOME + i]:
                    outcomes[channel_id, outcome] = outcomes.get((channel_id, outcome), 0) + value
    for (channel_id, outcome), value in sorted(outcomes.items()):
        attempts.add(value, channel=str(channel_id or "other"), outcome=outcome)
    found = [attempts]
    for column, name, text in (
        (families.PAUSED, "one_api_channel_paused", "1 while its upstream asked to be left alone (Retry-After)."),
        (families.AVOIDED, "one_api_channel_avoided", "1 while it is tried last: paused, or its breaker is open."),
        (families.FAILURES_IN_A_ROW, "one_api_channel_failures_in_a_row", "Failures since its last success."),
    ):
        worst: dict[int, int] = {}
        for slot in living:
            for channel_id, row in _rows(slot):
                worst[channel_id] = max(worst.get(channel_id, 0), slot[row + column])
        metric = Metric(name, "gauge", text)
        for channel_id, value in sorted(worst.items()):
            if channel_id:
                metric.add(value, channel=str(channel_id))
        found.append(metric)
    return found


def _rows(slot: memoryview) -> list[tuple[int, int]]:
    """(channel, first cell of its row); the last row, shared by channels that found no room, has id 0."""
    end = families.CHANNELS + families.ROWS * families.COLUMNS
    rows = range(families.CHANNELS, end, families.COLUMNS)
    return [(slot[row], row) for row in rows if slot[row] or row == rows[-1]]
