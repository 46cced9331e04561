"""OpenAI's protocol, and every provider that speaks it: what differs between them is a row of the providers' table.

https://platform.openai.com/docs/api-reference; addresses: relay contract, 8.5; headers: 8.6.
"""

from __future__ import annotations

from urllib.parse import quote

from relay.errors import UpstreamError
from relay.types import Mode, Route

CLOUDFLARE_GATEWAY = "https://gateway.ai.cloudflare.com"

# The modes that share a row's permission and path rules with another one.
LISTED_AS = {Mode.IMAGE_EDITS: "images", Mode.IMAGE_VARIATIONS: "images"}


class OpenAI:
    """One stateless instance serves every channel."""

    def url(self, route: Route, mode: Mode, path: str, query: str, model: str) -> str:
        """Raises UpstreamError when the provider has no such mode; another channel may have it."""
        listed = LISTED_AS.get(mode, mode.value)
        provider = route.provider
        if listed not in provider.modes:
            raise UpstreamError(f"{provider.name} channels do not serve {listed}", status=400, code="unsupported_mode")
        override = provider.paths.get(listed)
        if override:
            return route.base_url + override
        target = path + ("?" + query if query else "")
        if provider.path_style == "strip_v1" or (provider.id == 1 and route.base_url.startswith(CLOUDFLARE_GATEWAY)):
            target = target.removeprefix("/v1")
        return route.base_url + target

    def headers(self, route: Route) -> list[tuple[str, str]]:
        return [("Authorization", "Bearer " + route.key), *route.provider.headers.items()]

    def realtime_url(self, route: Route, model: str) -> str:
        """Where a session is opened, with http in the place of ws. Raises UpstreamError as `url` does."""
        return self.url(route, Mode.REALTIME, "/v1/realtime", "model=" + quote(model, safe=""), model)


class Azure(OpenAI):
    """Azure OpenAI: a key in a header of its own, and one of two addresses.

    The deployments' API: the model is part of the address, the version a parameter. Deployment names cannot hold dots,
    so model names are addressed without them, but for images and audio, as the contract has it (8.5).
    https://learn.microsoft.com/azure/ai-services/openai/reference

    The v1 API, where the channel's version is one of `V1`: the model stays in the body, and there is no version;
    "preview" opts into what is not stable yet. Responses and sessions are served there alone.
    https://learn.microsoft.com/azure/ai-services/openai/api-version-lifecycle
    """

    KEEPS_DOTS = frozenset({Mode.IMAGES, Mode.IMAGE_EDITS, Mode.IMAGE_VARIATIONS, Mode.SPEECH, Mode.TRANSCRIPTION})
    DEFAULT_VERSION = "2024-10-21"  # the newest stable one of the deployments' API
    V1 = frozenset({"v1", "preview", "latest"})
    V1_ONLY = frozenset({Mode.RESPONSES, Mode.REALTIME})

    def url(self, route: Route, mode: Mode, path: str, query: str, model: str) -> str:
        if mode in (Mode.EDITS, Mode.MODERATIONS):
            raise UpstreamError(f"Azure channels do not serve {mode.value}", status=400, code="unsupported_mode")
        # /v1/engines/{model}/embeddings names its model a second time; Azure knows the plain task only.
        task = "embeddings" if mode is Mode.EMBEDDINGS else path.removeprefix("/v1/")
        version = route.config.get("api_version") or self.DEFAULT_VERSION
        if version in self.V1 or mode in self.V1_ONLY:
            base = route.base_url.removesuffix("/openai/v1")  # as Azure's own pages give it to clients
            return f"{base}/openai/v1/{task}" + _v1_query(query, version)
        deployment = model if mode in self.KEEPS_DOTS else model.replace(".", "")
        prefix = "" if route.base_url.startswith(CLOUDFLARE_GATEWAY) else "/openai/deployments"
        return f"{route.base_url}{prefix}/{deployment}/{task}?api-version={version}"

    def headers(self, route: Route) -> list[tuple[str, str]]:
        return [("api-key", route.key), *route.provider.headers.items()]

    def realtime_url(self, route: Route, model: str) -> str:
        """The v1 address, but for channels of a dated preview: of the dated versions, previews alone have sessions.

        https://learn.microsoft.com/azure/foundry/openai/how-to/realtime-audio-websockets
        """
        version = route.config.get("api_version") or self.DEFAULT_VERSION
        if not version.endswith("-preview"):
            return super().realtime_url(route, model)
        deployment = quote(model.replace(".", ""), safe="")
        return f"{route.base_url}/openai/realtime?api-version={version}&deployment={deployment}"


def _v1_query(query: str, version: str) -> str:
    """The caller's, but for the version: that is the channel's to choose."""
    members = [part for part in query.split("&") if part and not part.startswith("api-version=")]
    if version == "preview":
        members.append("api-version=preview")
    return "?" + "&".join(members) if members else ""


ADAPTERS: dict[str, OpenAI] = {"openai": OpenAI(), "azure-openai": Azure()}


def adapter_for(route: Route) -> OpenAI:
    """Raises UpstreamError: the channel's protocol is not served by this version."""
    adapter = ADAPTERS.get(route.provider.protocol)
    if adapter is None:
        raise UpstreamError(
            f"channels of type {route.provider.name} are not served by this version", status=503, code="not_served"
        )
    return adapter
