"""docs/adding-a-provider.md does what it says: rows, adapter, line of the registry and test are taken from the page.

A block of the page names its file in its first line; a wire case is a file called as its `case` says.
"""

from __future__ import annotations

import importlib.util
import json
import re
import sys
import tomllib
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import orjson
import pytest

from channels_app import providers
from channels_app.providers import Provider
from relay.adapters import registry
from relay.adapters.base import Adapter
from relay.types import Mode
from tests.relay.adapters import test_every_adapter
from tests.relay.wire import cases

PAGE = Path(__file__).parents[2] / "docs" / "adding-a-provider.md"
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
EXAMPLE = "example-chat"


@dataclass(frozen=True, slots=True)
class Page:
    """`files`: text by path, the rows of the table of providers one after the other; `cases` by name."""

    files: Mapping[str, str]
    cases: Mapping[str, str]


def _page() -> Page:
    files: dict[str, str] = {}
    documents: dict[str, str] = {}
    for language, text in BLOCK.findall(PAGE.read_text()):
        if language == "json":
            documents[json.loads(text)["case"]] = text
        elif path := re.match(r"# (\S+\.(?:py|toml))", text):
            files[path[1]] = files.get(path[1], "") + text
    return Page(files, documents)


@pytest.fixture
def page() -> Page:
    return _page()


@pytest.fixture
def table(page: Page) -> dict[int, Provider]:
    """The table as it is, with the rows of the page below it."""
    text = providers.TABLE.read_text() + "\n" + page.files["channels_app/data/providers.toml"]
    return providers.parse(tomllib.loads(text))[0]


def load(path: Path, name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def adapter(page: Page, table: dict[int, Provider], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Adapter:
    """The registered adapter, in the project as it would be with the page's files in it."""
    file = tmp_path / "example_chat.py"
    file.write_text(page.files["relay/adapters/example_chat.py"])
    module = load(file, "relay.adapters.example_chat")
    monkeypatch.setitem(sys.modules, "relay.adapters.example_chat", module)
    line = page.files["relay/adapters/registry.py"]
    adapters: dict[str, Adapter] = {**registry.ADAPTERS, **eval("{" + line + "}", {"ExampleChat": module.ExampleChat})}
    for module_with_table in (cases, test_every_adapter):
        monkeypatch.setattr(module_with_table, "PROVIDERS", table)
    monkeypatch.setattr(test_every_adapter, "ADAPTERS", adapters)
    monkeypatch.setattr(cases, "DATA", tmp_path)
    for name, text in page.cases.items():
        (tmp_path / f"{name}.json").write_text(text)
    return adapters[EXAMPLE]


def test_the_rows_of_the_page_can_be_added_to_the_table(table: dict[int, Provider]) -> None:
    added = [row for id_, row in table.items() if id_ not in providers.PROVIDERS]
    assert [(row.name, row.protocol, row.served) for row in added] == [
        ("Acme", "openai", True),
        ("Example", EXAMPLE, True),
    ]
    assert [row.id for row in added] == [max(providers.PROVIDERS) + 1, max(providers.PROVIDERS) + 2]


async def test_a_row_alone_serves_a_provider_of_openais_protocol(
    table: dict[int, Provider], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cases, "PROVIDERS", table)
    case = cases.load("baiduv2_stream").but(channel_type=52, config={"key": "acme-1"})
    outgoing = await registry.ADAPTERS["openai"].prepare(cases.job_of(case), cases.FakeOutside(case))

    assert outgoing.url == "https://api.acme.example/v1/chat/completions"
    assert dict(outgoing.headers)["Authorization"] == "Bearer acme-1"
    assert orjson.loads(outgoing.body)["stream_options"] == {"include_usage": True}


def test_the_row_is_served_by_the_line_of_the_registry(adapter: Adapter, table: dict[int, Provider]) -> None:
    with pytest.raises(providers.BadProviderRow, match=f"Example.*no adapter speaks {EXAMPLE}"):
        registry.check(table.values(), registry.ADAPTERS.keys() | registry.PASSED_ON)
    registry.check(table.values(), {**registry.ADAPTERS, EXAMPLE: adapter}.keys() | registry.PASSED_ON)


@pytest.mark.parametrize("name", ["example_chat", "example_stream", "example_error"])
async def test_the_exchange_holds(name: str, adapter: Adapter, table: dict[int, Provider]) -> None:
    """Through OpenAI's dialect: the client's request, theirs, their answer, the client's."""
    case = cases.load(name)
    assert case.mode is Mode.CHAT
    assert re.fullmatch(table[53].key_pattern, case.key)
    await cases.check(case, adapter)


async def test_the_test_of_the_page_passes(page: Page, adapter: Adapter, tmp_path: Path) -> None:
    file = tmp_path / "test_example_chat.py"
    file.write_text(page.files["tests/relay/adapters/test_example_chat.py"])
    tests = [item for name, item in vars(load(file, "test_example_chat")).items() if name.startswith("test_")]
    assert len(tests) == 2
    for test in tests:
        await _with_every_parameter(test)


async def _with_every_parameter(test: Callable[..., Coroutine[Any, Any, None]]) -> None:
    [mark] = test.pytestmark  # type: ignore[attr-defined]
    name, values = mark.args
    assert len(values) == 3
    for value in values:
        await test(**{name: value})


@pytest.mark.parametrize(
    "test",
    [
        test_every_adapter.test_what_openais_clients_send_is_sent_on_or_refused,
        test_every_adapter.test_what_any_dialect_reads_is_sent_on_or_refused,
        test_every_adapter.test_whatever_streams_in_is_read_alike_wherever_its_chunks_end,
        test_every_adapter.test_whatever_is_answered_is_an_answer_or_an_error_of_the_upstream,
    ],
)
def test_it_stands_what_every_adapter_has_to(test: Callable[[str], None], adapter: Adapter) -> None:
    test(EXAMPLE)
