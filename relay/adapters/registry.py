"""The upstream protocols by the names the providers' table (`channels_app/data/providers.toml`) uses for them."""

from __future__ import annotations

from collections.abc import Mapping

from relay.adapters.aiproxy_library import AIProxyLibrary
from relay.adapters.ali import Ali
from relay.adapters.anthropic import Anthropic
from relay.adapters.baidu import Baidu
from relay.adapters.base import Adapter
from relay.adapters.tencent import Tencent
from relay.adapters.xunfei import Xunfei
from relay.adapters.zhipu import Zhipu

ADAPTERS: Mapping[str, Adapter] = {
    "anthropic-messages": Anthropic(),
    "aiproxy-library": AIProxyLibrary(),
    "baidu-wenxin-v1": Baidu(),
    "dashscope-native": Ali(),
    "tencent-hunyuan-tc3": Tencent(),
    "xunfei-spark-ws": Xunfei(),
    "zhipu-v4": Zhipu(),
}
