"""The vendors' SDKs for Go, each to every upstream."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.clients import models, sdk_runs
from tests.clients.conftest import Front
from tests.clients.programs import INSTALLED

pytestmark = [pytest.mark.clients, pytest.mark.usefixtures("installed")]


@pytest.mark.parametrize("upstream", [kind.name for kind in models.KINDS])
@pytest.mark.parametrize("sdk", sdk_runs.NATIVE)
def test_an_sdk_for_go_talks_streams_and_runs_its_tool(sdk: str, upstream: str, front: Front, tmp_path: Path) -> None:
    sdk_runs.check([str(INSTALLED / "go-sdks"), sdk], sdk, upstream, front, tmp_path)
