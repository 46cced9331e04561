"""Run by a server on whose PYTHONPATH this folder stands: SIGUSR2 starts keeping what only the collector frees.

The next one writes its types, one a line with their number, to the file COLLECTED.<pid>.
"""

import collections
import gc
import os
import signal
import threading


def turn(_number: int, _frame: object) -> None:
    if gc.get_debug():
        gc.collect()
        types = collections.Counter(f"{type(one).__module__}.{type(one).__qualname__}" for one in gc.garbage)
        gc.set_debug(0)
        gc.garbage.clear()
        path = f"{os.environ['COLLECTED']}.{os.getpid()}"
        with open(f"{path}.part", "w") as file:
            file.writelines(f"{name} {count}\n" for name, count in types.items())
        os.rename(f"{path}.part", path)
    else:
        gc.collect()
        gc.set_debug(gc.DEBUG_SAVEALL)


class _Thread(threading.Thread):
    """The server sets its own handlers when it starts; ours comes with the books' thread, which begins later."""

    def start(self) -> None:
        if self.name == "books":
            signal.signal(signal.SIGUSR2, turn)
        super().start()


threading.Thread = _Thread  # type: ignore[misc]
