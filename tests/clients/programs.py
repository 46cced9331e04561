"""The programs, and how each is pointed at the gateway: by its own settings alone. docs/clients.md says the same."""

from __future__ import annotations

import json
import os
import subprocess
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path

from tests.server import ROOT

INSTALLED = Path(os.environ.get("CLIENTS", ROOT / ".clients"))  # by tests/clients/install.sh
PATIENCE = 100  # seconds a program may take


@dataclass(frozen=True, slots=True)
class Ended:
    code: int
    said: str
    noise: str  # on its standard error


@dataclass(frozen=True, slots=True)
class Place:
    """A folder to work in and an empty home, and where the gateway is."""

    work: Path
    home: Path
    address: str
    key: str


class Program(ABC):
    name: str
    native: str  # the upstream whose dialect it speaks

    @abstractmethod
    def command(self, place: Place, model: str, order: str) -> list[str]:
        """Its arguments; writes its configuration."""

    def variables(self, place: Place, model: str) -> dict[str, str]:
        return {}

    def run(self, place: Place, model: str, order: str) -> Ended:
        command = self.command(place, model, order)
        node = INSTALLED / "node" / "node_modules" / ".bin"
        environment = {
            "PATH": f"{node}:{INSTALLED / 'aider' / 'bin'}:{os.environ['PATH']}",
            "HOME": str(place.home),
            "TERM": "dumb",
            "NO_COLOR": "1",
            **self.variables(place, model),
        }
        done = subprocess.run(
            command,
            cwd=place.work,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        return Ended(done.returncode, done.stdout, done.stderr)


class ClaudeCode(Program):
    name = "claude-code"
    native = "Anthropic"

    def command(self, place: Place, model: str, order: str) -> list[str]:
        return ["claude", "-p", order, "--allowedTools", "Bash"]

    def variables(self, place: Place, model: str) -> dict[str, str]:
        return {
            "ANTHROPIC_BASE_URL": place.address,
            "ANTHROPIC_AUTH_TOKEN": place.key,
            "ANTHROPIC_MODEL": model,
            "ANTHROPIC_DEFAULT_HAIKU_MODEL": model,
            "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
        }


class Codex(Program):
    name = "codex"
    native = "OpenAI"

    def command(self, place: Place, model: str, order: str) -> list[str]:
        folder = place.home / ".codex"
        folder.mkdir()
        (folder / "config.toml").write_text(
            f'model = "{model}"\n'
            'model_provider = "gateway"\n'
            "[model_providers.gateway]\n"
            'name = "gateway"\n'
            f'base_url = "{place.address}/v1"\n'
            'env_key = "GATEWAY_KEY"\n'
            'wire_api = "responses"\n'
        )
        return ["codex", "exec", "--skip-git-repo-check", "--dangerously-bypass-approvals-and-sandbox", order]

    def variables(self, place: Place, model: str) -> dict[str, str]:
        return {"GATEWAY_KEY": place.key}


class GeminiCli(Program):
    name = "gemini-cli"
    native = "Gemini"

    def command(self, place: Place, model: str, order: str) -> list[str]:
        folder = place.home / ".gemini"
        folder.mkdir()
        settings = {
            "security": {"auth": {"selectedType": "gemini-api-key"}},
            "privacy": {"usageStatisticsEnabled": False},
            "general": {"enableAutoUpdate": False},
        }
        (folder / "settings.json").write_text(json.dumps(settings))
        return ["gemini", "--model", model, "--approval-mode", "yolo", "--skip-trust", "--prompt", order]

    def variables(self, place: Place, model: str) -> dict[str, str]:
        return {"GOOGLE_GEMINI_BASE_URL": place.address, "GEMINI_API_KEY": place.key}


class OpenCode(Program):
    name = "opencode"
    native = "OpenAI"

    def command(self, place: Place, model: str, order: str) -> list[str]:
        provider = {
            "npm": "@ai-sdk/openai-compatible",
            "options": {"baseURL": f"{place.address}/v1", "apiKey": place.key},
            "models": {model: {}},
        }
        config = {"provider": {"gateway": provider}, "autoupdate": False, "share": "disabled"}
        (place.work / "opencode.json").write_text(json.dumps(config))
        return ["opencode", "run", "--model", f"gateway/{model}", order]


class Aider(Program):
    name = "aider"
    native = "OpenAI"

    def command(self, place: Place, model: str, order: str) -> list[str]:
        quiet = ["--no-git", "--no-check-update", "--no-show-model-warnings", "--no-pretty", "--analytics-disable"]
        return ["aider", "--model", f"openai/{model}", "--edit-format", "diff", "--yes-always", *quiet, "-m", order]

    def variables(self, place: Place, model: str) -> dict[str, str]:
        return {"OPENAI_API_BASE": f"{place.address}/v1", "OPENAI_API_KEY": place.key}


PROGRAMS: tuple[Program, ...] = (ClaudeCode(), Codex(), GeminiCli(), OpenCode(), Aider())
