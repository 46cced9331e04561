"""Pictures as bytes, of upstreams that answer with addresses alone."""

from __future__ import annotations

from dataclasses import replace

from relay.adapters.base import Outside
from relay.errors import ClientError, UpstreamError
from relay.neutral.events import Picture, Pictures
from relay.neutral.request import Media


async def with_data(pictures: Pictures, outside: Outside) -> Pictures:
    """The same pictures, each as base64. Raises UpstreamError: one cannot be fetched."""
    return replace(pictures, pictures=[await _fetched(picture, outside) for picture in pictures.pictures])


async def _fetched(picture: Picture, outside: Outside) -> Picture:
    if picture.data:
        return picture
    try:
        media = await outside.media(Media("image", url=picture.url))
    except ClientError as error:  # the address is the upstream's, not the caller's
        raise UpstreamError("the upstream's picture cannot be fetched", code="picture_unreachable") from error
    return Picture(data=media.data, revised_prompt=picture.revised_prompt)
