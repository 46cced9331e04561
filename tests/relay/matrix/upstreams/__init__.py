"""The upstreams of the matrix, one file a protocol, in the order of the table."""

from __future__ import annotations

from tests.relay.matrix.upstreams.ali import Ali
from tests.relay.matrix.upstreams.anthropic import Anthropic
from tests.relay.matrix.upstreams.azure import Azure
from tests.relay.matrix.upstreams.base import Upstream
from tests.relay.matrix.upstreams.bedrock import Bedrock
from tests.relay.matrix.upstreams.cohere import Cohere
from tests.relay.matrix.upstreams.gemini import Gemini
from tests.relay.matrix.upstreams.ollama import Ollama
from tests.relay.matrix.upstreams.openai import OpenAI
from tests.relay.matrix.upstreams.vertex import Vertex, VertexClaude
from tests.relay.matrix.upstreams.zhipu import Zhipu

KINDS: tuple[type[Upstream], ...] = (
    *(OpenAI, Azure, Anthropic, Gemini, Vertex, VertexClaude, Bedrock, Ollama, Cohere, Ali, Zhipu),
)
NAMES = tuple(kind.name for kind in KINDS)

__all__ = ["KINDS", "NAMES", "Upstream"]
