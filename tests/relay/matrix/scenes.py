"""What is asked in a cell of the matrix, and what the model behind every upstream says to it.

An upstream's file reads its protocol into `Heard`, `play` answers, and the file writes that answer in its protocol.
So one model stands behind all protocols, and what it insists on (the instructions, the tool, the picture, the schema)
must have survived the way there.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

Json = dict[str, Any]

INSTRUCTIONS = "Be brief."
TOOL = "get_weather"
CITY = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
PLACE = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "degrees": {"type": "integer"}},
    "required": ["city", "degrees"],
    "additionalProperties": False,
}
DESCRIBED = '{"city": "Oslo", "degrees": 7}'
CALLS = ('{"city": "Oslo"}', '{"city": "Rome"}')
RESULTS = ('{"degrees": 7}', '{"degrees": 21}')
PICTURE = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="  # 1 x 1, red
)
WAIT = 7  # seconds a caller that comes too often is told to wait


class Scene(StrEnum):
    """The caller's words, by which the model knows what to do."""

    HELLO = "Say hello."
    WEATHER = "How warm is it in Oslo and in Rome?"
    PICTURE = "What is in the picture?"
    DESCRIBE = "Describe Oslo as JSON."
    THINK = "Think before you greet."
    FORCED = "Talk of nothing but the weather."
    PONDER = "Think before you look up how warm it is in Oslo and in Rome."
    REFUSED_400 = "Be refused with 400."
    REFUSED_401 = "Be refused with 401."
    REFUSED_429 = "Be refused with 429."
    REFUSED_500 = "Be refused with 500."
    FAILS = "Fail in the middle."
    BREAKS_OFF = "Break off in the middle."


@dataclass(frozen=True, slots=True)
class Figures:
    """Tokens: `cached` and `written` are part of the prompt, `reasoning` of the completion."""

    prompt: int
    completion: int
    cached: int = 0
    written: int = 0
    reasoning: int = 0


@dataclass(frozen=True, slots=True)
class Said:
    text: str = ""
    thought: str = ""
    calls: tuple[str, ...] = ()  # arguments; the tool is TOOL
    figures: Figures = field(default_factory=lambda: Figures(0, 0))
    ending: Scene | None = None  # how a stream ends that is not whole

    @property
    def pieces(self) -> list[str]:
        """The text as a stream brings it."""
        words = self.text.split(" ")
        return [word if place == 0 else f" {word}" for place, word in enumerate(words)] if self.text else []


ANSWERS = {
    Scene.HELLO: Said("Hello, dear world.", figures=Figures(1203, 31, cached=200, written=100)),
    Scene.WEATHER: Said(calls=CALLS, figures=Figures(1310, 57)),
    Scene.PICTURE: Said("A red square.", figures=Figures(1500, 17)),
    Scene.DESCRIBE: Said(DESCRIBED, figures=Figures(1600, 19)),
    Scene.THINK: Said("Hello, after thought.", "A greeting is wanted.", figures=Figures(1700, 90, reasoning=64)),
    Scene.FORCED: Said(calls=CALLS[:1], figures=Figures(1350, 12)),
    Scene.PONDER: Said(thought="Two cities are asked for.", calls=CALLS, figures=Figures(1800, 99, reasoning=42)),
    Scene.FAILS: Said("Hello, and", figures=Figures(1203, 31), ending=Scene.FAILS),
    Scene.BREAKS_OFF: Said("Hello, and", figures=Figures(1203, 31), ending=Scene.BREAKS_OFF),
}
RESULTS_SEEN = Said("Oslo 7, Rome 21.", figures=Figures(1402, 23, cached=300))
REFUSALS = {
    Scene.REFUSED_400: (400, "The upstream finds this wrong."),
    Scene.REFUSED_401: (401, "The upstream does not know this key."),
    Scene.REFUSED_429: (429, "The upstream is asked too often."),
    Scene.REFUSED_500: (500, "The upstream has broken down."),
}
FAILURE = "The upstream fails midway."


@dataclass(slots=True)
class Heard:
    """One request, whatever protocol it came in. `said` are the user's texts, oldest first.

    `results` are those of the tools called last; `schema` is what the answer must match, where the protocol says so.
    """

    model: str
    stream: bool
    system: str = ""
    said: list[str] = field(default_factory=list)
    pictures: list[str] = field(default_factory=list)  # base64
    tools: dict[str, Json] = field(default_factory=dict)  # the schemas of the arguments
    results: list[str] = field(default_factory=list)
    must_call: str = ""  # the tool's name
    schema: Json | None = None
    thinks: bool = False
    shows_thoughts: bool = False


class Refused(Exception):
    """The upstream's no. `scripted`: the scene wants it; else a rule of the protocol was broken."""

    def __init__(self, message: str, status: int = 400, *, scripted: bool = False) -> None:
        super().__init__(message)
        self.message, self.status, self.scripted = message, status, scripted


def need(condition: object, message: str) -> None:
    """Raises Refused: a rule of the protocol is broken."""
    if not condition:
        raise Refused(message)


def only(document: Json, where: str, *known: str) -> None:
    """Raises Refused: the document has members that the protocol does not know."""
    need(isinstance(document, dict), f"{where}: an object is expected")
    unknown = sorted(set(document) - set(known))
    need(not unknown, f"{where}: unknown members {', '.join(unknown)}")


def outline(schema: Any) -> Any:
    """What a schema demands, whatever its spelling: types, members and which of them are required."""
    if not isinstance(schema, dict):
        return None
    members = schema.get("properties") or {}
    return (
        str(schema.get("type")).lower(),
        {name: outline(value) for name, value in members.items()},
        sorted(schema.get("required") or []),
    )


def play(heard: Heard) -> Said:
    """The model's answer. Raises Refused."""
    need(heard.said, "nothing was said")
    scene = Scene(heard.said[-1])
    if scene in REFUSALS:
        status, message = REFUSALS[scene]
        raise Refused(message, status, scripted=True)
    need(INSTRUCTIONS in heard.system, "the instructions are lost")
    answer = ANSWERS[scene]
    match scene:
        case Scene.WEATHER | Scene.PONDER:
            need(outline(heard.tools.get(TOOL)) == outline(CITY), f"the tool is lost: {heard.tools}")
            if heard.results:
                given = [json.loads(result) for result in heard.results]
                need(given == [json.loads(result) for result in RESULTS], f"the results are lost: {heard.results}")
                return RESULTS_SEEN
        case Scene.FORCED:
            need(heard.must_call == TOOL, f"the choice is lost: {heard.must_call!r}")
        case Scene.PICTURE:
            need(heard.pictures == [PICTURE], "the picture is lost")
        case Scene.DESCRIBE:
            need(outline(heard.schema) == outline(PLACE), f"the schema is lost: {heard.schema}")
    if answer.thought:
        need(heard.thinks, "nobody asked to think")
        if not heard.shows_thoughts:
            return replace(answer, thought="")
    return answer
