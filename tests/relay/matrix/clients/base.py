"""What a cell asks of any client, and what any client brings back."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

from tests.relay.matrix.scenes import Figures, Json, Scene

MAXIMUM = 4000  # tokens an answer may have; some dialects insist on the figure
BUDGET = 2000  # tokens of thinking, where a dialect counts them
TOOL_PURPOSE = "How warm it is in a city."


@dataclass(frozen=True, slots=True)
class Question:
    """`scene` is what is said, and what goes with it (a tool, a picture, a schema, the wish to think) follows."""

    model: str
    scene: Scene
    stream: bool = False


@dataclass(frozen=True, slots=True)
class Call:
    id: str
    arguments: Json


@dataclass(slots=True)
class Answer:
    """`figures` as the SDK shows them; `history`: what the SDK gave, to be sent back with the next question."""

    text: str
    thought: str
    calls: list[Call]
    figures: Figures
    history: Any = None


class Client(ABC):
    """One dialect by its vendor's SDK."""

    name: str
    errors: dict[int, type[Exception]]  # the SDK's own, by status
    words: dict[int, str]  # what the dialect calls an error of that status; none where upstreams choose the word

    @abstractmethod
    def __init__(self, address: str, key: str) -> None:
        """`address` is the gateway's, without a path."""

    @abstractmethod
    def ask(self, question: Question) -> Answer:
        """Raises the SDK's errors."""

    @abstractmethod
    def go_on(self, question: Question, answer: Answer, results: list[str]) -> Answer:
        """The same conversation with what the called tools gave back."""

    @abstractmethod
    def word(self, error: Exception) -> str:
        """What the error is called."""

    @abstractmethod
    def told(self, error: Exception) -> tuple[int, str]:
        """(status, message) of an error of the SDK's; (0, …) where it came within a stream."""

    @abstractmethod
    def watch(self, question: Question) -> tuple[str, str]:
        """A stream that does not end well: (text that came, the error as the SDK shows it)."""

    @abstractmethod
    def close(self) -> None:
        """Close the SDK's connections."""
