"""`python -m tests.nodes [--short]`, which is `deploy/try-nodes`. Prints a table; exit code 1 if a call was lost.

Lost is: begun while a node was there to serve it, and not answered. Not lost, but counted, is a call that the killed
node was serving; the books may have charged it (what was generated is billed), once at most.
"""

from __future__ import annotations

import argparse
import asyncio
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from tests import fake_upstream
from tests.acceptance.traffic import MODELS, charge
from tests.databases import Database
from tests.load import Call, Client
from tests.nodes import services
from tests.nodes.network import Network, network
from tests.nodes.services import Redis
from tests.nodes.traffic import EVENTS, PACE, Traffic
from tests.server import HOLD_TTL, ROOT, ROOT_TOKEN, Account, Gateway

NODES, WORKERS = 2, 2
DRAIN = 3  # seconds; more than the keepalive_timeout of the upstream in deploy/nginx.conf
ESTABLISHED_OR_CLOSE_WAIT = ("01", "08")  # the kernel's states in /proc/net/tcp
STREAMS = 8  # at once, to see that they come piece by piece
SETTLED = HOLD_TTL + 20  # seconds after which no hold of a killed node may be open
OPENING = 10**12


@dataclass
class Deployment:
    """What runs. `front` is nginx's address; `seconds`: how long a fault lasts."""

    network: Network
    database: Database
    redis: Redis
    nodes: list[Gateway]
    front: str
    seconds: float


@contextmanager
def deployed(folder: Path, seconds: float) -> Iterator[Deployment]:
    with ExitStack() as stack:
        net = stack.enter_context(network(NODES))
        print(f"Two nodes x two workers, {net.told}")
        database = stack.enter_context(services.postgres(folder, net.here))
        redis = stack.enter_context(services.redis_server(folder, net.here))
        nodes = []
        for number, place in enumerate(net.places):
            settings = {
                "NODE_TYPE": "slave" if number else "master",
                "REDIS_CONN_STRING": redis.url,
                "TRUSTED_PROXIES": net.here,
                "METRICS_ALLOWED": net.here,  # by which `Gateway.wait_until_routed` sees what the node knows
                "DRAIN_TIMEOUT": str(DRAIN),
            }
            (folder / f"node{number + 1}").mkdir()
            node = Gateway(
                database, WORKERS, folder / f"node{number + 1}", settings, place.port, place.host, place.inside
            )
            stack.callback(node.close)
            nodes.append(node)
        with ThreadPoolExecutor() as threads:  # at once: the slave waits for the master's tables
            list(threads.map(Gateway.start, nodes))
        front = stack.enter_context(services.nginx(folder, net.here, net.places))
        yield Deployment(net, database, redis, nodes, front, seconds)


# The phases


async def killed(all_of_it: Deployment, traffic: Traffic, number: int) -> None:
    """A node dies with everything in it, stays away, and comes back. Only what it was serving may fail."""
    node = all_of_it.nodes[number]
    traffic.phase(f"kill -9 of node {number + 1}")
    await asyncio.sleep(all_of_it.seconds)
    pids = node.pids()
    await asyncio.to_thread(node.kill9)
    await asyncio.to_thread(services.until, lambda: not any(map(runs, pids)), f"the end of node {number + 1}")
    await asyncio.to_thread(
        services.until, lambda: not connections_to(node.host, node.port), "nginx's notice of the end"
    )
    for phase in traffic.phases[-2:]:  # a call of the phase before may have been under way
        phase.excuse = time.monotonic()
    traffic.phase(f"node {number + 1} away")
    await asyncio.sleep(all_of_it.seconds)
    traffic.phase(f"node {number + 1} comes back")
    await asyncio.to_thread(node.start)
    await asyncio.sleep(all_of_it.seconds / 2)


def connections_to(host: str, port: int) -> int:
    """How many from here are open, or closed at the other end and not yet here: a call may still be sent on one."""
    there = f"{int.from_bytes(socket.inet_aton(host), sys.byteorder):08X}:{port:04X}"
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return sum(1 for row in rows if row[2] == there and row[3] in ESTABLISHED_OR_CLOSE_WAIT)


def runs(pid: int) -> bool:
    """Whether a process still has its sockets: a zombie has none."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


async def redis_killed(all_of_it: Deployment, traffic: Traffic) -> None:
    traffic.phase("Redis killed")
    await asyncio.to_thread(all_of_it.redis.kill)
    await asyncio.sleep(all_of_it.seconds)
    traffic.phase("Redis started again, empty")
    await asyncio.to_thread(all_of_it.redis.start)
    await asyncio.sleep(all_of_it.seconds)


async def redis_frozen(all_of_it: Deployment, traffic: Traffic) -> None:
    traffic.phase("Redis frozen and thawed")
    all_of_it.redis.signal(signal.SIGSTOP)
    await asyncio.sleep(all_of_it.seconds)
    all_of_it.redis.signal(signal.SIGCONT)
    await asyncio.sleep(all_of_it.seconds / 2)


async def rolled(all_of_it: Deployment, traffic: Traffic) -> None:
    """Each node in turn is asked to leave, says that it is not ready, ends, and is started again."""
    for number, node in enumerate(all_of_it.nodes, 1):
        traffic.phase(f"rolling restart: node {number}")
        leaving = asyncio.create_task(asyncio.to_thread(node.stop))
        await asyncio.sleep(0.5)
        ready = await asyncio.to_thread(readiness, node)
        assert ready == 503, f"a node that leaves says {ready} at /readyz"
        await leaving
        await asyncio.to_thread(node.start)
        await asyncio.sleep(all_of_it.seconds / 2)


def readiness(node: Gateway) -> int:
    return httpx.get(f"{node.base_url}/readyz", timeout=5).status_code


# What is looked at


async def streams_arrive_piece_by_piece(all_of_it: Deployment, account: Account, charges: dict[str, int]) -> str:
    """The same paced streams through nginx and from a node: in how many parts they came, and the longest wait."""
    orders = fake_upstream.in_text(usage=[10, EVENTS], events=EVENTS, pace=PACE)
    body = {"model": "gpt-4o-mini", "stream": True, "messages": [{"role": "user", "content": orders}]}
    told = {}
    for name, url in (("nginx", all_of_it.front), ("the node itself", all_of_it.nodes[0].base_url)):
        async with Client(url) as client:
            answers = await asyncio.gather(
                *(client.send(Call("/v1/chat/completions", body, account.key)) for _ in range(STREAMS))
            )
        assert all(answer.done for answer in answers)
        charges.update({answer.request_id: charge("gpt-4o-mini", 10, EVENTS) for answer in answers})
        told[name] = (min(len(one.arrivals) for one in answers), max(one.longest_gap for one in answers))
    parts = told["nginx"][0]
    assert parts >= EVENTS // 2, f"a stream of {EVENTS} events came through nginx in {parts} parts"
    (_, through), (_, direct) = told["nginx"], told["the node itself"]
    return (
        f"{STREAMS} streams of {EVENTS} events came in {parts} parts or more; longest wait {through * 1000:.0f} ms, "
        f"from the node itself {direct * 1000:.0f} ms"
    )


def balanced(all_of_it: Deployment, traffic: Traffic) -> str:
    """The books against the callers' own account. Raises AssertionError."""
    books = all_of_it.nodes[0].books()
    books.wait_settled(SETTLED)
    books.check()
    charges = books.charges()
    assert books.missing(traffic.charges) == [], "answered, and not in the books"
    wrong = {key: (charges[key], points) for key, points in traffic.charges.items() if charges[key] != points}
    assert not wrong, wrong
    unheard, cut = len(charges) - len(traffic.charges), sum(phase.cut for phase in traffic.phases)
    failed = sum(len(phase.failures) for phase in traffic.phases)
    assert unheard <= failed, f"{unheard} charges for calls nobody has an answer to, and {failed} calls that failed"
    node = all_of_it.nodes[0]
    command = [sys.executable, str(ROOT / "manage.py"), "reconcile"]
    reconciled = subprocess.run(command, cwd=node.folder, env=node.environment, check=False, capture_output=True)
    assert reconciled.returncode == 0, reconciled.stdout.decode()
    return (
        f"{len(traffic.charges)} answered calls, each charged once and exactly; {cut} cut off by kills, "
        f"{unheard} of them charged; I1 to I6 hold, reconcile finds no difference"
    )


def print_table(traffic: Traffic) -> None:
    print(f"{'phase':42} {'calls':>6} {'answered':>8} {'cut off':>7} {'lost':>5}")
    for phase in traffic.phases:
        print(
            f"{phase.name:42} {phase.calls:6} {phase.calls - len(phase.failures):8} {phase.cut:7} {len(phase.lost):5}"
        )
        for one in phase.lost[:5]:
            print("   ", one)


async def tried(all_of_it: Deployment, rounds: int) -> int:
    master = all_of_it.nodes[0]
    with fake_upstream.running(all_of_it.network.here) as upstream:
        accounts = [master.new_user(OPENING), master.new_user(OPENING, remain_quota=OPENING // 2)]
        master.add_channel(upstream.url, MODELS)
        for node in all_of_it.nodes:
            await asyncio.to_thread(node.wait_until_routed, ROOT_TOKEN, "gpt-4o-mini")
        async with Traffic(all_of_it.front, accounts) as traffic:
            streams = await streams_arrive_piece_by_piece(all_of_it, accounts[0], traffic.charges)
            traffic.phase("nothing happens")
            await asyncio.sleep(all_of_it.seconds)
            for _ in range(rounds):
                await redis_killed(all_of_it, traffic)
                await redis_frozen(all_of_it, traffic)
                await killed(all_of_it, traffic, 1)
                await killed(all_of_it, traffic, 0)
                await rolled(all_of_it, traffic)
        print_table(traffic)
        print(streams)
        print(await asyncio.to_thread(balanced, all_of_it, traffic))
    lost = sum(len(phase.lost) for phase in traffic.phases)
    if lost:
        print(f"{lost} calls were lost", file=sys.stderr)
    return 1 if lost else 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--short", action="store_true", help="each fault once and briefly, about a minute")
    parser.add_argument("--rounds", type=int, default=3, help="how often everything happens, default 3")
    chosen = parser.parse_args()
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="try-nodes-") as folder:
        try:
            with deployed(Path(folder), 1.5 if chosen.short else 5) as all_of_it:
                code = asyncio.run(tried(all_of_it, 1 if chosen.short else chosen.rounds))
        except AssertionError as broken:
            print(broken, file=sys.stderr)
            code = 1
    print(f"{time.monotonic() - began:.0f} s")
    return code


if __name__ == "__main__":
    sys.exit(main())
