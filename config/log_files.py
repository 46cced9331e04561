"""The files of the log: one a day, or a new one when it is full; any number of processes write to them."""

from __future__ import annotations

import fcntl
import logging
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

LOCK = ".rotation"


class DailyFile(logging.Handler):
    """Appends to `oneapi-YYYYMMDD.log` of the folder, or always to `oneapi.log`.

    A line is one write in append mode, so lines of several processes never mix. A file that has reached `rotate` bytes
    (0: never) is renamed to `oneapi-YYYYMMDD.1.log`, `.2.log` and so on: by one process, under a lock, while the others
    write on into what they have open and find the new file before their next line. Only the newest `keep` files stay
    beside the current one (0: all).
    """

    def __init__(self, folder: str, one_file: bool, rotate: int = 0, keep: int = 0) -> None:
        super().__init__()
        self._folder = Path(folder)
        self._one_file = one_file
        self._rotate = rotate
        self._keep = keep
        self._name = ""
        self._file: int | None = None
        self._identity = (0, 0)  # device and inode of what is open

    def emit(self, record: logging.LogRecord) -> None:
        try:
            line = (self.format(record) + "\n").encode("utf-8", "backslashreplace")
            file = self._current(record.created)
            while line:  # a disk that is nearly full takes a part
                line = line[os.write(file, line) :]
        except RecursionError:  # as the handlers of the standard library
            raise
        except Exception:  # noqa: BLE001 (a line that cannot be written is told on stderr; whoever logs it goes on)
            self.handleError(record)

    def _current(self, moment: float) -> int:
        name = "oneapi.log" if self._one_file else time.strftime("oneapi-%Y%m%d.log", time.localtime(moment))
        path = self._folder / name
        if self._file is None or name != self._name:
            new_day = self._file is not None
            self._open(path)
            if new_day and self._keep:
                with self._locked():
                    self._prune()
        size = self._size(path)
        if size is None:  # renamed or deleted by somebody else
            self._open(path)
        elif self._rotate and size >= self._rotate:
            self._turn(path)
            self._open(path)
        assert self._file is not None
        return self._file

    def _size(self, path: Path) -> int | None:
        """Bytes in the file of this name; None where it is not the one we write to."""
        try:
            found = path.stat()
        except FileNotFoundError:
            return None
        return found.st_size if (found.st_dev, found.st_ino) == self._identity else None

    def _turn(self, path: Path) -> None:
        """Rename the full file, unless another process just has."""
        with self._locked():
            if self._size(path) is None:
                return
            taken = [_number(other) for other in self._folder.glob(f"{path.stem}.*.log")]
            path.rename(path.with_name(f"{path.stem}.{max(taken, default=0) + 1}.log"))
            self._prune()

    def _prune(self) -> None:
        if not self._keep:
            return
        files = [one for one in self._folder.glob("oneapi*.log") if one.name != self._name]
        files.sort(key=lambda one: (one.stem.partition(".")[0], _number(one) or 2**31))
        for old in files[: -self._keep]:
            old.unlink(missing_ok=True)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        lock = os.open(self._folder / LOCK, os.O_RDWR | os.O_CREAT, 0o640)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
        finally:
            os.close(lock)

    def _open(self, path: Path) -> None:
        self.close_file()
        self._folder.mkdir(mode=0o750, parents=True, exist_ok=True)
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o640)
        found = os.fstat(self._file)
        self._identity, self._name = (found.st_dev, found.st_ino), path.name

    def close_file(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def close(self) -> None:
        with self.lock or logging._lock:  # type: ignore[attr-defined]
            self.close_file()
        super().close()


def _number(path: Path) -> int:
    """Which of a day's full files this is; 0 for the day's last, which bears no number."""
    number = path.stem.partition(".")[2]
    return int(number) if number.isdigit() else 0
