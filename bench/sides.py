"""Everybody who is measured in a run, started and answering: upstream, floors, the gateway without and with books."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from bench import databases, machine, upstream
from bench.databases import Database
from bench.gateway import Gateway
from bench.result import DIRECT, FLOOR, OWN_FLOOR, UNBILLED, Subject
from bench.target import Target

ROOT = Path(__file__).resolve().parent.parent
WITHOUT_BOOKS = "bench/unbilled.py"
FLOORS = (
    (FLOOR, "pyreqwest", "floor: bare, pyreqwest"),
    (OWN_FLOOR, "own", "floor: bare, the gateway's client"),
)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a run takes place. `upstreams`: addresses of the quick one and of the one that takes its time."""

    stack: ExitStack
    processes: machine.Processes
    server_core: int
    load_core: int
    upstreams: tuple[str, str]
    notes: list[str]


@dataclass
class Side:
    """A subject with what it takes to ask it, and what it was asked."""

    subject: Subject
    plain: Target
    paced: Target  # by the upstream that takes its time
    gateway: Gateway | None = None
    pid: int = 0  # of the server, where its processor time is of interest
    answered: int = 1  # the call that showed that it runs
    cut_off: int = 0
    streamed: int = 0


def bare(place: Place, plain: int, paced: int, what: str) -> Iterator[Side]:
    """The upstream itself, by its ports, and the floors."""
    yield Side(Subject(DIRECT, f"{what.split(maxsplit=1)[0]}, direct"), Target(plain), Target(paced))
    for name, client, title in FLOORS:
        port, pid = upstream.start_floor(place.processes, place.server_core, client, place.upstreams)
        yield Side(Subject(name, title), Target(port), Target(port), pid=pid)


def unbilled(place: Place) -> Side:
    """On SQLite, where its user and channels stand."""
    subject = Subject(UNBILLED, "gateway, billing off")
    database = place.stack.enter_context(databases.fresh("sqlite", place.processes.folder))
    return _gateway(place, subject, database, ROOT, WITHOUT_BOOKS)


def billed(place: Place, kind: str, label: str = "", tree: Path = ROOT) -> Side | None:
    """A gateway on a fresh database of this kind, or None where its server does not answer."""
    try:
        database = place.stack.enter_context(databases.fresh(kind, place.processes.folder))
    except databases.Absent as absent:
        place.notes.append(f"{databases.NAMES[kind]} is left out: {absent}")
        return None
    name = f"{kind}-{label}" if label else kind
    title = f"gateway, {databases.NAMES[kind]}" + (f", {label}" if label else "")
    subject = Subject(name, title, billed=True, kind=kind, database=database.version)
    return _gateway(place, subject, database, tree)


def _gateway(place: Place, subject: Subject, database: Database, tree: Path, program: str = "manage.py") -> Side:
    gateway = Gateway(subject.name, tree, database, place.server_core, place.processes, program)
    place.stack.callback(place.processes.close)  # before the database is dropped
    gateway.start(*place.upstreams)
    subject.idle, subject.cold_start = gateway.idle, gateway.cold_start
    return Side(subject, gateway.plain, gateway.paced, gateway, gateway.pid)
