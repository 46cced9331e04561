"""Four dialects to every protocol: plain, streams, tools, pictures, schemas and thinking, each charged exactly.

A cell is one client SDK at one upstream doing one thing. It passes when the SDK shows what the upstream said and the
upstream found nothing wrong with what it was asked; and when every call's log row has the upstream's own figures and
the price of the formula. How it came out has to stand in docs/providers.md.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.relay.matrix import clients, table, upstreams
from tests.relay.matrix.clients import Answer, Client, Question
from tests.relay.matrix.conftest import Charged, Matrix, price
from tests.relay.matrix.scenes import ANSWERS, CALLS, INSTRUCTIONS, RESULTS, RESULTS_SEEN, Figures, Said, Scene
from tests.relay.matrix.upstreams import Upstream

DIALECTS = [kind.name for kind in clients.KINDS]
YES = "yes"
COUNTED = "counted"  # the model thinks and is charged for it, but the thoughts themselves are not told
UNFORCED = ("Ollama", "Zhipu")  # their protocols leave it to the model whether it calls
Step = Callable[[Matrix, Client, Upstream], str]


@pytest.fixture(scope="module")
def outcomes() -> Iterator[dict[table.Cell, str]]:
    found: dict[table.Cell, str] = {}
    yield found
    if table.WRITES:
        table.write(found, DIALECTS, list(upstreams.NAMES))


@pytest.mark.parametrize("feature", table.FEATURES)
@pytest.mark.parametrize("upstream", upstreams.NAMES)
@pytest.mark.parametrize("dialect", DIALECTS)
def test_cell(dialect: str, upstream: str, feature: str, matrix: Matrix, outcomes: dict[table.Cell, str]) -> None:
    client, provider = matrix.clients[dialect], matrix.upstreams[upstream]
    provider.violations.clear()
    matrix.charged()

    outcome = STEPS[feature](matrix, client, provider)

    assert not provider.violations
    outcomes[dialect, upstream, feature] = outcome
    if not table.WRITES:
        assert table.documented()[dialect, upstream, feature] == outcome


@pytest.mark.skipif(table.WRITES, reason="the table is being written")
def test_the_table_has_every_cell_and_no_other() -> None:
    cells = {(dialect, name, feature) for dialect in DIALECTS for name in upstreams.NAMES for feature in table.FEATURES}
    assert set(table.documented()) == cells
    assert table.section() == table.written(table.documented(), DIALECTS, list(upstreams.NAMES))


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
@pytest.mark.parametrize("upstream", upstreams.NAMES)
@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_model_that_thought_before_its_calls_goes_on_after_their_results(
    dialect: str, upstream: str, stream: bool, matrix: Matrix
) -> None:
    """Some models want their signed thoughts back with the results, and no dialect but their own was made for that."""
    client, provider = matrix.clients[dialect], matrix.upstreams[upstream]
    provider.violations.clear()
    matrix.charged()

    asked = says(matrix, client, provider, Scene.PONDER, stream)
    goes_on(matrix, client, provider, Question(provider.model(Scene.PONDER), Scene.PONDER, stream), asked)

    assert not provider.violations


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
@pytest.mark.parametrize("upstream", [name for name in upstreams.NAMES if name not in UNFORCED])
@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_tool_that_must_be_called_is_named_to_the_model(
    dialect: str, upstream: str, stream: bool, matrix: Matrix
) -> None:
    client, provider = matrix.clients[dialect], matrix.upstreams[upstream]
    provider.violations.clear()
    matrix.charged()

    says(matrix, client, provider, Scene.FORCED, stream)

    assert not provider.violations


@pytest.mark.parametrize("upstream", ["Gemini", "Vertex AI (Gemini)", "Vertex AI (Claude)"])
def test_thoughts_that_chat_does_not_ask_for_are_shown_to_who_does(upstream: str, matrix: Matrix) -> None:
    request = {
        "model": matrix.upstreams[upstream].model(Scene.THINK),
        "messages": [
            {"role": "system", "content": INSTRUCTIONS},
            {"role": "user", "content": Scene.THINK.value},
        ],
        "reasoning_effort": "medium",
        "include_reasoning": True,
    }
    status, answer = matrix.gateway.call(matrix.account.key, "POST", "/v1/chat/completions", request)

    assert status == 200
    assert answer["choices"][0]["message"]["reasoning_content"] == ANSWERS[Scene.THINK].thought


def says(matrix: Matrix, client: Client, upstream: Upstream, scene: Scene, stream: bool = False) -> Answer:
    """One question, answered as the scene has it, and charged."""
    question = Question(upstream.model(scene), scene, stream)
    answer = client.ask(question)
    shows(answer, ANSWERS[scene])
    charged(matrix, upstream, question, answer.figures, ANSWERS[scene].figures)
    return answer


def goes_on(matrix: Matrix, client: Client, upstream: Upstream, question: Question, asked: Answer) -> None:
    """The same conversation with what the called tools gave."""
    answer = client.go_on(question, asked, list(RESULTS))
    shows(answer, RESULTS_SEEN)
    charged(matrix, upstream, question, answer.figures, RESULTS_SEEN.figures)


def shows(answer: Answer, said: Said) -> None:
    assert answer.text == said.text
    assert [call.arguments for call in answer.calls] == [ARGUMENTS[arguments] for arguments in said.calls]
    assert answer.thought in ("", said.thought)


def charged(matrix: Matrix, upstream: Upstream, question: Question, shown: Figures, figures: Figures) -> None:
    """One row: the upstream's figures as far as it tells them, the formula's price, in the ledger too."""
    told = upstream.told(figures)
    points = price(told)
    channel = matrix.channels[upstream.name]
    assert matrix.charged() == [Charged(told, points, points, channel, question.model, question.stream, False)]
    assert (shown.prompt, shown.completion, shown.cached) == (told.prompt, told.completion, told.cached)
    assert shown.reasoning == told.reasoning


def plain(matrix: Matrix, client: Client, upstream: Upstream) -> str:
    says(matrix, client, upstream, Scene.HELLO)
    return YES


def stream(matrix: Matrix, client: Client, upstream: Upstream) -> str:
    says(matrix, client, upstream, Scene.HELLO, stream=True)
    return YES


def tool(matrix: Matrix, client: Client, upstream: Upstream, stream: bool = False) -> str:
    """Two calls at once, and the conversation that goes on with what they gave."""
    asked = says(matrix, client, upstream, Scene.WEATHER, stream)
    goes_on(matrix, client, upstream, Question(upstream.model(Scene.WEATHER), Scene.WEATHER, stream), asked)
    return YES


def tool_stream(matrix: Matrix, client: Client, upstream: Upstream) -> str:
    return tool(matrix, client, upstream, stream=True)


def image(matrix: Matrix, client: Client, upstream: Upstream) -> str:
    says(matrix, client, upstream, Scene.PICTURE)
    return YES


def schema(matrix: Matrix, client: Client, upstream: Upstream) -> str:
    says(matrix, client, upstream, Scene.DESCRIBE)
    return YES


def thinking(matrix: Matrix, client: Client, upstream: Upstream) -> str:
    """Plain and streamed alike."""
    whole = says(matrix, client, upstream, Scene.THINK)
    streamed = says(matrix, client, upstream, Scene.THINK, stream=True)
    assert whole.thought == streamed.thought
    return YES if whole.thought else COUNTED


ARGUMENTS = dict(zip(CALLS, ({"city": "Oslo"}, {"city": "Rome"}), strict=True))
STEPS: dict[str, Step] = dict(
    zip(table.FEATURES, (plain, stream, tool, tool_stream, image, schema, thinking), strict=True)
)
