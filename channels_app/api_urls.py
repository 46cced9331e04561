from __future__ import annotations

from api.routing import both
from channels_app import api

urlpatterns = [
    *both("channel", api.Channels),
    *both("channel/search", api.ChannelSearch),
    *both("channel/models", api.ChannelModels),
    *both("channel/disabled", api.DisabledChannels),
    *both("channel/test/<str:channel_id>", api.ChannelTest),
    *both("channel/<str:channel_id>", api.OneChannel),
]
