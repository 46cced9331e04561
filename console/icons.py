"""Lucide's icons as the pages show them, from the archive that the package brings.

The package opens its archive of 1,745 pictures anew for each icon, 20 ms of processor, so the first pages of every
worker took half a second; and it parses a picture again for each size.
"""

from __future__ import annotations

from functools import lru_cache
from importlib.resources import files
from io import BytesIO
from xml.etree import ElementTree as ET
from zipfile import ZipFile

from django.utils.safestring import SafeString
from lucide import IconDoesNotExist

SVG = "{http://www.w3.org/2000/svg}"


@lru_cache(maxsize=1)
def _archive() -> ZipFile:
    return ZipFile(BytesIO(files("lucide").joinpath("lucide.zip").read_bytes()))


@lru_cache(maxsize=2048)
def drawn(name: str, size: int, attributes: tuple[tuple[str, str], ...]) -> SafeString:
    """An `<svg>` of `size` pixels, hidden from screen readers. Kept, for a list shows hundreds.

    Raises lucide.IconDoesNotExist.
    """
    try:
        picture = ET.fromstring(_archive().read(f"{name}.svg"))  # noqa: S314 -- a file of the package
    except KeyError:
        raise IconDoesNotExist(f"There is no icon {name!r}.") from None
    for node in picture.iter():
        node.tag = node.tag.removeprefix(SVG)
    told = {"width": str(size), "height": str(size), "aria-hidden": "true", "focusable": "false"}
    picture.attrib.update(told | {key.replace("_", "-"): str(value) for key, value in attributes})
    return SafeString(ET.tostring(picture, encoding="unicode"))
