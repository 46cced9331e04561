"""Ten thousand slow streams open at once on two workers: the memory that takes, and whether each is billed exactly."""

from __future__ import annotations

from bench import books, databases, load, machine, scenario, upstream
from bench.gateway import Gateway
from bench.result import Goal, Result
from bench.run import Run, say
from bench.sides import ROOT, Place
from bench.wording import MB, megabytes

WORKERS = 2
MOST_MEMORY = 2 * 2**30  # bytes
FILES = 1.6  # open files a worker may need for each of all streams: two of each, unevenly shared
SPARE = 500  # files beside them


def measure(run: Run) -> None:
    """On a database of its own: PostgreSQL, since SQLite is one worker's; where there is none, on what there is."""
    kinds = [kind for kind in ("postgres", "mysql", "sqlite") if kind in run.options.databases]
    if not kinds:
        return
    most = int((machine.raise_file_limit() - SPARE) / FILES)
    count = min(run.options.crowd, most)
    if count < run.options.crowd:
        run.place.notes.append(f"Only {count:,} slow streams: a process may open no more files (ulimit -n).")
    try:
        run.many.update(_held(run.place, kinds[0], count))
    except databases.Absent as absent:
        run.place.notes.append(f"Slow streams are left out: {absent}")


def _held(place: Place, kind: str, count: int) -> dict[str, object]:
    slow = upstream.start_paced(
        place.processes, place.load_core, "slow", events=scenario.SLOW_EVENTS, pace=scenario.SLOW_PACE
    )
    database = place.stack.enter_context(databases.fresh(kind, place.processes.folder))
    gateway = Gateway("many", ROOT, database, place.server_core, place.processes, workers=WORKERS)
    place.stack.callback(place.processes.close)
    gateway.start(place.upstreams[0], f"http://127.0.0.1:{slow}")
    database.pin(place.load_core)
    files: list[list[int]] = []
    told = load.crowd(gateway.paced, count, place.load_core, lambda: files.append(machine.open_files(gateway.pid)))
    verdict = books.check(database, 1, 0, count, scenario.stream_price(scenario.SLOW_EVENTS))
    problems = [f"{count:,} slow streams: {problem}" for problem in verdict.problems]
    if told["lost"]:
        problems.append(f"{count:,} slow streams: {told['lost']:,} events lost")
    say(f"{told['most_open']:,} slow streams open: {megabytes(machine.peak(gateway.pid))}")
    return {
        **told,
        "database": database.version,
        "workers": WORKERS,
        "idle": gateway.idle,
        "peak": machine.peak(gateway.pid),
        "after": machine.resident(gateway.pid),
        "busiest_files": max((max(each, default=0) for each in files), default=0),
        "books": str(verdict),
        "problems": problems,
    }


def lines(result: Result) -> list[str]:
    many = result.many
    if not many:
        return []
    sizes = ", ".join(f"{megabytes(many[name])} {name}" for name in ("idle", "peak", "after"))
    opened = (
        f"  {many['most_open']:,} of {many['streams']:,} slow streams open at once, {many['workers']} workers,"
        f" {many['database']}; {many['seconds']:.0f} s, lost {many['lost']:,}"
    )
    return [
        opened,
        f"  resident {sizes}; {many['busiest_files']:,} open files in the busiest worker",
        f"  {many['books']}",
    ]


def goals(result: Result) -> list[Goal]:
    many = result.many
    if not many:
        return []
    peak, all_open = many["peak"], many["most_open"] == many["streams"]
    what = f"memory, {many['most_open']:,} slow streams"
    return [
        Goal(what, f"{peak / MB:.0f} MB", f"at most {MOST_MEMORY / MB:.0f}", peak <= MOST_MEMORY),
        Goal("slow streams open at once", f"{many['most_open']:,}", f"{many['streams']:,}", all_open),
    ]
