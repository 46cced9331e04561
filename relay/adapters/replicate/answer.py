"""Predictions of Replicate and their streams as neutral events.

https://replicate.com/docs/topics/predictions/streaming: events `output` (a piece of text), `logs`, `error`, `done`.
"""

from __future__ import annotations

import datetime as dt

from billing.pricing import Usage
from relay.adapters.named_events import NamedEventsReader
from relay.adapters.shape import Json, chunk, clamped, document, mapping, text, texts
from relay.adapters.usual import reported
from relay.errors import UpstreamError
from relay.neutral import data_url
from relay.neutral.events import Counted, Event, Failed, Finished, FinishReason, Picture, Pictures, Started, TextPiece

FAILED = frozenset({"failed", "canceled", "aborted"})


def outputs(prediction: Json) -> list[str]:
    """A model's output is a text or a list of them."""
    output = prediction.get("output")
    return [output] if isinstance(output, str) else texts(output)


def _prediction(body: bytes) -> Json:
    """Raises UpstreamError: it is none, or did not succeed."""
    prediction = document(body)
    status = text(prediction.get("status"))
    if status in FAILED or prediction.get("error"):
        raise reported(502, text(prediction.get("error")) or f"the prediction was {status}", "prediction_failed")
    if status != "succeeded":
        raise UpstreamError("the upstream's answer is no prediction that ended", code="bad_response")
    return prediction


def read_chat(body: bytes) -> list[Event]:
    prediction = _prediction(body)
    said = "".join(outputs(prediction))
    events: list[Event] = [Started(text(prediction.get("id"))), TextPiece(said), Finished(FinishReason.STOP)]
    metrics = mapping(prediction.get("metrics"))
    prompt, completion = clamped(metrics.get("input_token_count")), clamped(metrics.get("output_token_count"))
    return [*events, Counted(Usage(prompt, completion))] if prompt and completion else events


def read_images(body: bytes) -> Pictures:
    prediction = _prediction(body)
    pictures = []
    for output in outputs(prediction):
        found = data_url.split(output)
        pictures.append(Picture(data=found[1]) if found else Picture(url=output))
    if not pictures:
        raise UpstreamError("the upstream made no image", code="empty_answer")
    return Pictures(pictures, _seconds(text(prediction.get("completed_at"))))


def _seconds(moment: str) -> int:
    """Unix seconds of an ISO 8601 time, 0 for what is none."""
    try:
        return max(int(dt.datetime.fromisoformat(moment).timestamp()), 0)
    except (ValueError, OverflowError):
        return 0


def as_stream(prediction: Json) -> bytes:
    """A prediction without a stream, as the stream it would have had."""
    status = text(prediction.get("status"))
    if status in FAILED or prediction.get("error"):
        return _event("error", text(prediction.get("error")) or f"the prediction was {status}")
    return b"".join(_event("output", piece) for piece in outputs(prediction)) + _event("done", "{}")


def _event(name: str, data: str) -> bytes:
    lines = data.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    return f"event: {name}\n{''.join(f'data: {line}{chr(10)}' for line in lines)}\n".encode()


class PredictionReader(NamedEventsReader):
    def __init__(self) -> None:
        super().__init__()
        self._started = False

    def named(self, name: str, data: bytes) -> list[Event]:
        match name:
            case "output":
                events: list[Event] = [] if self._started else [Started()]
                self._started = True
                said = data.decode(errors="replace")
                return [*events, TextPiece(said)] if said else events
            case "error":
                self.ended = True
                told = data.decode(errors="replace")
                return [Failed(reported(502, text(chunk(data).get("detail")) or told, "prediction_failed"))]
            case "done":
                self.ended = True
                reason = text(chunk(data).get("reason"))
                if reason in ("error", "canceled"):
                    return [Failed(reported(502, f"the prediction ended with {reason}", "prediction_failed"))]
                return [Finished(FinishReason.STOP)]
        return []
