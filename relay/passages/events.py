"""Neutral events as far as a bill needs them."""

from __future__ import annotations

from relay import reading
from relay.neutral.events import (
    CallPiece,
    CallStarted,
    Counted,
    Event,
    Failed,
    Finished,
    RefusalPiece,
    TextPiece,
    ThoughtPiece,
)
from relay.types import Generated


def note(generated: Generated, event: Event) -> None:
    """Keep what was generated until the upstream counts it, and what it counted."""
    match event:
        case TextPiece() | ThoughtPiece() | RefusalPiece():
            if event.text:
                reading.keep(generated, event.text)
        case CallPiece():
            if event.fragment:
                reading.keep(generated, event.fragment)
        case CallStarted():
            if event.name:
                reading.keep(generated, event.name)
        case Counted():
            reading.report(generated, event.usage)
        case Finished():
            generated.finished = True
        case Failed():
            generated.error = event.error
