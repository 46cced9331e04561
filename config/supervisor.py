"""gunicorn in the process that has prepared the database: it forks the workers from what is imported already.

So a start imports everything once, a worker that was killed is replaced in a fraction of a second, and workers share
the memory of the program's code. What must not be shared is made after the fork: threads, event loops, connections.
"""

from __future__ import annotations

import gc
from typing import Any

from gunicorn.app.base import BaseApplication
from gunicorn.util import import_app


class Supervisor(BaseApplication):
    """`run` returns only by the end of the process. `options`: gunicorn's settings by their names."""

    def __init__(self, application: str, options: dict[str, Any]) -> None:
        self._application = application
        self._options = {**options, "preload_app": True}
        super().__init__()

    def load_config(self) -> None:
        for name, value in self._options.items():
            self.cfg.set(name, value)

    def load(self) -> Any:
        loaded = import_app(self._application)
        gc.freeze()  # no collection of a worker writes to the pages it shares
        return loaded
