"""Other gateways on the same cores in the same run, so that what docs/performance.md says of them can be repeated.

They are installed at the versions below into a folder under the temporary directory, which is kept for the next run;
nothing of them touches the project. Each is started with one process and as little to do as it can be told to.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench import machine
from bench.gateway import NotStarted, wait_for
from bench.result import Subject
from bench.run import say
from bench.sides import Place, Side
from bench.target import Target

PATIENCE = 420  # seconds an installation may take
START = 90  # seconds until the first answer
INHERITED = ("PATH", "HOME", "LANG", "TMPDIR")
LITELLM = "1.108.7"
PORTKEY = "1.15.2"
HONO = "1.11.1"  # of Portkey's server: with the newest that it admits every stream fails ("immutable" headers)


class NotInstalled(RuntimeError):
    """pip or npm could not do it; the message is the end of what it said."""


@dataclass(frozen=True, slots=True)
class Peer:
    name: str
    title: str
    version: str
    leaves_out: str
    install: Callable[[Path], None]
    start: Callable[[Place, Path, Peer], Side]


def install(notes: list[str]) -> list[tuple[Peer, Path]]:
    """Those that can be had here, each with its folder; `notes` says who cannot. Raises NotInstalled if nobody can."""
    root = Path(tempfile.gettempdir()) / f"one-api-bench-peers-{os.getuid()}"
    root.mkdir(mode=0o700, exist_ok=True)
    if root.stat().st_uid != os.getuid() or root.is_symlink():
        raise NotInstalled(f"{root} is somebody else's: what stands there is not run")
    found = []
    for peer in PEERS:
        folder = root / f"{peer.name}-{peer.version}"
        done = folder / "installed"
        if not done.exists():
            say(f"Installing {peer.title} into {folder}")
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True, mode=0o700)
            try:
                peer.install(folder)
            except NotInstalled as failure:
                notes.append(f"{peer.title} is left out: {_brief(failure)}")
                continue
            done.touch()
        found.append((peer, folder))
    if not found:
        raise NotInstalled("\n".join(notes))
    return found


def start(place: Place, installed: Sequence[tuple[Peer, Path]]) -> list[Side]:
    """One that does not answer is left out, and the table says so."""
    sides = []
    for peer, folder in installed:
        try:
            sides.append(peer.start(place, folder, peer))
        except NotStarted as failure:
            place.notes.append(f"{peer.title} is left out: {_brief(failure)}")
    return sides


def _brief(failure: Exception) -> str:
    """The end of what was said, in one line."""
    return " ".join(str(failure).split())[-300:]


def _install_litellm(folder: Path) -> None:
    _command([sys.executable, "-m", "venv", str(folder / "venv")], folder)
    _command([str(folder / "venv" / "bin" / "pip"), "install", "--quiet", f"litellm[proxy]=={LITELLM}"], folder)


def _install_portkey(folder: Path) -> None:
    npm = shutil.which("npm")
    if npm is None:
        raise NotInstalled("npm is not installed, and Portkey's gateway comes by it")
    wanted = {
        "private": True,
        "dependencies": {"@portkey-ai/gateway": PORTKEY},
        "overrides": {"@hono/node-server": HONO},
    }
    (folder / "package.json").write_text(json.dumps(wanted))
    _command([npm, "install", "--no-audit", "--no-fund"], folder)


def _command(command: Sequence[str], folder: Path) -> None:
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=PATIENCE, check=False)
    except subprocess.TimeoutExpired as late:
        raise NotInstalled(f"{' '.join(command)} took more than {PATIENCE} s") from late
    if done.returncode:
        raise NotInstalled(f"{' '.join(command)}: {(done.stdout + done.stderr)[-2000:]}")


def _start_litellm(place: Place, folder: Path, peer: Peer) -> Side:
    """Without a master key and without a database; a model of its own for each upstream."""
    models = [
        {
            "model_name": name,
            "litellm_params": {"model": "openai/gpt-4", "api_base": f"{address}/v1", "api_key": "sk-upstream"},
        }
        for name, address in zip(("plain", "paced"), place.upstreams, strict=True)
    ]
    configuration = place.processes.folder / "litellm.json"  # JSON is YAML
    configuration.write_text(json.dumps({"model_list": models, "litellm_settings": {"telemetry": False}}))
    port = machine.free_port()
    command = [str(folder / "venv" / "bin" / "litellm"), "--config", str(configuration), "--host", "127.0.0.1"]
    command += ["--port", str(port), "--num_workers", "1"]
    settings = {
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        "LITELLM_LOG": "ERROR",
        "LITELLM_MODE": "PRODUCTION",
        "LITELLM_DANGEROUSLY_PERMIT_WEAK_OR_UNSET_MASTER_KEY": "true",  # it listens on 127.0.0.1 alone
    }
    return _side(place, peer, command, settings, Target(port, model="plain"), Target(port, model="paced"))


def _start_portkey(place: Place, folder: Path, peer: Peer) -> Side:
    """Told with every call where to go."""
    node = shutil.which("node") or "node"
    port = machine.free_port()
    server = folder / "node_modules" / "@portkey-ai" / "gateway" / "build" / "start-server.js"
    command = [node, str(server), f"--port={port}", "--headless"]
    plain, paced = (
        Target(port, headers=("x-portkey-provider: openai", f"x-portkey-custom-host: {address}/v1"))
        for address in place.upstreams
    )
    return _side(place, peer, command, {"NODE_ENV": "production"}, plain, paced)


def _side(
    place: Place, peer: Peer, command: Sequence[str], settings: dict[str, str], plain: Target, paced: Target
) -> Side:
    environment = {name: os.environ[name] for name in INHERITED if name in os.environ} | settings
    process = place.processes.start(peer.name, command, place.server_core, environment)
    wait_for(plain, process, place.processes, peer.name, START)
    subject = Subject(peer.name, peer.title, peer=True, leaves_out=peer.leaves_out)
    return Side(subject, plain, paced, pid=process.pid)


PEERS = (
    Peer(
        "litellm", f"LiteLLM proxy {LITELLM}", LITELLM,
        "no keys, no balances, no durable log as started here (no database); prices are counted, in memory",
        _install_litellm, _start_litellm,
    ),
    Peer(
        "portkey", f"Portkey gateway {PORTKEY}", PORTKEY,
        "no keys, no prices, no balances, no durable log: the open gateway has none",
        _install_portkey, _start_portkey,
    ),
)  # fmt: skip
