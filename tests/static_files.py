"""The list of static files made once for all of Django's test clients.

Each client builds the middleware anew, and WhiteNoise then looks at every file of the finders: a fifth of the time of
tests that open pages. The files do not change while tests run.
"""

from __future__ import annotations

from typing import Any

from whitenoise.middleware import WhiteNoiseMiddleware


def install() -> None:
    scan = WhiteNoiseMiddleware.add_files_from_finders
    found: dict[str, Any] = {}

    def once(middleware: WhiteNoiseMiddleware) -> None:
        if not found:
            scan(middleware)
            found.update(middleware.files)
        middleware.files.update(found)

    WhiteNoiseMiddleware.add_files_from_finders = once
