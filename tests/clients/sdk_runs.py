"""One run of a vendor's SDK in another language: an answer, a stream, and a tool call that really happens.

The SDKs' own files are in sdks (Node) and go. Each prints what the SDK showed it:
`{"plain": [text, prompt tokens, completion tokens], "stream": …, "called": …, "done": …}`.
"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

from tests.clients.conftest import Front
from tests.clients.models import DONE, GREETING, MARKER, ORDER, WRITTEN

NATIVE = {"openai_chat": "OpenAI", "openai_responses": "OpenAI", "anthropic": "Anthropic", "google_genai": "Gemini"}
PATIENCE = 60  # seconds


def check(command: list[str], sdk: str, upstream: str, front: Front, folder: Path) -> None:
    """`command` runs the SDK's file in `folder`, where the marker is to be made."""
    front.look_away()
    model = front.models[upstream]
    model.strict = upstream != NATIVE[sdk]
    told = {
        "ADDRESS": front.gateway.base_url,
        "KEY": f"sk-{front.account.key}",
        "MODEL": model.model_name,
        "ORDER": ORDER,
        "PATH": os.environ["PATH"],
    }

    done = subprocess.run(command, cwd=folder, env=told, capture_output=True, text=True, timeout=PATIENCE, check=False)

    assert not model.violations
    assert done.returncode == 0, done.stderr
    heard = json.loads(done.stdout)
    assert [text for text, _, _ in heard.values()] == [GREETING, GREETING, "", DONE]
    figures = [(one.prompt, one.completion) for one in model.answered]
    assert [(prompt, completion) for _, prompt, completion in heard.values()] == figures
    assert front.charged() == model.answered
    assert (folder / MARKER).read_text().strip() == WRITTEN
