"""What goes wrong upstream reaches every dialect's SDK as that SDK's own error, whatever the upstream's shape of it."""

from __future__ import annotations

import pytest

from relay.pipeline import SATURATED
from tests.relay.matrix import clients, upstreams
from tests.relay.matrix.clients import Client, Question
from tests.relay.matrix.conftest import Matrix
from tests.relay.matrix.scenes import FAILURE, REFUSALS, WAIT, Scene
from tests.relay.matrix.upstreams import Upstream

DIALECTS = [kind.name for kind in clients.KINDS]
everywhere = pytest.mark.parametrize(
    ("dialect", "upstream"), [(dialect, upstream) for dialect in DIALECTS for upstream in upstreams.NAMES]
)


def at(matrix: Matrix, dialect: str, upstream: str) -> tuple[Client, Upstream]:
    matrix.charged()
    return matrix.clients[dialect], matrix.upstreams[upstream]


@everywhere
@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
@pytest.mark.parametrize("scene", REFUSALS, ids=[str(status) for status, _ in REFUSALS.values()])
def test_a_refusal_is_the_sdks_own_and_costs_nothing(
    dialect: str, upstream: str, scene: Scene, stream: bool, matrix: Matrix
) -> None:
    client, provider = at(matrix, dialect, upstream)
    status, message = REFUSALS[scene]

    with pytest.raises(client.errors[status]) as caught:
        client.ask(Question(provider.model(scene), scene, stream))

    shown, said = client.told(caught.value)
    assert shown == status
    assert client.word(caught.value) == client.words.get(status, client.word(caught.value))
    assert (SATURATED if status == 429 else message) in said
    assert not [secret for secret in (provider.key, provider.url) if secret in str(caught.value)]
    assert matrix.charged() == []


@everywhere
def test_who_comes_too_often_is_told_how_long_to_wait(dialect: str, upstream: str, matrix: Matrix) -> None:
    client, provider = at(matrix, dialect, upstream)

    with pytest.raises(client.errors[429]) as caught:
        client.ask(Question(provider.model(Scene.REFUSED_429), Scene.REFUSED_429))

    assert caught.value.response.headers["retry-after"] == str(WAIT)  # type: ignore[attr-defined]


@everywhere
@pytest.mark.parametrize("scene", [Scene.FAILS, Scene.BREAKS_OFF], ids=["fails", "breaks off"])
def test_a_stream_that_ends_badly_is_told_to_be_no_whole_answer(
    dialect: str, upstream: str, scene: Scene, matrix: Matrix
) -> None:
    """In the stream's own form; and what was generated until then is charged once."""
    client, provider = at(matrix, dialect, upstream)

    came, error = client.watch(Question(provider.model(scene), scene, stream=True))

    assert came == "Hello,"
    assert FAILURE in error if scene is Scene.FAILS else error
    matrix.gateway.books().wait_settled(5)  # the SDK leaves at the error; the gateway still has to hear the end
    (row,) = matrix.charged()
    assert row.is_stream
    assert row.quota == row.ledger > 0
    assert row.figures.completion > 0
