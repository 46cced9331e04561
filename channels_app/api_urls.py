from __future__ import annotations

from api.routing import both
from api.views import Unknown
from channels_app import api

urlpatterns = [
    *both("channel", api.Channels),
    *both("channel/search", api.ChannelSearch),
    *both("channel/models", api.ChannelModels),
    *both("channel/disabled", api.DisabledChannels),
    *both("channel/test/<str:channel_id>", api.ChannelTest),
    *both("channel/test", Unknown),  # bulk test and balances are not built yet, and no channel has such an id
    *both("channel/update_balance", Unknown),
    *both("channel/<str:channel_id>", api.OneChannel),
]
