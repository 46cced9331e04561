"""What the operator has put on home and about: nothing, an address, a whole page, or text (reference, 11.9)."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

from django.http import HttpRequest
from django.utils.safestring import SafeString

from console import operator_text
from console.policy import allow, origin_of
from console.site import base_address
from options.registry import Options

OPTIONS = {"home": "HomePageContent", "about": "About"}  # name in the address -> option

# A whole HTML page runs in an origin of its own: it may use scripts, and can read nothing of the console.
SANDBOX = "allow-popups allow-scripts"
PAGE_POLICY = (
    "sandbox allow-popups allow-scripts; default-src 'none'; script-src 'unsafe-inline' https:;"
    " style-src 'unsafe-inline' https:; img-src 'self' data: https:; font-src data: https:; media-src https:;"
    " base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
)


@dataclass(frozen=True)
class Content:
    """`kind`: "" (nothing), "frame" and "link" (`address`), "page" (served by itself), "text" (`html`).

    `own`: the address is one of this console's, which is never framed.
    """

    kind: str
    address: str = ""
    html: SafeString | str = ""
    own: bool = False

    @property
    def headed(self) -> bool:
        """It brings a heading of its own: the page needs none beside it."""
        return "<h1" in self.html


def content_of(request: HttpRequest, options: Options, name: str) -> Content:
    """How `name` is to be shown to this request; what it frames is allowed in the answer's policy."""
    text: str = options[OPTIONS[name]].strip()
    if not text:
        return Content("")
    if is_page(text):
        allow(request, "frame-src", "'self'")
        return Content("page")
    if address := operator_text.link(text):
        if urlsplit(address).scheme != "https":  # a page that came over TLS could not show it
            return Content("link", address)
        return framed(request, options, address)
    return Content("text", html=operator_text.rendered(text))


def framed(request: HttpRequest, options: Options, address: str) -> Content:
    """This address in a frame; a link alone where it is our own, since a framed page of ours could be misused."""
    origin = origin_of(address)
    if not origin or origin in own_origins(request, options):
        return Content("link", address, own=bool(origin))
    allow(request, "frame-src", origin)
    return Content("frame", address)


def is_page(text: str) -> bool:
    return text.lstrip()[:9].lower().startswith(("<!doctype", "<html"))


def own_origins(request: HttpRequest, options: Options) -> set[str]:
    """Where this console is reached, over either scheme."""
    hosts = {request.get_host(), urlsplit(base_address(request, options)).netloc}
    return {origin_of(f"{scheme}://{host}") for scheme in ("http", "https") for host in hosts}
