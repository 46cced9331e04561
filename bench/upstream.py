"""The upstreams: nginx with a fixed answer for plain calls, `bench.paced` for streams and calls that take a moment."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

from bench import machine, scenario
from bench.gateway import wait_for
from bench.target import Target

CONFIGURATION = """
daemon off;
master_process off;
pid {folder}/nginx.pid;
error_log {folder}/nginx-error.log;
events {{ worker_connections 4096; }}
http {{
    access_log off;
    keepalive_requests 1000000000;
    client_body_temp_path {folder}/nginx-body;
    proxy_temp_path {folder}/nginx-proxy;
    fastcgi_temp_path {folder}/nginx-fastcgi;
    uwsgi_temp_path {folder}/nginx-uwsgi;
    scgi_temp_path {folder}/nginx-scgi;
    server {{
        listen 127.0.0.1:{port} backlog=4096;
        default_type application/json;
        location / {{ return 200 '{answer}'; }}
    }}
}}
"""


def find_nginx() -> str | None:
    return shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")


def start_plain(processes: machine.Processes, core: int) -> tuple[int, str]:
    """(port, what it is). Without nginx the paced upstream answers plain calls too, at a fraction of the speed."""
    nginx = find_nginx()
    if nginx is None:
        return start_paced(
            processes, core, "upstream", delay=0
        ), "bench.paced (nginx is not installed: `make services` does it)"
    port = machine.free_port()
    path = Path(processes.folder) / "nginx.conf"
    path.write_text(CONFIGURATION.format(folder=processes.folder, port=port, answer=scenario.ANSWER.decode()))
    command = [nginx, "-c", str(path), "-e", str(processes.folder / "nginx-error.log")]
    process = processes.start("nginx", command, core, dict(os.environ))
    wait_for(Target(port), process, processes, "nginx")
    return port, "nginx"


def start_paced(
    processes: machine.Processes,
    core: int,
    name: str = "paced",
    *,
    delay: float = scenario.DELAY,
    events: int = scenario.EVENTS,
    pace: float = scenario.PACE,
) -> int:
    """Its port. `delay` of a plain call and `pace` between events in seconds."""
    port = machine.free_port()
    root = Path(__file__).resolve().parent.parent
    command = [sys.executable, "-m", "bench.paced", str(port), str(delay), str(events), str(pace)]
    process = processes.start(name, command, core, {**os.environ, "PYTHONPATH": str(root)}, cwd=root)
    wait_for(Target(port), process, processes, name)
    return port


def start_floor(processes: machine.Processes, core: int, client: str, addresses: tuple[str, str]) -> tuple[int, int]:
    """(port, process id). `client`: as bench.floor names them."""
    port = machine.free_port()
    root = Path(__file__).resolve().parent.parent
    command = [sys.executable, "-m", "uvicorn", "bench.floor:app", "--host", "127.0.0.1", "--port", str(port)]
    command += ["--loop", "uvloop", "--http", "httptools", "--lifespan", "off", "--no-access-log"]
    command += ["--log-level", "warning", "--backlog", "4096"]
    plain, paced = addresses
    told = {"PYTHONPATH": str(root), "UPSTREAM": plain, "STREAM_UPSTREAM": paced, "CLIENT": client}
    name = f"floor-{client}"
    process = processes.start(name, command, core, {**os.environ, **told}, cwd=root)
    wait_for(Target(port), process, processes, name)
    return port, process.pid
