"""Figures as the text that Prometheus reads (its exposition format, version 0.0.4)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

TYPE = b"text/plain; version=0.0.4; charset=utf-8"
Labels = tuple[tuple[str, str], ...]


@dataclass
class Metric:
    """One name with all its samples: (what is appended to the name, labels, value)."""

    name: str
    kind: str
    help: str
    samples: list[tuple[str, Labels, float]] = field(default_factory=list)

    def add(self, value: float, **labels: str) -> None:
        self.samples.append(("", tuple(labels.items()), value))

    def histogram(self, bounds: Sequence[float], counts: Sequence[int], total: float, labels: Labels = ()) -> None:
        """`counts`: how many fell below each bound but not the one before it; the last: beyond all of them."""
        below = 0
        for bound, count in zip((*(f"{one:g}" for one in bounds), "+Inf"), counts, strict=True):
            below += count
            self.samples.append(("_bucket", (*labels, ("le", bound)), below))
        self.samples.append(("_sum", labels, total))
        self.samples.append(("_count", labels, below))


def write(metrics: Iterable[Metric]) -> bytes:
    lines: list[str] = []
    for metric in metrics:
        if not metric.samples:
            continue
        lines.append(f"# HELP {metric.name} {_escaped(metric.help)}")
        lines.append(f"# TYPE {metric.name} {metric.kind}")
        lines += [f"{metric.name}{suffix}{_labels(labels)} {value:.15g}" for suffix, labels, value in metric.samples]
    return ("\n".join(lines) + "\n").encode()


def _labels(labels: Labels | Mapping[str, str]) -> str:
    pairs = labels.items() if isinstance(labels, Mapping) else labels
    text = ",".join(f'{name}="{_escaped(value, quoted=True)}"' for name, value in pairs)
    return f"{{{text}}}" if text else ""


def _escaped(text: str, *, quoted: bool = False) -> str:
    text = text.replace("\\", "\\\\").replace("\n", "\\n")
    return text.replace('"', '\\"') if quoted else text
