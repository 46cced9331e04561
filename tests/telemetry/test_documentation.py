"""docs/metrics.md names exactly the metrics there are."""

from __future__ import annotations

import re

from django.conf import settings

from telemetry import board, families, page, processes
from telemetry.database import Told, question

NAME = re.compile(r"\bone_api_[a-z_]+")


def every_name(monkeypatch) -> set[str]:
    monkeypatch.setattr(question, "answer", lambda patience: Told(1, 1, 1, 1, 1, {"enabled": 1}))
    cells = board.cells()
    channels = cells[families.CHANNELS], cells[families.CHANNELS + families.FIRST_OUTCOME]
    cells[families.CHANNELS], cells[families.CHANNELS + families.FIRST_OUTCOME] = 7, 1
    for cell in families.CALLS.cells.values():
        cells[cell] += 1
    try:
        text = page.build().decode()
    finally:
        cells[families.CHANNELS], cells[families.CHANNELS + families.FIRST_OUTCOME] = channels
    return set(re.findall(r"^# TYPE (\S+)", text, re.MULTILINE))


def test_the_documentation_names_the_metrics_there_are(monkeypatch):
    told = set(NAME.findall((settings.BASE_DIR / "docs/metrics.md").read_text()))

    assert told == every_name(monkeypatch)


def test_processes_that_have_gone_are_left_out():
    workers, memory, *_ = processes.metrics([2**22 + 1])
    assert (len(memory.samples), workers.samples) == (0, [("", (), 1)])
