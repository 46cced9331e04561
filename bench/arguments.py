"""The options of `python -m bench`."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from pathlib import Path

from bench import databases
from bench.sections import QUICK, SECTIONS
from bench.sides import ROOT


def read(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description="The gateway's speed beside floor and peers.")
    add = parser.add_argument
    add("--only", type=_sections, default=list(QUICK), help=f"of {','.join(SECTIONS)}; default {','.join(QUICK)}")
    add("--full", dest="only", action="store_const", const=list(SECTIONS), help="all sections")
    add("--connections", type=_numbers, default=[1, 32, 128], help="default 1,32,128")
    add("--seconds", type=float, default=2.0, help="of each measurement, default 2; wrk knows whole ones")
    add("--rounds", type=int, default=3, help="default 3; figures are their medians")
    add("--streams", type=_numbers, default=[100, 300, 500, 1000], help="default 100,300,500,1000")
    add("--databases", type=_kinds, default=list(databases.KINDS), help="default sqlite,postgres,mysql")
    add("--growth-calls", type=int, default=200_000, help="default 200000")
    add("--crowd", type=int, default=10_000, help="slow streams open at once, default 10000")
    add("--peers", action="store_true", help="install LiteLLM and Portkey in a temporary folder and measure them, too")
    add(
        "--also", type=_checkout, action="append", default=[], metavar="LABEL=FOLDER",
        help="measure another checkout of the gateway in the same run; may be repeated",
    )  # fmt: skip
    add("--results", type=Path, default=ROOT / "bench" / "results", help="folder of the JSON file")
    return parser.parse_args(arguments)


def _numbers(text: str) -> list[int]:
    numbers = [int(part) for part in text.split(",") if part]
    if any(not 0 < number <= 4096 for number in numbers):
        raise argparse.ArgumentTypeError("numbers from 1 to 4096, with commas between them")
    return numbers


def _sections(text: str) -> list[str]:
    return [name for name in SECTIONS if name in _known(text, SECTIONS)]  # in the order they are measured in


def _kinds(text: str) -> list[str]:
    return _known(text, databases.KINDS)


def _known(text: str, names: Iterable[str]) -> list[str]:
    known = list(names)
    told = text.split(",")
    if unknown := set(told) - set(known):
        raise argparse.ArgumentTypeError(f"{', '.join(unknown)}: only {', '.join(known)}")
    return told


def _checkout(text: str) -> tuple[str, Path]:
    label, _, folder = text.partition("=")
    path = Path(folder).resolve()
    if not label or not (path / "manage.py").exists():
        raise argparse.ArgumentTypeError("LABEL=FOLDER, with a checkout in the folder")
    return label, path
