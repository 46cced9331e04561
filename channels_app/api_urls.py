from __future__ import annotations

from api.routing import both
from channels_app import api

urlpatterns = [
    *both("channel", api.Channels),
    *both("channel/search", api.ChannelSearch),
    *both("channel/models", api.ChannelModels),
    *both("channel/disabled", api.DisabledChannels),
    *both("channel/test", api.TestAll),
    *both("channel/test/progress", api.TestProgress),
    *both("channel/test/<str:channel_id>", api.ChannelTest),
    *both("channel/update_balance", api.Balances),
    *both("channel/update_balance/<str:channel_id>", api.Balance),
    *both("channel/fetch_models", api.FetchModels),
    *both("channel/fetch_models/<str:channel_id>", api.FetchModelsOf),
    *both("channel/<str:channel_id>", api.OneChannel),
]
