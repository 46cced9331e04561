"""docs/metrics.md names exactly the metrics there are, and the dashboard for Grafana no others."""

from __future__ import annotations

import json
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


def test_the_dashboard_asks_for_metrics_there_are(monkeypatch):
    dashboard = json.loads((settings.BASE_DIR / "deploy/grafana/one-api.json").read_text())
    asked = [target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", [])]
    asked += [one["query"]["query"] for one in dashboard["templating"]["list"] if one["type"] == "query"]
    told = every_name(monkeypatch)
    histograms = {family.name for family in families.FAMILIES if family.kind == "histogram"}
    samples = (told - histograms) | {f"{name}{end}" for name in histograms for end in ("_bucket", "_sum", "_count")}

    assert {name for expression in asked for name in NAME.findall(expression)} <= samples
    assert len(asked) > 30
    assert all("one_api_" in expression for expression in asked)
    ids = [panel["id"] for panel in dashboard["panels"]]
    assert len(set(ids)) == len(ids)


def test_the_dashboard_groups_by_labels_there_are():
    labels = {label for family in families.FAMILIES for label in family.labels}
    text = (settings.BASE_DIR / "deploy/grafana/one-api.json").read_text()
    grouped = {name.strip() for names in re.findall(r"by \(([^)]*)\)", text) for name in names.split(",")}

    assert grouped <= labels | {"le", "instance", "channel", "outcome"}


def test_processes_that_have_gone_are_left_out():
    workers, memory, *_ = processes.metrics([2**22 + 1])
    assert (len(memory.samples), workers.samples) == (0, [("", (), 1)])
