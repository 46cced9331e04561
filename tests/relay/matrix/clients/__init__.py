"""The callers of the matrix, one file a dialect, in the order of the table."""

from __future__ import annotations

from tests.relay.matrix.clients.anthropic_messages import MessagesClient
from tests.relay.matrix.clients.base import Answer, Client, Question
from tests.relay.matrix.clients.gemini_content import GeminiClient
from tests.relay.matrix.clients.openai_chat import ChatClient
from tests.relay.matrix.clients.openai_responses import ResponsesClient

KINDS: tuple[type[Client], ...] = (ChatClient, ResponsesClient, MessagesClient, GeminiClient)

__all__ = ["KINDS", "Answer", "Client", "Question"]
