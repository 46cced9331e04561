"""The snippets of docs/clients.md for Python are programs that work: each is run against a gateway, and billed."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests import server
from tests.databases import Database
from tests.documents.pages import blocks
from tests.fake_upstream import FakeUpstream
from tests.server import Account, Gateway

MODEL = "gpt-4o-mini"
HELLO = "Hello from the upstream."
CALLS = {"openai": 3, "anthropic": 2, "google.genai": 2}  # that the snippet of each SDK makes


@dataclass(frozen=True)
class Door:
    gateway: Gateway
    account: Account


@pytest.fixture(scope="module")
def door(
    module_database: Database, upstream_process: FakeUpstream, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Door]:
    folder = tmp_path_factory.mktemp("gateway")
    with server.running(module_database, 1, folder, {}) as gateway:
        account = gateway.new_user(1_000_000)
        gateway.add_channel(upstream_process.url + "/v1", MODEL, type=50)  # knows chat alone; the rest is translated
        gateway.wait_until_routed(account.key, MODEL)
        yield Door(gateway, account)
        gateway.books().wait_settled(10)
        gateway.books().check()


def snippet(sdk: str) -> str:
    """Where the page has several of an SDK's, the first."""
    return next(one for one in blocks("clients.md", "python") if f"from {sdk} import" in one)


@pytest.mark.parametrize("language", ["python", "js", "toml", "json"])
def test_the_chinese_page_has_the_same_programs_and_settings(language):
    assert blocks("clients.zh.md", language) == blocks("clients.md", language) != []


@pytest.mark.parametrize("sdk", CALLS)
def test_the_snippet_of_each_sdk_works_and_is_billed(sdk, door, tmp_path):
    code = snippet(sdk)
    assert '"https://gateway.example' in code
    code = code.replace("https://gateway.example", door.gateway.base_url).replace("sk-…", f"sk-{door.account.key}")
    program = tmp_path / "program.py"
    program.write_text(code)
    before = len(door.gateway.books().logs(door.account.id))

    done = run(program)

    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [HELLO] * CALLS[sdk]
    made = door.gateway.books().logs(door.account.id)[before:]
    assert [(row.model_name, row.prompt_tokens, row.completion_tokens) for row in made] == [(MODEL, 10, 5)] * CALLS[sdk]
    assert {row.quota for row in made} == {3}  # (10 + 5 × 4) × 0.075 = 2.25, up


def run(program: Path) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": os.environ["PATH"], "PYTHONUTF8": "1"}
    return subprocess.run(
        [sys.executable, str(program)], env=environment, capture_output=True, text=True, timeout=60, check=False
    )
