"""The upstream protocols by the names the providers' table (`channels_app/data/providers.toml`) uses for them."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping

from channels_app.providers import PROVIDERS, BadProviderRow, Provider
from relay.adapters.aiproxy_library import AIProxyLibrary
from relay.adapters.ali.adapter import Ali
from relay.adapters.anthropic.adapter import Anthropic
from relay.adapters.baidu.adapter import Baidu
from relay.adapters.base import Adapter
from relay.adapters.bedrock.adapter import Bedrock
from relay.adapters.cloudflare import Cloudflare
from relay.adapters.cohere.adapter import Cohere
from relay.adapters.coze import Coze
from relay.adapters.deepl import DeepL
from relay.adapters.gemini.adapter import Gemini, Palm
from relay.adapters.ollama import Ollama
from relay.adapters.openai.adapter import TRANSLATED
from relay.adapters.replicate.adapter import Replicate
from relay.adapters.tencent.adapter import Tencent
from relay.adapters.vertex.adapter import Vertex
from relay.adapters.xunfei.adapter import Xunfei
from relay.adapters.zhipu.adapter import Zhipu

PASSED_ON = frozenset({"proxy"})  # whatever comes is passed on (relay.proxy): served without an adapter
ADAPTERS: Mapping[str, Adapter] = {
    "aiproxy-library": AIProxyLibrary(),
    "anthropic-messages": Anthropic(),
    "baidu-wenxin-v1": Baidu(),
    "bedrock-converse": Bedrock(),
    "cloudflare-workers-ai": Cloudflare(),
    "cohere-v2": Cohere(),
    "coze-v3": Coze(),
    "dashscope-native": Ali(),
    "deepl": DeepL(),
    "gemini-generatecontent": Gemini(),
    "ollama-chat": Ollama(),
    "palm": Palm(),
    "replicate": Replicate(),
    "tencent-hunyuan-tc3": Tencent(),
    "vertex-ai": Vertex(),
    "xunfei-spark-ws": Xunfei(),
    "zhipu-v4": Zhipu(),
    **TRANSLATED,
}


def check(providers: Iterable[Provider], protocols: Container[str]) -> None:
    """Raises BadProviderRow: a row says that it is served, and nothing here speaks its protocol.

    The table stands below the relay and cannot look here, so this is where a server's start stops at such a row.
    """
    for provider in providers:
        if provider.served and provider.protocol not in protocols:
            title = f"provider {provider.id} ({provider.name})"
            raise BadProviderRow(f"{title}: served, but no adapter speaks {provider.protocol}")


check(PROVIDERS.values(), ADAPTERS.keys() | PASSED_ON)
