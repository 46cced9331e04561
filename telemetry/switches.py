"""What is told of every call only where somebody has asked for it; looked at with each call."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

# (trace, head, request id, status) of a call that is over; None: nobody wants to know (telemetry.tracing sets it).
tracing: Callable[[Any, Any, str, int], None] | None = None
