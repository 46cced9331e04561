"""`python -m bench` itself, with rounds too short to mean anything: what it prints is what it writes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from bench.sides import ROOT


@pytest.mark.slow
def test_a_run_prints_and_writes_the_same_figures_with_exact_books(tmp_path: Path):
    command = [sys.executable, "-m", "bench", "--databases", "sqlite", "--seconds", "0.1", "--rounds", "1"]
    command += ["--connections", "8", "--only", "plain,tax,open", "--results", str(tmp_path)]
    alone = {**os.environ, "BENCH_WRK": "0"}  # wrk measures whole seconds
    done = subprocess.run(command, cwd=ROOT, env=alone, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr[-3000:]
    (file,) = tmp_path.glob("*.json")
    told = json.loads(file.read_text())
    subjects = {subject["name"]: subject for subject in told["subjects"]}

    assert told["problems"] == []
    assert list(subjects) == ["direct", "floor", "own-floor", "unbilled", "sqlite"]
    assert all(list(subject["rate"]) == ["8"] for subject in subjects.values())
    ours, without = subjects["sqlite"], subjects["unbilled"]
    assert without["books"] == "0 charges written"  # billing was off
    assert "exact" in ours["books"]  # and on
    assert ours["billing_tax_percent"] is not None
    assert without["billing_tax_percent"] is None
    assert [run["share"] for run in ours["open"]] == [0.5, 0.8]
    assert 0 < ours["idle"] <= ours["peak"]

    printed = done.stdout.splitlines()
    for subject in told["subjects"]:
        line = next(one for one in printed if one.startswith(f"  {subject['title']}"))  # the first is of calls/s
        assert f"{subject['rate']['8']:,.0f}" in line
    for goal in told["goals"]:
        verdict = "reached" if goal["reached"] else "MISSED"
        assert any(goal["what"] in line and goal["found"] in line and verdict in line for line in printed)
