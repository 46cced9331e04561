"""What a Bedrock channel calls with: its region, and a signature of AWS (version 4) or an API key.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html,
https://docs.aws.amazon.com/bedrock/latest/userguide/api-keys.html; relay contract of providers, 3.5 and 4.5.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from channels_app.snapshot import Route
from relay.adapters.base import Outgoing
from relay.errors import UpstreamError

SERVICE = "bedrock"
_REGION = re.compile(r"[a-z]{2,}(-[a-z0-9]+)+")


@dataclass(frozen=True, slots=True)
class Access:
    """Without `secret`, `key` is an API key of Bedrock. `token` goes with temporary credentials."""

    region: str
    key: str = field(repr=False)
    secret: str = field(repr=False)
    token: str = field(repr=False)

    def authorised(self, outgoing: Outgoing) -> Outgoing:
        """The same request with its signature; nothing that is signed may change after it."""
        if not self.secret:
            headers = [*outgoing.headers, ("Authorization", f"Bearer {self.key}")]
            return Outgoing(outgoing.method, outgoing.url, headers, outgoing.body)
        # With the first call; few have such a channel, and all have starts.
        from botocore.auth import SigV4Auth
        from botocore.awsrequest import AWSRequest
        from botocore.credentials import Credentials

        request = AWSRequest(outgoing.method, outgoing.url, headers=dict(outgoing.headers), data=outgoing.body)
        SigV4Auth(Credentials(self.key, self.secret, self.token or None), SERVICE, self.region).add_auth(request)
        return Outgoing(outgoing.method, outgoing.url, list(request.headers.items()), outgoing.body)


def access(route: Route) -> Access:
    """From the channel's boxes, else from its key, "ak|sk|region" or "ak|sk|region|session token".

    Raises UpstreamError: the channel has no key or no region one could call.
    """
    parts = [part.strip() for part in [*route.key.split("|"), "", "", "", ""][:4]]
    config = route.config
    key, secret = config.get("ak") or parts[0], config.get("sk") or parts[1]
    region = config.get("region") or parts[2]
    token = parts[3] if parts[0] == key else ""  # it belongs to the pair beside it
    if not key:
        raise UpstreamError("the channel has no access key", status=503, code="channel_misconfigured")
    if not _REGION.fullmatch(region):
        raise UpstreamError("the channel has no valid region", status=503, code="channel_misconfigured")
    return Access(region, key, secret, token)


def endpoint(route: Route, region: str) -> str:
    """The channel's own address (a VPC endpoint, say), else the region's."""
    suffix = "amazonaws.com.cn" if region.startswith("cn-") else "amazonaws.com"
    return route.base_url or f"https://bedrock-runtime.{region}.{suffix}"
