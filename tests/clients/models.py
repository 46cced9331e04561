"""The model behind the gateway: it greets, or has the program run a command and then tells that it is done.

It speaks the matrix' protocols. Where the gateway translates, the matrix holds each request against the protocol;
where it passes bytes on, the program's own additions are its upstream's to understand.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import replace

import orjson

from tests.clients import ears
from tests.relay.matrix.scenes import TOOL, Figures, Heard, Json, Refused, Said
from tests.relay.matrix.upstreams.anthropic import Anthropic
from tests.relay.matrix.upstreams.base import Answer, Upstream, body_of, document, path_of
from tests.relay.matrix.upstreams.gemini import Gemini, in_camels
from tests.relay.matrix.upstreams.openai import OpenAI
from tests.upstream.wire import Request

GREETING = "A very good morning from the model."
ORDER = "Use a tool to make the marker now, with nothing else."
MARKER = "marker.txt"
WRITTEN = "made-by-the-tool"
DONE = "The marker has been made."
COMMAND = f"echo {WRITTEN} | tee {MARKER}"
# How the programs' own tools are told a command.
RUNNERS: dict[str, Callable[[str], Json]] = {
    "Bash": lambda command: {"command": command, "description": "Makes the marker"},
    "bash": lambda command: {"command": command, "description": "Makes the marker"},
    "exec_command": lambda command: {"cmd": command},
    "shell_command": lambda command: {"command": command},
    "run_shell_command": lambda command: {"command": command, "description": "Makes the marker"},
}
Decides = Callable[[Heard, Json], tuple[Said, str]]  # of a request and its body: (answer, the called tool's name)
# A program without tools (Aider) has files edited by what the answer says.
EDIT = f"{MARKER}\n```\n<<<<<<< SEARCH\n=======\n{WRITTEN}\n>>>>>>> REPLACE\n```\n\n{DONE}"


def decide(heard: Heard, body: Json) -> tuple[Said, str]:
    """(answer, the called tool's name). Raises Refused: the program cannot run the command."""
    if not any(ORDER in said for said in heard.said):
        return Said(GREETING), ""
    if any(WRITTEN in result for result in heard.results):
        return Said(DONE), ""
    if heard.results:
        raise Refused(f"the tool did not do it: {heard.results}"[:2000])
    if "SEARCH/REPLACE" in heard.system:
        return Said(EDIT), ""
    runner = next((name for name in RUNNERS if name in heard.tools), "")
    if not runner:  # a call beside the conversation: a title, a summary
        return Said(GREETING), ""
    return Said(calls=(orjson.dumps(RUNNERS[runner](COMMAND)).decode(),)), runner


class Model(Upstream):
    """`strict`: only what the protocol knows is taken. `answered`: the figures told, in the order of the answers."""

    strict = False
    decides: Decides = staticmethod(decide)

    def __init__(self) -> None:
        super().__init__()
        self.answered: list[Figures] = []
        self.requests: list[Request] = []

    def respond(self, request: Request) -> Answer:
        self.requests.append(request)
        if path_of(request).endswith(("/count_tokens", ":countTokens")):
            return document({"input_tokens": 1234, "totalTokens": 1234})
        try:
            if self.strict:
                self.hear(request)
            heard = self.listen(request)
            said, tool = self.decides(heard, body_of(request))
        except Refused as refused:
            self.violations.append(f"{refused.message}\n{request.body.decode(errors='replace')[:6000]}")
            return replace(self.refusal(refused), status=refused.status)
        figures = Figures(1000 + len(self.answered), 40 + len(self.answered))
        self.answered.append(figures)
        said = replace(said, figures=figures)
        if not heard.stream:
            answer = self.whole(heard, said)
            assert isinstance(answer.body, bytes)
            return replace(answer, body=_named(answer.body, tool))
        return Answer([_named(piece, tool) for piece in self.pieces(heard, said)], self.stream_kind)

    @property
    def model_name(self) -> str:
        return self.models[None]

    @abstractmethod
    def listen(self, request: Request) -> Heard:
        """What was said, whatever else the request carries."""


def _named(raw: bytes, tool: str) -> bytes:
    """The matrix' protocols know one tool; here it goes by the program's name for it."""
    return raw.replace(orjson.dumps(TOOL), orjson.dumps(tool)) if tool else raw


class OpenAIModel(Model, OpenAI):
    def listen(self, request: Request) -> Heard:
        body = body_of(request)
        self._responses = path_of(request).endswith("/responses")
        self._with_usage = bool((body.get("stream_options") or {}).get("include_usage"))
        return ears.responses(body) if self._responses else ears.chat_completions(body)


class AnthropicModel(Model, Anthropic):
    def listen(self, request: Request) -> Heard:
        return ears.messages(body_of(request))


class GeminiModel(Model, Gemini):
    def listen(self, request: Request) -> Heard:
        stream = path_of(request).endswith(":streamGenerateContent")
        return ears.contents(in_camels(body_of(request)), self.models[None], stream)


KINDS: tuple[type[Model], ...] = (OpenAIModel, AnthropicModel, GeminiModel)
