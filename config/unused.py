"""Keeping out of memory what a library would load merely because it is installed.

redis-py imports OpenTelemetry's metrics where it finds them, for a feature that has to be switched on and is not: 5 MB
in each worker, and half a second of its start.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import cast

METRICS = "opentelemetry.sdk.metrics"


def keep_out() -> None:
    """Before redis is imported: to it, the package is not installed."""
    sys.modules.setdefault(METRICS, cast("ModuleType", None))


def let_in() -> None:
    """For those who mean to use it."""
    if METRICS in sys.modules and sys.modules.get(METRICS) is None:
        del sys.modules[METRICS]
