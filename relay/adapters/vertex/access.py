"""What a Vertex AI channel calls with: its region, its project, and an access token for Google's credentials file.

https://docs.cloud.google.com/docs/authentication/application-default-credentials (the files),
https://developers.google.com/identity/protocols/oauth2/service-account (the exchange), and
https://docs.cloud.google.com/vertex-ai/generative-ai/docs/learn/locations (hosts); relay contract of providers, 3.4 and
4.6.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import quote, urlencode

import orjson

from channels_app.snapshot import Route
from relay.adapters.base import Outgoing, Outside
from relay.adapters.shape import Json, chunk, number, text
from relay.adapters.usual import reported
from relay.errors import UpstreamError

SCOPE = "https://www.googleapis.com/auth/cloud-platform"
TOKEN_URI = "https://oauth2.googleapis.com/token"  # noqa: S105 (an address)
GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
LIFE = 3600  # seconds an assertion is good for, and the token it is exchanged for, where Google does not tell
MEMBERS = {  # of each kind of file that can be exchanged without asking anybody else
    "service_account": ("client_email", "private_key"),
    "authorized_user": ("client_id", "client_secret", "refresh_token"),
}
MULTI_REGIONS = frozenset({"us", "eu"})
_REGION = re.compile(r"[a-z]+(-[a-z0-9]+)*")
_PROJECT = re.compile(r"[a-z0-9][a-z0-9.:-]*")


@dataclass(frozen=True, slots=True)
class Access:
    """`credentials`: Google's file, one of `MEMBERS`."""

    region: str
    project: str
    base_url: str
    credentials: Json = field(repr=False)

    def address(self, path: str) -> str:
        """Of something below the project's location."""
        base = self.base_url or f"https://{_host(self.region)}"
        return f"{base}/v1/projects/{quote(self.project, safe=':')}/locations/{self.region}/{path}"

    @property
    def digest(self) -> str:
        """Of what a token depends on."""
        return hashlib.sha256(orjson.dumps(self.credentials, option=orjson.OPT_SORT_KEYS)).hexdigest()

    async def token(self, outside: Outside, clock: Callable[[], float], refused: int) -> str:
        """Kept until shortly before it ends, or until one more was `refused`. Raises UpstreamError."""
        key = f"google:{self.digest}:{refused}"
        return await outside.token(key, lambda: _exchange(self.credentials, outside, clock))


def access(route: Route) -> Access:
    """From the channel's boxes, else from its key, "region|project|credentials". Raises UpstreamError."""
    parts = [part.strip() for part in [*route.key.split("|", 2), "", ""][:3]]
    config = route.config
    region = config.get("region") or parts[0]
    credentials = _credentials(config.get("vertex_ai_adc") or parts[2])
    project = config.get("vertex_ai_project_id") or parts[1] or text(credentials.get("project_id"))
    if not _REGION.fullmatch(region):
        raise _misconfigured("the channel has no valid region")
    if not _PROJECT.fullmatch(project):
        raise _misconfigured("the channel names no valid project")
    return Access(region, project, route.base_url, credentials)


def _misconfigured(message: str) -> UpstreamError:
    return UpstreamError(message, status=503, code="channel_misconfigured")


def _credentials(file: str) -> Json:
    credentials = chunk(file.encode())
    kind = text(credentials.get("type"))
    if kind not in MEMBERS:
        raise _misconfigured("the channel's Google credentials are no service account's and no authorized user's file")
    if missing := [name for name in MEMBERS[kind] if not text(credentials.get(name))]:
        raise _misconfigured(f"the channel's Google credentials lack {', '.join(missing)}")
    return credentials


def _host(region: str) -> str:
    if region == "global":
        return "aiplatform.googleapis.com"
    if region in MULTI_REGIONS:
        return f"aiplatform.{region}.rep.googleapis.com"
    return f"{region}-aiplatform.googleapis.com"


async def _exchange(credentials: Json, outside: Outside, clock: Callable[[], float]) -> tuple[str, float]:
    """(token, seconds it lives). Raises UpstreamError."""
    address = text(credentials.get("token_uri")) or TOKEN_URI
    if credentials["type"] == "service_account":
        # Reading the key takes tens of milliseconds, which other calls shall not wait for.
        form = {"grant_type": GRANT, "assertion": await asyncio.to_thread(_assertion, credentials, address, clock())}
    else:
        form = {"grant_type": "refresh_token", **{name: credentials[name] for name in MEMBERS["authorized_user"]}}
    headers = [("Content-Type", "application/x-www-form-urlencoded"), ("Accept", "application/json")]
    status, body = await outside.fetch_json(Outgoing("POST", address, headers, urlencode(form).encode()))
    answer = chunk(body)
    if token := text(answer.get("access_token")):
        return token, float(max(number(answer.get("expires_in")), 0)) or float(LIFE)
    refused = text(answer.get("error"))  # RFC 6749, 5.2: whatever it is, the account is refused and not the caller
    if status in (400, 401, 403) and refused:
        raise reported(401, text(answer.get("error_description")) or refused, refused, "authentication_error")
    raise UpstreamError("Google's token exchange failed", code="token_exchange_failed")


def _assertion(credentials: Json, audience: str, now: float) -> str:
    """The signed claim that is exchanged for a token (RFC 7523). Raises UpstreamError: the key cannot be read."""
    from google.auth import crypt, jwt  # with the first call; few have such a channel, and all have starts

    issued = int(now)
    claims = {
        "iss": credentials["client_email"],
        "scope": SCOPE,
        "aud": audience,
        "iat": issued,
        "exp": issued + LIFE,
    }
    try:
        signer = crypt.RSASigner.from_service_account_info(credentials)
        signed: bytes = jwt.encode(signer, claims)
    except (ValueError, TypeError) as error:
        raise _misconfigured("the private key of the channel's Google credentials cannot be read") from error
    return signed.decode()
