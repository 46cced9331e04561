"""Names by which the reference's own documents call a variable mean what its code calls otherwise (remedy P10)."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    ("variables", "seconds"),
    [
        ({}, 60),
        ({"SQL_MAX_LIFETIME": "90"}, 90),
        ({"SQL_CONN_MAX_LIFETIME": "2"}, 120),  # minutes
        ({"SQL_CONN_MAX_LIFETIME": "2", "SQL_MAX_LIFETIME": "90"}, 90),
    ],
)
def test_the_lifetime_of_a_connection_has_two_names(variables: dict[str, str], seconds: int, tmp_path: Path) -> None:
    clean = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    script = "from django.conf import settings; print(settings.SQL_MAX_LIFETIME)"
    printed = subprocess.run(
        [sys.executable, "-c", script],
        cwd=tmp_path,
        env={**clean, "PYTHONPATH": str(ROOT), "DJANGO_SETTINGS_MODULE": "config.settings", **variables},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert printed.stdout.split() == [str(seconds)], printed.stderr
