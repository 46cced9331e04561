"""The vendors' SDKs for Node, each to every upstream."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.clients import models, sdk_runs
from tests.clients.conftest import Front
from tests.clients.programs import INSTALLED

HERE = Path(__file__).parent
OLDEST = 20  # of Node's versions that the SDKs were seen to run on
PATIENCE = 100  # seconds for npm


@pytest.fixture(scope="module")
def scripts() -> Path:
    """A folder with the scripts beside the SDKs, which are installed the first time they are wanted."""
    if missing := [name for name in ("node", "npm") if shutil.which(name) is None]:
        pytest.skip(f"{' and '.join(missing)} not found")
    version = subprocess.run(["node", "--version"], capture_output=True, text=True, check=True).stdout.strip()
    if int(version.removeprefix("v").partition(".")[0]) < OLDEST:
        pytest.skip(f"node is {version}, and the SDKs want {OLDEST} or newer")
    command = [str(HERE / "install.sh"), "sdks"]
    installed = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
    if installed.returncode:
        pytest.skip(f"npm installed no SDKs: {installed.stderr[-500:]}")
    for script in (HERE / "sdks").glob("*.js"):
        shutil.copy(script, INSTALLED / "sdks")
    return INSTALLED / "sdks"


@pytest.mark.parametrize("upstream", [kind.name for kind in models.KINDS])
@pytest.mark.parametrize("sdk", sdk_runs.NATIVE)
def test_an_sdk_for_node_talks_streams_and_runs_its_tool(
    sdk: str, upstream: str, scripts: Path, front: Front, tmp_path: Path
) -> None:
    sdk_runs.check(["node", str(scripts / f"{sdk}.js")], sdk, upstream, front, tmp_path)
