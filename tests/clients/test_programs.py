"""Agent programs as they are downloaded: each talks through the gateway to a model of its own vendor and to others'.

An answer is printed; a tool call really happens, and its result goes back; every answer is in the books as the
upstream counted it.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.clients import models
from tests.clients.conftest import Front
from tests.clients.models import DONE, GREETING, MARKER, ORDER, WRITTEN, Model
from tests.clients.programs import PROGRAMS, Ended, Place, Program

pytestmark = [pytest.mark.clients, pytest.mark.usefixtures("installed")]
everywhere = pytest.mark.parametrize("upstream", [kind.name for kind in models.KINDS])
every = pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.name)


def run(program: Program, front: Front, upstream: str, order: str, folder: Path) -> tuple[Ended, Model, Path]:
    front.look_away()
    model = front.models[upstream]
    model.strict = upstream != program.native
    place = Place(folder / "work", folder / "home", front.gateway.base_url, f"sk-{front.account.key}")
    place.work.mkdir()
    place.home.mkdir()
    ended = program.run(place, model.model_name, order)
    assert not model.violations
    assert ended.code == 0, ended
    assert sorted(front.charged(), key=str) == sorted(model.answered, key=str)
    return ended, model, place.work


@everywhere
@every
def test_an_answer_is_printed(program: Program, upstream: str, front: Front, tmp_path: Path) -> None:
    ended, _, _ = run(program, front, upstream, "Good morning!", tmp_path)

    assert GREETING in ended.said


@everywhere
@every
def test_a_tool_call_really_happens(program: Program, upstream: str, front: Front, tmp_path: Path) -> None:
    ended, model, folder = run(program, front, upstream, ORDER, tmp_path)

    assert (folder / MARKER).read_text().strip() == WRITTEN
    assert DONE in ended.said
    assert model.answered
