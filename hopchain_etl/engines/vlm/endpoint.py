"""How a model's server is asked: the address of a path, the headers with the API key, and the proxy in between."""

from __future__ import annotations

from hopchain_etl.engines.proxies import proxy_of
from hopchain_etl.settings import VlmSettings


def address(endpoint: str, path: str) -> str:
    """Return the URL of a path below an endpoint, whose query (Azure's ``?api-version=...``) stays at the end."""
    base, mark, query = endpoint.partition("?")
    return f"{base.rstrip('/')}/{path}{mark}{query}"


def shown(endpoint: str) -> str:
    """Return an endpoint without its query, which may hold a key."""
    return endpoint.partition("?")[0]


def headers(endpoint: str, key: str | None) -> dict[str, str]:
    """Return the headers of a request. Azure, whose version is in the query, wants the key under another name."""
    is_azure = "api-version=" in endpoint.partition("?")[2]
    name, value = ("api-key", key) if is_azure else ("Authorization", f"Bearer {key}")
    return {"Content-Type": "application/json", **({name: value} if key and value else {})}


def proxy(settings: VlmSettings) -> str | None:
    """Return the proxy through which the configured server is asked; None: directly, as are all that we launch."""
    return proxy_of(settings.endpoint_url) if settings.use_proxy and settings.endpoint_url else None
